"""manage.py token USER --team SLUG --name NAME: prints a new token, and nothing else."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from sessions.lifecycle.tokens import TOKEN_DAYS, create_token
from sessions.models import Membership
from sessions.policy import Action, can


class Command(BaseCommand):
    help = "Makes a bearer token for a member. It is printed once; only its hash is kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user")
        parser.add_argument("--team", required=True, metavar="SLUG")
        parser.add_argument("--name", required=True, help="what it is for, as the ledger will say")
        parser.add_argument(
            "--days", type=int, default=TOKEN_DAYS, help=f"days until it expires (default {TOKEN_DAYS})"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        member = (
            Membership.objects.select_related("user", "team")
            .filter(user__username=options["user"], team__slug=options["team"], user__is_active=True)
            .first()
        )
        if member is None:
            raise CommandError(f"There is no member {options['user']!r} in a team {options['team']!r}.")
        if not can(member, Action.HOLD_TOKENS):
            raise CommandError(
                f"{options['user']} is an auditor there: auditors take no credentials and hold no tokens."
            )
        if (
            not 1 <= options["days"] <= 3650
            or not 1 <= len(options["name"]) <= 64
            or not options["name"].isprintable()
        ):
            raise CommandError("--days is 1 to 3650, --name 1 to 64 printable characters.")
        self.stdout.write(
            create_token(member, options["name"], actor="manage.py", days=options["days"]).reveal()
        )
