"""manage.py person NAME: the operator's switches for one person, whatever teams they are in."""

from argparse import ArgumentParser
from typing import Any

from allauth.mfa.models import Authenticator
from django.core.management.base import BaseCommand, CommandError

from sessions.actors import OPERATOR
from sessions.checks import KEYS
from sessions.management.busy import told_if_busy
from sessions.models import User
from sessions.people.memberships import remove_second_factors, set_person_active


class Command(BaseCommand):
    help = (
        "Disables or enables a person everywhere, or removes their "
        "second factors. Without an option it shows their state."
    )
    requires_system_checks = [KEYS]

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--disable",
            action="store_true",
            help="end logins and tokens, and stop renewals",
        )
        what.add_argument("--enable", action="store_true", help="undo --disable")
        what.add_argument(
            "--remove-two-factor",
            action="store_true",
            help=("remove authenticator, passkeys and recovery codes; the password alone logs in"),
        )

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no person {options['username']!r}.")
        with told_if_busy():
            if options["disable"] or options["enable"]:
                set_person_active(user, options["enable"], OPERATOR)
                user.refresh_from_db()
            if options["remove_two_factor"]:
                remove_second_factors(user, OPERATOR)
        factors = sorted(
            Authenticator.objects.filter(user=user).values_list("type", flat=True).distinct()
        )
        places = [
            f"{each.role} of {each.team.slug}" for each in user.memberships.select_related("team")
        ]
        self.stdout.write(
            f"{user.get_username()}: {'can log in' if user.is_active else 'disabled'}; "
            f"in CloudTrail {user.aws_name}; {', '.join(places) or 'in no team'}; "
            f"second factors: {', '.join(factors) or 'none'}."
        )
