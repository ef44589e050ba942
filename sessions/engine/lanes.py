"""Queue calls per calling account and STS region, so that a slow one delays no other.

A lane has its own queue, its share of the threads, its permits from the account's budget, and a
route: the region where its next call is made.
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
from sessions.engine.parents import Base
from sessions.models import Credential

# Permits are asked for in slices, so that a lane never sits on a second's worth that another worker
# could use.
MOST_PERMITS = 25
# A lane whose calls have brought no answer for so long holds up what waits in it.
SLOW_AFTER_SECONDS = 0.5


@dataclass(frozen=True)
class Call:
    """Hold one call to make: the row it is for, and what signs it.

    A root's row has none: what it needs is taken at the last moment.

    `signed` decides what AWS's answer proves; see `aws.proof`. `region` is where it is made, chosen
    when it is handed over, at `handed_over_at`; `is_second`: it was made in vain at another one
    just before.
    """

    row: Credential
    base: AwsCredentials | Base | None
    signed: Signed = field(default_factory=Signed)
    region: str = ""
    handed_over_at: float = 0.0
    is_second: bool = False


@dataclass
class Lane:
    """Hold the calls of one account for one STS region.

    `handed_over` counts those under way, by the region called.
    """

    route: Route
    queue: deque[Call] = field(default_factory=deque)
    handed_over: Counter[str] = field(default_factory=Counter)
    permits: int = 0
    next_permit_at: float = 0.0
    moved_at: float = float("-inf")
    throttled_at: float = float("-inf")

    @property
    def account(self) -> str:
        return self.route.account

    def may_go_on(self, call: Call, since: float) -> bool:
        """Tell if a call handed over then may still be made.

        Its region takes calls and its account is not throttled.
        """
        return since >= self.throttled_at and not self.route.breaker(call.region).is_open()

    def is_held_up(self) -> bool:
        """Tell if what waits in the lane will wait longer: it has no permit, fails, or is slow."""
        now = time.monotonic()
        is_slow = self.handed_over.total() > 0 and now - self.moved_at > SLOW_AFTER_SECONDS
        return (
            is_slow
            or now < self.next_permit_at
            or self.route.breaker(self.route.current_region()).failures > 0
        )


@dataclass
class Lanes:
    """The calls of one run that are ready to be made. `asked`: on behalf of people who wait."""

    asked: bool
    lanes: dict[tuple[str, str], Lane] = field(default_factory=dict)

    def add(self, route: Route, call: Call) -> None:
        key = (route.account, route.home)
        lane = self.lanes.get(key)
        if lane is None:
            lane = self.lanes[key] = Lane(route)
        lane.queue.append(call)

    def __len__(self) -> int:
        return sum(len(lane.queue) for lane in self.lanes.values())

    def next_calls(self, limit: int) -> Iterator[tuple[Lane, Call]]:
        """Yield up to `limit` calls that may be made now, the lanes taking turns."""
        busy = [lane for lane in self.lanes.values() if lane.queue]
        while limit > 0 and busy:
            for lane in list(busy):
                if limit == 0:
                    break
                region = self._region(lane) if lane.queue else None
                if region is None or not self._permitted(lane):
                    busy.remove(lane)
                    continue
                lane.permits -= 1
                lane.handed_over[region] += 1
                lane.moved_at = now = time.monotonic()
                limit -= 1
                yield lane, replace(lane.queue.popleft(), region=region, handed_over_at=now)

    def _region(self, lane: Lane) -> str | None:
        """Find where the lane's next call may be made.

        None if its share of threads or calls is used.
        """
        under_way = lane.handed_over.total()
        others = any(
            each is not lane and (each.queue or each.handed_over.total())
            for each in self.lanes.values()
        )
        share = max(settings.CHAINWEB_STS_THREADS // 2, 1) if others else math.inf
        return lane.route.next_region(lane.handed_over) if under_way < share else None

    def _permitted(self, lane: Lane) -> bool:
        if lane.permits > 0:
            return True
        if time.monotonic() < lane.next_permit_at:
            return False
        lane.permits, wait = rate_limit.take(
            lane.account, min(len(lane.queue), MOST_PERMITS), asked=self.asked
        )
        lane.next_permit_at = time.monotonic() + wait
        return lane.permits > 0

    def shut_out(self) -> Iterator[tuple[Call, AwsError, timedelta]]:
        """Take out the calls of lanes that no region serves now.

        Yields each with the last error and for how long.
        """
        for lane in self.lanes.values():
            if lane.queue and lane.route.is_unavailable() and (error := lane.route.last_error()):
                left = timedelta(seconds=lane.route.seconds_unavailable())
                while lane.queue:
                    yield lane.queue.popleft(), error, left

    def not_made(self, lane: Lane, call: Call) -> None:
        """Tell the lane that a call it gave away was not made.

        What was allowed for it is used up all the same: who was
        throttled meanwhile is to make fewer calls."""
        lane.handed_over[call.region] -= 1

    def held_up(self) -> list[Call]:
        """Return the calls in lanes that will not soon come to them."""
        return [call for lane in self.lanes.values() if lane.is_held_up() for call in lane.queue]

    def parents_held_up(self) -> set[str]:
        """Return the parents of the calls that are held up."""
        return {str(call.row.parent_id) for call in self.held_up() if call.row.parent_id}

    def take_out(self, parent_id: str) -> Iterator[Call]:
        """Takes out what is assumed from that parent, which has turned out not to work."""
        for lane in self.lanes.values():
            kept = deque(call for call in lane.queue if str(call.row.parent_id) != parent_id)
            if len(kept) != len(lane.queue):
                gone = [call for call in lane.queue if str(call.row.parent_id) == parent_id]
                lane.queue = kept
                yield from gone

    def finished(self, lane: Lane, call: Call, error: AwsError | None) -> None:
        """Tells the lane how its call ended."""
        lane.handed_over[call.region] -= 1
        lane.moved_at = time.monotonic()
        if isinstance(error, Throttled):
            rate_limit.throttled(lane.account)
            lane.permits = 0
            lane.throttled_at = time.monotonic()
        lane.route.record(call.region, error)

    def seconds_until_permit(self) -> float:
        """Return the seconds until a lane that waits for its budget may go on; 1 if none does."""
        now = time.monotonic()
        waits = [lane.next_permit_at - now for lane in self.lanes.values() if lane.queue]
        return min((wait for wait in waits if wait > 0), default=1.0)
