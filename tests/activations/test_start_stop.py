"""A person or an edit has what stands rejected asked for at once, and just what has to be asked."""

from datetime import timedelta

import pytest

from sessions.activations.start_stop import rotate_session
from sessions.activations.status import Status
from sessions.actors import Actor
from sessions.db.clock import database_now
from sessions.engine import rotation
from sessions.models import Credential
from tests.engine.aging import age

pytestmark = pytest.mark.django_db


def roles_asked(sts):
    return [call["role_arn"] for call in sts.calls]


def at(*levels):
    return Credential.objects.filter(level__in=levels)


@pytest.fixture
def stopped_in_the_middle(house, sts):
    """Stop a chain of three at its middle hop, then mend the trust.

    With 22 minutes left at the leaf.
    """
    first, middle, leaf = house.chain(3, name="team")
    house.start(leaf)
    house.work()
    age(61, level=2)
    age(38, level=3)
    at(3).update(due_at=database_now())
    sts.add_role(middle.link.role_arn, trusts=[])
    house.work()
    state = house.state(leaf)
    assert (state.status, state.problem.hop, state.problem.retrying) == (Status.ACTIVE, 2, True)
    sts.add_role(middle.link.role_arn, trusts=["*"])
    sts.calls.clear()
    return first, middle, leaf


@pytest.mark.parametrize(
    "ask",
    [
        lambda house, leaf: rotate_session(leaf, Actor(house.ben)),
        lambda house, leaf: house.start(leaf),
        lambda house, leaf: house.start(leaf, house.bea),
    ],
    ids=["rotate", "extend", "start by another"],
)
def test_asking_while_the_leaf_lives_retries_the_refused_hop(
    house, sts, stopped_in_the_middle, ask
):
    _, middle, leaf = stopped_in_the_middle
    ask(house, leaf)
    rotation.run(asked_only=True)
    assert roles_asked(sts) == [middle.link.role_arn, leaf.link.role_arn]
    state = house.state(leaf)
    assert (state.status, state.problem) == (Status.ACTIVE, None)
    assert state.expires_at > database_now() + timedelta(minutes=55)


def test_a_hop_refused_twice_stays_refused_and_nothing_is_hammered(
    house, sts, stopped_in_the_middle
):
    _, middle, leaf = stopped_in_the_middle
    sts.add_role(middle.link.role_arn, trusts=[])
    rotate_session(leaf, Actor(house.ben))
    house.work()
    house.work()
    assert roles_asked(sts) == [middle.link.role_arn]
    state = house.state(leaf)
    assert state.problem.hop == 2
    assert state.next_rotation_at > database_now() + timedelta(seconds=50)


def test_extending_retries_only_the_refused_hop(house, sts, stopped_in_the_middle):
    _, middle, leaf = stopped_in_the_middle
    at(3).update(problem=None, due_at=database_now() + timedelta(minutes=5))
    house.start(leaf)
    house.work()
    assert roles_asked(sts) == [middle.link.role_arn]


def test_rotating_now_uses_live_hops_again(house, sts):
    _, leaf = house.chain(2)
    house.start(leaf)
    house.work()
    sts.calls.clear()
    rotate_session(leaf, Actor(house.ben))
    house.work()
    assert roles_asked(sts) == [leaf.link.role_arn]


def test_extending_a_healthy_session_makes_no_call_past_an_expired_hop(house, sts):
    _, leaf = house.chain(2)
    house.start(leaf)
    house.work()
    age(61, level=1)
    sts.calls.clear()
    house.start(leaf)
    house.work()
    assert sts.calls == []
