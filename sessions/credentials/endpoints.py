"""Choose where an account is called: the root's STS region, or one that stands in for it.

Each account has a circuit breaker at each region, in this process: after some calls in a row
without an answer it opens, so that no calls are made for a while, and then lets one call through to
try. The breaker of a region that stands in lets few calls through from the start and opens at the
first that fails, so that an outage of all regions, or of one endpoint for all, costs few calls
more.
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
    is_unanswered,
    trips_breaker,
)
from sessions.credentials.timing import LONGEST_BACKOFF, compressed
from sessions.models import AwsSession

FAILURES_TO_OPEN = 3
FIRST_OPEN = compressed(seconds=5)
# So many further regions are tried at most.
MOST_STAND_INS = 3
# What a region rejects may be its own doing: a policy that names regions, an endpoint that is not
# there for all of them.
REGIONAL = (
    DENIED | UNKNOWN_KEY | QUOTING | {"AuthFailure", "OptInRequired", "RegionDisabledException"}
)
_OF_A_REGION = {About.HOP, About.KEY, About.REGION}


@dataclass
class CircuitBreaker:
    """Count the failures of one account at one region's STS, from run to run."""

    failures: int = 0
    open_until: float = 0.0
    last_error: AwsError | None = None

    def is_open(self) -> bool:
        """Tell whether no calls may be made; the electrical sense of open."""
        return time.monotonic() < self.open_until

    def most_calls(self) -> float:
        """Return how many calls may be in flight at once."""
        if self.is_open():
            return 0
        if self.failures:
            return 1 if self.failures >= FAILURES_TO_OPEN else 2
        return inf

    def record_answer(self) -> None:
        self.failures, self.open_until, self.last_error = 0, 0.0, None

    def record_failure(self, error: AwsError) -> None:
        self.last_error = error
        if self.is_open():
            return  # those that were in flight when it opened say nothing new
        self.failures += 1
        if self.failures >= FAILURES_TO_OPEN:
            wait = min(FIRST_OPEN * 2 ** min(self.failures - FAILURES_TO_OPEN, 10), LONGEST_BACKOFF)
            self.open_until = time.monotonic() + wait.total_seconds() * random.uniform(0.8, 1.0)  # noqa: S311  (spreading)


Answer = TypeVar("Answer")
_breakers: dict[tuple[str, str], CircuitBreaker] = {}


@dataclass(frozen=True)
class Route:
    """List the regions of one account's calls: the root's STS region, then those that stand in."""

    account: str
    regions: tuple[str, ...]

    @property
    def home(self) -> str:
        return self.regions[0]

    def breaker(self, region: str) -> CircuitBreaker:
        """Return the account's circuit breaker at one of the regions."""
        found = _breakers.get((self.account, region))
        # Whether a region that stands in serves this account at all is not known before it has
        # answered.
        return found or CircuitBreaker(failures=0 if region == self.home else FAILURES_TO_OPEN - 1)

    def current_region(self) -> str:
        """Name the region that calls go to now.

        Other calls try whether an earlier region is well again.
        """
        if not self.breaker(self.home).failures:
            return self.home  # which is the case but for an outage
        for region in self._usable():
            if self.breaker(region).failures < FAILURES_TO_OPEN:
                return region
        return self.home

    def next_region(self, in_flight: dict[str, int]) -> str | None:
        """Name the region for one more call, given the calls in flight at each.

        None while no region may have one more.
        """
        if not self.breaker(self.home).failures:
            return self.home
        for region in self._usable():
            breaker = self.breaker(region)
            if in_flight.get(region, 0) < breaker.most_calls():
                return region
            if breaker.failures < FAILURES_TO_OPEN:
                return None  # it takes calls, and this one as soon as others are back
        return None

    def is_unavailable(self) -> bool:
        """Tell whether no region takes calls."""
        return not self._usable()

    def last_error(self) -> AwsError | None:
        return self.breaker(self.home).last_error

    def seconds_unavailable(self) -> float:
        """Tell how long until one of the regions may be tried."""
        return max(
            0.0, min(self.breaker(region).open_until for region in self.regions) - time.monotonic()
        )

    def record(self, region: str, error: AwsError | None) -> None:
        """Record how a call at that region ended."""
        breaker = _breakers[self.account, region] = self.breaker(region)
        is_foreign = region != self.home and error is not None and error.about is About.REGION
        if error is not None and (trips_breaker(error) or is_foreign):
            breaker.record_failure(error)
        else:
            breaker.record_answer()

    def goes_elsewhere(self, region: str, error: AwsError) -> bool:
        """Tell whether what this call was for can be had at another region right away."""
        breaker = self.breaker(region)
        return breaker.last_error is error and breaker.is_open() and not self.is_unavailable()

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

    def another_region(self, region: str) -> str | None:
        """Name another region that takes calls; None if there is none.

        For calls that cannot wait until a region's breaker opens.
        """
        return next((each for each in self._usable() if each != region), None)

    def _usable(self) -> list[str]:
        home = self.breaker(self.home)
        if home.is_open() and home.last_error is not None and home.last_error.about is About.CLOCK:
            return []  # the clock is as wrong for every region
        return [region for region in self.regions if not self.breaker(region).is_open()]


def call_with_fallback(route: Route, call: Callable[[str], Answer]) -> Answer:
    """Make a call outside of a run, and once more at the next region if there is no answer.

    Where the first region may be tried again, this call does so: no run may have a call for that
    account.
    """
    first = route.next_region({}) or route.current_region()
    other = route.another_region(first)
    for region in filter(None, (first, other)):
        try:
            answer = call(region)
        except AwsError as error:
            route.record(region, error)
            if region == first and other and is_unanswered(error):
                continue
            raise route.judged(region, error) from None
        route.record(region, None)
        return answer
    raise AssertionError("The last region answers, or its error is raised.")


@lru_cache(maxsize=10_000)
def route_for(account: str, home: str, *, of_sts: bool = True) -> Route:
    """Find the route of an account's calls.

    `of_sts` is false for another service, for which nothing stands in.
    """
    return Route(account, (home, *(stand_ins(home)[:MOST_STAND_INS] if of_sts else ())))


def reset_breakers() -> None:
    """Reset all circuit breakers."""
    _breakers.clear()


def account_of(root: AwsSession) -> str:
    """Return the account whose quota a root's own calls count on.

    While it is unknown, each such root has its own quota.
    """
    return root.account or f"root {root.pk}"


def route_of(root: AwsSession) -> Route:
    """Find where STS is called with a root's own credentials, or for them."""
    return route_for(account_of(root), root.sts_home)
