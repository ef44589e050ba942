"""manage.py apply FILE --team SLUG --as USER: makes sessions and groups what a file says."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from sessions import tasks
from sessions.actors import Actor
from sessions.checks import KEYS
from sessions.exceptions import Refused
from sessions.forms.declared.apply import PlanChanged, apply_document
from sessions.forms.declared.changes import Result
from sessions.forms.declared.reading import LARGEST_BYTES, Document, Faulty, read
from sessions.forms.declared.wanted import from_environment
from sessions.management.busy import told_if_busy
from sessions.models import Membership
from sessions.permissions import GroupsTooOld, require_fresh_groups


class Command(BaseCommand):
    help = (
        "Makes a team's sessions and groups what a YAML file says, all or nothing, with the rights"
        " of a member. Shows the changes and asks first. Secrets come from the environment, where"
        " the file says ${NAME}."
    )
    requires_system_checks = [KEYS]

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="the file, or - for what is piped in")
        parser.add_argument("--team", required=True, metavar="SLUG")
        parser.add_argument(
            "--as", required=True, dest="user", metavar="USER", help="the member who does it"
        )
        parser.add_argument("--dry-run", action="store_true", help="show the changes alone")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--json", action="store_true", help="write the changes as JSON")
        parser.add_argument(
            "--prune",
            default="",
            metavar="LABEL",
            help="delete sessions with this label that the file does not have",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        actor = self._actor(options["user"], options["team"])
        document = self._document(options["file"])
        planned = self._apply(document, actor, prune=options["prune"], dry_run=True)
        if options["dry_run"]:
            self._show(planned, as_json=options["json"])
            return
        if planned.changes and not options["yes"]:
            self._show(planned, as_json=False)
            self._ask(options["file"])
        done = self._apply(document, actor, prune=options["prune"], expected=planned)
        if done.changes:
            tasks.wake_after_change()
            tasks.wake_after_deletion()
        if options["json"] or options["yes"] or not done.changes:
            self._show(done, as_json=options["json"])

    def _actor(self, username: str, slug: str) -> Actor:
        member = (
            Membership.objects.select_related("user", "team")
            .filter(user__username=username, team__slug=slug, user__is_active=True)
            .first()
        )
        if member is None or member.disabled_at:
            raise CommandError(f"There is no active member {username!r} in a team {slug!r}.")
        try:
            require_fresh_groups(member.user, pk=member.pk)
        except GroupsTooOld as error:
            raise CommandError(error.message) from None
        return Actor(member)

    def _document(self, file: str) -> Document:
        self.name = "stdin" if file == "-" else file
        try:
            if file == "-":
                text = sys.stdin.buffer.read(LARGEST_BYTES + 1)
            else:
                with Path(file).open("rb") as opened:
                    text = opened.read(LARGEST_BYTES + 1)
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}.") from None
        try:
            return read(text)
        except Faulty as faulty:
            raise self._refused(faulty) from None

    def _apply(self, document: Document, actor: Actor, **how: Any) -> Result:
        try:
            with told_if_busy():
                return apply_document(document, actor, secrets=from_environment, **how)
        except Faulty as faulty:
            raise self._refused(faulty) from None
        except PlanChanged:
            raise CommandError(
                "Somebody has changed the team meanwhile. Nothing was changed: run it again."
            ) from None
        except Refused as refused:
            raise CommandError(refused.message) from None

    def _refused(self, faulty: Faulty) -> CommandError:
        said = (
            f"{self.name}:{fault.line}: {fault.message}"
            if fault.line
            else f"{self.name}: {fault.message}"
            for fault in faulty.faults
        )
        return CommandError("\n".join([*said, "Nothing was changed."]))

    def _show(self, result: Result, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(result.to_json(), ensure_ascii=False, indent=2))
            return
        for line in result.lines():
            self.stdout.write(line)

    def _ask(self, file: str) -> None:
        if file == "-" or not sys.stdin.isatty():
            raise CommandError("Nobody can be asked here. Add --yes to apply it.")
        try:
            answer = input("Apply these changes? [y/N] ")
        except EOFError:
            answer = ""
        if answer.strip().lower() not in {"y", "yes"}:
            raise CommandError("Nothing was changed.")
