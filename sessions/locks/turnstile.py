"""Bound the threads of a web process that wait for one lock of one team.

A process that holds a team's row or its ledger's head for long (stalled, or a person in psql) would
otherwise keep every thread waiting that serves a request for that team. A few threads wait in the
database, the next wait a moment for a place there, and a thread that gets no place fails at once. A
team has two locks, each with its own queue: threads that wait for one do not delay the other's.
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
# A thread without a place waits only while the lock changes hands this often: no part of a bulk
# change holds it longer than 0.3 s.
MOVES_EVERY_SECONDS = 1.0
LONGEST_SECONDS = 10.0
# For so long after a wait has failed, no thread waits for a place.
STUCK_SECONDS = 2.0


class Busy(OperationalError):
    """Refuse to wait for a team's lock: too many wait for it already."""


@dataclass
class _Queue:
    """Count the threads that wait for one team's lock, and note when one last got it."""

    moved_at: float
    standing: int = 0
    stuck_until: float = 0.0


_queues: dict[str, _Queue] | None = None
_changed = threading.Condition()


def enable() -> None:
    """Bound the waiting threads of this process; one whose threads take no locks need not."""
    global _queues
    _queues = {}


def disable() -> None:
    """Let every thread of this process wait."""
    global _queues
    _queues = None


@contextmanager
def waiting_for(lock: str, team_id: object) -> Iterator[None]:
    """Hold a place while a statement takes that lock of a team. Raises `Busy` if there is none."""
    if _queues is None:
        yield
        return
    key = f"{lock} {team_id}"
    with turns.aside():
        queue = _enter(key)
        try:
            yield
            queue.moved_at, queue.stuck_until = time.monotonic(), 0.0
        except OperationalError as error:
            if is_busy(error):
                queue.stuck_until = time.monotonic() + STUCK_SECONDS
            raise
        finally:
            _leave(key)


def _enter(key: str) -> _Queue:
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
