#!/usr/bin/env python
"""Run Django's command line for Chainweb."""

import os
import sys
from contextlib import ExitStack

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.management import BaseCommand, ManagementUtility


class CommandLine(ManagementUtility):
    """Tell the ledger which command each of its lines comes from."""

    def execute(self) -> None:
        with ExitStack() as stack:
            self.stack = stack
            super().execute()

    def fetch_command(self, subcommand: str) -> BaseCommand:
        command = super().fetch_command(subcommand)
        if apps.models_ready:  # the ledger can be imported
            from sessions.management.origin import asked_by_command

            self.stack.enter_context(asked_by_command(subcommand))
        return command


def main() -> None:
    """Run a command. What a person can mend is told in a line, and not as a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chainweb.settings")
    try:
        "".join(sys.argv[1:]).encode()
    except UnicodeEncodeError:
        sys.exit("An argument is not UTF-8 text.")
    try:
        CommandLine(sys.argv).execute()
    except ImproperlyConfigured as error:
        if "--traceback" in sys.argv:
            raise
        sys.exit(str(error))


if __name__ == "__main__":
    main()
