"""manage.py keys FOLDER: the key files of a production installation, and their rotation."""

import secrets
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chainweb.local import embedded


class Command(BaseCommand):
    help = (
        "Creates the missing files that docker-compose.yml reads from "
        "FOLDER. With --new puts new keys before the old ones; with "
        "--drop-old keeps only the newest, once `manage.py reseal` has "
        "been run."
    )
    # It makes what the checks look at.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)
        one = parser.add_mutually_exclusive_group()
        one.add_argument("--new", action="store_true", help="add a new key of each kind")
        one.add_argument("--drop-old", action="store_true", help="keep only the newest of each")

    def handle(self, *args: Any, folder: Path, new: bool, drop_old: bool, **options: Any) -> None:
        folder = folder.absolute()
        try:
            if new or drop_old:
                (embedded.add_new_keys if new else embedded.drop_old_keys)(folder)
            else:
                self._make(folder)
        except (embedded.EmbeddedError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"Keys are in {folder}. Keep a copy of it elsewhere: without it no backup opens."
        )

    def _make(self, folder: Path) -> None:
        embedded.prepare(folder)
        for kind in ("database", "database_owner", "database_superuser"):
            embedded.write_once(folder / f"{kind}_password", secrets.token_urlsafe(32))
        for kind, role in (("database", "chainweb_app"), ("database_owner", "chainweb_owner")):
            password = (folder / f"{kind}_password").read_text().strip()
            embedded.write_once(
                folder / f"{kind}_url", f"postgres://{role}:{password}@postgres:5432/chainweb"
            )
