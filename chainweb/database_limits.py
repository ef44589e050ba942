"""How long a web request waits in the database, so that one row that is held stops neither its team for long nor other teams.

A request that waits longer is answered with 503. Workers wait as long as it takes: what they have got from AWS is worth it.
"""

from typing import Any


def bound_transactions(database: dict[str, Any], *, idle_seconds: float) -> None:
    """Have PostgreSQL end a transaction that does nothing for so long, whoever holds it: a process that stands still.

    `database` is one of Django's `DATABASES`. What its address sets itself (`?options=`) stays as it is.
    """
    _set(database, idle_in_transaction_session_timeout=idle_seconds)


def bound_waiting(database: dict[str, Any], *, lock_seconds: float, statement_seconds: float) -> None:
    """Bound what a web process waits for a lock and for a statement; 0 is no bound. Call it before anything connects."""
    if "postgresql" in database["ENGINE"]:
        _set(database, lock_timeout=lock_seconds, statement_timeout=statement_seconds)
    elif lock_seconds:
        # SQLite's one lock is that of writing; its statements are as short as the team is small.
        database["OPTIONS"]["timeout"] = lock_seconds


def _set(database: dict[str, Any], **seconds: float) -> None:
    options = database.setdefault("OPTIONS", {})
    ours = " ".join(f"-c {name}={round(1000 * each)}" for name, each in seconds.items())
    # What comes later counts.
    options["options"] = f"{ours} {options.get('options', '')}".strip()
