"""Hold the team's lock in parts; a right that ends, ends before the first part."""

from collections import Counter
from types import SimpleNamespace

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from sessions.activations import ending, start_stop
from sessions.activations.ending import end_of_people_who_left, end_overdue
from sessions.activations.start_stop import start_sessions, stop_sessions
from sessions.activations.status import Status
from sessions.actors import Actor, NamedActor
from sessions.db.clock import database_now
from sessions.delivery.reveal import NotReady, reveal
from sessions.ledger.events.sessions import SessionEnded, SessionStarted, SessionStopped
from sessions.locks import parts
from sessions.models import Activation, AwsSession, Credential, Membership, Role
from sessions.people.memberships import change_role, disable_member, enable_member, remove_member
from sessions.people.people import add_member
from tests.house import crowd

pytestmark = pytest.mark.django_db
FEW, MANY = 5, 23


@pytest.fixture
def hub(house, monkeypatch):
    """Make a hop with many sessions on it, where only a few go at once."""
    monkeypatch.setattr(parts, "AT_ONCE", FEW)
    monkeypatch.setattr(start_stop, "STARTED_AT_ONCE", FEW)
    hub = house.chained("Hub")
    crowd(house, MANY, assumer=hub)
    return hub


@pytest.fixture
def leaves(house, hub):
    return list(AwsSession.objects.filter(alias__startswith="Crowd").select_related("link", "team"))


def together(house, kind):
    """Count these events per transaction."""
    return sorted(Counter(event.at for event in house.events(kind)).values())


PARTS = [3, 5, 5, 5, 5]


def test_a_part_is_as_large_as_fits_into_its_time(monkeypatch):
    now, row_takes, sizes = 0.0, 1 / 512, []
    monkeypatch.setattr(
        parts, "time", SimpleNamespace(monotonic=lambda: now, sleep=lambda seconds: None)
    )
    monkeypatch.setattr(parts, "LEAST", 20)
    monkeypatch.setattr(parts, "LOCK_SECONDS", 1 / 8)
    for some in parts.in_parts(range(400)):
        now += 5.0  # somebody else holds the lock
        parts.lock_taken()
        now += len(some) * row_takes
        sizes.append(len(some))
        row_takes = 1 / 512 if len(sizes) < 4 else 1 / 64
    assert sizes == [20, 40, 64, 64, 64, 20, 20, 20, 20, 20, 20, 20, 8]


def test_many_start_and_stop_in_parts(house, leaves):
    started = start_sessions(leaves, Actor(house.ben))
    assert {each.session_id for each in started} == {each.pk for each in leaves}
    assert together(house, SessionStarted) == PARTS
    house.work()
    assert house.state(leaves[-1]).status is Status.ACTIVE
    assert stop_sessions(leaves, Actor(house.ben)) == MANY
    assert together(house, SessionStopped) == PARTS
    assert not Credential.objects.exists()


def test_of_one_profile_the_last_starts_whatever_part_it_is_in(house, leaves):
    AwsSession.objects.filter(pk__in=[leaves[0].pk, leaves[-1].pk]).update(profile="same")
    for each in leaves:
        each.refresh_from_db()
    start_sessions(leaves, Actor(house.ben))
    started = set(Activation.objects.values_list("session_id", flat=True))
    assert started == {each.pk for each in leaves[1:]}


@pytest.fixture
def change(django_capture_on_commit_callbacks):
    """Make a change, and what follows once it is committed."""

    def make(step, *arguments):
        with django_capture_on_commit_callbacks(execute=True):
            step(*arguments)

    return make


LOSSES = {
    "removed": lambda house, hub: remove_member(house.ben, Actor(house.ada)),
    "suspended": lambda house, hub: disable_member(house.ben, Actor(house.ada)),
}


@pytest.mark.parametrize("way", ["removed", "suspended"])
def test_who_loses_much_loses_it_at_once_and_the_clock_clears_it_away(
    house, hub, leaves, change, way
):
    start_sessions(leaves, Actor(house.ben))
    house.start(leaves[0], house.bea)
    house.work()
    change(LOSSES[way], house, hub)
    for leaf in leaves:
        with pytest.raises(NotReady):
            reveal(leaf, Actor(house.ben), form="posix", via="page")
    assert house.state(leaves[1]).status is Status.INACTIVE
    assert house.state(leaves[0], house.bea).status is Status.ACTIVE
    assert end_overdue() == MANY
    assert together(house, SessionEnded) == PARTS
    assert list(Activation.objects.values_list("user", flat=True)) == [house.bea.user_id]
    assert Credential.objects.filter(level=2).count() == 1


@pytest.mark.parametrize("way", ["removed", "suspended"])
def test_who_comes_back_before_the_clock_has_nothing_running(house, hub, leaves, change, way):
    start_sessions(leaves, Actor(house.ben))
    house.work()
    change(LOSSES[way], house, hub)
    if way == "removed":
        again = add_member(house.team, house.ben.user, Role.MEMBER, NamedActor("ada"))
    else:
        enable_member(house.ben, Actor(house.ada))
        again = Membership.objects.get(pk=house.ben.pk)
    assert {house.state(leaf, again).status for leaf in leaves} == {Status.INACTIVE}
    start_sessions(leaves[:1], Actor(again))
    end_overdue()
    assert Activation.objects.get().session_id == leaves[0].pk


def test_chains_of_an_author_who_goes_end_for_all_their_users(house, hub, change):
    mine = house.chained("Mine", hub, member=house.ben)
    crowd(house, MANY, assumer=mine, prefix="Below")
    leaves = list(
        AwsSession.objects.filter(alias__startswith="Below").select_related("link", "team")
    )
    start_sessions(leaves, Actor(house.bea))
    house.work()
    change(remove_member, house.ben, NamedActor("sso"))  # nobody takes over
    with pytest.raises(NotReady):
        reveal(leaves[0], Actor(house.bea), form="posix", via="page")
    assert end_overdue() == MANY
    assert not Activation.objects.exists()


def test_the_clock_ends_for_a_while_and_comes_back(house, leaves, monkeypatch):
    start_sessions(leaves, Actor(house.ben))
    with transaction.atomic():
        ending.mark_ended(Activation.objects.all())
    monkeypatch.setattr(ending, "LONGEST_ENDING_SECONDS", -1)
    assert end_overdue() == 0
    monkeypatch.setattr(ending, "LONGEST_ENDING_SECONDS", 60)
    assert end_overdue() == MANY


@pytest.mark.parametrize("way", ["removed", "suspended", "made an auditor"])
def test_what_was_lost_opens_nothing_before_its_part_comes(house, hub, leaves, sts, way):
    """The process of the page may die after the transaction of the change."""
    start_sessions(leaves, Actor(house.ben))
    house.work()
    Credential.objects.filter(level=2).update(due_at="2020-01-01T00:00Z")
    losses = {**LOSSES, "made an auditor": lambda house, hub: change_role_to_auditor(house)}
    losses[way](house, hub)  # what follows the commit does not come
    assert Activation.objects.filter(ends_at__gt=database_now()).count() == MANY
    for leaf in leaves[:2]:
        with pytest.raises(NotReady):
            reveal(leaf, Actor(house.ben), form="posix", via="page")
    calls = len(sts.calls)
    house.work()
    assert len(sts.calls) == calls
    assert end_of_people_who_left() == MANY
    assert not Credential.objects.exists()


def change_role_to_auditor(house):
    change_role(house.ben, Role.AUDITOR, Actor(house.ada))


def test_many_that_lose_their_right_are_over_in_parts(house, leaves, change, monkeypatch):
    monkeypatch.setattr(parts, "MARKED_AT_ONCE", FEW)
    start_sessions(leaves, Actor(house.ben))
    with CaptureQueriesContext(connection) as run:
        change(remove_member, house.ben, Actor(house.ada))
    ended = [
        each["sql"]
        for each in run
        if each["sql"].startswith('UPDATE "chains_activation" SET "ends')
    ]
    assert len(ended) == len(PARTS)
    assert not Activation.objects.filter(ends_at__gt=database_now()).exists()
