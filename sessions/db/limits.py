"""Limit how long a web request waits in the database; one that waits longer is answered with 503.

A row that somebody holds then stops its team for seconds only, and other teams not at all. Workers
have the same limit for locks: see `sessions.locks.busy_teams`.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.db.backends.signals import connection_created

# PostgreSQL's: a lock was not to be had, a statement took too long, two transactions waited for
# each other.
_BUSY = frozenset({"55P03", "57014", "40P01"})
# It ended a transaction that stood still.
_ENDED = frozenset({"25P03", "25P04"})
# SQLite's: locked by another connection or by this one, and a statement that we have stopped.
_SQLITE_BUSY = frozenset({5, 6, 9})
# libpq's: seconds to connect, milliseconds until sent data is acknowledged, and how an idle
# connection is probed.
TCP_TIMEOUTS = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
# SQLite looks at the clock after so many of its steps: some tens of microseconds.
STEPS_BETWEEN_LOOKS = 10_000
SQLITE_WATCH = "bound SQLite's statements"


def set_tcp_timeouts(database: dict[str, Any]) -> None:
    """Have libpq give up a connection whose server or network no longer answers."""
    options = database.setdefault("OPTIONS", {})
    for name, value in TCP_TIMEOUTS.items():
        options.setdefault(name, value)


def limit_idle_transactions(database: dict[str, Any], *, idle_seconds: float) -> None:
    """Have PostgreSQL end a transaction that is idle for so long, in whatever process.

    `database` is one of Django's `DATABASES`. Options in its URL (`?options=`) take precedence.
    """
    _set(database, idle_in_transaction_session_timeout=idle_seconds)


def limit_waits(
    database: dict[str, Any], *, lock_seconds: float, statement_seconds: float = 0.0
) -> None:
    """Limit this process's waits for a lock and for a statement; 0 is no limit.

    Call it before the first connection.
    """
    if "postgresql" in database["ENGINE"]:
        _set(database, lock_timeout=lock_seconds, statement_timeout=statement_seconds)
        return
    if lock_seconds:  # SQLite's one lock is that of writing
        database["OPTIONS"]["timeout"] = lock_seconds
    if statement_seconds:
        _limit_sqlite_statements(statement_seconds)


def bound_locks() -> None:
    """Limit a worker's wait for a lock, on PostgreSQL; SQLite has one lock, and waits longer."""
    database = settings.DATABASES["default"]
    if "postgresql" in database["ENGINE"]:
        _set(database, lock_timeout=settings.LOCK_TIMEOUT_SECONDS)


def disable_jit(database: dict[str, Any]) -> None:
    """Disable PostgreSQL's JIT compiler.

    It expects millions of rows of a recursive query, and compiles for longer than the query takes.
    """
    _say(database, "-c jit=off")


def _set(database: dict[str, Any], **seconds: float) -> None:
    _say(database, " ".join(f"-c {name}={round(1000 * each)}" for name, each in seconds.items()))


def _say(database: dict[str, Any], ours: str) -> None:
    options = database.setdefault("OPTIONS", {})
    # What comes later counts.
    options["options"] = f"{ours} {options.get('options', '')}".strip()


class _Deadline:
    """Stop a statement of one connection to SQLite once its time is over."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.ends_at = seconds, math.inf

    def __call__(
        self,
        execute: Callable[..., Any],
        sql: Any,
        params: Any,
        many: bool,
        context: dict[str, Any],
    ) -> Any:
        self.ends_at = time.monotonic() + self.seconds
        return execute(sql, params, many, context)

    def is_over(self) -> bool:
        return time.monotonic() > self.ends_at


def _limit_sqlite_statements(seconds: float) -> None:
    def watch(connection: Any, **kwargs: Any) -> None:
        if connection.vendor == "sqlite":
            deadline = _Deadline(seconds)
            connection.connection.set_progress_handler(deadline.is_over, STEPS_BETWEEN_LOOKS)
            others = [
                each for each in connection.execute_wrappers if not isinstance(each, _Deadline)
            ]
            connection.execute_wrappers[:] = [*others, deadline]

    # A second receiver of that name would be ignored, and the limit of before would stay.
    connection_created.disconnect(dispatch_uid=SQLITE_WATCH)
    connection_created.connect(watch, weak=False, dispatch_uid=SQLITE_WATCH)


def is_busy(error: BaseException | None) -> bool:
    """Tell whether a wait in the database has reached its limit; another try may succeed."""
    return any(
        getattr(each, "sqlstate", None) in _BUSY or _sqlite_code(each) in _SQLITE_BUSY
        for each in with_causes(error)
    )


def is_ended_by_server(error: BaseException | None) -> bool:
    """Tell whether PostgreSQL has ended a transaction for being idle too long."""
    return any(getattr(each, "sqlstate", None) in _ENDED for each in with_causes(error))


def with_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _sqlite_code(error: BaseException) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


@contextmanager
def bounded(connection: Any, lock_seconds: float) -> Iterator[None]:
    """Limit how long one connection waits for a lock, within the block."""
    postgresql = connection.vendor == "postgresql"
    ask, say = (
        ("SHOW lock_timeout", f"SET lock_timeout = '{round(1000 * lock_seconds)}ms'")
        if postgresql
        else ("PRAGMA busy_timeout", f"PRAGMA busy_timeout = {round(1000 * lock_seconds)}")
    )
    with connection.cursor() as cursor:
        cursor.execute(ask)
        before = cursor.fetchone()[0]
        cursor.execute(say)
    try:
        yield
    finally:
        back = f"SET lock_timeout = '{before}'" if postgresql else f"PRAGMA busy_timeout = {before}"
        with suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute(back)
