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

# KEYS: the asking lane's bucket, the bulk lane's bucket, the account's rate after a throttle. ARGV:
# limit, the lane's share, wanted, the bulk share, burst seconds, recovery seconds. A bucket is the
# moment at which it was, or will be, empty; full, it holds at least one permit, however slowly it
# fills. Answers permits and the milliseconds until the next one.
TAKE = """
local t = redis.call('TIME')
local now = t[1] + t[2] / 1000000
local rate = tonumber(ARGV[1])
local cut = redis.call('HMGET', KEYS[3], 'rate', 'at')
if cut[1] then
  rate = math.min(rate, tonumber(cut[1]) * 2 ^ ((now - tonumber(cut[2])) / tonumber(ARGV[6])))
end
local own = rate * tonumber(ARGV[2])
local floor = now - math.max(tonumber(ARGV[5]), 1 / own)
local empty = math.max(tonumber(redis.call('GET', KEYS[1]) or floor), floor)
local granted = math.min(tonumber(ARGV[3]), math.max(math.floor((now - empty) * own + 0.000001), 0))
if granted > 0 then
  redis.call('SET', KEYS[1], string.format('%.6f', empty + granted / own), 'EX', 120)
  if KEYS[1] ~= KEYS[2] then
    local bulk = math.max(tonumber(redis.call('GET', KEYS[2]) or floor), floor)
    local used = bulk + granted / (rate * tonumber(ARGV[4]))
    redis.call('SET', KEYS[2], string.format('%.6f', used), 'EX', 120)
  end
  return {granted, 0}
end
return {0, math.ceil((1 / own - (now - empty)) * 1000)}
"""
# KEYS: the account's rate. ARGV: limit, least rate, recovery seconds. At most one cut a second: one
# burst is one reason.
CUT = """
local t = redis.call('TIME')
local now = t[1] + t[2] / 1000000
local cut = redis.call('HMGET', KEYS[1], 'rate', 'at')
local rate = tonumber(ARGV[1])
if cut[1] then
  if now - tonumber(cut[2]) < 1 then return 0 end
  rate = math.min(rate, tonumber(cut[1]) * 2 ^ ((now - tonumber(cut[2])) / tonumber(ARGV[3])))
end
local less = math.max(rate / 2, tonumber(ARGV[2]))
redis.call('HSET', KEYS[1], 'rate', less, 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], 3600)
return 1
"""


@dataclass
class _LocalBucket:
    """Limit one worker's calls while Redis is away."""

    empty_at: float = 0.0
    rate: float = 0.0
    rate_at: float = 0.0

    def take(self, limit: float, wanted: int) -> tuple[int, float]:
        now = time.monotonic()
        rate = self._rate(limit, now)
        empty_at = max(self.empty_at, now - max(BURST_SECONDS, 1 / rate))
        granted = min(wanted, max(int((now - empty_at) * rate + 1e-6), 0))
        if granted == 0:
            return 0, 1 / rate - (now - empty_at)
        self.empty_at = empty_at + granted / rate
        return granted, 0.0

    def cut(self, limit: float) -> None:
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
    """This process's connection, its scripts, and what it falls back on."""

    client: redis.Redis
    local: dict[str, _LocalBucket] = field(default_factory=dict)
    away_until: float = 0.0

    def __post_init__(self) -> None:
        self.take = self.client.register_script(TAKE)
        self.cut = self.client.register_script(CUT)


@lru_cache(maxsize=1)
def _store(process_id: int) -> _Store:
    return _Store(client())


def take(account: str, wanted: int, *, asked: bool) -> tuple[int, float]:
    """Return (calls that account may make now, seconds until the next one).

    The seconds count if there are none.
    """
    limit = settings.CHAINWEB_CALLS_PER_SECOND
    if limit <= 0 or wanted <= 0:
        return wanted, 0.0
    store = _store(os.getpid())
    if time.monotonic() >= store.away_until:
        bulk = f"chainweb:calls:{account}"
        keys = [f"{bulk}:asked" if asked else bulk, bulk, f"{bulk}:rate"]
        try:
            granted, wait_ms = store.take(
                keys=keys,
                args=[
                    limit,
                    1.0 if asked else BULK_SHARE,
                    wanted,
                    BULK_SHARE,
                    BURST_SECONDS,
                    RECOVERY_SECONDS,
                ],
            )
            return int(granted), int(wait_ms) / 1000
        except redis.RedisError as error:
            _away(store, error)
    return store.local.setdefault(account, _LocalBucket()).take(limit, wanted)


def throttled(account: str) -> None:
    """AWS has said that it is too much: fewer calls for that account from now on."""
    limit = settings.CHAINWEB_CALLS_PER_SECOND
    if limit <= 0:
        return
    store = _store(os.getpid())
    store.local.setdefault(account, _LocalBucket()).cut(limit)
    if time.monotonic() >= store.away_until:
        try:
            store.cut(
                keys=[f"chainweb:calls:{account}:rate"], args=[limit, LEAST_RATE, RECOVERY_SECONDS]
            )
        except redis.RedisError as error:
            _away(store, error)


def _away(store: _Store, error: redis.RedisError) -> None:
    log.warning(
        "the call budget is kept by this worker alone for a while", error=type(error).__name__
    )
    store.away_until = time.monotonic() + 5.0
