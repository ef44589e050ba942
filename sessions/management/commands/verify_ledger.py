"""Walk every team's ledger, or one team's export, and name the first bad line of each."""

from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from sessions.db.batches import in_batches
from sessions.ledger.checkpoints import Book
from sessions.ledger.offline import Unreadable, verify_export
from sessions.ledger.removed import removed_of
from sessions.ledger.verification import Walk, teams_with_a_ledger, walk
from sessions.models import Checkpoint, Team, Tombstone
from sessions.sealing import SealingError

NO_KEY = "Checkpoints were not checked: there is no public key. Give it with --public-key."


class Command(BaseCommand):
    help = (
        "Verifies the hash chain of every team's ledger and its checkpoints. Exit code 1 and the"
        " first bad line if one does not hold. With --export verifies an export without any"
        " database."
    )
    # An export is verified where there are no keys.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--checkpoints",
            type=Path,
            action="append",
            default=[],
            metavar="FILE",
            help="a copy of the checkpoints from outside the database; may be repeated",
        )
        parser.add_argument(
            "--public-key",
            metavar="ID:BASE64",
            help="what checkpoints are verified with, or a file that holds it (default:"
            " CHAINWEB_CHECKPOINT_PUBLIC_KEY)",
        )
        parser.add_argument(
            "--export", type=Path, metavar="FILE", help="verify this export; no database is asked"
        )
        parser.add_argument(
            "--part",
            action="store_true",
            help="the export may leave lines out, as one of a search or of some days does",
        )

    def handle(self, *args: Any, export: Path | None, part: bool, **options: Any) -> None:
        book = Book(_public_key(options["public_key"]))
        try:
            for path in options["checkpoints"]:
                with path.open("rb") as file:
                    texts = (line.decode("utf-8", "replace") for line in file)
                    book.add(texts, str(path))
            if options["checkpoints"] and not book.public_keys:
                raise CommandError(NO_KEY)
            if export:
                self._verify_export(export, book, part=part)
            else:
                self._verify_database(book)
        except (OSError, SealingError) as error:
            raise CommandError(str(error)) from error

    def _verify_database(self, book: Book) -> None:
        names = {str(pk): slug for pk, slug in Team.objects.values_list("pk", "slug")}
        if book.public_keys:
            book.add(_stored_texts(), "the database")
            book.add(Tombstone.objects.values_list("text", flat=True), "the database")
        elif Checkpoint.objects.exists():
            self.stdout.write(NO_KEY)
        signed = book.of_teams()
        faults = list(book.problems)
        for team_id in sorted({*teams_with_a_ledger(), *signed}):
            name = names.get(team_id, team_id)
            removed = book.removed.get(team_id) or removed_of(team_id)
            walked, fault = walk(team_id, signed.get(team_id), removed)
            if fault:
                faults.append(f"{name}: line {fault.seq}: {fault.reason}.")
            else:
                self.stdout.write(f"{name}: {_lines(walked)} hold{_how_far(walked)}.")
        faults += self._gaps(book, names)
        if faults:
            raise CommandError("\n".join(faults))

    def _verify_export(self, path: Path, book: Book, *, part: bool) -> None:
        try:
            with path.open("rb") as rows:
                report, fault = verify_export(rows, book, part=part)
        except Unreadable as error:
            raise CommandError(f"{path}: {error}.") from None
        faults = [*book.problems, *report.problems, *self._gaps(book, {})]
        walked = report.walk
        if fault:
            faults.insert(0, f"{walked.team_id}: line {fault.seq}: {fault.reason}.")
        elif book.public_keys and not walked.signed_at:
            faults.append(f"{walked.team_id}: no checkpoint confirms any of these lines.")
        if faults:
            raise CommandError("\n".join(faults))
        left_out = f", with lines left out at {report.gaps} places" if report.gaps else ""
        self.stdout.write(
            f"{walked.team_id}: {report.count} lines hold, from {report.first} to"
            f" {walked.seq}{left_out}{_how_far(walked)}."
        )
        if not book.public_keys:
            self.stdout.write(NO_KEY)

    def _gaps(self, book: Book, names: dict[str, str]) -> list[str]:
        if book.unread:
            self.stdout.write(f"{book.unread} lines of the copies are no checkpoints.")
        return [
            f"{names.get(team_id, team_id)}: a checkpoint is missing before that of line {seq}."
            for team_id, seq in book.gaps()
        ]


def _lines(walked: Walk) -> str:
    """Count the lines, and name those that were removed."""
    if walked.removed is None:
        return f"{walked.seq} lines"
    gone = walked.removed
    return (
        f"{walked.seq - gone.seq} lines from {gone.seq + 1} to {walked.seq}, after those that"
        f" {gone.by} removed on {gone.at:%Y-%m-%d},"
    )


def _how_far(walked: Walk) -> str:
    if walked.signed_at is None:
        return ""
    return f"; signed up to line {walked.signed_seq} on {walked.signed_at:%Y-%m-%d %H:%M:%S} UTC"


def _public_key(given: str | None) -> str:
    if given is None:
        return str(settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY)
    return given if ":" in given else Path(given).read_text().strip()


def _stored_texts() -> Iterable[str]:
    return (row.text for row in in_batches(Checkpoint.objects.only("text")))
