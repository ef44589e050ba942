"""Find the hash of the line before, which PostgreSQL does not store with new lines."""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice

from sessions.ledger.removed import removed_of
from sessions.models import Event

START = hashlib.sha256(b"chainweb ledger").hexdigest()
BATCH = 500


def prev_of(event: Event) -> str:
    """Return the hash that a line follows; empty if the line before it is missing."""
    return event.prev or hash_before(event.team_id, event.seq)


def hash_before(team_id: str, seq: int) -> str:
    """Return the hash of the line before one; empty if that line is missing."""
    if seq == 1:
        return START
    before = Event.objects.filter(team_id=team_id, seq=seq - 1)
    if found := before.values_list("hash", flat=True).first():
        return found
    removed = removed_of(team_id)
    return removed.head if removed and removed.seq == seq - 1 else ""


def with_prev(events: Iterable[Event]) -> Iterator[Event]:
    """Fill in the hashes that one team's lines follow, many at a time, in constant memory."""
    remaining = iter(events)
    while some := list(islice(remaining, BATCH)):
        bare = [event.seq - 1 for event in some if not event.prev]
        before = dict(
            Event.objects.filter(team_id=some[0].team_id, seq__in=bare).values_list("seq", "hash")
            if bare
            else ()
        )
        for event in some:
            event.prev = event.prev or before.get(event.seq - 1) or prev_of(event)
            yield event
