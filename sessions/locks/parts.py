"""Work in parts that hold a team's lock for a fraction of a second each."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

Each = TypeVar("Each")

# At most so many rows start, end or are deleted in one transaction.
AT_ONCE = 100
# To mark a row as over costs a twentieth of deleting it.
MARKED_AT_ONCE = 1000
# The first part is this small, since nobody knows yet how long one takes here. None is smaller: the
# fixed cost of a part would be most of its work.
LEAST = 20
# A part is made as large as should fit into this, judged by the one before. It may take twice as
# long.
LOCK_SECONDS = 0.1
# Whoever waits for the lock gets it meanwhile.
PAUSE_SECONDS = 0.02

_lock = threading.local()


def lock_taken() -> None:
    """Note that this thread has a team's lock from now on: a part's time begins with it."""
    _lock.taken_at = time.monotonic()


@dataclass
class Pace:
    """Choose the size of the next part, at most `most`; smaller where the database is slow."""

    most: int
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = min(LEAST, self.most)

    def begin(self) -> None:
        """Start timing a part; call it before its transaction."""
        self._begun_at = time.monotonic()

    def end(self) -> None:
        """Choose the next size; call it after the transaction of a full part."""
        now = time.monotonic()
        held = now - max(self._begun_at, getattr(_lock, "taken_at", 0.0))
        fits = int(self.size * LOCK_SECONDS / held) if held > 0 else self.most
        # What was quick by chance does not make the next one huge.
        self.size = min(max(fits, LEAST), 2 * self.size, self.most)


def in_parts(rows: Sequence[Each], size: int = 0) -> Iterator[Sequence[Each]]:
    """Yield the rows in parts with a pause between; each part is a transaction of the caller's."""
    pace, at = Pace(size or AT_ONCE), 0
    while at < len(rows):
        if at:
            time.sleep(PAUSE_SECONDS)
        some = rows[at : at + pace.size]
        at += len(some)
        pace.begin()
        yield some
        pace.end()
