"""Take lines out of the table of events: whole partitions on PostgreSQL, a copy on SQLite."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from django.db import connection

from sessions.db.partitions import partitions_of
from sessions.ledger import triggers
from sessions.ledger.periods import REST, TABLE

# Names of tables and columns are ours, and nobody's text.
# ruff: noqa: S608

_MONTH = re.compile(r"chains_event_(\d{6})")


def drop_lines(day: date, upto: Mapping[str, int]) -> int:
    """Remove each team's lines up to a number; return how many went. All are of before that day.

    In the caller's transaction, which nobody else reads events beside.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        cursor.execute(
            "CREATE TEMPORARY TABLE removed_lines (team_id varchar(36) PRIMARY KEY, upto bigint)"
        )
        cursor.executemany("INSERT INTO removed_lines VALUES (%s, %s)", list(upto.items()))
        if connection.vendor == "postgresql":
            gone = _on_postgresql(cursor, day)
        else:
            gone = _on_sqlite(cursor)
        cursor.execute("DROP TABLE removed_lines")
    return gone


# A line that stays although its month goes: a clock was set back, or its team keeps it.
_STAYS = "NOT EXISTS (SELECT 1 FROM removed_lines r WHERE r.team_id = {} AND line.seq <= r.upto)"


def _on_postgresql(cursor: Any, day: date) -> int:
    stays = _STAYS.format("line.team_id::text")
    columns = "id, seq, at, team_id, session_id, kind, actor, session_alias, prev, hash, data"
    gone = 0
    for part in partitions_of(connection, TABLE):
        month = _MONTH.fullmatch(part)
        if part != REST and not (month and month[1] < f"{day:%Y%m}"):
            continue
        cursor.execute(f"SELECT count(*), count(*) FILTER (WHERE {stays}) FROM {part} line")
        count, staying = cursor.fetchone()
        if part == REST and count == staying:
            continue
        gone += count - staying
        cursor.execute(
            f"CREATE TEMPORARY TABLE staying ON COMMIT DROP AS SELECT {columns} FROM {part} line"
            f" WHERE {stays}"
        )
        cursor.execute(f"ALTER TABLE {TABLE} DETACH PARTITION {part}")
        cursor.execute(f"DROP TABLE {part}")
        if part == REST:
            cursor.execute("SELECT chains_event_guard(%s)", [REST])
            cursor.execute(f"ALTER TABLE {TABLE} ATTACH PARTITION {REST} DEFAULT")
        cursor.execute(f"INSERT INTO {TABLE} ({columns}) SELECT {columns} FROM staying")
        cursor.execute("DROP TABLE staying")
    # What remaining lines of before that day say stays.
    cursor.execute("ALTER TABLE chains_repeateddata DISABLE TRIGGER repeated_no_change")
    cursor.execute(
        "DELETE FROM chains_repeateddata part WHERE month < %s AND team_id::text IN"
        " (SELECT team_id FROM removed_lines) AND NOT EXISTS"
        f" (SELECT FROM {TABLE} line WHERE line.at < %s AND line.team_id = part.team_id)",
        [day, datetime(day.year, day.month, day.day, tzinfo=UTC)],
    )
    cursor.execute("ALTER TABLE chains_repeateddata ENABLE TRIGGER repeated_no_change")
    return gone


def _on_sqlite(cursor: Any) -> int:
    """Copy what stays into a new table, which takes the old one's name, indexes and triggers."""
    cursor.execute(
        "SELECT type, sql FROM sqlite_master WHERE tbl_name = %s AND sql IS NOT NULL", [TABLE]
    )
    made = cursor.fetchall()
    [table] = [sql for kind, sql in made if kind == "table"]
    cursor.execute(f"SELECT count(*) FROM {TABLE}")
    [before] = cursor.fetchone()
    triggers.remove(connection)
    cursor.execute(table.replace(f'"{TABLE}"', '"chains_event_kept"', 1).replace("%", "%%"))
    stays = _STAYS.format("line.team_id")
    cursor.execute(f"INSERT INTO chains_event_kept SELECT * FROM {TABLE} line WHERE {stays}")
    cursor.execute("SELECT count(*) FROM chains_event_kept")
    [after] = cursor.fetchone()
    cursor.execute(f"DROP TABLE {TABLE}")
    cursor.execute(f"ALTER TABLE chains_event_kept RENAME TO {TABLE}")
    for kind, sql in made:
        if kind == "index":
            cursor.execute(sql)
    triggers.install(connection)
    return int(before - after)
