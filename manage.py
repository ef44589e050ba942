#!/usr/bin/env python
"""Run Django's command line for Chainweb."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    """Run a command. What a person can mend is told in a line, and not as a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chainweb.settings")
    try:
        "".join(sys.argv[1:]).encode()
    except UnicodeEncodeError:
        sys.exit("An argument is not UTF-8 text.")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        if "--traceback" in sys.argv:
            raise
        sys.exit(str(error))


if __name__ == "__main__":
    main()
