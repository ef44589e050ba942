"""Wait for something that another process or thread does."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
# Loaded machines start slowly; nothing is measured by this.
PATIENCE_SECONDS = 90.0


def wait_for(
    check: Callable[[], T], what: str, seconds: float = PATIENCE_SECONDS, every: float = 0.05
) -> T:
    """Return the check's first answer that is true. Raises TimeoutError when the time is up."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"in vain waited {seconds:.0f} s for {what}")
        time.sleep(every)
    return found


def wait_until(
    check: Callable[[], object],
    what: str,
    seconds: float = PATIENCE_SECONDS,
    every: float = 0.05,
) -> float:
    """Wait as `wait_for` does. Returns how long that took, in seconds."""
    begun = time.monotonic()
    wait_for(check, what, seconds, every)
    return time.monotonic() - begun
