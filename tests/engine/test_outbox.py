"""Limit how much a worker stores in one transaction."""

import pytest

from sessions.engine.outbox import (
    COMMIT_SECONDS,
    LEAST_IN_A_FULL_COMMIT,
    MOST_IN_A_COMMIT,
    most_after,
)

pytestmark = pytest.mark.no_servers


def test_a_slow_commit_makes_the_next_one_smaller():
    assert most_after(200, 2 * COMMIT_SECONDS, MOST_IN_A_COMMIT) == 100


def test_a_quick_commit_makes_the_next_one_as_large_as_it_may_be():
    assert most_after(50, COMMIT_SECONDS / 10, 50) == MOST_IN_A_COMMIT


def test_a_commit_is_never_smaller_than_what_makes_it_worth_its_while():
    assert most_after(200, 60.0, MOST_IN_A_COMMIT) == LEAST_IN_A_FULL_COMMIT


def test_a_slow_commit_of_few_tells_nothing_about_one_of_many():
    assert most_after(1, COMMIT_SECONDS, 120) == 120
    assert most_after(0, 0.0, 120) == MOST_IN_A_COMMIT
