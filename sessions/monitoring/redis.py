"""Connect to the installation's Redis, with short time-outs."""

import os
from functools import lru_cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

TIMEOUT_SECONDS = 0.3


def client() -> redis.Redis:
    """Return this process's client; a connection never outlives a fork."""
    return _client(os.getpid())


@lru_cache(maxsize=1)
def _client(process_id: int) -> redis.Redis:
    return connect(settings.REDIS_URL)


def connect(url: str) -> redis.Redis:
    """Return a client that fails at once.

    redis-py's own default retries three times, seconds apart.
    """
    return redis.Redis.from_url(
        url,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        **(settings.REDIS_TLS if url.startswith("rediss://") else {}),
    )
