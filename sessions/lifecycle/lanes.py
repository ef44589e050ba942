"""Whose call is next: one lane per calling account and region, so that one that is slow, dead or throttled delays no other.

A lane has its own queue, its share of the threads, its permits from the account's budget, and a breaker: after some calls
in a row without an answer it is shut for a while, and then tried with one call.
"""

import math
import random
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings

from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError, Throttled
from sessions.aws.proof import Signed
from sessions.lifecycle import budget, outcomes
from sessions.lifecycle.bases import Base
from sessions.lifecycle.times import LONGEST_BACKOFF, compressed
from sessions.models import Credential

FAILURES_TO_SHUT = 3
FIRST_SHUT = compressed(seconds=5)
# Permits are asked for in slices, so that a lane never sits on a second's worth that another worker could use.
MOST_PERMITS = 25
# A lane whose calls have brought no answer for so long holds up what waits in it.
SLOW_AFTER_SECONDS = 0.5


@dataclass(frozen=True)
class Call:
    """One call to make: the row it is for, and what signs it. A root's row has none: what it needs is taken at the last moment.

    `signed` decides what AWS's answer proves; see `aws.proof`.
    """

    row: Credential
    base: AwsCredentials | Base | None
    signed: Signed = field(default_factory=Signed)


@dataclass
class Health:
    """What this process has last seen of one account at one region's STS. It outlives a run."""

    failures: int = 0
    shut_until: float = 0.0
    last_error: AwsError | None = None

    def is_shut(self) -> bool:
        return time.monotonic() < self.shut_until

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


_health: dict[tuple[str, str], Health] = {}


@dataclass
class Lane:
    account: str
    region: str
    queue: deque[Call] = field(default_factory=deque)
    handed_over: int = 0
    permits: int = 0
    next_permit_at: float = 0.0
    moved_at: float = float("-inf")
    throttled_at: float = float("-inf")

    def may_go_on(self, since: float) -> bool:
        """Whether a call that was handed over then may still be made: the lane was neither shut nor throttled meanwhile."""
        return since >= self.throttled_at and not self.health.is_shut()

    def is_held_up(self) -> bool:
        """Whether what waits in it will wait longer: it has no permit, fails, or is slow."""
        now = time.monotonic()
        is_slow = self.handed_over > 0 and now - self.moved_at > SLOW_AFTER_SECONDS
        return is_slow or now < self.next_permit_at or self.health.failures > 0

    @property
    def health(self) -> Health:
        return _health.setdefault((self.account, self.region), Health())


@dataclass
class Lanes:
    """The calls of one run that are ready to be made. `asked`: on behalf of people who wait."""

    asked: bool
    lanes: dict[tuple[str, str], Lane] = field(default_factory=dict)

    def add(self, account: str, call: Call) -> None:
        key = (account, call.row.region)
        lane = self.lanes.get(key)
        if lane is None:
            lane = self.lanes[key] = Lane(account, call.row.region)
        lane.queue.append(call)

    def __len__(self) -> int:
        return sum(len(lane.queue) for lane in self.lanes.values())

    def next_calls(self, room: int) -> Iterator[tuple[Lane, Call]]:
        """As many calls as may be made now, the lanes taking turns."""
        busy = [lane for lane in self.lanes.values() if lane.queue]
        while room > 0 and busy:
            for lane in list(busy):
                if room == 0:
                    break
                if not lane.queue or lane.handed_over >= self._most(lane) or not self._permitted(lane):
                    busy.remove(lane)
                    continue
                lane.permits -= 1
                lane.handed_over += 1
                lane.moved_at = time.monotonic()
                room -= 1
                yield lane, lane.queue.popleft()

    def _most(self, lane: Lane) -> float:
        if lane.health.is_shut():
            return 0
        if lane.health.failures:
            return 1 if lane.health.failures >= FAILURES_TO_SHUT else 2
        others = any(each is not lane and (each.queue or each.handed_over) for each in self.lanes.values())
        return max(settings.CHAINWEB_STS_THREADS // 2, 1) if others else math.inf

    def _permitted(self, lane: Lane) -> bool:
        if lane.permits > 0:
            return True
        if time.monotonic() < lane.next_permit_at:
            return False
        lane.permits, wait = budget.take(lane.account, min(len(lane.queue), MOST_PERMITS), asked=self.asked)
        lane.next_permit_at = time.monotonic() + wait
        return lane.permits > 0

    def shut_out(self) -> Iterator[tuple[Call, AwsError, timedelta]]:
        """Takes out what waits in a lane that is shut: each with the last error and how long it stays shut."""
        for lane in self.lanes.values():
            health = lane.health
            if lane.queue and health.is_shut() and health.last_error:
                left = timedelta(seconds=health.shut_until - time.monotonic())
                while lane.queue:
                    yield lane.queue.popleft(), health.last_error, left

    def not_made(self, lane: Lane) -> None:
        """Tells the lane that a call it gave away was not made. What was allowed for it is used up all the same: who was
        throttled meanwhile is to make fewer calls."""
        lane.handed_over -= 1

    def held_up(self) -> list[Call]:
        """What waits in lanes that will not soon come to it."""
        return [call for lane in self.lanes.values() if lane.is_held_up() for call in lane.queue]

    def parents_held_up(self) -> set[str]:
        """What that is to be assumed from."""
        return {str(call.row.parent_id) for call in self.held_up() if call.row.parent_id}

    def take_out(self, parent_id: str) -> Iterator[Call]:
        """Takes out what is assumed from that parent, which has turned out not to work."""
        for lane in self.lanes.values():
            kept = deque(call for call in lane.queue if str(call.row.parent_id) != parent_id)
            if len(kept) != len(lane.queue):
                gone = [call for call in lane.queue if str(call.row.parent_id) == parent_id]
                lane.queue = kept
                yield from gone

    def finished(self, lane: Lane, error: AwsError | None) -> None:
        """Tells the lane how its call ended."""
        lane.handed_over -= 1
        lane.moved_at = time.monotonic()
        if isinstance(error, Throttled):
            budget.throttled(lane.account)
            lane.permits = 0
            lane.throttled_at = time.monotonic()
        if error and outcomes.fails_the_lane(error):
            lane.health.failed(error)
        else:
            lane.health.answered()

    def seconds_until_permit(self) -> float:
        """How long until a lane that waits for its budget may go on; 1 if none does."""
        now = time.monotonic()
        waits = [lane.next_permit_at - now for lane in self.lanes.values() if lane.queue]
        return min((wait for wait in waits if wait > 0), default=1.0)


def forget() -> None:
    """Takes every account for well again."""
    _health.clear()
