"""Ending thousands at once costs little for each, and workers get the team's lock in between."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sessions import ledger
from sessions.activations import ending
from sessions.activations.ending import end_of_people_who_left, end_overdue
from sessions.activations.start_stop import start_sessions, stop_sessions
from sessions.activations.status import Status
from sessions.actors import Actor, NamedActor
from sessions.db.clock import database_now
from sessions.ledger.events.sessions import SessionEnded
from sessions.locks import parts
from sessions.locks.team_lock import lock_team
from sessions.models import Activation, Credential, Membership
from sessions.people.memberships import remove_member

pytestmark = pytest.mark.django_db


@pytest.fixture
def hub(house):
    return house.chained("Hub")


@pytest.fixture
def leaves(house, hub):
    return [house.chained(f"Leaf {number}", hub) for number in range(30)]


def pass_their_time():
    Activation.objects.update(ends_at=database_now())


def drop_out(house):
    """Take members out by a way that ends nothing."""
    Membership.objects.filter(pk=house.ben.pk).delete()


WAYS = {
    "their time is over": (lambda house: pass_their_time(), lambda house, leaves: end_overdue()),
    "their person is gone": (drop_out, lambda house, leaves: end_of_people_who_left()),
    "stopped": (lambda house: None, lambda house, leaves: stop_sessions(leaves, Actor(house.ben))),
    "removed": (
        lambda house: None,
        lambda house, leaves: remove_member(house.ben, actor=NamedActor("ada")),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_ending_thirty_takes_as_many_queries_as_ending_ten(house, leaves, way):
    prepare, end = WAYS[way]
    needed = []
    for number in (10, 30):
        start_sessions(leaves[:number], Actor(house.ben))
        prepare(house)
        with CaptureQueriesContext(connection) as queries:
            end(house, leaves)
        assert not Activation.objects.exists()
        assert not Credential.objects.exists()
        needed.append(len(queries))
        if not Membership.objects.filter(pk=house.ben.pk).exists():
            house.ben.save(force_insert=True)
    assert needed[0] == needed[1]


@pytest.mark.parametrize("way", ["their time is over", "their person is gone"])
def test_more_than_a_batch_ends_and_the_lock_is_released_in_between(
    house, leaves, way, monkeypatch
):
    monkeypatch.setattr(parts, "AT_ONCE", 7)
    prepare, end = WAYS[way]
    start_sessions(leaves, Actor(house.ben))
    prepare(house)
    held = []
    monkeypatch.setattr(ending, "lock_team", lambda team_id: held.append(lock_team(team_id)))
    assert end(house, leaves) == 30
    assert not Activation.objects.exists()
    assert not Credential.objects.exists()
    assert len(held) == 5
    lines = house.events(SessionEnded)
    assert sorted(line.session_alias for line in lines) == sorted(leaf.alias for leaf in leaves)
    assert ledger.verify(str(house.team.pk)) is None


def test_each_end_has_an_event_that_names_person_and_credential(house, leaves):
    [started] = start_sessions(leaves[:1], Actor(house.ben))
    pass_their_time()
    end_overdue()
    line = house.events()[-1]
    assert (line.kind, line.actor) == (SessionEnded.tag, "clock")
    assert (line.session_id, line.session_alias) == (str(leaves[0].pk), leaves[0].alias)
    assert line.data == {"credential": started.credential_id, "of": "ben"}


def test_what_others_need_and_what_is_not_yet_over_stays(house, hub, leaves):
    house.start(leaves[0], house.bea)
    house.start(hub)
    start_sessions(leaves, Actor(house.ben))
    house.work()
    pass_their_time()
    Activation.objects.filter(user=house.bea.user).update(
        ends_at=database_now() + timedelta(hours=1)
    )
    Activation.objects.filter(session=hub).update(ends_at=database_now() + timedelta(hours=1))
    assert end_overdue() == 30
    assert house.state(leaves[0], house.bea).status is Status.ACTIVE
    assert house.state(hub).status is Status.ACTIVE
    assert Credential.objects.filter(level__gt=0).count() == 3


def test_a_hub_that_ends_with_what_rests_on_it_goes_too(house, hub, leaves):
    start_sessions([hub, *leaves], Actor(house.ben))
    house.work()
    pass_their_time()
    assert end_overdue() == 31
    assert not Credential.objects.exists()


def test_what_is_over_in_every_team_ends_in_one_go(house, sts, leaves):
    other = type(house)(sts, "other")
    start_sessions(leaves, Actor(house.ben))
    other.start(other.chained("Elsewhere"))
    pass_their_time()
    assert end_overdue() == 31
    assert other.events()[-1].kind == SessionEnded.tag
