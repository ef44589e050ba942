"""The installation's Redis, asked directly and never for long."""

import os
from functools import lru_cache

import redis
from django.conf import settings

TIMEOUT_SECONDS = 0.3


def client() -> redis.Redis:
    """This process's own client; a connection never outlives a fork."""
    return _client(os.getpid())


@lru_cache(maxsize=1)
def _client(process_id: int) -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS
    )
