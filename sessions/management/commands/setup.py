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

from chainweb import embedded
from chainweb.settings import DATA_FOLDER, IS_EMBEDDED
from sessions.lifecycle.people import add_member, create_person, create_team
from sessions.models import Role, Team, User
from sessions.secret import Secret


class Command(BaseCommand):
    help = "Makes a team and its admin. The password comes from CHAINWEB_PASSWORD, or is asked for. Run it again to add an admin."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--team", required=True, metavar="SLUG", help="short name of the team, as in its address"
        )
        parser.add_argument("--name", default="", help="the team's full name")
        parser.add_argument("--admin", required=True, metavar="USER", help="user name of the admin")
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
        password = None if user else self._password(username)
        with transaction.atomic():
            team = Team.objects.filter(slug=slug).first()
            team = team or create_team(
                slug, options["name"] or slug, actor="setup", ambient_enabled=options["ambient"]
            )
            if options["ambient"] and not team.ambient_enabled:
                Team.objects.filter(pk=team.pk).update(ambient_enabled=True)
            if user is None:
                assert password is not None
                user = create_person(username, password)
            add_member(team, user, Role.ADMIN, actor="setup")
        self.stdout.write(f"{username} is admin of the team {slug}; in CloudTrail: {user.aws_name}.")

    def _password(self, username: str) -> Secret:
        typed = Secret(os.environ.get("CHAINWEB_PASSWORD") or getpass.getpass(f"Password for {username}: "))
        try:
            validate_password(typed.reveal(), User(username=username))
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        return typed
