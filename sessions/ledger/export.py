"""Export a team's lines so that they can be verified without its database.

Each line of an export is one JSON object: the line's canonical form, byte by byte, with its hash as
the last key. Without `,"hash":"…"` it is what the hash is computed over, so `sha256` and a text
editor are enough to check one.
"""

from collections.abc import Iterator
from json.encoder import encode_basestring as quoted

from django.db.models import QuerySet

from sessions.ledger.lines import Line, stored_lines
from sessions.models import Event


def export_lines(team_id: object, events: QuerySet[Event]) -> Iterator[bytes]:
    """Yield the events of that team as verifiable JSON lines, UTF-8 with the newline.

    `events` may be filtered as the caller likes; those of other teams are left out, and the order
    is always that of their numbers. Memory is constant whatever their number.
    """
    for line in stored_lines(events.filter(team_id=str(team_id))):
        yield exported(line)


def exported(line: Line) -> bytes:
    """Return one line of an export, with its newline."""
    return b'%s,"hash":%s}\n' % (line.content[:-1], quoted(line.hash).encode())
