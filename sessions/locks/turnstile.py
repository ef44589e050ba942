"""Bound the threads of a web process that wait for one lock of one team.

Whoever holds a team's row or the head of its ledger for long (a stalled process, a person in psql)
would otherwise hold every thread that a request for that team comes to. A few wait in the database,
the next wait a moment for their places, and who finds no place is told so at once. A team has two
locks, and who needs the one that is free is not kept waiting by those who stand before the other.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import OperationalError

from sessions.db.limits import is_busy
from sessions.db.turns import turns

# A quarter of a web process's threads.
PLACES = 3
# Who has no place waits for as long as somebody gets the lock so often: no part of a bulk change
# holds it longer than 0.3 s.
MOVES_EVERY_SECONDS = 1.0
LONGEST_SECONDS = 10.0
# After somebody has waited in vain, nobody waits for a place.
STUCK_SECONDS = 2.0


class Busy(OperationalError):
    """Refuse to wait for a team's lock: too many wait for it already."""


@dataclass
class _Queue:
    """Hold who waits for one team's lock, and when somebody last got it."""

    moved_at: float
    standing: int = 0
    stuck_until: float = 0.0


_queues: dict[str, _Queue] | None = None
_changed = threading.Condition()


def set_up() -> None:
    """Have this process keep to it; others, whose threads do not wait for locks, need not."""
    global _queues
    _queues = {}


def take_down() -> None:
    """Let every thread wait as it likes."""
    global _queues
    _queues = None


@contextmanager
def waiting_for(lock: str, team_id: object) -> Iterator[None]:
    """Hold a place while the statement that takes that lock of a team runs.

    Raises `Busy` if there is none.
    """
    if _queues is None:
        yield
        return
    key = f"{lock} {team_id}"
    with turns.aside():
        queue = _come(key)
        try:
            yield
            queue.moved_at, queue.stuck_until = time.monotonic(), 0.0
        except OperationalError as error:
            if is_busy(error):
                queue.stuck_until = time.monotonic() + STUCK_SECONDS
            raise
        finally:
            _leave(key)


def _come(key: str) -> _Queue:
    assert _queues is not None
    came_at = time.monotonic()
    with _changed:
        while True:
            now = time.monotonic()
            queue = _queues.setdefault(key, _Queue(moved_at=now))
            if queue.standing < PLACES:
                if not queue.standing:
                    queue.moved_at = now
                queue.standing += 1
                return queue
            moves = now - queue.moved_at < MOVES_EVERY_SECONDS and now >= queue.stuck_until
            if not moves or now - came_at > LONGEST_SECONDS:
                raise Busy("Too many wait for this team's lock already.")
            _changed.wait(MOVES_EVERY_SECONDS / 5)


def _leave(key: str) -> None:
    with _changed:
        if _queues is None:
            return
        queue = _queues[key]
        queue.standing -= 1
        if not queue.standing and time.monotonic() >= queue.stuck_until:
            del _queues[key]
        _changed.notify_all()
