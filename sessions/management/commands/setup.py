"""manage.py setup --team SLUG --admin USER: the first team and its admin."""

import getpass
import os
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_slug
from django.db import transaction

from chainweb.local import embedded
from chainweb.settings import DATA_FOLDER, IS_EMBEDDED
from sessions.actors import OPERATOR
from sessions.checks import KEYS
from sessions.exceptions import Refused
from sessions.management.busy import told_if_busy
from sessions.models import Role, Team, User
from sessions.people.people import add_member, create_person, create_team, enable_ambient
from sessions.secret import Secret


class Command(BaseCommand):
    help = (
        "Creates a team and its admin. The password comes from "
        "CHAINWEB_PASSWORD, or is asked for. Run it again to add an "
        "admin."
    )
    requires_system_checks = [KEYS]

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--team",
            required=True,
            metavar="SLUG",
            help="short name of the team, as in its address",
        )
        parser.add_argument("--name", default="", help="the team's full name")
        parser.add_argument("--admin", required=True, metavar="USER", help="username of the admin")
        parser.add_argument(
            "--ambient", action="store_true", help="let the team use the workers' own AWS identity"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        slug, username = options["team"], options["admin"]
        try:
            validate_slug(slug)
            User.username_validator(username)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        if IS_EMBEDDED:
            embedded.prepare(DATA_FOLDER)
            call_command("migrate", verbosity=0, interactive=False)
        user = User.objects.filter(username=username).first()
        for model, option, field, text in (
            (Team, "--team", "slug", slug),
            (User, "--admin", "username", username),
        ):
            self._refuse_lookalike(model, option, field, text)
        password = None if user else self._password(username)
        try:
            with told_if_busy():
                user = self._set_up(slug, username, user, password, **options)
        except Refused as refused:
            raise CommandError(refused.message) from None
        self.stdout.write(
            f"{username} is admin of the team {slug}; in CloudTrail: {user.aws_name}."
        )

    def _refuse_lookalike(
        self, model: type[User | Team], option: str, field: str, text: str
    ) -> None:
        """Refuse a name that exists in another case, before a password is asked for."""
        there = (
            model.objects.filter(**{f"{field}__iexact": text}).values_list(field, flat=True).first()
        )
        if there is not None and there != text:
            raise CommandError(
                f"{there!r} exists, and names have to differ by more than case. For that one say"
                f" {option} {there}; else choose another name."
            )

    @transaction.atomic
    def _set_up(
        self, slug: str, username: str, user: User | None, password: Secret | None, **options: Any
    ) -> User:
        """Raise `Refused` if somebody else has taken a name since we looked."""
        team = Team.objects.filter(slug=slug).first()
        team = team or create_team(
            slug, options["name"] or slug, OPERATOR, ambient_enabled=options["ambient"]
        )
        if options["ambient"] and not team.ambient_enabled:
            enable_ambient(team, OPERATOR)
        user = user or create_person(username, password)
        add_member(team, user, Role.ADMIN, OPERATOR)
        return user

    def _password(self, username: str) -> Secret:
        try:
            typed = Secret(
                os.environ.get("CHAINWEB_PASSWORD") or getpass.getpass(f"Password for {username}: ")
            )
        except EOFError:
            raise CommandError(
                "Nobody typed a password: set CHAINWEB_PASSWORD, or run this in a terminal."
            ) from None
        try:
            validate_password(typed.reveal(), User(username=username))
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        return typed
