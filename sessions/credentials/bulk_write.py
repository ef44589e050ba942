"""Write many credentials in one statement, at a tenth of the cost of one by one."""

import base64
import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Field

from sessions.models import Credential, Problem

_TYPES = {
    "sealed": "text",
    "generation": "integer",
    "access_key_id": "text",
    "packed_policy_size": "smallint",
    "minted_at": "timestamptz",
    "expires_at": "timestamptz",
    "due_at": "timestamptz",
    "asked_at": "timestamptz",
    "attempts": "integer",
    "problem": "jsonb",
}


def stored(column: str, value: Any) -> Any:
    """Convert a value to what the database takes for a column of a credential."""
    field = Credential._meta.get_field(column)
    assert isinstance(field, Field)
    return field.get_db_prep_save(value, connection)


def write(fence: uuid.UUID, columns: Sequence[str], rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Set columns of the credentials that the fence still covers, and end their leases.

    `rows` is {fingerprint: {column: value}}, each with all of the columns.
    """
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            setting = ", ".join(f"{column} = %s" for column in columns)
            cursor.executemany(
                # The column names are ours.
                f"UPDATE chains_credential SET {setting}, lease_until = NULL"  # noqa: S608
                " WHERE fingerprint = %s AND fence = %s",
                [
                    [
                        *(stored(column, row[column]) for column in columns),
                        pk,
                        stored("fence", fence),
                    ]
                    for pk, row in rows.items()
                ],
            )
        else:
            # One JSON text: arrays, one per column, would be put together and quoted value by value
            # in Python.
            setting = ", ".join(
                (
                    f"{column} = decode(v.sealed, 'base64')"
                    if column == "sealed"
                    else f"{column} = v.{column}"
                )
                for column in columns
            )
            types = ", ".join(f"{column} {_TYPES[column]}" for column in columns)
            cursor.execute(
                f"UPDATE chains_credential AS c SET {setting}, lease_until = NULL "  # noqa: S608  (likewise)
                f"FROM jsonb_to_recordset(%s::jsonb) AS v(fingerprint text, {types}) "
                "WHERE c.fingerprint = v.fingerprint AND c.fence = %s",
                [
                    json.dumps(
                        [{"fingerprint": pk, **row} for pk, row in rows.items()], default=_as_json
                    ),
                    fence,
                ],
            )


_ADD = """
INSERT INTO chains_credential (fingerprint, team_id, root_id, parent_id, level, request,
    is_scoped, generation, access_key_id, attempts)
SELECT v.*, 0, '', 0 FROM jsonb_to_recordset(%s::jsonb)
AS v(fingerprint text, team_id uuid, root_id uuid, parent_id text, level smallint, request jsonb,
    is_scoped boolean)
"""


def add(credentials: Collection[Credential]) -> None:
    """Store new credentials that have nothing but their request yet."""
    if not credentials:
        return
    if connection.vendor == "sqlite":
        Credential.objects.bulk_create(sorted(credentials, key=lambda row: row.level))
        return
    rows = [
        {
            "fingerprint": each.fingerprint,
            "team_id": str(each.team_id),
            "root_id": str(each.root_id),
            "parent_id": each.parent_id,
            "level": each.level,
            "request": each.request,
            "is_scoped": each.is_scoped,
        }
        for each in credentials
    ]
    with connection.cursor() as cursor:
        cursor.execute(_ADD, [json.dumps(rows)])
    for each in credentials:
        each._state.adding = False


_DELETE_POSTGRES = "DELETE FROM chains_credential WHERE fingerprint = ANY(%s)"
_DELETE_SQLITE = (
    "DELETE FROM chains_credential WHERE fingerprint IN (SELECT value FROM json_each(%s))"
)


def delete(fingerprints: Collection[str]) -> None:
    """Delete credentials that nothing points to, as the caller knows under the team's lock.

    Django would read the rows, and those that point to them, once more. The database itself refuses
    a mistake.
    """
    if not fingerprints:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            those = json.dumps(list(fingerprints))
            cursor.execute(_DELETE_SQLITE, [those])
        else:
            cursor.execute(_DELETE_POSTGRES, [list(fingerprints)])


_DUE_BELOW = """
UPDATE chains_credential SET due_at = %s WHERE parent_id {parents} AND problem IS NOT NULL
AND (due_at IS NULL OR (due_at > %s AND {stopped_at} < level)) RETURNING fingerprint
"""
_DUE_BELOW_POSTGRES = _DUE_BELOW.format(parents="= ANY(%s)", stopped_at="(problem->>'hop')::int")
_DUE_BELOW_SQLITE = _DUE_BELOW.format(
    parents="IN (SELECT value FROM json_each(%s))", stopped_at="json_extract(problem, '$.hop')"
)


def make_due_below(parents: Collection[str], now: datetime) -> None:
    """Make due all rows below these that stopped at them or further up, or that nothing retries.

    Every commit does this, so the SQL is written by hand: to build the query costs more than to run
    it.
    """
    moment, above = stored("due_at", now), list(parents)
    with connection.cursor() as cursor:
        while above:
            if connection.vendor == "sqlite":
                cursor.execute(_DUE_BELOW_SQLITE, [moment, json.dumps(above), moment])
            else:
                cursor.execute(_DUE_BELOW_POSTGRES, [moment, above, moment])
            above = [pk for (pk,) in cursor.fetchall()]


def _as_json(value: bytes | datetime | Problem) -> str | dict[str, Any]:
    match value:
        case Problem():
            return value.to_json()
        case datetime():
            return value.isoformat()
        case _:
            return base64.b64encode(value).decode()
