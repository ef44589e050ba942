"""Move a credential to its changed settings before it is issued again.

Nothing is asked for by the old settings.
"""

import sqlite3
from datetime import timedelta

import pytest
from django.db import OperationalError

from sessions.activations import moves
from sessions.activations.start_stop import start_sessions
from sessions.activations.status import Status
from sessions.actors import Actor
from sessions.db.clock import database_now
from sessions.engine import rotation
from sessions.locks import busy_teams
from sessions.models import Credential, Move
from tests.chains.policies import set_policy

pytestmark = pytest.mark.django_db


@pytest.fixture
def leaves(house, sts, monkeypatch):
    """Make six active sessions at the end of chains of three.

    Two follow a change at once, the others in parts.
    """
    monkeypatch.setattr(moves, "AT_ONCE", 2)
    hub = house.chained("Deep hub", house.chained("Hub"))
    leaves = [house.chained(f"Leaf {number}", hub) for number in range(6)]
    start_sessions(leaves, Actor(house.ben))
    house.work()
    Credential.objects.filter(level=3).update(due_at=database_now() + timedelta(hours=1))
    sts.calls.clear()
    return leaves


def change(house):
    set_policy(house, role_session_name="x-{username}", names_locked=True)
    assert Move.objects.count() == 1


def make_due(rows):
    rows = Credential.objects.filter(pk__in=[row.pk for row in rows])
    rows.update(due_at=database_now(), expires_at=database_now() + timedelta(seconds=30))


def names_asked(sts):
    return [call["role_session_name"] for call in sts.calls]


def test_a_leaf_that_is_due_moves_first(house, sts, leaves):
    make_due(Credential.objects.filter(level=3)[:2])
    change(house)
    house.work()
    assert (
        names_asked(sts) == ["x-ben"] * 4
    )  # the two hops above, under the new name, and the two leaves
    moves.work_off(60)
    house.work()
    assert names_asked(sts) == ["x-ben"] * 8
    assert {house.state(leaf).status for leaf in leaves} == {Status.ACTIVE}


def test_what_rests_on_a_hop_that_is_due_moves_first(house, sts, leaves):
    make_due(Credential.objects.filter(level=1))
    change(house)
    house.work()
    assert names_asked(sts) == ["x-ben"] * 8


def test_what_has_followed_already_is_issued_as_ever(house, sts, leaves):
    change(house)
    moves.work_off(60)
    house.work()
    sts.calls.clear()
    make_due(Credential.objects.filter(level=3)[:1])
    house.work()
    assert names_asked(sts) == ["x-ben"]


@pytest.mark.django_db(transaction=True)
def test_what_is_due_waits_for_the_lock_that_its_move_needs(house, sts, leaves, monkeypatch):
    make_due(Credential.objects.filter(level=3)[:1])
    change(house)

    def held(team_id):
        busy = OperationalError("database is locked")
        busy.sqlite_errorcode, busy.sqlstate = sqlite3.SQLITE_BUSY, "55P03"
        raise busy

    with monkeypatch.context() as patched:
        patched.setattr(moves, "lock_team", held)
        rotation.run(seconds=0.5)
    assert sts.calls == []
    busy_teams.forget_all()
    Credential.objects.update(lease_until=None)
    house.work()
    assert names_asked(sts) == ["x-ben"] * 3
