"""manage.py token USER --team SLUG --name NAME: prints a new token, and nothing else."""

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q

from sessions.actors import OPERATOR, Actor
from sessions.checks import KEYS
from sessions.exceptions import Refused
from sessions.management.busy import told_if_busy
from sessions.models import AwsSession, Membership, Scope
from sessions.people.tokens import LONGEST_TOKEN_DAYS, TOKEN_DAYS, create_token
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
            default=TOKEN_DAYS,
            help=f"days until it expires (default {TOKEN_DAYS})",
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
        if (
            not 1 <= options["days"] <= LONGEST_TOKEN_DAYS
            or not 1 <= len(options["name"]) <= 64
            or not options["name"].isprintable()
        ):
            raise CommandError(
                f"--days is 1 to {LONGEST_TOKEN_DAYS}, --name 1 to 64 printable characters."
            )
        scopes = [Scope(each) for each in options["scopes"] or DEFAULT_SCOPES]
        sessions = self._sessions(member, options["sessions"])
        try:
            require_fresh_groups(member.user, pk=member.pk)
            with told_if_busy():
                token = create_token(
                    member, options["name"], OPERATOR, options["days"], scopes, sessions
                )
        except (Refused, GroupsTooOld) as refused:
            raise CommandError(refused.message) from None
        self.stdout.write(token.reveal())

    def _sessions(self, member: Membership, names: Sequence[str]) -> list[AwsSession]:
        """Find the sessions of the team that are named, each by alias or id."""
        found = []
        for name in names:
            sessions = AwsSession.objects.filter(team=member.team)
            named = (
                Q(alias__iexact=name) | Q(pk=UUID(name)) if _is_id(name) else Q(alias__iexact=name)
            )
            session = sessions.filter(named).first()
            if session is None:
                raise CommandError(f"The team {member.team.slug} has no session {name!r}.")
            found.append(session)
        return found


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
