"""Walk every team's ledger and name the first bad line of each."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from sessions.ledger import teams_with_a_ledger, verify
from sessions.models import LedgerHead, Team


class Command(BaseCommand):
    help = (
        "Verifies the hash chain of every team's ledger. Exit code 1 and the first bad line if one"
        " does not hold."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        names = {str(pk): slug for pk, slug in Team.objects.values_list("pk", "slug")}
        faults = []
        for team_id in teams_with_a_ledger():
            fault = verify(team_id)
            name = names.get(team_id, team_id)
            if fault:
                faults.append(f"{name}: line {fault.seq}: {fault.reason}.")
            else:
                head = (
                    LedgerHead.objects.filter(pk=team_id).values_list("seq", flat=True).first() or 0
                )
                self.stdout.write(f"{name}: {head} lines hold.")
        if faults:
            raise CommandError("\n".join(faults))
