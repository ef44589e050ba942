"""Count for `/metrics` in this process, and add to the shared rows now and then."""

import threading
import time
from collections import Counter
from datetime import timedelta
from uuid import UUID

import structlog
from django.db import DatabaseError, connection

from sessions.models import MetricCounter

log = structlog.get_logger(__name__)

# The upper ends, in minutes, of what `served` counts by.
LIFE_MINUTES = (1, 5, 10, 15, 20, 25, 30, 40, 60)
# A process that serves many people writes its counts this often.
WRITE_EVERY_SECONDS = 5.0

_written_at = 0.0
_counts: Counter[tuple[str, str, str]] = Counter()
_lock = threading.Lock()


def add(name: str, label: str = "", outcome: str = "", *, amount: int = 1) -> None:
    """Add to a count, which the next `write` stores."""
    with _lock:
        _counts[name, label[:80], outcome[:80]] += amount


def served(life: timedelta) -> None:
    """Count one delivered credential by the life that it had left."""
    seconds = max(int(life.total_seconds()), 0)
    bucket = next((str(minutes) for minutes in LIFE_MINUTES if seconds <= minutes * 60), "more")
    add("life_served", outcome=bucket)
    add("life_served", outcome="seconds", amount=seconds)
    if time.monotonic() - _written_at >= WRITE_EVERY_SECONDS:
        write()


def saved_by_sharing(team_id: UUID) -> int:
    """Return how many AWS calls a team was spared because equal requests share an answer."""
    saved = MetricCounter.objects.filter(name="calls_saved", label=str(team_id)).values_list(
        "value", flat=True
    )
    return sum(saved)


def write() -> None:
    """Add the collected counts to the database.

    A database that is away loses counts, and nothing else.
    """
    global _written_at
    _written_at = time.monotonic()
    with _lock:
        counts = dict(_counts)
        _counts.clear()
    try:
        with connection.cursor() as cursor:
            for (name, label, outcome), amount in sorted(counts.items()):
                cursor.execute(
                    "INSERT INTO chains_tally (name, label, outcome, value) VALUES (%s, %s, %s, %s)"
                    " ON CONFLICT (name, label, outcome) DO UPDATE SET value = chains_tally.value +"
                    " excluded.value",
                    [name, label, outcome, amount],
                )
    except DatabaseError as error:
        log.warning("some counts are lost", error=type(error).__name__)
