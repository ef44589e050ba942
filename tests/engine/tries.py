"""Start sessions, and read when what was rejected is tried next."""

from datetime import timedelta

from sessions.db.clock import database_now
from sessions.models import Credential


def started(house, count, assumer=None, prefix="Leaf"):
    leaves = [house.chained(f"{prefix} {number}", assumer) for number in range(count)]
    for leaf in leaves:
        house.start(leaf)
    return leaves


def next_tries():
    now = database_now()
    rows = Credential.objects.filter(level__gt=0, problem__isnull=False)
    return [(row.due_at - now) / timedelta(minutes=1) if row.due_at else None for row in rows]
