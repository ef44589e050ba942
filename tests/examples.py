"""Decide how many examples Hypothesis tries: a quarter each time, all of them when asked."""

import os

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
LEAST = 10


def examples(number: int) -> int:
    """Return `number` in the deep profile, else a quarter of it; each run draws new ones."""
    return number if DEEP else max(LEAST, number // 4)
