"""Work in parts that hold a team's lock for a fraction of a second each."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

Each = TypeVar("Each")

# So many at the most end, start or go in one transaction.
AT_ONCE = 100
# To mark that a row is over costs a twentieth of clearing it away.
MARKED_AT_ONCE = 1000
# The first part is small, since how long one takes here is not known yet, and none is smaller: what
# every part does anyway, whatever is in it, would be all that is done.
LEAST = 20
# A part is made as large as fits into this, by how long the one before took; a part may hold the
# lock for twice as long.
LOCK_SECONDS = 0.1
# Whoever waits for the lock gets it meanwhile.
PAUSE_SECONDS = 0.02

_lock = threading.local()


def lock_taken() -> None:
    """Note that this thread has got a team's lock at this moment.

    What it has waited for the lock is not held against a part.
    """
    _lock.taken_at = time.monotonic()


@dataclass
class Pace:
    """Decide how many rows go into the next part, of `most`.

    Fewer where the machine or its database is slow.
    """

    most: int
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = min(LEAST, self.most)

    def begin(self) -> None:
        """Call it before the transaction of a part."""
        self._begun_at = time.monotonic()

    def end(self) -> None:
        """Call it after the transaction of a part that was full."""
        now = time.monotonic()
        held = now - max(self._begun_at, getattr(_lock, "taken_at", 0.0))
        fits = int(self.size * LOCK_SECONDS / held) if held > 0 else self.most
        # What was quick by chance does not make the next one huge.
        self.size = min(max(fits, LEAST), 2 * self.size, self.most)


def in_parts(rows: Sequence[Each], size: int = 0) -> Iterator[Sequence[Each]]:
    """Go through the rows by at most so many, with a pause between.

    Each part is a transaction of the caller's.
    """
    pace, at = Pace(size or AT_ONCE), 0
    while at < len(rows):
        if at:
            time.sleep(PAUSE_SECONDS)
        some = rows[at : at + pace.size]
        at += len(some)
        pace.begin()
        yield some
        pace.end()
