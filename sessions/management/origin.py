"""Say in each line that a command leads to which command it was, and who ran it."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager

from sessions.ledger.origin import Origin, asked_from, client_name

# These run for long, and what they lead to was asked for by others.
OTHERS_WORK = frozenset({"runserver", "sweep", "up"})


@contextmanager
def asked_by_command(name: str) -> Iterator[None]:
    """Have every line that is written inside name the command and the machine's user."""
    if name in OTHERS_WORK:
        yield
        return
    origin = Origin(client=client_name(f"manage.py {name}, run by {_user()}"))
    with asked_from(lambda: origin):
        yield


def _user() -> str:
    """Name the machine's user, and for whom `sudo` acted."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    behind = os.environ.get("SUDO_USER")
    return f"{behind} as {name}" if behind and behind != name else name
