"""Write a team's ledger as JSON lines that `verify_ledger --export` verifies without a database."""

import os
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, transaction

from sessions.actors import OPERATOR
from sessions.checks import KEYS
from sessions.ledger import Entry, LedgerError, append, length
from sessions.ledger.events import as_stored
from sessions.ledger.events.ledger import LedgerExported
from sessions.ledger.export import export_lines
from sessions.ledger.search import Lines
from sessions.models import Event, Team


def moment(text: str) -> datetime:
    """Read an ISO date or time; without an offset it is UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time like 2026-11-27T14:00") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


class Command(BaseCommand):
    help = (
        "Writes a team's events, with the checkpoints that confirm them, as verifiable JSON lines"
        " to standard output or to a file."
    )
    requires_system_checks = [KEYS]

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--team", required=True, metavar="SLUG", help="or a deleted team's id")
        parser.add_argument("--from", dest="begin", type=moment, metavar="TIME", help="inclusive")
        parser.add_argument("--to", dest="end", type=moment, metavar="TIME", help="exclusive")
        parser.add_argument("--output", type=Path, metavar="FILE", help="a new file, mode 0600")

    def handle(
        self,
        *args: Any,
        team: str,
        begin: datetime | None,
        end: datetime | None,
        output: Path | None,
        **options: Any,
    ) -> None:
        found = Team.objects.filter(slug=team).values_list("pk", flat=True).first()
        team_id = str(found or team)
        events = Event.objects.filter(team_id=team_id)
        if not found and not events.exists():
            raise CommandError(f"There is no team {team}.")
        upto = length(team_id)
        stretch = Lines(team_id, since=begin, until=end).without_terms()
        found_lines = events if stretch is None else stretch
        lines = export_lines(team_id, found_lines.filter(seq__lte=upto))
        self._record(team_id, upto, {"from": begin, "to": end})
        if output is None:
            for line in lines:
                self.stdout.write(line.decode(), ending="")
            return
        try:
            handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.writelines(lines)
        except OSError as error:
            raise CommandError(f"{output}: {error.strerror}.") from error

    def _record(self, team_id: str, upto: int, stretch: dict[str, datetime | None]) -> None:
        """Record the export before it is one, unless this is a copy that takes no line."""
        asked = {name: as_stored(at) for name, at in stretch.items() if at}
        told = LedgerExported(search=asked, form="jsonl", upto=upto)
        try:
            with transaction.atomic():
                append(team_id, [Entry(told, OPERATOR)])
        except (LedgerError, DatabaseError) as error:
            self.stderr.write(f"This export is in no ledger: {error}")
