"""Keep what many lines of a team's ledger say alike once a month, on PostgreSQL.

A part is found by 48 bits of the SHA-256 over its team, month and text: what a process remembers of
one is true of every copy of the database. The lines' own hashes speak for the whole of what they
say, so that a part that somebody changes is found as each of its lines.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping
from datetime import date
from hashlib import sha256
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

TABLE = "chains_repeateddata"
# So many parts are remembered, some 600 bytes each; then all are forgotten.
MOST_REMEMBERED = 20_000
LENGTH_OF_REFERENCE = 8
_texts: dict[int, str] = {}
_stored: set[int] = set()


def text_of(part: Mapping[str, Any]) -> str:
    """Return a part as text: one for each content."""
    return json.dumps(part, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def id_of(team_id: str, month: date, text: str) -> int:
    """Return the number of a part."""
    digest = sha256(f"{team_id}|{month.isoformat()}|{text}".encode()).digest()
    return int.from_bytes(digest[:6], "big")


def reference_to(number: int) -> str:
    """Return how a line names a part: its number as base64."""
    return b64encode(number.to_bytes(6, "big")).decode()


def number_in(reference: str) -> int | None:
    """Return the number of the part that a line names; None if that is no number."""
    if len(reference) != LENGTH_OF_REFERENCE:
        return None
    try:
        return int.from_bytes(b64decode(reference, validate=True), "big")
    except ValueError:
        return None


def store(
    connection: BaseDatabaseWrapper, team_id: str, month: date, texts: Mapping[int, str]
) -> set[int]:
    """Store the parts that are not there yet, and return the numbers of those that are.

    In the transaction of the lines, whose head is held. One whose number another part has is not.
    """
    new = {number: text for number, text in texts.items() if number not in _stored}
    there = set(texts) - new.keys()
    if not new:
        return there
    rows = [part for number, text in new.items() for part in (number, team_id, month, text)]
    marks = ", ".join(["(%s, %s, %s, %s::jsonb)"] * len(new))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TABLE} (id, team_id, month, data) VALUES {marks}"  # noqa: S608  (marks)
            " ON CONFLICT (id) DO NOTHING RETURNING id",
            rows,
        )
        good = {number for (number,) in cursor.fetchall()}
    if others := new.keys() - good:
        found = _select(connection, others)
        good |= {number for number in others if found.get(number) == new[number]}
    # What a transaction that fails has stored is not there.
    transaction.on_commit(lambda: _remember(good), using=connection.alias)
    return there | good


def forget() -> None:
    """Forget which parts are stored, as after a line was refused: the database may be another."""
    _stored.clear()
    _texts.clear()


def read(connection: BaseDatabaseWrapper, numbers: Collection[int]) -> dict[int, str]:
    """Return the texts of parts by number; those that are missing are left out."""
    found = {number: _texts[number] for number in numbers if number in _texts}
    if missing := set(numbers) - found.keys():
        selected = _select(connection, missing)
        if len(_texts) > MOST_REMEMBERED:
            _texts.clear()
        _texts.update(selected)
        found |= selected
    return found


def _select(connection: BaseDatabaseWrapper, numbers: Collection[int]) -> dict[int, str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id, data::text FROM {TABLE} WHERE id = ANY(%s)", [list(numbers)])  # noqa: S608  (ours)
        return {number: text_of(json.loads(text)) for number, text in cursor.fetchall()}


def _remember(numbers: set[int]) -> None:
    if len(_stored) > MOST_REMEMBERED:
        _stored.clear()
    _stored.update(numbers)
