"""Queue calls per calling account and STS region, so that a slow one delays no other.

Each queue has its share of the threads, its permits from the account's rate limit, and a route: the
region where its next call is made.
"""

import math
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

from django.conf import settings

from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError, Throttled
from sessions.aws.proof import Signed
from sessions.credentials.endpoints import Route
from sessions.engine import rate_limit
from sessions.engine.parents import RootRequest
from sessions.models import Credential

# Permits are asked for in slices, so that no queue keeps a second's worth that another worker could
# use.
MOST_PERMITS = 25
# A queue is stalled when no call of it was answered for so long.
SLOW_AFTER_SECONDS = 0.5


@dataclass(frozen=True)
class Call:
    """Hold one call to make: the row it is for, and what signs it.

    A root's row has no signer yet: what its call needs is read at the last moment. `signed` decides
    what AWS's answer proves; see `aws.proof`. `region` is where the call is made, chosen when it is
    submitted, at `submitted_at`. `is_second`: another region has just not answered it.
    """

    row: Credential
    source: AwsCredentials | RootRequest | None
    signed: Signed = field(default_factory=Signed)
    region: str = ""
    submitted_at: float = 0.0
    is_second: bool = False


@dataclass
class AccountQueue:
    """Hold the calls of one account for one STS region; `in_flight` counts by region called."""

    route: Route
    calls: deque[Call] = field(default_factory=deque)
    in_flight: Counter[str] = field(default_factory=Counter)
    permits: int = 0
    next_permit_at: float = 0.0
    moved_at: float = float("-inf")
    throttled_at: float = float("-inf")

    @property
    def account(self) -> str:
        return self.route.account

    def may_still_call(self, call: Call, since: float) -> bool:
        """Tell whether a call submitted at `since` may still be made.

        It may not once its region takes no calls, or its account was throttled after that.
        """
        return since >= self.throttled_at and not self.route.breaker(call.region).is_open()

    def is_stalled(self) -> bool:
        """Tell whether the queue has no permit, has failed, or is slow."""
        now = time.monotonic()
        is_slow = self.in_flight.total() > 0 and now - self.moved_at > SLOW_AFTER_SECONDS
        return (
            is_slow
            or now < self.next_permit_at
            or self.route.breaker(self.route.current_region()).failures > 0
        )


@dataclass
class AccountQueues:
    """Hold one run's calls that are ready to be made. `asked`: on behalf of people who wait."""

    asked: bool
    by_account: dict[tuple[str, str], AccountQueue] = field(default_factory=dict)

    def add(self, route: Route, call: Call) -> None:
        key = (route.account, route.home)
        queue = self.by_account.get(key)
        if queue is None:
            queue = self.by_account[key] = AccountQueue(route)
        queue.calls.append(call)

    def __len__(self) -> int:
        return sum(len(queue.calls) for queue in self.by_account.values())

    def next_calls(self, limit: int) -> Iterator[tuple[AccountQueue, Call]]:
        """Yield up to `limit` calls that may be made now, the queues taking turns."""
        busy = [queue for queue in self.by_account.values() if queue.calls]
        while limit > 0 and busy:
            for queue in list(busy):
                if limit == 0:
                    break
                region = self._region(queue) if queue.calls else None
                if region is None or not self._permitted(queue):
                    busy.remove(queue)
                    continue
                queue.permits -= 1
                queue.in_flight[region] += 1
                queue.moved_at = now = time.monotonic()
                limit -= 1
                yield queue, replace(queue.calls.popleft(), region=region, submitted_at=now)

    def _region(self, queue: AccountQueue) -> str | None:
        """Name the region of the queue's next call; None if its share is used up."""
        in_flight = queue.in_flight.total()
        others = any(
            each is not queue and (each.calls or each.in_flight.total())
            for each in self.by_account.values()
        )
        share = max(settings.CHAINWEB_STS_THREADS // 2, 1) if others else math.inf
        return queue.route.next_region(queue.in_flight) if in_flight < share else None

    def _permitted(self, queue: AccountQueue) -> bool:
        if queue.permits > 0:
            return True
        if time.monotonic() < queue.next_permit_at:
            return False
        queue.permits, wait = rate_limit.acquire(
            queue.account, min(len(queue.calls), MOST_PERMITS), asked=self.asked
        )
        queue.next_permit_at = time.monotonic() + wait
        return queue.permits > 0

    def take_unavailable(self) -> Iterator[tuple[Call, AwsError, timedelta]]:
        """Take out the calls of accounts that no region serves now.

        Yields each with the last error and for how long.
        """
        for queue in self.by_account.values():
            if queue.calls and queue.route.is_unavailable() and (error := queue.route.last_error()):
                left = timedelta(seconds=queue.route.seconds_unavailable())
                while queue.calls:
                    yield queue.calls.popleft(), error, left

    def cancelled(self, queue: AccountQueue, call: Call) -> None:
        """Record that a submitted call was not made.

        Its permit is used up all the same: whoever was throttled meanwhile is to make fewer calls.
        """
        queue.in_flight[call.region] -= 1

    def stalled(self) -> list[Call]:
        """Return the calls in stalled queues."""
        return [
            call for queue in self.by_account.values() if queue.is_stalled() for call in queue.calls
        ]

    def stalled_parents(self) -> set[str]:
        """Return the parents of the calls in stalled queues."""
        return {str(call.row.parent_id) for call in self.stalled() if call.row.parent_id}

    def take_children_of(self, parent_id: str) -> Iterator[Call]:
        """Take out the calls signed by that parent, which has turned out not to work."""
        for queue in self.by_account.values():
            kept = deque(call for call in queue.calls if str(call.row.parent_id) != parent_id)
            if len(kept) != len(queue.calls):
                gone = [call for call in queue.calls if str(call.row.parent_id) == parent_id]
                queue.calls = kept
                yield from gone

    def finished(self, queue: AccountQueue, call: Call, error: AwsError | None) -> None:
        """Record how a queue's call ended."""
        queue.in_flight[call.region] -= 1
        queue.moved_at = time.monotonic()
        if isinstance(error, Throttled):
            rate_limit.slow_down(queue.account)
            queue.permits = 0
            queue.throttled_at = time.monotonic()
        queue.route.record(call.region, error)

    def seconds_until_permit(self) -> float:
        """Return the seconds until a queue gets its next permit; 1 if none waits for one."""
        now = time.monotonic()
        waits = [queue.next_permit_at - now for queue in self.by_account.values() if queue.calls]
        return min((wait for wait in waits if wait > 0), default=1.0)
