"""Two transactions that meet: one is made to wait at a lock while another comes in between."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, connections, transaction
from django.db.models import Model

from sessions import ledger

PATIENCE_SECONDS = 15.0
HELD_SECONDS = 60.0


class Aside:
    """Run a function in a thread with a database connection of its own.

    `result()` waits for it.
    """

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._value: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._work()
        except BaseException as error:  # noqa: BLE001  (raised again where the result is asked for)
            self._error = error
        finally:
            connection.close()

    def result(self) -> Any:
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), "it still waits"
        if self._error is not None:
            raise self._error
        return self._value


@contextmanager
def held_head(team: Any) -> Iterator[None]:
    """Hold the head of a team's ledger until the block ends; on SQLite, the database."""
    with transaction.atomic():
        ledger.hold(team.pk)
        yield


@contextmanager
def held(statement: str, *values: Any) -> Iterator[Callable[[], None]]:
    """Have somebody else's transaction run this statement and not end; yields what ends it."""
    begun, over = threading.Event(), threading.Event()

    def hold() -> None:
        other = connections.create_connection("default")
        try:
            other.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
            with other.cursor() as cursor:
                cursor.execute(statement, values)
            begun.set()
            over.wait(HELD_SECONDS)
            other.rollback()
        finally:
            other.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert begun.wait(10)
    try:
        yield over.set
    finally:
        over.set()
        holder.join()


def row_of(model: type[Model], key: object) -> tuple[str, str]:
    """Return a statement for `held` that locks one row, and its value."""
    table, column = model._meta.db_table, model._meta.pk.column
    return f"SELECT 1 FROM {table} WHERE {column} = %s FOR UPDATE", str(key)


def wait_for_waiting(count: int) -> None:
    """Wait until so many others wait for a lock. SQLite does not say, so there it is a moment."""
    if connection.vendor == "sqlite":
        time.sleep(0.2)
        return
    deadline = time.monotonic() + PATIENCE_SECONDS
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"
                " AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())"
            )
            if cursor.fetchone()[0] >= count:
                return
            time.sleep(0.01)
    raise AssertionError(f"fewer than {count} wait for a lock")
