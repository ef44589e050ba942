"""Remove whole past periods from the ledger: what is signed, archived, and verified in the archive.

This is the one exception to append-only. Each team gets a signed tombstone, and an event that
records it. On PostgreSQL only the owner of the table can do it, which web and workers are not.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from django.conf import settings
from django.db import transaction

from sessions.actors import OPERATOR
from sessions.db.clock import database_now
from sessions.ledger import checkpoints, names, removal_tables, tombstones
from sessions.ledger.chain import Entry, append, hold
from sessions.ledger.checkpoints import Book
from sessions.ledger.events.ledger import LedgerRemoved
from sessions.ledger.export import export_lines
from sessions.ledger.lines import stored_lines
from sessions.ledger.offline import Unreadable, verify_export
from sessions.ledger.removed import removed_of
from sessions.ledger.signed_lines import CheckpointError
from sessions.ledger.verification import Walk
from sessions.models import Checkpoint, Event, LedgerHead, NamesCounted, SiemCursor, Tombstone


class Refused(Exception):
    """Report what keeps a period in the ledger; nothing was removed."""


@dataclass(frozen=True)
class Part:
    """Hold what goes of one team's ledger: the lines `first` to `upto`, the last one's hash.

    `sealed` is the checkpoint that confirms them.
    """

    team_id: str
    first: int
    upto: int
    head: str
    sealed: Checkpoint

    @property
    def file_name(self) -> str:
        """Name the archive of these lines."""
        return f"{self.team_id}-{self.first}-{self.upto}.jsonl"


@dataclass(frozen=True)
class Archive:
    """Hold where a part's lines are now, and the SHA-256 of that file."""

    path: Path
    sha256: str


def parts_before(day: date) -> list[Part]:
    """Return what each team has of before that day, the first of a month, and may be removed.

    Raises `Refused` if any of it is not confirmed by a checkpoint, does not hold, or is still to be
    read by others.
    """
    now = database_now()
    begin = datetime(day.year, day.month, 1, tzinfo=UTC)
    if day.day != 1 or begin > now:
        raise Refused("A period ends with a month that is over.")
    found = [_part_before(head, begin) for head in LedgerHead.objects.order_by("pk")]
    return [part for part in found if part is not None]


def _part_before(head: LedgerHead, begin: datetime) -> Part | None:
    team_id = head.team_id
    removed = removed_of(team_id)
    start = removed.seq if removed else 0
    lines = Event.objects.filter(team_id=team_id)
    # By number: a clock that was set back may have left lines of before behind the first of after.
    kept = lines.filter(at__gte=begin).order_by("seq").values_list("seq", flat=True).first()
    upto = head.seq if kept is None else kept - 1
    if upto <= start:
        return None
    sealed = Checkpoint.objects.filter(team_id=team_id, seq__gte=upto).order_by("seq", "pk").first()
    if sealed is None:
        raise Refused(f"{team_id}: no checkpoint confirms line {upto} yet.")
    try:
        signed = checkpoints.read(sealed.text, settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY)
    except CheckpointError as error:
        raise Refused(f"{team_id}: the checkpoint of line {sealed.seq}: {error}.") from error
    if (signed.team_id, signed.seq) != (team_id, sealed.seq):
        raise Refused(f"{team_id}: the checkpoint of line {sealed.seq} is another's.")
    walk = Walk.after(removed, team_id, {signed.seq: [(signed.head, signed.at)]})
    fault = walk.follow(stored_lines(lines.filter(seq__lte=upto), (start, walk.prev)))
    last = walk.prev
    fault = fault or walk.follow(stored_lines(lines.filter(seq__gt=upto, seq__lte=signed.seq)))
    if fault or walk.signed_seq != signed.seq:
        what = f"line {fault.seq}: {fault.reason}" if fault else f"line {walk.seq + 1} is missing"
        raise Refused(f"{team_id}: {what}. Run manage.py verify_ledger.")
    _wait_for_readers(team_id, upto)
    return Part(team_id, start + 1, upto, last, sealed)


def _wait_for_readers(team_id: str, upto: int) -> None:
    """Check that everybody who reads the ledger line by line has read these lines."""
    if NamesCounted.objects.filter(team_id=team_id).exists():
        while names.count_some(team_id):
            pass
    behind = SiemCursor.objects.filter(team_id=team_id, is_on=True, seq__lt=upto).first()
    if behind is not None:
        raise Refused(f"{team_id}: {behind.outlet} has taken the lines up to {behind.seq} only.")


def archive(part: Part, folder: Path) -> Archive:
    """Write a part into a file of that folder, or take the one that is there, and verify it.

    Raises `Refused` if the file does not hold these lines, OSError if it cannot be written.
    """
    path = folder / part.file_name
    if not path.exists():
        written = path.with_suffix(".part")
        handle = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            lines = Event.objects.filter(team_id=part.team_id, seq__lte=part.upto)
            file.writelines(export_lines(part.team_id, lines))
            file.flush()
            os.fsync(file.fileno())
        written.rename(path)
    digest = hashlib.sha256()

    def rows() -> Iterator[bytes]:
        with path.open("rb") as file:
            for row in file:
                digest.update(row)
                yield row

    try:
        report, fault = verify_export(rows(), Book(settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY))
    except Unreadable as error:
        raise Refused(f"{path}: {error}.") from error
    walk = report.walk
    held = (walk.team_id, report.first, walk.seq, walk.prev)
    if fault or report.problems or held != (part.team_id, part.first, part.upto, part.head):
        what = f"line {fault.seq}: {fault.reason}" if fault else "it does not hold these lines"
        raise Refused(f"{path}: {what}.")
    return Archive(path, digest.hexdigest())


def remove(day: date, archived: Sequence[tuple[Part, Archive]], by: str) -> None:
    """Remove the parts that are archived, in one transaction, and leave the tombstones.

    Raises `Refused` if a line more or less would go than is archived.
    """
    upto = {part.team_id: part.upto for part, _ in archived}
    with transaction.atomic():
        for part, kept in sorted(archived, key=lambda each: each[0].team_id):
            _bury(day, part, kept, by)
        gone = removal_tables.drop_lines(day, upto)
        if gone != sum(part.upto - part.first + 1 for part, _ in archived):
            raise Refused(f"{gone} lines would go, which is not what is archived.")
        for part, _ in archived:
            _drop_checkpoints(part)


def _bury(day: date, part: Part, kept: Archive, by: str) -> None:
    """Append the event and store the tombstone of one part."""
    head = hold(part.team_id)
    if head is None:
        raise Refused(f"{part.team_id}: its head is gone.")
    said = LedgerRemoved(
        first=part.first,
        upto=part.upto,
        head=part.head,
        before=day.isoformat(),
        archive=kept.path.name,
        sha256=kept.sha256,
        by=by,
    )
    [line] = append(head, [Entry(said, OPERATOR)])
    tombstone = tombstones.sign(
        settings.CHAINWEB_CHECKPOINT_KEY,
        team_id=part.team_id,
        first=part.first,
        seq=part.upto,
        head=part.head,
        at=line.at,
        by=by,
        event=line.seq,
    )
    Tombstone.objects.create(team_id=part.team_id, seq=part.upto, at=line.at, text=tombstone.text)


def _drop_checkpoints(part: Part) -> None:
    """Delete the team's checkpoints before the one that confirms the part, if they were sent."""
    old = Checkpoint.objects.filter(team_id=part.team_id, pk__lt=part.sealed.pk)
    if settings.CHAINWEB_CHECKPOINT_FILE:
        old = old.exclude(filed_at=None)
    if settings.CHAINWEB_CHECKPOINT_WEBHOOK:
        old = old.exclude(posted_at=None)
    old.delete()
