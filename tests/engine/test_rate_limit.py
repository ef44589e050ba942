"""Calls per account and second, shared by all workers through a real Valkey."""

import time

import pytest

from sessions.engine import rate_limit
from sessions.engine.rate_limit import BULK_SHARE
from sessions.monitoring import redis

ACCOUNT = "111122223333"


@pytest.fixture
def ten_a_second(valkey, settings):
    settings.CHAINWEB_CALLS_PER_SECOND = 10.0


def take_all(*, asked=False):
    return rate_limit.acquire(ACCOUNT, 1000, asked=asked)[0]


def test_a_burst_is_a_second_worth_and_then_one_has_to_wait(ten_a_second):
    assert take_all(asked=True) == 10
    granted, wait_seconds = rate_limit.acquire(ACCOUNT, 1, asked=True)
    assert granted == 0
    assert 0 < wait_seconds <= 0.11


def test_starts_come_through_when_bulk_has_taken_its_share(ten_a_second):
    assert take_all() == 10 * BULK_SHARE
    assert take_all() == 0
    assert take_all(asked=True) == 10


def test_what_starts_have_taken_is_taken_from_the_bulk(ten_a_second):
    assert take_all(asked=True) == 10
    assert take_all() == 0


def test_accounts_do_not_count_on_each_other(ten_a_second):
    assert take_all(asked=True) == 10
    assert rate_limit.acquire("444455556666", 1000, asked=True)[0] == 10


def test_a_limit_below_one_call_a_second_still_lets_bulk_through(valkey, settings):
    settings.CHAINWEB_CALLS_PER_SECOND = 0.5
    assert take_all() == 1
    granted, wait_seconds = rate_limit.acquire(ACCOUNT, 1, asked=False)
    assert (granted, wait_seconds > 2) == (0, True)


def test_permits_come_back_with_time(ten_a_second):
    take_all(asked=True)
    time.sleep(0.35)
    assert 3 <= take_all(asked=True) <= 5


def test_a_throttle_halves_the_rate_at_most_once_a_second(ten_a_second):
    for _ in range(5):
        rate_limit.slow_down(ACCOUNT)
    assert 4 <= take_all(asked=True) <= 6


def test_without_a_limit_everything_is_granted(settings):
    settings.CHAINWEB_CALLS_PER_SECOND = 0
    assert take_all() == 1000


def test_without_redis_a_worker_keeps_to_half_the_rate_by_itself(settings, monkeypatch):
    settings.CHAINWEB_CALLS_PER_SECOND = 10.0
    nowhere = redis.connect("redis://127.0.0.1:1/0")
    monkeypatch.setattr(rate_limit, "client", lambda: nowhere)
    rate_limit._store.cache_clear()
    try:
        assert take_all() == 5
        granted, wait_seconds = rate_limit.acquire(ACCOUNT, 1, asked=False)
        assert (granted, wait_seconds > 0) == (0, True)
        rate_limit.slow_down(ACCOUNT)
        time.sleep(0.5)
        assert take_all() <= 1
        settings.CHAINWEB_CALLS_PER_SECOND = 1.0
        assert rate_limit.acquire("444455556666", 5, asked=False)[0] == 1
    finally:
        rate_limit._store.cache_clear()


def test_a_throttle_hours_after_the_last_one_is_only_a_throttle():
    bucket = rate_limit._LocalBucket()
    bucket.halve(10.0)
    bucket.rate_at -= 100_000
    assert bucket.acquire(10.0, 100)[0] == 5
    bucket.halve(10.0)
    assert bucket.rate == 2.5


def test_the_client_is_made_anew_after_a_fork(valkey):
    assert redis.client() is redis.client()
    assert redis._client(1) is not redis.client()
