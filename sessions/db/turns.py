"""Count the requests in work in a web process.

And those that stand aside while they wait for a lock.

As many again as are worked on find room there. So what one team's requests wait for keeps no others
from being worked on.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Give turns to threads.

    A thread that stands aside gives its turn to another, and needs none to go on.
    """

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
        """Let another work while this thread waits; for a thread without a turn, nothing."""
        if not getattr(self._mine, "is_taken", False):
            yield
            return
        self._give_back()
        try:
            yield
        finally:
            # At once, even if there is one too many then: it may hold what those wait for who have
            # the turns.
            with self._changed:
                self.running += 1

    def _give_back(self) -> None:
        with self._changed:
            self.running -= 1
            self._changed.notify()


turns = Turns(at_once=1_000_000)
