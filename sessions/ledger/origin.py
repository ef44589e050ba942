"""Say from where the work at hand was asked for, so that each of its lines in the ledger says so.

A request is told about once, by the middleware: no function has to hand it on to reach the line it
causes. Workers act for nobody's address, and their lines have none.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import Any, Self

LONGEST_CLIENT = 200


@dataclass(frozen=True)
class Origin:
    """Hold the address, the client (its User-Agent, or a command), and the token.

    Of that its id, its name, and the device that its person keeps it on.
    """

    address: str = ""
    client: str = ""
    token_id: str = ""
    token: str = ""
    device: str = ""

    def as_data(self) -> dict[str, str]:
        """Return what a line stores: what is known, and nothing else."""
        return {name: value for name, value in asdict(self).items() if value}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it back; empty for a line of before it was kept, and for a worker's."""
        stored = data.get(KEY)
        known = stored if isinstance(stored, dict) else {}
        return cls(**{name: _text(known.get(name)) for name in cls.__dataclass_fields__})


# The key beside an event's own fields.
KEY = "origin"

_asked_from: ContextVar[Callable[[], Origin] | None] = ContextVar("asked_from", default=None)


def current() -> Origin:
    """Return from where the work at hand was asked for."""
    ask = _asked_from.get()
    return ask() if ask else Origin()


@contextmanager
def asked_from(ask: Callable[[], Origin]) -> Iterator[None]:
    """Have every line that is written inside say so; `ask` is called for each that is."""
    before = _asked_from.set(ask)
    try:
        yield
    finally:
        _asked_from.reset(before)


def client_name(text: str) -> str:
    """Return what a client calls itself, fit to be stored: printable, on one line, not endless."""
    printable = "".join(each if each.isprintable() else " " for each in text[: 4 * LONGEST_CLIENT])
    return " ".join(printable.split())[:LONGEST_CLIENT]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
