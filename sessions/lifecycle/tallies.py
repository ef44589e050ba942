"""Counts for `/metrics`, added up in this process and written now and then: all processes add to the same rows."""

import threading
from collections import Counter

import structlog
from django.db import DatabaseError, connection

log = structlog.get_logger(__name__)

_counts: Counter[tuple[str, str, str]] = Counter()
_lock = threading.Lock()


def add(name: str, label: str = "", outcome: str = "", *, amount: int = 1) -> None:
    """Adds to a count; it reaches the database with the next `write`."""
    with _lock:
        _counts[name, label[:80], outcome[:80]] += amount


def write() -> None:
    """Adds what has come together to the database. A database that is away loses counts, and nothing else."""
    with _lock:
        counts = dict(_counts)
        _counts.clear()
    try:
        with connection.cursor() as cursor:
            for (name, label, outcome), amount in sorted(counts.items()):
                cursor.execute(
                    "INSERT INTO chains_tally (name, label, outcome, value) VALUES (%s, %s, %s, %s) "
                    "ON CONFLICT (name, label, outcome) DO UPDATE SET value = chains_tally.value + excluded.value",
                    [name, label, outcome, amount],
                )
    except DatabaseError as error:
        log.warning("some counts are lost", error=type(error).__name__)
