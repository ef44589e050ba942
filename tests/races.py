"""Two transactions that meet: one is made to wait at a lock while another comes in between."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from sessions import ledger

PATIENCE_SECONDS = 15.0


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
