"""Export a team's lines so that they can be verified without its database.

Each line of an export is one JSON object: the line's canonical form, byte by byte, with its hash as
the last key. Without `,"hash":"…"` it is what the hash is computed over, so `sha256` and a text
editor are enough to check one. Before the first line that is left of a ledger stands the tombstone
of those that were removed (`sessions.ledger.tombstones`). Behind a line of which a checkpoint was
signed stands the checkpoint (`sessions.ledger.checkpoints`).
"""

import sys
from collections.abc import Iterator
from json.encoder import encode_basestring as quoted

from django.db.models import QuerySet

from sessions.ledger.lines import Line, stored_lines
from sessions.ledger.removed import removed_of
from sessions.models import Checkpoint, Event

# So many checkpoints are in memory at once.
BATCH = 500


def export_lines(team_id: object, events: QuerySet[Event]) -> Iterator[bytes]:
    """Yield the events of that team as verifiable JSON lines, UTF-8 with the newline.

    `events` may be filtered as the caller likes; those of other teams are left out, and the order
    is always that of their numbers. Memory is constant whatever their number.
    """
    signed: dict[int, list[str]] = {}
    known_to = 0
    removed = removed_of(team_id)
    for line in stored_lines(events.filter(team_id=str(team_id))):
        if removed and line.seq == removed.seq + 1:
            yield f"{removed.text}\n".encode()
        yield exported(line)
        if line.seq > known_to:
            signed, known_to = _checkpoints(str(team_id), line.seq)
        for text in signed.get(line.seq, ()):
            yield f"{text}\n".encode()


def exported(line: Line) -> bytes:
    """Return one line of an export, with its newline."""
    return b'%s,"hash":%s}\n' % (line.content[:-1], quoted(line.hash).encode())


def _checkpoints(team_id: str, first: int) -> tuple[dict[int, list[str]], int]:
    """Return the next checkpoints from that line on, by line, and the last line that they cover."""
    later = Checkpoint.objects.filter(team_id=team_id, seq__gte=first).order_by("seq", "pk")
    rows = later.values_list("seq", "text")[:BATCH]
    found: dict[int, list[str]] = {}
    for seq, text in rows:
        found.setdefault(seq, []).append(text)
    return found, max(found) if len(rows) == BATCH else sys.maxsize
