"""Walk the links inside the database: select what is below some sessions, or above them.

Each walk reads the rows that it meets, by index, however large the team is. `UNION` ends it on a
table whose links bite their tail.
"""

import json
from collections.abc import Collection
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet, UUIDField
from django.db.models.expressions import RawSQL

# No chain is longer: a team's limit is far below.
DEEPEST = 100


def below(start: QuerySet[Any, Any]) -> RawSQL:
    """Select the ids of the `start` sessions and of all assumed from them, for `pk__in`."""
    return _walk(start, "link.session_id", "link.assumer_id")


def below_these(ids: Collection[Any]) -> RawSQL:
    """Select these ids of sessions and those of everything assumed from them.

    For `pk__in`. The ids are one parameter.
    """
    if connection.vendor == "sqlite":
        field = UUIDField()
        keys = json.dumps([field.get_db_prep_value(each, connection) for each in ids])
        return _statement(
            "SELECT value FROM json_each(%s)", [keys], "link.session_id", "link.assumer_id"
        )
    return _statement(
        "SELECT unnest(%s::uuid[])", [list(ids)], "link.session_id", "link.assumer_id"
    )


def above(start: QuerySet[Any, Any]) -> RawSQL:
    """Select the ids of the `start` sessions and of all on their chains, for `pk__in`."""
    return _walk(start, "link.assumer_id", "link.session_id")


def height_below(session_id: Any) -> int:
    """Count the hops of the longest chain under a session.

    On a table with a cycle it is `DEEPEST`.
    """
    statement = (
        "WITH RECURSIVE walk(id, level) AS (SELECT session_id, 1 FROM chains_assumerlink WHERE"
        " assumer_id = %s UNION SELECT link.session_id, walk.level + 1 FROM chains_assumerlink AS"
        " link JOIN walk ON link.assumer_id = walk.id WHERE walk.level < %s) SELECT max(level) FROM"
        " walk"
    )
    key = UUIDField().get_db_prep_value(session_id, connection)
    with connection.cursor() as cursor:
        cursor.execute(statement, [key, DEEPEST])
        return cursor.fetchone()[0] or 0


def _walk(start: QuerySet[Any, Any], found: str, known: str) -> RawSQL:
    try:
        first, parameters = start.order_by().query.sql_with_params()
    except EmptyResultSet:
        return RawSQL("SELECT session_id FROM chains_assumerlink WHERE 1 = 0", ())
    return _statement(first, parameters, found, known)


def _statement(first: str, parameters: Any, found: str, known: str) -> RawSQL:
    statement = (
        f"WITH RECURSIVE walk(id) AS ({first} UNION "  # noqa: S608  (columns of ours; values are parameters)
        f"SELECT {found} FROM chains_assumerlink AS link JOIN walk ON {known} = walk.id) SELECT id"
        " FROM walk"
    )
    return RawSQL(statement, parameters)  # noqa: S611  (as above)
