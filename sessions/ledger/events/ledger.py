"""Declare the events about the ledger itself: who searched others' events, and took them away."""

from collections.abc import Mapping
from typing import Any

from sessions.ledger.events import EventData, event, shared


@shared
class _Searched(EventData):
    """Hold what was searched for, by field, as it was typed; empty: everything."""

    search: Mapping[str, Any]

    def what(self) -> str:
        """Say what was searched for."""
        return ", ".join(f"{field} {value}" for field, value in self.search.items())


@event
class LedgerSearched(_Searched):
    """Record that somebody who may read the whole ledger searched it. Later pages are no event."""

    tag = "ledger.searched"
    label = "events searched"

    def summary(self) -> str:
        return f"searched the events: {self.what() or 'all'}"


@event
class LedgerExported(_Searched):
    """Record an export. `upto`: the number of the last line that it can hold."""

    tag = "ledger.exported"
    label = "events exported"

    form: str
    upto: int

    def summary(self) -> str:
        return f"exported the events as {self.form}: {self.what() or 'all'}"


@event
class LedgerAsked(EventData):
    """Record that somebody asked whose something was, and what the answer was.

    `what` is the kind of clue; `text` is left out where it may be a secret, or is a whole event.
    """

    tag = "ledger.asked"
    label = "asked whose it was"

    what: str
    text: str = ""
    certainty: str
    people: tuple[str, ...] = ()

    def summary(self) -> str:
        asked = f"whose the {self.what} {self.text}".rstrip()
        return f"asked {asked} was: {', '.join(self.people) or 'nobody known'}"


@event
class LedgerRemoved(EventData):
    """Record that the lines from `first` to `upto` were removed, and what the last one's hash was.

    `before` is the first day that was kept, `archive` the file that holds the lines, and `sha256`
    what is in it.
    """

    tag = "ledger.removed"
    label = "events removed"

    first: int
    upto: int
    head: str
    before: str
    archive: str
    sha256: str
    by: str

    def summary(self) -> str:
        return f"removed the events {self.first} to {self.upto}, by {self.by}"
