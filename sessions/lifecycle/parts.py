"""Do much in parts that hold a team's lock for a fraction of a second each, so that others get it in between."""

import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

Each = TypeVar("Each")

# So many end, start or go in one transaction: a tenth of a second on a quiet machine.
AT_ONCE = 100
# Whoever waits for the lock gets it meanwhile.
PAUSE_SECONDS = 0.02


def in_parts(rows: Sequence[Each], size: int = 0) -> Iterator[Sequence[Each]]:
    """Go through the rows by so many, with a pause between; each part is a transaction of the caller's."""
    size = size or AT_ONCE
    for at in range(0, len(rows), size):
        if at:
            time.sleep(PAUSE_SECONDS)
        yield rows[at : at + size]
