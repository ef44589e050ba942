"""A person or an edit has what stands rejected asked for at once: just what has to be asked, and in today's region."""

from datetime import timedelta

import pytest

from sessions.clock import database_now
from sessions.lifecycle import rotation
from sessions.lifecycle.activations import rotate_session, stop_session
from sessions.lifecycle.sessions import Draft, save_session
from sessions.lifecycle.state import Status
from sessions.models import CHAINED, AwsSession, Credential
from tests.lifecycle.test_rotation import age

pytestmark = pytest.mark.django_db


def roles_asked(sts):
    return [call["role_arn"] for call in sts.calls]


def regions_asked(sts):
    return [call["region"] for call in sts.calls]


def at(*levels):
    return Credential.objects.filter(level__in=levels)


def move(session, region, house):
    """An edit of the region and of nothing else."""
    link = session.link
    draft = Draft(
        CHAINED,
        session.alias,
        session.profile,
        region,
        assumer=link.assumer,
        role_arn=link.role_arn,
        role_session_name=link.role_session_name,
    )
    return save_session(draft, house.ada, AwsSession.objects.get(pk=session.pk))


@pytest.fixture
def stopped_in_the_middle(house, sts):
    """A chain of three whose middle hop is refused while the leaf has 22 minutes left; then the trust is mended."""
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
        lambda house, leaf: rotate_session(leaf, house.ben),
        lambda house, leaf: house.start(leaf),
        lambda house, leaf: house.start(leaf, house.bea),
    ],
    ids=["rotate", "extend", "start by another"],
)
def test_a_person_who_asks_while_the_leaf_still_lives_has_the_refused_hop_tried_again(
    house, sts, stopped_in_the_middle, ask
):
    _, middle, leaf = stopped_in_the_middle
    ask(house, leaf)
    rotation.run(asked_only=True)
    assert roles_asked(sts) == [middle.link.role_arn, leaf.link.role_arn]
    state = house.state(leaf)
    assert (state.status, state.problem) == (Status.ACTIVE, None)
    assert state.expires_at > database_now() + timedelta(minutes=55)


def test_a_hop_that_is_refused_again_stands_refused_again_and_nothing_is_hammered(
    house, sts, stopped_in_the_middle
):
    _, middle, leaf = stopped_in_the_middle
    sts.add_role(middle.link.role_arn, trusts=[])
    rotate_session(leaf, house.ben)
    house.work()
    house.work()
    assert roles_asked(sts) == [middle.link.role_arn]
    state = house.state(leaf)
    assert state.problem.hop == 2
    assert state.next_rotation_at > database_now() + timedelta(seconds=50)


def test_a_healthy_leaf_above_which_a_hop_stands_refused_has_that_hop_alone_asked_when_extended(
    house, sts, stopped_in_the_middle
):
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
    rotate_session(leaf, house.ben)
    house.work()
    assert roles_asked(sts) == [leaf.link.role_arn]


def test_extending_a_healthy_session_asks_for_nothing_though_a_hop_has_run_out(house, sts):
    _, leaf = house.chain(2)
    house.start(leaf)
    house.work()
    age(61, level=1)
    sts.calls.clear()
    house.start(leaf)
    house.work()
    assert sts.calls == []


def test_a_healthy_session_rotates_in_the_region_it_was_moved_to_and_not_before_its_time(house, sts):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    sts.calls.clear()
    move(leaf, "eu-central-1", house)
    house.work()
    assert sts.calls == []
    age(41, level=1)
    house.work()
    assert regions_asked(sts) == ["eu-central-1"]


def test_a_hop_on_the_way_is_asked_for_in_the_region_it_was_moved_to(house, sts):
    hop, leaf = house.chain(2)
    house.start(leaf)
    house.work()
    move(hop, "eu-central-1", house)
    age(61, level=1)
    age(41, level=2)
    sts.calls.clear()
    house.work()
    assert regions_asked(sts) == ["eu-central-1", "eu-west-1"]


def test_a_live_session_that_its_region_refused_is_asked_for_at_once_in_the_one_it_was_moved_to(house, sts):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    age(41, level=1)
    sts.fail_next("RegionDisabledException")
    house.work()
    assert house.state(leaf).problem.code == "RegionDisabledException"
    sts.calls.clear()
    move(leaf, "eu-central-1", house)
    house.work()
    assert regions_asked(sts) == ["eu-central-1"]
    assert (house.state(leaf).status, house.state(leaf).problem) == (Status.ACTIVE, None)


def test_what_is_tried_again_by_itself_is_tried_in_the_region_it_was_moved_to(house, sts):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    age(41, level=1)
    sts.fail_next("Throttling")
    rotation.run()
    move(leaf, "eu-central-1", house)
    at(1).update(due_at=database_now())
    sts.calls.clear()
    house.work()
    assert regions_asked(sts) == ["eu-central-1"]
    assert house.state(leaf).problem is None


def test_a_refused_hop_above_a_healthy_session_is_asked_for_in_the_region_it_was_moved_to(house, sts):
    hop = house.chained("Hop")
    leaf, other = house.chained("Leaf", hop), house.chained("Other", hop)
    house.start(leaf)
    house.work()
    age(61, level=1)
    sts.fail_next("RegionDisabledException")
    house.start(other)
    house.work()
    stop_session(other, house.ben)
    assert at(1).get().problem["code"] == "RegionDisabledException"
    sts.calls.clear()
    move(hop, "eu-central-1", house)
    house.work()
    assert (roles_asked(sts), regions_asked(sts)) == ([hop.link.role_arn], ["eu-central-1"])


def test_starting_the_same_role_in_another_region_leaves_where_a_healthy_session_is_asked_for(house, sts):
    west = house.chained("West", name="team")
    house.start(west)
    house.work()
    east = house.chained("East", arn=west.link.role_arn, name="team")
    move(east, "us-east-1", house)
    house.start(east)
    house.work()
    sts.calls.clear()
    age(41, level=1)
    house.work()
    assert regions_asked(sts) == ["eu-west-1"]
