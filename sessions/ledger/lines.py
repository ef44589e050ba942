"""Read a ledger's lines in the form that is hashed, many at a time and in constant memory.

A line's canonical form is JSON with sorted keys and no blanks (RFC 8785 for the value types used
here: text, whole numbers, booleans, null, lists, objects with ASCII keys).
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from json.encoder import encode_basestring as quoted
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import F, QuerySet, TextField, Value
from django.db.models.functions import Cast, Coalesce

from sessions.db.short_lines import whole_of_many
from sessions.ledger.previous import hash_before
from sessions.models import Event

# So many lines are in memory at once.
BATCH = 2000
encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_decode = json.JSONDecoder().decode
_COLUMNS = ("team_id", "seq", "kind", "actor", "session_alias", "prev", "hash")


class Line(NamedTuple):
    """Hold one line as it is verified: `content` is what its hash speaks for, in UTF-8."""

    seq: int
    prev: str
    hash: str
    content: bytes


def canonical(
    team_id: str,
    seq: int,
    at: datetime,
    kind: str,
    actor: str,
    session_id: str,
    session_alias: str,
    data: Mapping[str, Any],
    prev: str,
) -> bytes:
    """Return the bytes that a line's hash speaks for: everything in it but the hash itself."""
    moment = at.astimezone(UTC).isoformat(timespec="microseconds")
    # Written out, with the keys in their order: an encoder takes three times as long.
    return (
        f'{{"actor":{quoted(actor)},"at":"{moment}","data":{encode(data)},"kind":{quoted(kind)},'
        f'"prev":{quoted(prev)},"seq":{seq},"session_alias":{quoted(session_alias)},'
        f'"session_id":{quoted(session_id)},"team_id":{quoted(team_id)}}}'
    ).encode()


def stored_lines(events: QuerySet[Event], before: tuple[int, str] = (-1, "")) -> Iterator[Line]:
    """Yield the lines of one team's events by rising number, `BATCH` of them in memory.

    `before`: the number and hash of the line before the first, where they are known.

    Each batch is a query of its own, for the reason that `in_batches` gives. Lines that are
    appended meanwhile are yielded too. What is stored where a line cannot have it, as SQLite allows
    somebody else's program, is a line of no content: its hash does not hold.
    """
    # As text: Django's own reading of a column takes as long as all the rest.
    data = Cast("data", TextField())
    at: Any = F("at")
    session: Any = Coalesce(Cast("session_id", TextField()), Value(""), output_field=TextField())
    if connection.vendor == "sqlite":
        at, session = Cast("at", TextField()), F("session_id")
    ordered = events.order_by("seq").values_list(*_COLUMNS, at, session, data)
    last, last_hash = before
    rows = list(ordered[:BATCH])
    while rows:
        said = whole_of_many([_decoded(row[-1]) for row in rows], connection)
        for row, data in zip(rows, said, strict=True):
            team_id, seq, kind, actor, alias, prev, line_hash, moment, session_id, _ = row
            prev = prev or (last_hash if last == seq - 1 else hash_before(team_id, seq))
            last, last_hash = seq, line_hash
            try:
                content = canonical(
                    *(team_id, seq, moment if type(moment) is datetime else _time(moment)),
                    *(kind, actor, session_id, alias, data, prev),
                )
            except (ValueError, TypeError, AttributeError, RecursionError):
                content = b""
            yield Line(seq, prev, line_hash, content)
        rows = list(ordered.filter(seq__gt=rows[-1][1])[:BATCH]) if len(rows) == BATCH else []


def _decoded(text: Any) -> Any:
    """Read what is stored of a line's data; None if it is no JSON, which no line says."""
    try:
        return _decode(text)
    except (ValueError, TypeError, RecursionError):
        return None


def _time(text: str) -> datetime:
    """Read a time as SQLite has it: UTC, unless it says otherwise."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
