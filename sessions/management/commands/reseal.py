"""manage.py reseal: moves everything sealed to the newest key."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from sessions.maintenance.reseal import reseal_all
from sessions.sealing import SealingError


class Command(BaseCommand):
    help = (
        "Seals everything again under the newest keys. Run it with CHAINWEB_ROOT_KEYS set, beside a"
        " running installation."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            total = reseal_all()
        except SealingError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            f"{total.moved} moved to the newest key, {total.already} were on it already."
        )
        if total.unopened:
            raise CommandError(
                f"{total.unopened} could not be opened with the keys at hand; they are unchanged."
            )
