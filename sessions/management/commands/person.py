"""manage.py person NAME: the operator's switches for one person, whatever teams they are in."""

from argparse import ArgumentParser
from typing import Any

from allauth.mfa.models import Authenticator
from django.core.management.base import BaseCommand, CommandError

from sessions.management.busy import told_if_busy
from sessions.models import User
from sessions.people.memberships import remove_second_factors, set_person_active


class Command(BaseCommand):
    help = (
        "Switches a person off or on everywhere, or takes off their second factors. Without a"
        " switch it says what they are."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--disable",
            action="store_true",
            help="no log-in, no token, nothing kept fresh any more",
        )
        what.add_argument("--enable", action="store_true", help="the opposite")
        what.add_argument(
            "--remove-two-factor",
            action="store_true",
            help="authenticator, passkeys and recovery codes go: the password alone opens",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no person {options['username']!r}.")
        with told_if_busy():
            if options["disable"] or options["enable"]:
                set_person_active(user, options["enable"], actor="manage.py")
                user.refresh_from_db()
            if options["remove_two_factor"]:
                remove_second_factors(user, actor="manage.py")
        factors = sorted(
            Authenticator.objects.filter(user=user).values_list("type", flat=True).distinct()
        )
        places = [
            f"{each.role} of {each.team.slug}" for each in user.memberships.select_related("team")
        ]
        self.stdout.write(
            f"{user.get_username()}: {'can log in' if user.is_active else 'switched off'}; "
            f"in CloudTrail {user.aws_name}; {', '.join(places) or 'in no team'}; "
            f"second factors: {', '.join(factors) or 'none'}."
        )
