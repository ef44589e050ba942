"""Limit costly requests per person, token or network, counted in Redis for all web processes.

While Redis is away each process counts for itself.
"""

import os
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache

import redis
import structlog
from django.conf import settings

from sessions.monitoring.redis import client

log = structlog.get_logger(__name__)

MOST_COUNTED_HERE = 10_000
AWAY_SECONDS = 5.0

# The generic cell rate algorithm (ITU-T I.371): each key stores one moment, at which all counted
# requests are paid off. KEYS: the moment. ARGV: how many at once, seconds for that many. Answers
# the milliseconds to wait; 0: counted.
COUNT = """
local t = redis.call('TIME')
local now = t[1] + t[2] / 1000000
local period = tonumber(ARGV[2])
local begun = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local used_up = begun + period / tonumber(ARGV[1])
if used_up - now > period + 0.000001 then
  return math.ceil((used_up - now - period) * 1000)
end
local life = math.ceil((used_up - now) * 1000) + 1
redis.call('SET', KEYS[1], string.format('%.6f', used_up), 'PX', life)
return 0
"""


@dataclass(frozen=True)
class Limit:
    """Allow so many at once, and as many again in so many seconds; 0 is no limit."""

    name: str
    times: int
    seconds: float


ROTATE = Limit("rotate", 1, 10)
START = Limit("start", 240, 60)
SEVERAL = Limit("several", 30, 60)
TEST = Limit("test", 30, 60)
CODE = Limit("code", 10, 60)
APPROVAL = Limit("approval", 10, 60)
KEY = Limit("key", 10, 60)
APPLY = Limit("apply", 20, 60)
POLICY = Limit("policy", 120, 60)
PREVIEW = Limit("preview", 600, 60)
EXPORT = Limit("export", 10, 60)
# A pipeline of many jobs leaves by one address.
EXCHANGE = Limit("exchange", 300, 60)
BAD_SECRET = Limit("bad-secret", 120, 60)
# For one name, from everywhere but the browsers in which its person has logged in.
LOG_IN = Limit("log-in", 200, 3600)
# By token, and by person for the pages. Five minutes' worth at once: hundreds of tools may begin
# together, a loop does not end.
FETCH = Limit("fetch", 5 * settings.CHAINWEB_FETCHES_PER_MINUTE, 300)


class TooOften(Exception):
    """Refuse a request that comes too soon, with 429 and `retry_after_seconds`."""

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(f"too often; again in {retry_after_seconds:.1f} s")
        self.retry_after_seconds = retry_after_seconds


@dataclass
class _Counts:
    client: redis.Redis
    here: "OrderedDict[str, float]" = field(default_factory=OrderedDict)
    away_until: float = 0.0

    def __post_init__(self) -> None:
        self.script = self.client.register_script(COUNT)

    def wait_seconds(self, limit: Limit, key: str) -> float:
        if time.monotonic() >= self.away_until:
            try:
                return int(self.script(keys=[key], args=[limit.times, limit.seconds])) / 1000
            except redis.RedisError as error:
                log.warning(
                    "requests are counted by this process alone for a while",
                    error=type(error).__name__,
                )
                self.away_until = time.monotonic() + AWAY_SECONDS
        return self._wait_here(limit, key)

    def _wait_here(self, limit: Limit, key: str) -> float:
        now = time.monotonic()
        used_up = max(self.here.pop(key, now), now) + limit.seconds / limit.times
        wait = used_up - now - limit.seconds
        if wait > 1e-6:
            used_up -= limit.seconds / limit.times
        self.here[key] = used_up
        while len(self.here) > MOST_COUNTED_HERE:
            self.here.popitem(last=False)
        return wait if wait > 1e-6 else 0.0


@lru_cache(maxsize=1)
def _counts(process_id: int) -> _Counts:
    return _Counts(client())


def count(limit: Limit, *of: object) -> None:
    """Count one more request. Raises `TooOften`, and counts nothing, if it is one too many."""
    if not limit.times:
        return
    key = ":".join(["chainweb:limit", limit.name, *map(str, of)])
    if wait_seconds := _counts(os.getpid()).wait_seconds(limit, key):
        raise TooOften(wait_seconds)


def forget() -> None:
    """Forget all counts, here and in Redis if it answers: for tests and measurements."""
    counts = _counts(os.getpid())
    if time.monotonic() >= counts.away_until:
        try:
            for key in counts.client.scan_iter("chainweb:limit:*"):
                counts.client.delete(key)
        except redis.RedisError:
            pass
    counts.here.clear()
