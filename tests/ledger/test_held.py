"""Count what somebody holds once for each key, however often it was taken."""

from datetime import timedelta

import pytest

from sessions.db.clock import database_now
from sessions.ledger.held import held_between, held_by
from tests.ledger.whois.calls import LAPTOP, take

pytestmark = pytest.mark.django_db


@pytest.fixture
def leaf(house):
    made = house.chain(2)[-1]
    house.start(made)
    house.work()
    return made


def test_a_key_that_was_taken_often_is_held_once_as_it_was_taken_last(house, leaf):
    keys = {take(leaf, house.ben) for _ in range(3)}
    [held] = held_by(house.team.pk, "ben", 10)
    assert (held.access_key_id, held.session_alias, held.via) == (
        *keys,
        leaf.alias,
        f"token {LAPTOP.token}",
    )
    assert held_by(house.team.pk, "bea", 10) == []


def test_a_moment_before_it_was_taken_and_one_after_its_end_have_none(house, leaf):
    take(leaf, house.ben)
    now, hour = database_now(), timedelta(hours=1)
    assert len(held_between(house.team.pk, "ben", now, now, 10)) == 1
    assert held_between(house.team.pk, "ben", now - 2 * hour, now - hour, 10) == []
    assert held_between(house.team.pk, "ben", now + 2 * hour, None, 10) == []


def test_no_more_are_listed_than_asked_for_the_longest_lived_first(house, leaf):
    [other] = house.chain(1, prefix="Other")
    house.start(other)
    house.work()
    take(leaf, house.ben)
    take(other, house.ben)
    found = held_by(house.team.pk, "ben", 10)
    assert [each.until for each in found] == sorted((each.until for each in found), reverse=True)
    assert len(held_by(house.team.pk, "ben", 1)) == 1
