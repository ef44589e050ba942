"""Limit calls per account with a token bucket in Redis that all workers share.

Bulk rotation has four fifths of the rate; starts have all of it, and what they take is taken from
the bulk. When AWS throttles, the account's rate is halved; it doubles again with every half minute
that passes. Without Redis each worker keeps a bucket of its own, at half the rate.
"""

import os
import time
from dataclasses import dataclass, field
from functools import lru_cache

import redis
import structlog
from django.conf import settings

from sessions.monitoring.redis import client

log = structlog.get_logger(__name__)

BULK_SHARE = 0.8
BURST_SECONDS = 1.0
LEAST_RATE = 1.0
RECOVERY_SECONDS = 30.0

# Both scripts begin with this. KEYS[1]: the account's rate after a throttle. ARGV[1]: the limit.
_NOW = f"""
local RECOVERY, BURST, BULK, LEAST = {RECOVERY_SECONDS}, {BURST_SECONDS}, {BULK_SHARE}, {LEAST_RATE}
local t = redis.call('TIME')
local now = t[1] + t[2] / 1000000
local rate, since_cut = tonumber(ARGV[1]), math.huge
local cut = redis.call('HMGET', KEYS[1], 'rate', 'at')
if cut[1] then
  since_cut = now - tonumber(cut[2])
  rate = math.min(rate, tonumber(cut[1]) * 2 ^ (since_cut / RECOVERY))
end
"""
# KEYS: also the bucket that is asked and that of bulk. ARGV: also the share of the rate, wanted. A
# bucket is the moment at which it was, or will be, empty; full, it holds at least one permit,
# however slowly it fills. Answers permits and the milliseconds until the next one.
ACQUIRE = (
    _NOW
    + """
local own = rate * tonumber(ARGV[2])
local floor = now - math.max(BURST, 1 / own)
local empty = math.max(tonumber(redis.call('GET', KEYS[2]) or floor), floor)
local granted = math.min(tonumber(ARGV[3]), math.max(math.floor((now - empty) * own + 0.000001), 0))
if granted == 0 then
  return {0, math.ceil((1 / own - (now - empty)) * 1000)}
end
redis.call('SET', KEYS[2], string.format('%.6f', empty + granted / own), 'EX', 120)
if KEYS[2] ~= KEYS[3] then
  local bulk = math.max(tonumber(redis.call('GET', KEYS[3]) or floor), floor)
  redis.call('SET', KEYS[3], string.format('%.6f', bulk + granted / (rate * BULK)), 'EX', 120)
end
return {granted, 0}
"""
)
# At most one cut a second: one burst is one reason.
HALVE = (
    _NOW
    + """
if since_cut < 1 then return 0 end
local less = math.max(rate / 2, LEAST)
redis.call('HSET', KEYS[1], 'rate', less, 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], 3600)
return 1
"""
)


@dataclass
class _LocalBucket:
    """Limit one worker's calls while Redis is away.

    AWS's throttling cuts the rate here as well: an outage of Redis is no reason to press on.
    """

    empty_at: float = 0.0
    rate: float = 0.0
    rate_at: float = 0.0

    def acquire(self, limit: float, wanted: int) -> tuple[int, float]:
        now = time.monotonic()
        rate = self._rate(limit, now)
        empty_at = max(self.empty_at, now - max(BURST_SECONDS, 1 / rate))
        granted = min(wanted, max(int((now - empty_at) * rate + 1e-6), 0))
        if granted == 0:
            return 0, 1 / rate - (now - empty_at)
        self.empty_at = empty_at + granted / rate
        return granted, 0.0

    def halve(self, limit: float) -> None:
        now = time.monotonic()
        if now - self.rate_at >= 1:
            self.rate, self.rate_at = max(self._rate(limit, now) / 2, LEAST_RATE), now

    def _rate(self, limit: float, now: float) -> float:
        if not self.rate:
            return limit / 2
        doublings = min(
            (now - self.rate_at) / RECOVERY_SECONDS, 64.0
        )  # after hours a float would not hold it
        return float(min(limit / 2, self.rate * 2**doublings))


@dataclass
class _Store:
    """Hold this process's connection to Redis, its scripts, and its own buckets."""

    client: redis.Redis
    local: dict[str, _LocalBucket] = field(default_factory=dict)
    away_until: float = 0.0

    def __post_init__(self) -> None:
        self.acquire = self.client.register_script(ACQUIRE)
        self.halve = self.client.register_script(HALVE)


@lru_cache(maxsize=1)
def _store(process_id: int) -> _Store:
    return _Store(client())


def acquire(account: str, wanted: int, *, asked: bool) -> tuple[int, float]:
    """Return (calls that account may make now, seconds until the next one).

    The seconds count if there are none.
    """
    limit = settings.CHAINWEB_CALLS_PER_SECOND
    if limit <= 0 or wanted <= 0:
        return wanted, 0.0
    store = _store(os.getpid())
    if time.monotonic() >= store.away_until:
        bulk = f"chainweb:calls:{account}"
        keys = [f"{bulk}:rate", f"{bulk}:asked" if asked else bulk, bulk]
        share = 1.0 if asked else BULK_SHARE
        try:
            granted, wait_ms = store.acquire(keys=keys, args=[limit, share, wanted])
            return int(granted), int(wait_ms) / 1000
        except redis.RedisError as error:
            _fall_back(store, error)
    return store.local.setdefault(account, _LocalBucket()).acquire(limit, wanted)


def slow_down(account: str) -> None:
    """Halve an account's rate, after AWS has throttled a call of it."""
    limit = settings.CHAINWEB_CALLS_PER_SECOND
    if limit <= 0:
        return
    store = _store(os.getpid())
    store.local.setdefault(account, _LocalBucket()).halve(limit)
    if time.monotonic() >= store.away_until:
        try:
            store.halve(keys=[f"chainweb:calls:{account}:rate"], args=[limit])
        except redis.RedisError as error:
            _fall_back(store, error)


def _fall_back(store: _Store, error: redis.RedisError) -> None:
    log.warning(
        "the rate limit is kept by this worker alone for a while", error=type(error).__name__
    )
    store.away_until = time.monotonic() + 5.0
