"""Walk through LookupEvents with a session's credentials, as a worker, page by page.

The cursor is stored with each page's records: a worker that takes over goes on behind it. The
credentials are opened anew for each run, by the rights that the person has then; each time is an
event before they are opened.
"""

import time
from datetime import datetime, timedelta

from django.db import transaction

from sessions.actors import Actor
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError
from sessions.aws.lookup_events import BAD_CURSOR, Page, lookup_page
from sessions.db.clock import database_now
from sessions.delivery.reveal import NotReady, NotYours, reveal
from sessions.exceptions import Refused
from sessions.ledger.chain import length
from sessions.ledger.drift import follow, stored
from sessions.ledger.drift.compare import Comparison
from sessions.ledger.drift.imports import names_of, refuse, tell
from sessions.ledger.drift.reading import Lost
from sessions.ledger.drift.rows import row_of
from sessions.ledger.events.trail import TrailImported
from sessions.models import Membership, TrailImport, TrailRecord, TrailState

# AWS takes two calls a second for each account and region, and one look-up runs at a time.
BETWEEN_CALLS = 0.55
# So long a run holds a worker's process, with what it has opened.
LONGEST_RUN = 45.0
AGAIN_AFTER = timedelta(seconds=15)
# A session that nobody starts again.
GIVE_UP_AFTER = timedelta(days=2)


def run(row: TrailImport) -> None:
    """Read some pages of a held look-up, then let others have the process."""
    try:
        using = _open(row)
    except NotYours as lost:
        refuse(row, lost.why.message)
        return
    except NotReady:
        _wait(row, "Its session is not active: start it again, and this goes on.")
        return
    except Refused as refused:
        refuse(row, refused.message)
        return
    if not row.write(state=TrailState.READING, reason=""):
        raise Lost
    comparison = Comparison(row.team_id)
    until = time.monotonic() + LONGEST_RUN
    while time.monotonic() < until:
        began = time.monotonic()
        try:
            page = _next_page(row, using)
        except AwsError as error:
            _failed(row, error)
            return
        _store(row, page, comparison)
        if not page.cursor:
            _finish(row)
            return
        time.sleep(max(BETWEEN_CALLS - (time.monotonic() - began), 0))
    if not row.release(due_at=database_now()):
        raise Lost


def _open(row: TrailImport) -> AwsCredentials:
    members = Membership.objects.filter(team=row.team_id, user__username=row.person)
    member = members.select_related("user", "team").first()
    if member is None or row.session is None:
        raise Refused("", "The session, or the person who asked for it, is not there any more.")
    return reveal(row.session, Actor(member), form="cloudtrail", via="look-up of CloudTrail")


def _next_page(row: TrailImport, using: AwsCredentials) -> Page:
    assert row.since is not None
    assert row.until is not None
    try:
        return lookup_page(using, row.region, row.since, row.until, row.cursor)
    except AwsError as error:
        if error.code != BAD_CURSOR or not row.cursor:
            raise
    # AWS forgets cursors: it begins anew where the last page ended, and what comes again is known.
    row.cursor, row.until = "", _end(row) - timedelta(seconds=row.position)
    time.sleep(BETWEEN_CALLS)
    return lookup_page(using, row.region, row.since, row.until, "")


def _store(row: TrailImport, page: Page, comparison: Comparison) -> None:
    """Store a page's records and the cursor behind it in one transaction. Raises `Lost`."""
    rows = {each.event_key: each for each in (row_of(record, row) for record in page.records)}
    upto = follow.begin(row.team_id)
    comparison.compare(list(rows.values()))
    times = [record.event_time for record in page.records if record.event_time]
    if times:
        passed = _end(row) - min(times)
        row.position = min(max(int(passed.total_seconds()) - 1, row.position), row.size)
    with transaction.atomic():
        shown = TrailRecord.objects.filter(team=row.team_id, trail_import__is_shown=True)
        known = set(shown.filter(event_key__any_of=list(rows)).values_list("event_key", flat=True))
        row.records += len(page.records)
        row.known += len(page.records) - len(rows.keys() - known)
        row.cursor = page.cursor
        kept = row.write(
            cursor=row.cursor,
            until=row.until,
            records=row.records,
            known=row.known,
            position=row.position,
        )
        if not kept:
            raise Lost
        stored.add([each for key, each in rows.items() if key not in known])
    own = TrailRecord.objects.filter(trail_import=row, event_key__any_of=list(rows))
    follow.compare_lines(row.team_id, upto, length(row.team_id), own)
    follow.trace_added(row.team_id, list(own.values_list("pk", flat=True)))


def _end(row: TrailImport) -> datetime:
    """Return where the look-up has begun: its newest end."""
    assert row.since is not None
    return row.since + timedelta(seconds=row.size)


def _failed(row: TrailImport, error: AwsError) -> None:
    if error.retryable or error.code.startswith("Expired"):
        _wait(row, f"{error.message} It is tried again automatically.")
        return
    check = ""
    if error.code.startswith("AccessDenied"):
        check = " The session's role has to allow cloudtrail:LookupEvents."
    refuse(row, f"{error.code}: {error.message}{check}")


def _wait(row: TrailImport, reason: str) -> None:
    """Put a look-up off; after two days it is given up."""
    now = database_now()
    if now - row.created_at > GIVE_UP_AFTER:
        refuse(row, reason)
    elif not row.release(due_at=now + AGAIN_AFTER, reason=reason[:500]):
        raise Lost


def _finish(row: TrailImport) -> None:
    with transaction.atomic():
        ended = row.release(
            state=TrailState.DONE,
            reason="",
            ended_at=database_now(),
            due_at=None,
            cursor="",
            position=row.size,
        )
        if not ended:
            raise Lost
        tell(row, TrailImported(**names_of(row), records=row.records, known=row.known))
