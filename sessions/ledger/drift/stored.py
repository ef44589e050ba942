"""Store many records in one statement: Django's own ways cost several times as much."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from sessions.models import TrailRecord

TABLE = TrailRecord._meta.db_table
# What comparing writes into a row.
OUTCOME = (
    *("kind", "breaks_policy", "lacks_identity", "line", "issued_for", "by_key", "people"),
    *("made_by", "detail"),
)


def add(rows: Sequence[TrailRecord]) -> None:
    """Store new rows; one that its import has already is left out."""
    if not rows:
        return
    if connection.vendor != "postgresql":
        TrailRecord.objects.bulk_create(rows, ignore_conflicts=True)
        return
    fields: list[Any] = [each for each in TrailRecord._meta.concrete_fields if each.name != "id"]
    names = ", ".join(each.column for each in fields)
    statement = (
        f"INSERT INTO {TABLE} ({names}) SELECT {names}"  # noqa: S608  (names of ours)
        f" FROM jsonb_to_recordset(%s::jsonb) AS v({_types(fields)}) ON CONFLICT DO NOTHING"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [_json(rows, fields)])


def save(rows: Sequence[TrailRecord]) -> None:
    """Store what comparing has found."""
    if not rows:
        return
    fields = [_field(name) for name in OUTCOME]
    if connection.vendor != "postgresql":
        setting = ", ".join(f"{each.column} = %s" for each in fields)
        values = [
            [
                *(each.get_db_prep_save(getattr(row, each.attname), connection) for each in fields),
                row.pk,
            ]
            for row in rows
        ]
        with connection.cursor() as cursor:
            update = f"UPDATE {TABLE} SET {setting} WHERE id = %s"  # noqa: S608  (names of ours)
            cursor.executemany(update, values)
        return
    setting = ", ".join(f"{each.column} = v.{each.column}" for each in fields)
    key = _field("id")
    statement = (
        f"UPDATE {TABLE} AS r SET {setting}"  # noqa: S608  (names of ours)
        f" FROM jsonb_to_recordset(%s::jsonb) AS v(id bigint, {_types(fields)})"
        " WHERE r.id = v.id"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [_json(rows, [key, *fields])])


def _field(name: str) -> Any:
    return TrailRecord._meta.get_field(name)


def _types(fields: Sequence[Any]) -> str:
    return ", ".join(f"{each.column} {each.db_type(connection)}" for each in fields)


def _json(rows: Sequence[TrailRecord], fields: Sequence[Any]) -> str:
    """Write rows as one JSON text: value by value, they would be quoted in Python."""
    columns = [(each.column, each.attname) for each in fields]
    return json.dumps(
        [{column: getattr(row, name) for column, name in columns} for row in rows],
        default=_as_json,
    )


def _as_json(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(type(value).__name__)
