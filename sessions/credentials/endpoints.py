"""Choose where an account is called: the root's STS region, or one that stands in for it.

What this process has last seen of an account at a region is its `Health`, a breaker: after some
calls in a row without an answer it is shut for a while, and then tried with one call. A region that
stands in is tried with few calls from the start and shut by the first that fails, so that an outage
of all regions, or of one endpoint for all, costs few calls more.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import TypeVar

from sessions.aws.errors import AwsError
from sessions.aws.proof import DENIED, QUOTING, UNKNOWN_KEY, About
from sessions.aws.regions import stand_ins
from sessions.credentials.outcomes import (
    fails_the_lane,
    is_unanswered,
)
from sessions.credentials.timing import LONGEST_BACKOFF, compressed
from sessions.models import AwsSession

FAILURES_TO_SHUT = 3
FIRST_SHUT = compressed(seconds=5)
# So many further regions are tried at most.
MOST_STAND_INS = 3
# What a region rejects may be its own doing: a policy that names regions, an endpoint that is not
# there for all of them.
REGIONAL = (
    DENIED | UNKNOWN_KEY | QUOTING | {"AuthFailure", "OptInRequired", "RegionDisabledException"}
)
_OF_A_REGION = {About.HOP, About.KEY, About.REGION}


@dataclass
class Health:
    """Remember what this process last saw of one account at one region's STS.

    From run to run.
    """

    failures: int = 0
    shut_until: float = 0.0
    last_error: AwsError | None = None

    def is_shut(self) -> bool:
        return time.monotonic() < self.shut_until

    def most(self) -> float:
        """Tell how many calls may be under way at once."""
        if self.is_shut():
            return 0
        if self.failures:
            return 1 if self.failures >= FAILURES_TO_SHUT else 2
        return inf

    def answered(self) -> None:
        self.failures, self.shut_until, self.last_error = 0, 0.0, None

    def failed(self, error: AwsError) -> None:
        self.last_error = error
        if self.is_shut():
            return  # those that were under way when it was shut say nothing new
        self.failures += 1
        if self.failures >= FAILURES_TO_SHUT:
            shut = min(FIRST_SHUT * 2 ** min(self.failures - FAILURES_TO_SHUT, 10), LONGEST_BACKOFF)
            self.shut_until = time.monotonic() + shut.total_seconds() * random.uniform(0.8, 1.0)  # noqa: S311  (spreading)


Answer = TypeVar("Answer")
_health: dict[tuple[str, str], Health] = {}


@dataclass(frozen=True)
class Route:
    """List the regions of one account's calls: the root's STS region, then those that stand in."""

    account: str
    regions: tuple[str, ...]

    @property
    def home(self) -> str:
        return self.regions[0]

    def at(self, region: str) -> Health:
        """Find what is known of the account at one of the regions."""
        found = _health.get((self.account, region))
        # Whether a region that stands in serves this account at all is not known before it has
        # answered.
        return found or Health(failures=0 if region == self.home else FAILURES_TO_SHUT - 1)

    def now(self) -> str:
        """Name the region that calls go to now.

        Other calls try whether an earlier region is well again.
        """
        if not self.at(self.home).failures:
            return self.home  # which is the case but for an outage
        for region in self._usable():
            if self.at(region).failures < FAILURES_TO_SHUT:
                return region
        return self.home

    def next(self, under_way: dict[str, int]) -> str | None:
        """Name the region for one more call, given the calls under way at each.

        None while none has room.
        """
        if not self.at(self.home).failures:
            return self.home
        for region in self._usable():
            health = self.at(region)
            if under_way.get(region, 0) < health.most():
                return region
            if health.failures < FAILURES_TO_SHUT:
                return None  # it takes calls, and this one as soon as others are back
        return None

    def is_shut(self) -> bool:
        """Tell whether no region takes calls."""
        return not self._usable()

    def last_error(self) -> AwsError | None:
        return self.at(self.home).last_error

    def seconds_shut(self) -> float:
        """Tell how long until one of the regions may be tried."""
        return max(
            0.0, min(self.at(region).shut_until for region in self.regions) - time.monotonic()
        )

    def told(self, region: str, error: AwsError | None) -> None:
        """Take down how a call at that region ended."""
        health = _health[self.account, region] = self.at(region)
        is_foreign = region != self.home and error is not None and error.about is About.REGION
        if error is not None and (fails_the_lane(error) or is_foreign):
            health.failed(error)
        else:
            health.answered()

    def goes_elsewhere(self, region: str, error: AwsError) -> bool:
        """Tell whether what this call was for can be had at another region right away."""
        return (
            self.at(region).last_error is error and self.at(region).is_shut() and not self.is_shut()
        )

    def judged(self, region: str, error: AwsError) -> AwsError:
        """Keep a rejection by a stand-in region from being final.

        The root's own region may say otherwise.
        """
        if region == self.home or error.about not in _OF_A_REGION or error.code not in REGIONAL:
            return error
        return type(error)(
            error.code,
            error.hop,
            f"STS in {self.home} does not answer, and {region}, asked in its place, said:"
            f" {error.message}",
            f"This is tried again until {self.home} answers. If {region} may not be used, look at"
            f" this: {error.check}",
            retryable=True,
            about=About.MOMENT,
        )

    def other_than(self, region: str) -> str | None:
        """Name another region that takes calls; None if there is none.

        For calls that cannot wait until a region is shut.
        """
        return next((each for each in self._usable() if each != region), None)

    def _usable(self) -> list[str]:
        home = self.at(self.home)
        if home.is_shut() and home.last_error is not None and home.last_error.about is About.CLOCK:
            return []  # the clock is as wrong for every region
        return [region for region in self.regions if not self.at(region).is_shut()]


def ask(way: Route, call: Callable[[str], Answer]) -> Answer:
    """Make a call outside of a run, and once more at the next region if there is no answer.

    Where the first region may be tried again, this call does so: no run may have a call for that
    account.
    """
    first = way.next({}) or way.now()
    other = way.other_than(first)
    for region in filter(None, (first, other)):
        try:
            answer = call(region)
        except AwsError as error:
            way.told(region, error)
            if region == first and other and is_unanswered(error):
                continue
            raise way.judged(region, error) from None
        way.told(region, None)
        return answer
    raise AssertionError("The last region answers, or its error is raised.")


@lru_cache(maxsize=10_000)
def route(account: str, home: str, *, of_sts: bool = True) -> Route:
    """Find the route of an account's calls.

    `of_sts` is false for another service, for which nothing stands in.
    """
    return Route(account, (home, *(stand_ins(home)[:MOST_STAND_INS] if of_sts else ())))


def forget() -> None:
    """Reset all circuit breakers."""
    _health.clear()


def account_of(root: AwsSession) -> str:
    """Return the account whose quota a root's own calls count on.

    While it is unknown, each such root has its own quota.
    """
    return root.account or f"root {root.pk}"


def route_of(root: AwsSession) -> Route:
    """Find where STS is called with a root's own credentials, or for them."""
    return route(account_of(root), root.sts_home)
