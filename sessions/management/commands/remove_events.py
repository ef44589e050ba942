"""Remove old events from the ledger, once they are signed and archived."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import date
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from sessions.ledger import retention, signing


def month(text: str) -> date:
    """Read a month as `2026-05`."""
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no month like 2026-05") from None


class Command(BaseCommand):
    help = (
        "Removes all teams' events of before a month. They are written into a folder and verified"
        " there first, and have to be confirmed by a checkpoint. What is left says which were"
        " removed, by whom. Needs the key for checkpoints, and on PostgreSQL the tables' owner."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--before", type=month, required=True, metavar="YYYY-MM", help="the first month to keep"
        )
        parser.add_argument(
            "--archive", type=Path, required=True, metavar="FOLDER", help="where the events go"
        )
        parser.add_argument("--by", required=True, metavar="NAME", help="who removes them")
        parser.add_argument(
            "--dry-run", action="store_true", help="archive and verify, but remove nothing"
        )

    def handle(
        self, *args: Any, before: date, archive: Path, by: str, dry_run: bool, **options: Any
    ) -> None:
        if not (settings.CHAINWEB_CHECKPOINT_KEY and settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY):
            raise CommandError("CHAINWEB_CHECKPOINT_KEY and its public half are not both set.")
        if not by.strip() or len(by) > 150 or not by.isprintable():
            raise CommandError("--by is the name of somebody.")
        try:
            parts = retention.parts_before(before)
            archived = [(part, retention.archive(part, archive)) for part in parts]
            if archived and not dry_run:
                retention.remove(before, archived, by.strip())
                signing.sign_and_send()
        except (retention.Refused, OSError) as error:
            raise CommandError(f"Nothing was removed. {error}") from error
        except DatabaseError as error:
            raise CommandError(
                "Nothing was removed: the database refused. On PostgreSQL this runs as the owner of"
                f" the tables: {error}"
            ) from error
        for part, kept in archived:
            done = "archived" if dry_run else "removed"
            self.stdout.write(
                f"{part.team_id}: lines {part.first} to {part.upto} {done}: {kept.path}"
            )
        if not archived:
            self.stdout.write("There is nothing to remove.")
