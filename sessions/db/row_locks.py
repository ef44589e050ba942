"""Lock one row, waiting no longer in all than PostgreSQL's `lock_timeout` says.

That setting bounds each wait alone, and one statement can have two: who stands second in line waits
for the first in line, and then for the holder. A transaction that takes two locks can wait twice as
well. See PostgreSQL's documentation of `lock_timeout`, and README.tuplock in its sources.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.db import connection
from django.db.models import Model, QuerySet

M = TypeVar("M", bound=Model)

# What a second wait gets at least in a transaction whose first has used up its time.
LEAST_MILLISECONDS = 200


def lock_first(rows: QuerySet[M]) -> M | None:
    """Lock and return the first of these rows until the transaction ends; None if there is none.

    Raises `OperationalError` (see `is_busy`) when all waits of this transaction together have
    reached `lock_timeout`.
    """
    if connection.vendor != "postgresql":
        return rows.select_for_update().first()
    row = rows.select_for_update(skip_locked=True).first()
    if row is not None:
        return row
    with _one_wait():
        return rows.select_for_update().first()


@contextmanager
def _one_wait() -> Iterator[None]:
    """Bound one statement by `lock_timeout`, and take what it took off the waits that follow."""
    lock, statement = _timeouts()
    if not lock:
        yield
        return
    _set_timeouts(lock, min(lock, statement or lock))
    began_at = time.monotonic()
    yield
    waited = round(1000 * (time.monotonic() - began_at))
    _set_timeouts(max(lock - waited, min(lock, LEAST_MILLISECONDS)), statement)


def _timeouts() -> tuple[int, int]:
    """Return this transaction's timeouts of a lock and of a statement, in ms; 0 is none."""
    with connection.cursor() as cursor:
        # Not out of pg_settings: that writes down all settings first, at each wait.
        cursor.execute(
            "SELECT 1000 * extract(epoch FROM current_setting('lock_timeout')::interval),"
            " 1000 * extract(epoch FROM current_setting('statement_timeout')::interval)"
        )
        lock, statement = cursor.fetchone()
    return int(lock), int(statement)


def _set_timeouts(lock: int, statement: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('lock_timeout', %s, true),"
            " set_config('statement_timeout', %s, true)",
            [str(lock), str(statement)],
        )
