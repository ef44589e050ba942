"""Read uploaded log files, as a worker: all of a file's records come to count at once, or none.

Records are stored beside those that count, which no page shows, and switched on in one step. A
worker that takes over from one that has died begins again.
"""

from typing import BinaryIO, cast

from django.db import transaction
from django.db.models import Exists, F, OuterRef

from sessions.aws.cloudtrail.files import Unreadable, read_stream
from sessions.db.clock import database_now
from sessions.ledger.chain import length
from sessions.ledger.drift import follow, stored
from sessions.ledger.drift.compare import Comparison
from sessions.ledger.drift.imports import names_of, refuse, tell
from sessions.ledger.drift.rows import row_of
from sessions.ledger.events.trail import TrailImported
from sessions.models import TrailCompared, TrailImport, TrailPart, TrailRecord, TrailState

BATCH = 500
# A worker that dies again and again dies of the file.
MOST_ATTEMPTS = 3
SAID = 3


class Lost(Exception):
    """Report that somebody has deleted the import, or another worker has taken it over."""


class _Parts:
    """Read an uploaded file's parts one by one."""

    def __init__(self, row: TrailImport) -> None:
        parts = TrailPart.objects.filter(trail_import=row)
        self.parts = parts.select_related("trail_import").order_by("number")
        self.number = self.position = 0
        self.part = b""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next piece, of at most so many bytes; empty at the end."""
        if not self.part:
            part = self.parts.filter(number=self.number).first()
            self.part, self.number = part.open() if part else b"", self.number + 1
        piece = self.part if size < 0 else self.part[:size]
        self.part = self.part[len(piece) :]
        self.position += len(piece)
        return piece


def read_file(row: TrailImport) -> None:
    """Read a held import's file to its end, compare its records, and switch them on."""
    if row.is_shown:
        _finish(row)
        return
    clear_rows(row)
    attempts = row.attempts + 1
    if attempts > MOST_ATTEMPTS:
        _end_with(row, "Workers have died three times while they read it.")
        return
    row.upto = follow.begin(row.team_id)
    started = row.write(
        state=TrailState.READING, attempts=attempts, upto=row.upto, records=0, position=0
    )
    if not started:
        raise Lost
    problems = _store(row)
    if problems:
        more = f" And {len(problems) - SAID} more." if len(problems) > SAID else ""
        _end_with(row, " ".join(f"{each}." for each in problems[:SAID]).replace("..", ".") + more)
    elif not row.records:
        _end_with(row, "There is no CloudTrail record in it.")
    else:
        _switch_on(row)
        _finish(row)


def _store(row: TrailImport) -> list[str]:
    """Store the file's records; return what is broken in it, with which it is worth nothing."""
    stream, comparison = _Parts(row), Comparison(row.team_id)
    problems: list[str] = []
    batch: list[TrailRecord] = []
    for found in read_stream(cast(BinaryIO, stream)):
        if isinstance(found, Unreadable):
            problems.append(f"{str(found)[:1].upper()}{str(found)[1:]}".removesuffix("."))
            continue
        if problems:
            continue
        batch.append(row_of(found, row))
        if len(batch) >= BATCH:
            store_batch(row, batch, comparison, stream.position)
            batch = []
    if batch and not problems:
        store_batch(row, batch, comparison, stream.position)
    return problems


def store_batch(
    row: TrailImport, batch: list[TrailRecord], comparison: Comparison, position: int
) -> None:
    """Compare and store rows of a held import, and say how far it has come. Raises `Lost`."""
    comparison.compare(batch)
    row.records += len(batch)
    with transaction.atomic():
        if not row.write(records=row.records, position=position):
            raise Lost
        stored.add(batch)


def _switch_on(row: TrailImport) -> None:
    """Let the records count: those that were there before are left out."""
    known_before = Exists(
        TrailRecord.objects.filter(
            event_key=OuterRef("event_key"), team=row.team_id, trail_import__is_shown=True
        )
    )
    with transaction.atomic():
        TrailCompared.objects.select_for_update().get(pk=row.team_id)
        own = TrailRecord.objects.filter(trail_import=row)
        own.filter(known_before).delete()
        known = row.records - own.count()
        shown = row.write(is_shown=True, known=known)
        if not shown:
            raise Lost
        tell(row, TrailImported(**names_of(row), records=row.records, known=known))
    row.is_shown, row.known = True, known


def _finish(row: TrailImport) -> None:
    """Compare with what the ledger and other imports have said since, and end the import."""
    follow.compare_lines(
        row.team_id,
        row.upto,
        length(row.team_id),
        TrailRecord.objects.filter(trail_import=row),
    )
    for _ in follow.trace_import(row):
        if not row.write():
            raise Lost
    TrailPart.objects.filter(trail_import=row).delete()
    row.release(state=TrailState.DONE, ended_at=database_now(), due_at=None, position=F("size"))


def _end_with(row: TrailImport, reason: str) -> None:
    clear_rows(row)
    TrailPart.objects.filter(trail_import=row).delete()
    refuse(row, reason)


def clear_rows(row: TrailImport) -> None:
    """Delete a held import's records, in parts."""
    own = TrailRecord.objects.filter(trail_import=row).order_by("pk")
    while pks := list(own.values_list("pk", flat=True)[:2000]):
        TrailRecord.objects.filter(pk__in=pks).delete()
        if row.state == TrailState.DELETING:
            follow.forget_makers(row.team_id, pks)
        if not row.write():
            raise Lost


def clear_away(row: TrailImport) -> None:
    """Delete a held import that somebody has deleted, or whose upload was never finished."""
    clear_rows(row)
    TrailPart.objects.filter(trail_import=row).delete()
    assert row.fence is not None
    TrailImport.objects.filter(pk=row.pk).held(row.fence).delete()
