"""Limit the requests that a web process works on at once, beside those that wait for a lock.

The process has twice as many threads as turns, so requests that wait for one team's lock keep no
others from being worked on.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Give turns to threads; a thread that steps aside gives its turn away."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self.running = 0
        self._changed = threading.Condition()
        self._mine = threading.local()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for a turn, and work."""
        with self._changed:
            self._changed.wait_for(lambda: self.running < self.at_once)
            self.running += 1
        self._mine.is_taken = True
        try:
            yield
        finally:
            self._mine.is_taken = False
            self._give_back()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Give this thread's turn away while it waits, if it has one."""
        if not getattr(self._mine, "is_taken", False):
            yield
            return
        self._give_back()
        try:
            yield
        finally:
            # At once, even if that is one too many: it may hold the lock that the others wait for.
            with self._changed:
                self.running += 1

    def _give_back(self) -> None:
        with self._changed:
            self.running -= 1
            self._changed.notify()


turns = Turns(at_once=1_000_000)
