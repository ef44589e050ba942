"""Make rows that many tests begin with once, then put them back as they were."""

import pickle
from collections.abc import Callable, Iterable
from typing import Any

from django.db import IntegrityError, connection, transaction

Rows = dict[str, list[Any]]
_prepared: dict[str, tuple[Rows, bytes]] = {}


def prepared(name: str, make: Callable[[], Any]) -> Any:
    """Return what `make` returns, with its rows in the database.

    They are made the first time, and where other rows are in the way; otherwise they are a copy.
    """
    if name not in _prepared:
        before = _every_row()
        made = make()
        after = _every_row()
        assert all(lines <= after[table] for table, lines in before.items()), (
            "make() has changed other rows"
        )
        new = {table: sorted(lines - before[table], key=repr) for table, lines in after.items()}
        _prepared[name] = (
            {table: lines for table, lines in new.items() if lines},
            pickle.dumps(made),
        )
        return made
    rows, made = _prepared[name]
    try:
        with transaction.atomic():
            _insert(rows)
    except IntegrityError:
        return make()
    return pickle.loads(made)


def _every_row() -> dict[str, set[Any]]:
    with connection.cursor() as cursor:
        return all_rows(connection.introspection.table_names(cursor))


def all_rows(tables: Iterable[str]) -> dict[str, set[Any]]:
    """Return table → its rows; on PostgreSQL a row is the text of its JSON."""
    whole = "row_to_json(t)::text" if connection.vendor == "postgresql" else "*"
    rows = {}
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT {whole} FROM {table} t")
            rows[table] = set(cursor.fetchall())
    return rows


def _insert(rows: Rows) -> None:
    with connection.cursor() as cursor:
        for table, lines in rows.items():
            if connection.vendor == "postgresql":
                record = f"json_populate_record(NULL::{table}, line::json)"
                several = [line for (line,) in lines]
                cursor.execute(
                    f"INSERT INTO {table} SELECT ({record}).* FROM unnest(%s::text[]) line",
                    [several],
                )
            else:
                places = ", ".join(["%s"] * len(lines[0]))
                cursor.executemany(f"INSERT INTO {table} VALUES ({places})", lines)
