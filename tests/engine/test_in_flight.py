"""An old answer undoes no press, edit or newer answer; an odd one costs nobody a code."""

import time
from datetime import timedelta

import pytest

from sessions.activations.start_stop import rotate_session, stop_session
from sessions.activations.status import Status
from sessions.actors import Actor
from sessions.catalog.deletions import delete_session
from sessions.catalog.sessions import Draft, save_session
from sessions.db.clock import database_now
from sessions.engine import call_pool, rotation
from sessions.ledger.events.credentials import CredentialMinted
from sessions.ledger.events.sessions import SessionDeleted
from sessions.locks import parts
from sessions.models import Credential
from sessions.roots.codes import submit_codes
from tests.engine.aging import age
from tests.engine.standing import FAR, due_now, statuses, try_again
from tests.house import crowd
from tests.roots.mfa import CODE, mfa_root, protected

pytestmark = pytest.mark.django_db


@pytest.fixture
def in_flight(monkeypatch):
    """Do something once between STS's first answer and its intake by the run."""

    def between(do):
        take_in, done = call_pool.CallPool.next_result, []

        def next_result(pool, seconds):
            found = take_in(pool, seconds)
            if not done:
                done.append(1)
                do()
            return found

        monkeypatch.setattr(call_pool.CallPool, "next_result", next_result)

    return between


def move(root, house, sts_region):
    root.refresh_from_db()
    draft = Draft(
        kind=root.kind,
        alias=root.alias,
        profile=root.profile,
        region=root.region,
        settings=dict(root.settings),
        sts_region=sts_region,
    )
    save_session(draft, Actor(house.ada), root)


@pytest.mark.parametrize("press", ["start", "rotate"])
def test_a_press_while_a_rejection_is_on_its_way_is_heard(house, sts, in_flight, press):
    leaf = house.chained("Leaf")
    house.start(leaf)
    sts.deny()

    def mend_and_press():
        sts.allow()
        if press == "start":
            house.start(leaf)
        else:
            rotate_session(leaf, Actor(house.ben))

    in_flight(mend_and_press)
    house.work()
    assert house.state(leaf).status is Status.ACTIVE
    assert len(sts.calls) == 2


def test_a_late_rejection_of_a_key_that_works_again_is_tried(house, sts, in_flight):
    leaf, other = house.chained("Leaf"), house.chained("Other")
    house.start(leaf)
    key_id = house.root.settings["access_key_id"]
    key = sts.rules.keys.pop(key_id)

    def works_for_another_worker():
        sts.rules.keys[key_id] = key
        house.start(other)
        rotation.Run(asked_only=True).work(10, time.monotonic() + 5)
        assert house.state(other).status is Status.ACTIVE

    in_flight(works_for_another_worker)
    house.work()
    assert house.state(leaf).status is Status.ACTIVE
    assert house.state(house.root).problem is None


def test_a_new_sts_region_while_a_rejection_is_on_its_way_is_tried(house, sts, in_flight):
    root = house.iam_user("Far", region=FAR)
    leaves = [house.chained(f"Leaf {number}", root) for number in range(3)]
    for leaf in leaves:
        house.start(leaf)
    in_flight(lambda: move(root, house, "eu-west-1"))
    house.work()
    try_again()
    house.work()
    assert set(statuses(house, leaves)) == {Status.ACTIVE}


def test_a_new_sts_region_is_tried_at_once_after_a_rejection_of_the_key(house, sts):
    root = house.iam_user("Far", region=FAR)
    leaf = house.chained("Leaf", root)
    house.start(leaf)
    house.work()
    assert house.state(root).problem.code == "InvalidClientTokenId"
    move(root, house, "eu-west-1")
    house.work()
    assert house.state(leaf).status is Status.ACTIVE
    assert house.state(root).problem is None


def test_one_odd_answer_does_not_cost_the_code_that_a_person_typed(house, sts):
    root = mfa_root(house)
    leaves = [protected(house, root, f"Leaf {number}") for number in range(5)]
    for leaf in leaves:
        house.start(leaf)
    submit_codes(root, Actor(house.ben), {"code": CODE})
    house.work()
    age(40)
    sts.fail_next("InvalidClientTokenId", status=403)
    house.work()
    try_again()
    house.work()
    assert [state.problem for state in house.states(leaves)] == [None] * 5
    assert Credential.objects.get(root=root, level=0).generation == 1


@pytest.mark.parametrize("minutes", [0, 40])
def test_what_a_code_was_typed_for_is_asked_for_again_once_it_is_dead(house, sts, minutes):
    root = mfa_root(house)
    leaves = [protected(house, root, f"Leaf {number}") for number in range(5)]
    first = protected(house, root, "First")
    house.start(first)
    submit_codes(root, Actor(house.ben), {"code": CODE})
    house.work()
    for leaf in leaves:
        house.start(leaf)
    if minutes:
        house.work()
        age(minutes)
    base = Credential.objects.get(root=root, level=0)
    sts.remove_key(base.access_key_id)
    for _ in range(4):
        house.work()
        try_again()
    assert {state.problem.code for state in house.states(leaves)} == {"CodeNeeded"}
    submit_codes(root, Actor(house.ben), {"code": CODE})
    house.work()
    assert set(statuses(house, leaves)) == {Status.ACTIVE}


def test_a_hop_that_ended_is_renewed_for_its_own_sake_too(house, sts):
    hub = house.chained("Hub")
    leaf = house.chained("Leaf", hub)
    house.start(hub)
    house.start(leaf)
    house.work()
    rotate_session(leaf, Actor(house.ben))
    sts.fail_next("ExpiredToken", status=403)
    rotation.run()
    stop_session(leaf, Actor(house.ben))
    house.work()
    assert house.state(hub).status is Status.ACTIVE


def test_a_late_word_of_an_old_credentials_end_does_not_end_the_new_one(house, sts, in_flight):
    hub = house.chained("Hub")
    leaf = house.chained("Leaf", hub)
    house.start(hub)
    house.start(leaf)
    house.work()
    rotate_session(leaf, Actor(house.ben))
    sts.fail_next("ExpiredToken", status=403)

    def renewed_by_another_worker():
        rotate_session(hub, Actor(house.ben))
        rotation.Run(asked_only=True).work(10, float("inf"))

    in_flight(renewed_by_another_worker)
    rotation.run()
    row = Credential.objects.get(level=1)
    assert row.generation == 2
    assert row.expires_at > database_now() + timedelta(minutes=50)
    due_now(level=2)
    house.work()
    assert Credential.objects.get(level=1).generation == 2
    assert house.state(leaf).problem is None


def test_what_a_deletion_ends_while_it_is_minted_is_neither_kept_nor_told(
    house, in_flight, monkeypatch
):
    hub = house.chained("Hub")
    crowd(house, 3, assumer=hub)
    leaf = house.chained("Leaf", hub)
    house.start(leaf)
    monkeypatch.setattr(parts, "AT_ONCE", 2)
    in_flight(lambda: delete_session(hub, Actor(house.ada)))
    rotation.run()
    told = [event.kind for event in house.events()]
    assert CredentialMinted.tag not in told[told.index(SessionDeleted.tag) :]
    assert not Credential.objects.filter(level=2, sealed__isnull=False).exists()
