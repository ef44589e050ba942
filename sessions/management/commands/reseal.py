"""manage.py reseal: moves everything sealed to the newest key."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from sessions import ledger
from sessions.actors import OPERATOR
from sessions.checks import KEYS
from sessions.ledger import Entry
from sessions.ledger.events.people import SecretsResealed
from sessions.maintenance.reseal import reseal_all
from sessions.models import Team
from sessions.sealing import SealingError


class Command(BaseCommand):
    help = (
        "Seals everything again under the newest keys. Run it with CHAINWEB_ROOT_KEYS set, beside a"
        " running installation."
    )
    requires_system_checks = [KEYS]

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            total = reseal_all()
        except SealingError as error:
            raise CommandError(str(error)) from None
        if total.moved or total.unopened:
            self._record(SecretsResealed(moved=total.moved, unopened=total.unopened))
        self.stdout.write(
            f"{total.moved} moved to the newest key, {total.already} were on it already."
        )
        if total.unopened:
            raise CommandError(
                f"{total.unopened} could not be opened with the keys at hand; they are unchanged."
            )

    def _record(self, said: SecretsResealed) -> None:
        """Tell each team's ledger, one after the other: none waits for another's."""
        for team_id in Team.objects.order_by("pk").values_list("pk", flat=True):
            with transaction.atomic():
                ledger.append(team_id, [Entry(said, OPERATOR)])
