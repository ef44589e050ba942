"""Shorten what PostgreSQL stores of new lines: what many say alike stands once for a month.

A line's hash speaks for all of it, as before. SQLite stores lines as they are.
"""

from collections.abc import Sequence
from datetime import UTC, date

from django.db import connection

from sessions.db import repeated
from sessions.db.compact_fields import Implied
from sessions.db.event_json import Shortened
from sessions.db.short_lines import Cut, cut_delivery, cut_issue
from sessions.ledger.events.credentials import CredentialMinted, CredentialRevealed
from sessions.models import Event

# Most lines of a ledger are of these kinds, and say what earlier ones have said.
_CUTS = {CredentialMinted.tag: cut_issue, CredentialRevealed.tag: cut_delivery}


def shorten(events: Sequence[Event]) -> None:
    """Prepare lines to be stored. Each is the one after that before it, in the order given."""
    if connection.vendor != "postgresql":
        return
    parts: dict[tuple[str, date], dict[int, str]] = {}
    cuts: list[tuple[Event, Cut, int]] = []
    for event in events:
        # It is the hash of the line before.
        event.prev = Implied(event.prev)
        make = _CUTS.get(str(event.kind))
        cut = make(event.data) if make else None
        if cut is None:
            continue
        month = event.at.astimezone(UTC).date().replace(day=1)
        text = repeated.text_of(cut.common)
        number = repeated.id_of(event.team_id, month, text)
        texts = parts.setdefault((event.team_id, month), {})
        if texts.setdefault(number, text) == text:
            cuts.append((event, cut, number))
    there = {
        number
        for (team_id, month), texts in parts.items()
        for number in repeated.store(connection, team_id, month, texts)
    }
    for event, cut, number in cuts:
        if number in there:
            event.data = Shortened(event.data)
            event.data.stored = cut.stored(repeated.reference_to(number))
