"""Define how long things last.

`CHAINWEB_TIME_COMPRESSION` divides them all, so that the chaos run can live through hours in
minutes; it is 1 otherwise.
"""

import os
import random
import signal
from datetime import datetime, timedelta

from django.conf import settings


def compressed(**duration: float) -> timedelta:
    """Return a timedelta of these parts, divided by the installation's time compression."""
    whole: timedelta = timedelta(**duration)
    return whole / float(settings.CHAINWEB_TIME_COMPRESSION)


# A one-hour credential is rotated between its 35th and 40th minute: SDKs want one with 15 minutes
# left.
ROTATE_AFTER = (35 / 60, 40 / 60)
# A parent has to live only while its child is being assumed; a minute covers time-outs and a skewed
# clock.
PARENT_MARGIN = compressed(seconds=60)
# What is delivered has this much life left while STS answers; SDKs begin to refresh below it.
LEAST_LIFE = compressed(minutes=15)
# How long a just-started session shows as pending rather than handing out the short rest of a
# shared credential.
SETTLING = compressed(seconds=10)
# How soon a child whose parent did not come is looked at again.
DEFERRED_FOR = timedelta(seconds=0.2)
FIRST_BACKOFF = compressed(seconds=1)
LONGEST_BACKOFF = compressed(seconds=60)


# A rejected rotation is tried again after the first of these, then after twice as long each time,
# up to the second; what a rejected root or region holds up and what has nothing left to serve,
# between the third and the fourth.
FIRST_SECOND_TRY = compressed(minutes=2)
LONGEST_SECOND_TRY = compressed(minutes=8)
# Towards the end of what lives the tries come closer together, down to this; the last is made at
# the very end.
CLOSEST_SECOND_TRY = compressed(seconds=10)
SELDOM = (compressed(minutes=10), compressed(minutes=30))


def rotation_time(minted_at: datetime, expires_at: datetime) -> datetime:
    """Return when to replace a credential: at 35–40 sixtieths of its life, spread out."""
    return minted_at + (expires_at - minted_at) * random.uniform(*ROTATE_AFTER)  # noqa: S311  (spreading, not secrecy)


def backoff(attempts: int) -> timedelta:
    """Return a wait with full jitter: up to a ceiling that doubles with each attempt."""
    ceiling = min(LONGEST_BACKOFF, FIRST_BACKOFF * float(2 ** min(attempts, 16)))
    least = min(FIRST_BACKOFF / 5, ceiling)
    return least + (ceiling - least) * random.random()  # noqa: S311  (likewise)


def second_try(attempts: int, left: timedelta = timedelta.max) -> timedelta:
    """Return the wait before a rejection is retried, of credentials that live for `left` more.

    It is some minutes, spread out, as a change at AWS takes to spread, and never longer than
    `left`: the last try is at the end.
    """
    ceiling = min(LONGEST_SECOND_TRY, FIRST_SECOND_TRY * float(2 ** min(attempts, 16)))
    wait: timedelta = ceiling * random.uniform(0.5, 1.0)  # noqa: S311  (likewise)
    return min(wait, max(left / 2, CLOSEST_SECOND_TRY), left)


def seldom() -> timedelta:
    """Return the wait before a rejected root key or region is retried where nothing lives."""
    return SELDOM[0] + (SELDOM[1] - SELDOM[0]) * random.random()  # noqa: S311  (likewise)


def crash_point(step: str) -> None:
    """Kill this process after a named step of a rotation, if the chaos run has asked for it."""
    if step == settings.CHAINWEB_CHAOS_KILL_AFTER:
        os.kill(os.getpid(), signal.SIGKILL)
