"""Compare rows again when the ledger, other records or the team's policy say more than before.

A record may come before the line of what it was made with, and a call before the call that made
its session: whatever comes later finds the rows that it is about by their keys and sessions.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from sessions.db.batches import in_batches
from sessions.ledger.chain import length
from sessions.ledger.drift.compare import (
    TRACED,
    Comparison,
    beginnings,
    trace,
)
from sessions.ledger.drift.issued import known_of
from sessions.ledger.drift.stored import OUTCOME, save
from sessions.ledger.events.credentials import CredentialMinted, CredentialRevealed
from sessions.ledger.events.roots import RootOpened
from sessions.models import Event, TeamPolicy, TrailCompared, TrailImport, TrailRecord

LINES_AT_ONCE = 1000
ROWS_AT_ONCE = 500
# Longer than any chain of AssumeRole calls.
MOST_LEVELS = 20
_KINDS = (CredentialMinted.tag, CredentialRevealed.tag, RootOpened.tag)


def follow_all(seconds: float) -> None:
    """Compare again what has got news, for about so long."""
    until = time.monotonic() + seconds
    for team_id in list(TrailCompared.objects.order_by("seq").values_list("pk", flat=True)):
        while time.monotonic() < until and (follow_some(team_id) or judge_some(team_id)):
            pass


def begin(team_id: UUID) -> int:
    """Return the ledger's last line, from which on an import's rows are compared again.

    A team's first import begins to follow its ledger.
    """
    end, policy = length(team_id), TeamPolicy.of(team_id)
    row = TrailCompared(team_id=team_id, seq=end, policy_version=policy.version)
    TrailCompared.objects.bulk_create([row], ignore_conflicts=True)
    return end


def follow_some(team_id: UUID) -> bool:
    """Compare what the ledger's next lines are about; False at its end."""
    with transaction.atomic():
        held = TrailCompared.objects.select_for_update(skip_locked=True).filter(pk=team_id).first()
        end = length(team_id)
        if held is None or held.seq >= end:
            return False
        upto = min(held.seq + LINES_AT_ONCE, end)
        if TrailRecord.objects.filter(team_id=team_id).exists():
            compare_lines(team_id, held.seq, upto, TrailRecord.objects.filter(team_id=team_id))
        held.seq = upto
        held.save(update_fields=["seq"])
    return upto < end


def compare_lines(team_id: UUID, after: int, upto: int, among: QuerySet[TrailRecord]) -> None:
    """Compare those of the rows again that lines of the ledger are about."""
    lines = Event.objects.filter(team_id=str(team_id), kind__in=_KINDS)
    for begin in range(after, upto, LINES_AT_ONCE):
        some = lines.filter(seq__gt=begin, seq__lte=min(begin + LINES_AT_ONCE, upto))
        found = list(some.order_by("seq"))
        issues = [known.issue for known in known_of(found).values()]
        taken = [line for line in found if line.kind == CredentialRevealed.tag]
        keys = {issue.access_key_id for issue in issues}
        keys |= {issue.parent_access_key_id for issue in issues if issue.hop == 1}
        keys |= {CredentialRevealed.read(line.data).access_key_id for line in taken}
        sessions = {each for issue in issues for each in beginnings(issue)}
        _compare_again(team_id, among, sorted(keys - {""}), sorted(sessions))


def _compare_again(
    team_id: UUID, among: QuerySet[TrailRecord], keys: Sequence[str], sessions: Sequence[str]
) -> None:
    comparison = Comparison(team_id)
    for column, values in (
        ("access_key_id", keys),
        ("made_key", keys),
        ("session_key", sessions),
    ):
        for rows in batches(having(among, column, values)):
            before = {row.pk: _outcome(row) for row in rows}
            comparison.compare(rows)
            changed = [row for row in rows if before[row.pk] != _outcome(row)]
            save(changed)
            traced = _trace(team_id, rows)
            trace_from(team_id, {row.pk for row in changed} | traced)


def having(
    among: QuerySet[TrailRecord], column: str, values: Sequence[str]
) -> QuerySet[TrailRecord]:
    """Select the rows with one of these values in a column; its index leaves out what is empty."""
    if not values:
        return among.none()
    return among.filter(~Q(**{column: ""}), **{f"{column}__any_of": list(values)})


def forget_makers(team_id: UUID, made_by: Sequence[int]) -> None:
    """Compare the rows again that calls told about whose records are deleted."""
    for rows in batches(TrailRecord.objects.filter(team_id=team_id, made_by__in=made_by)):
        Comparison(team_id).compare(rows)
        save(rows)
        _trace(team_id, rows)


def trace_import(row: TrailImport) -> Iterator[None]:
    """Find who is behind an import's rows, and behind the rows of sessions that it tells of.

    Yields after each part.
    """
    own = TrailRecord.objects.filter(trail_import=row)
    changed: list[int] = []
    for rows in batches(own.filter(kind__in=TRACED)):
        changed += _trace(row.team_id, rows)
        yield
    trace_from(row.team_id, changed)
    makers = own.exclude(made_key="", made_session="").order_by("pk")
    others = TrailRecord.objects.filter(team_id=row.team_id).exclude(trail_import=row)
    for pks in in_parts(list(makers.values_list("pk", flat=True)), ROWS_AT_ONCE):
        trace_from(row.team_id, _trace_below(row.team_id, pks, others))
        yield


def trace_added(team_id: UUID, pks: Sequence[int]) -> None:
    """Find who is behind new rows, and behind the rows of the sessions that they tell of."""
    for some in in_parts(pks, ROWS_AT_ONCE):
        _trace(team_id, list(TrailRecord.objects.filter(pk__in=some)))
    trace_from(team_id, pks)


def trace_from(team_id: UUID, changed: Collection[int]) -> None:
    """Find who is behind the rows of the sessions that these calls made, level by level."""
    frontier = sorted(changed)
    rows = TrailRecord.objects.filter(team_id=team_id)
    for _ in range(MOST_LEVELS):
        after: set[int] = set()
        for some in in_parts(frontier, ROWS_AT_ONCE):
            after |= _trace_below(team_id, some, rows)
        if not after:
            return
        frontier = sorted(after)


def _trace_below(team_id: UUID, makers: Sequence[int], among: QuerySet[TrailRecord]) -> set[int]:
    """Trace the rows of the sessions that calls made; return those that have changed."""
    made = TrailRecord.objects.filter(pk__in=makers).exclude(made_key="", made_session="")
    links = list(made.values_list("made_key", "made_session"))
    changed = set()
    for column, values in (
        ("access_key_id", {key for key, _ in links} - {""}),
        ("session_key", {session for _, session in links} - {""}),
    ):
        for rows in batches(having(among, column, sorted(values)).filter(kind__in=TRACED)):
            changed |= _trace(team_id, rows)
    return changed


def _trace(team_id: UUID, rows: Sequence[TrailRecord]) -> set[int]:
    """Trace rows by the calls that made their sessions; return those that have changed."""
    rows = [row for row in rows if row.kind in TRACED]
    shown = TrailRecord.objects.filter(team_id=team_id, trail_import__is_shown=True)
    makers: dict[int, TrailRecord] = {}
    for column, values in (
        ("made_key", {row.access_key_id for row in rows} - {""}),
        ("made_session", {row.session_key for row in rows} - {""}),
    ):
        # Of calls that nobody can tell apart there are few.
        some = having(shown, column, sorted(values)).order_by("pk")[: 4 * ROWS_AT_ONCE]
        makers |= {maker.pk: maker for maker in some}
    changed = trace(rows, makers.values())
    if changed:
        comparison = Comparison(team_id)
        for row in changed:
            comparison.judge_name(row)
        save(changed)
    return {row.pk for row in changed}


def judge_some(team_id: UUID) -> bool:
    """Judge the next rows by a policy that was changed since; False where all are judged."""
    version = TeamPolicy.of(team_id).version
    with transaction.atomic():
        held = TrailCompared.objects.select_for_update(skip_locked=True).filter(pk=team_id).first()
        if held is None or (held.policy_version == version and not held.judging):
            return False
        if held.policy_version != version:
            held.policy_version, held.judged, held.judging = version, 0, True
        rows = TrailRecord.objects.filter(team_id=team_id, pk__gt=held.judged)
        some = list(rows.order_by("pk")[: 2 * ROWS_AT_ONCE])
        comparison = Comparison(team_id)
        for row in some:
            comparison.judge_name(row)
        TrailRecord.objects.bulk_update(some, ["breaks_policy", "lacks_identity"], ROWS_AT_ONCE)
        held.judging = bool(some)
        held.judged = some[-1].pk if some else 0
        held.save()
    return bool(some)


def batches(rows: QuerySet[TrailRecord]) -> Iterator[list[TrailRecord]]:
    """Yield the rows in lists, the oldest first."""
    batch: list[TrailRecord] = []
    for row in in_batches(rows, size=ROWS_AT_ONCE):
        batch.append(row)
        if len(batch) == ROWS_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def in_parts(values: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Cut a list into parts of at most that size."""
    return (values[begin : begin + size] for begin in range(0, len(values), size))


def _outcome(row: TrailRecord) -> tuple[object, ...]:
    return tuple(repr(getattr(row, name)) for name in OUTCOME)
