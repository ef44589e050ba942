"""manage.py token USER --team SLUG --name NAME: prints a new token, and nothing else."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from sessions.actors import OPERATOR, Actor
from sessions.checks import KEYS
from sessions.exceptions import Refused
from sessions.forms.tokens import labels_named, sessions_named
from sessions.management.busy import told_if_busy
from sessions.models import Membership, Scope
from sessions.people.tokens import TOKEN_DAYS, Limits, create_token
from sessions.permissions import Action, GroupsTooOld, can, require_fresh_groups

DEFAULT_SCOPES = (Scope.READ, Scope.CREDENTIALS)


class Command(BaseCommand):
    help = "Creates a bearer token for a member. It is printed once; only its hash is kept."
    requires_system_checks = [KEYS]

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user")
        parser.add_argument("--team", required=True, metavar="SLUG")
        parser.add_argument("--name", required=True, help="its name, as shown in the ledger")
        parser.add_argument(
            "--days",
            type=int,
            help=f"days until it expires (default {TOKEN_DAYS}, or fewer by the team's policy)",
        )
        parser.add_argument(
            "--scope",
            action="append",
            choices=list(Scope.values),
            dest="scopes",
            help=(f"a scope; repeat it for more (default {' and '.join(DEFAULT_SCOPES)})"),
        )
        parser.add_argument(
            "--session",
            action="append",
            default=[],
            dest="sessions",
            metavar="ALIAS",
            help="limit it to this session, by its alias or id; repeat it for more",
        )

        parser.add_argument(
            "--network",
            action="append",
            default=[],
            dest="networks",
            metavar="CIDR",
            help="limit it to requests from this network; repeat it for more",
        )
        parser.add_argument(
            "--label",
            action="append",
            default=[],
            dest="labels",
            metavar="LABEL",
            help="limit it to sessions with this label, also later ones; repeat it for more",
        )
        parser.add_argument("--device", default="", help="where it is kept")

    def handle(self, *args: Any, **options: Any) -> None:
        member = (
            Membership.objects.select_related("user", "team")
            .filter(
                user__username=options["user"], team__slug=options["team"], user__is_active=True
            )
            .first()
        )
        if member is None:
            raise CommandError(
                f"There is no member {options['user']!r} in a team {options['team']!r}."
            )
        if not can(Actor(member), Action.HOLD_TOKENS):
            reason = "is suspended there" if member.disabled_at else "is an auditor there"
            raise CommandError(f"{options['user']} {reason}, and holds no tokens.")
        scopes = [Scope(each) for each in options["scopes"] or DEFAULT_SCOPES]
        try:
            sessions = sessions_named(member.team, options["sessions"])
            labels = labels_named(member.team, options["labels"])
        except ValueError as error:
            raise CommandError(str(error)) from None
        try:
            require_fresh_groups(member.user, pk=member.pk)
            with told_if_busy():
                token = create_token(
                    member,
                    options["name"],
                    OPERATOR,
                    options["days"],
                    scopes,
                    limits=Limits(sessions, labels, options["networks"], options["device"]),
                )
        except (Refused, GroupsTooOld) as refused:
            field = getattr(refused, "field", "")
            option = f"--{field.rstrip('s') if field == 'networks' else field}: " if field else ""
            raise CommandError(f"{option}{refused.message}") from None
        self.stdout.write(token.reveal())
