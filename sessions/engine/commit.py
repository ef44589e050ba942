"""Commit results: credentials, problems and ledger lines, in one transaction."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction

from sessions import ledger
from sessions.activations import deliveries
from sessions.actors import WORKER
from sessions.aws.errors import CredentialsExpired
from sessions.aws.scoped import SCOPED
from sessions.credentials import bulk_write
from sessions.credentials.needs import Need
from sessions.credentials.outcomes import Blocked, Deferred, Minted, Outcome, Rejection
from sessions.credentials.payloads import seal_credentials
from sessions.credentials.timing import PARENT_MARGIN, crash_point, rotation_time
from sessions.db.clock import database_now
from sessions.engine import retries
from sessions.engine.claims import Claim, lock_teams
from sessions.ledger import Entry
from sessions.ledger.events import EventData
from sessions.ledger.events.credentials import CredentialMinted, CredentialRejected
from sessions.models import Activation, Channel, Credential, Delivery, Probe, Problem
from sessions.monitoring import counters
from sessions.roots import notices

MINTED_COLUMNS = (
    *("sealed", "generation", "access_key_id", "packed_policy_size", "minted_at", "expires_at"),
    *("due_at", "asked_at", "attempts", "problem"),
)
PROBLEM_COLUMNS = ("problem", "attempts", "due_at", "asked_at")

# When a row was due, and asked for, as it was stored before its outcome.
Asked = tuple[datetime | None, datetime | None]


@transaction.atomic(durable=True)
def commit(
    claim: Claim, results: Sequence[tuple[Credential, Outcome]], needs: Mapping[str, Sequence[Need]]
) -> set[str]:
    """Write results, problems and events in one transaction; return the rows that were still ours.

    A row that the fence no longer covers is dropped: nothing of it is stored, and no event.
    """
    lock_teams([row.pk for row, _ in results])
    now = database_now()
    # Locked before the needs are read: a start or stop in another transaction comes wholly before
    # or wholly after.
    stored = (
        Credential.objects.filter(pk__any_of=[row.pk for row, _ in results])
        .held(claim.fence)
        .select_for_update()
        .order_by("pk")
        .values_list("pk", "due_at", "asked_at")
    )
    asked = {pk: (due_at, asked_at) for pk, due_at, asked_at in stored}
    ours = [(row, outcome) for row, outcome in results if row.pk in asked]
    minted = {row.pk: (row, outcome) for row, outcome in ours if isinstance(outcome, Minted)}
    others = {row.pk: (row, outcome) for row, outcome in ours if not isinstance(outcome, Minted)}
    _write_minted(claim, minted, now)
    _write_problems(claim, others, asked, now)
    notices.record_root_problems(ours, now)
    if minted:
        _prepare_below(minted, now)
        notices.retry_below(minted, now)
        notices.retry_siblings([row for row, _ in minted.values()], now)
    _expire([(row, outcome) for row, outcome in others.values() if row.parent_id], now)
    _append_entries(ours, needs)
    crash_point("written")
    return set(asked)


def _write_minted(
    claim: Claim, minted: Mapping[str, tuple[Credential, Minted]], now: datetime
) -> None:
    taken_away = _taken_away(minted)
    written = {
        pk: _minted(row, outcome, now, pk in taken_away) for pk, (row, outcome) in minted.items()
    }
    for pk in _of_leaves_before(minted):
        written[pk]["due_at"] = now
    bulk_write.write(claim.fence, MINTED_COLUMNS, written)


def _of_leaves_before(minted: Mapping[str, tuple[Credential, Minted]]) -> set[str]:
    """Find the endpoints' children whose leaf was issued again during their call."""
    signed_with = {
        (str(row.parent_id), pk): outcome.parent_access_key_id
        for pk, (row, outcome) in minted.items()
        if SCOPED in row.request
    }
    if not signed_with:
        return set()
    children = [pk for _, pk in signed_with]
    rows = Delivery.objects.filter(credential_id__any_of=children, channel=Channel.ENDPOINT)
    now_there = rows.values_list(
        "credential_id", "credential__parent_id", "credential__parent__access_key_id"
    )
    return {pk for pk, leaf, key in now_there if key != signed_with[str(leaf), pk]}


def _prepare_below(minted: Mapping[str, tuple[Credential, Minted]], now: datetime) -> None:
    """Have what endpoints fetch issued of the leaves among these."""
    leaves = {pk: row for pk, (row, _) in minted.items() if row.level and SCOPED not in row.request}
    if leaves:
        asked = {pk for pk, row in leaves.items() if row.asked_at}
        deliveries.renew_below(leaves, asked, now)


def _write_problems(
    claim: Claim,
    others: Mapping[str, tuple[Credential, Rejection | Blocked | Deferred]],
    asked: Mapping[str, Asked],
    now: datetime,
) -> None:
    written = _unless_asked_since(_problems(others, now), others, asked)
    bulk_write.write(claim.fence, PROBLEM_COLUMNS, written)
    retries.copy_problems_below(written, {pk: row for pk, (row, _) in others.items()})


def _append_entries(
    ours: Sequence[tuple[Credential, Outcome]], needs: Mapping[str, Sequence[Need]]
) -> None:
    """Append the events about these outcomes, teams in the one order of locks."""
    entries: dict[str, list[Entry]] = {}
    leaving = _deliveries_of([row for row, _ in ours])
    for row, outcome in ours:
        if entry := _entry(row, outcome, needs[row.pk], leaving.get(row.pk)):
            entries.setdefault(str(row.team_id), []).append(entry)
        if isinstance(outcome, Minted):
            # Without sharing, each of these people and sessions would have had a call of its own.
            counters.add("calls_saved", str(row.team_id), amount=max(len(needs[row.pk]) - 1, 0))
    for team_id in sorted(entries):
        ledger.append(team_id, entries[team_id])


def _taken_away(fingerprints: Collection[str]) -> set[str]:
    """Return the credentials that somebody needs directly, not only as a hop on the way."""
    if not fingerprints:
        return set()
    return {
        *Activation.objects.filter(credential_id__any_of=fingerprints).values_list(
            "credential_id", flat=True
        ),
        *Probe.objects.filter(credential_id__any_of=fingerprints).values_list(
            "credential_id", flat=True
        ),
    }


def _expire(results: Sequence[tuple[Credential, Outcome]], now: datetime) -> None:
    """Note which parents have ended: AWS knows better than we do.

    Each is issued again before the next try, and where it is served itself, also without one. What
    another worker has minted in its place meanwhile lives on.
    """
    expired = {
        row.parent_id: outcome.signed_with
        for row, outcome in results
        if isinstance(outcome, Rejection) and isinstance(outcome.error, CredentialsExpired)
    }
    if expired:
        ended = Credential.objects.filter(
            pk__any_of=expired, access_key_id__in=set(expired.values()), expires_at__isnull=False
        )
        ended.filter(due_at__gt=now).update(due_at=now)
        ended.update(expires_at=now)


def _unless_asked_since(
    written: dict[str, dict[str, Any]],
    others: Mapping[str, tuple[Credential, Outcome]],
    asked: Mapping[str, Asked],
) -> dict[str, dict[str, Any]]:
    """Leave due what was made due during the call: the answer is older than the press or edit."""
    for pk, columns in written.items():
        due_at, asked_at = asked[pk]
        if due_at is not None and due_at != others[pk][0].due_at:
            columns |= {"due_at": due_at, "asked_at": asked_at}
    return written


def _minted(
    row: Credential, minted: Minted, now: datetime, needed_directly: bool
) -> dict[str, Any]:
    generation = row.generation + 1
    expires_at = minted.credentials.expires_at
    return {
        "sealed": seal_credentials(row, minted.credentials, generation),
        "generation": generation,
        "access_key_id": minted.credentials.access_key_id,
        "packed_policy_size": minted.packed_policy_size,
        "minted_at": now,
        "expires_at": expires_at,
        # A hop that is only on the way is minted again when something below needs it, not by the
        # clock. Never at once: by a database clock that is hours ahead, what AWS has just given has
        # ended already.
        "due_at": max(rotation_time(now, expires_at), now + PARENT_MARGIN)
        if needed_directly and expires_at
        else None,
        "asked_at": None,
        "attempts": 0,
        "problem": None,
    }


def _problems(
    others: Mapping[str, tuple[Credential, Rejection | Blocked | Deferred]], now: datetime
) -> dict[str, dict[str, Any]]:
    """Return the columns of rows that were not issued.

    Bulk tries them again; a person who waits has had the first answer.
    """
    if not others:
        return {}
    ends = retries.lives_until(list(others.values()), now)
    parents = retries.live_parents(list(others.values()), now)
    written = {}
    for pk, (row, outcome) in others.items():
        if isinstance(outcome, Deferred):
            kept = {name: getattr(row, name) for name in ("problem", "attempts", "asked_at")}
            written[pk] = {**kept, "due_at": now + outcome.wait}
        else:
            problem = _with_since(outcome.problem, row, now)
            written[pk] = retries.columns(row, outcome, problem, ends.get(pk), parents, now)
    return written


def _deliveries_of(rows: Sequence[Credential]) -> dict[str, Delivery]:
    """Return {child: its delivery} of the scoped ones among these rows."""
    scoped = [row.pk for row in rows if SCOPED in row.request]
    if not scoped:
        return {}
    found = Delivery.objects.select_related("token").filter(credential_id__any_of=scoped)
    return {str(each.credential_id): each for each in found}


def _entry(
    row: Credential, outcome: Outcome, needs: Sequence[Need], delivery: Delivery | None
) -> Entry | None:
    """Return the event about one outcome, if it is one."""
    if row.level == 0:
        return notices.root_entry(row, outcome, needs)
    match outcome:
        case Minted(credentials):
            minted = partial(
                CredentialMinted,
                access_key_id=credentials.access_key_id,
                parent_access_key_id=outcome.parent_access_key_id,
                arn=outcome.arn,
                sts_region=outcome.region,
                expires_at=credentials.expires_at,
                principal_id=outcome.principal_id,
                source_identity=row.request.get("source_identity", ""),
                tags=dict(row.request.get("tags", ())) or None,
                token_size=outcome.packed_policy_size,
                request_id=outcome.request_id,
                root=str(row.root_id),
                **_told_of(delivery),
            )
            return _hop_entry(row, minted, needs)
        # One line per rejection, not one per try of an outage.
        case Rejection(error) if row.problem is None or row.problem.code != error.code:
            rejected = partial(
                CredentialRejected, code=error.code, at_hop=error.hop, message=error.message
            )
            return _hop_entry(row, rejected, needs)
        case _:
            return None


def _told_of(delivery: Delivery | None) -> dict[str, Any]:
    if delivery is None:
        return {}
    device = deliveries.device_of(delivery.token)
    return {"delivery": str(delivery.pk), "channel": str(delivery.channel), "device": device}


def _with_since(problem: Problem, row: Credential, now: datetime) -> Problem:
    """Return the problem with since when the row has one of that code."""
    known = row.problem if row.problem and row.problem.code == problem.code else problem
    return replace(problem, since=known.since or now)


def _hop_entry(row: Credential, kind: Callable[..., EventData], needs: Sequence[Need]) -> Entry:
    """Return the event about a hop's call; `kind` lacks only what the row and its needs say."""
    session = next((need.session for need in needs if need.direct and need.session), None)
    said = kind(
        credential=row.pk,
        hop=row.level,
        role_arn=row.request["role_arn"],
        role_session_name=row.request["role_session_name"],
        people=tuple(sorted({need.person for need in needs})),
    )
    return Entry(said, WORKER, session)
