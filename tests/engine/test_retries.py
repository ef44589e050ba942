"""Retry what was rejected: while something lives, when the cause ended, after a restart."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from django.urls import reverse

from sessions.activations.start_stop import rotate_session, stop_session
from sessions.activations.status import Status
from sessions.actors import Actor
from sessions.aws.errors import Rejected
from sessions.aws.hop_settings import HopSettings
from sessions.aws.proof import About
from sessions.catalog.probes import report_on, start_probe
from sessions.catalog.sessions import Draft
from sessions.credentials.outcomes import Blocked, Rejection, problem_of
from sessions.credentials.timing import second_try, seldom
from sessions.db.clock import database_now
from sessions.engine import retries, rotation, watchdog
from sessions.engine.key_steps import work_due
from sessions.engine.root_probes import run_root_probe
from sessions.engine.second_look import retry_rejected
from sessions.models import CHAINED, Credential, Probe, ProbeState
from sessions.monitoring.heartbeats import stamp
from sessions.roots import trial_calls
from sessions.roots.codes import submit_codes
from sessions.roots.key_rotation import ask_rotation
from tests.engine.aging import age, assumed
from tests.engine.standing import due_now, statuses, try_again, web_identity
from tests.engine.tries import next_tries, started
from tests.roots.mfa import CODE, mfa_root, protected

pytestmark = pytest.mark.django_db


@pytest.fixture
def dead_key(house, sts):
    """Take the root's key away; return what gives it back."""
    key_id = house.root.settings["access_key_id"]
    key = sts.rules.keys[key_id]

    def take_away():
        del sts.rules.keys[key_id]
        return lambda: sts.rules.keys.__setitem__(key_id, key)

    return take_away


# --- while something lives ------------------------------------------------------------------------


def test_a_rotation_denied_for_seconds_is_renewed_in_minutes(house, sts):
    leaves = started(house, 3)
    house.work()
    age(36)
    due_now(level=1)
    sts.deny()
    house.work()
    for leaf in leaves:
        state = house.state(leaf)
        assert (state.status, state.problem.code) == (Status.ACTIVE, "AccessDenied")
        assert state.problem.label.startswith("delayed, valid until")
    assert all(0.9 < minutes < 2.1 for minutes in next_tries())
    sts.allow()
    try_again()
    house.work()
    assert [state.problem for state in house.states(leaves)] == [None] * 3


@pytest.mark.parametrize(
    "code",
    [
        *("AccessDenied", "RegionDisabledException", "MalformedPolicyDocument", "ValidationError"),
        *("SomethingNew", "OptInRequired", "NoSuchEntity"),
    ],
)
def test_no_rejection_is_final_while_something_lives(house, sts, code):
    [leaf] = started(house, 1)
    house.work()
    age(40)
    sts.fail_next(code, status=403)
    house.work()
    assert house.state(leaf).next_rotation_at < database_now() + timedelta(minutes=3)


def test_a_first_start_that_is_denied_waits_for_a_change(house, sts):
    [leaf] = started(house, 1)
    sts.deny()
    house.work()
    state = house.state(leaf)
    assert (state.status, state.next_rotation_at, state.problem.retrying) == (
        Status.FAILED,
        None,
        False,
    )


def test_a_rotation_is_tried_until_the_end_and_then_rejected(house, sts):
    [leaf] = started(house, 1)
    house.work()
    sts.deny()
    age(40)
    tries = 0
    while (due_at := Credential.objects.get(level=1).due_at) is not None:
        row = Credential.objects.get(level=1)
        wait = max(due_at - database_now(), timedelta(0))
        assert due_at <= row.expires_at
        age(wait / timedelta(minutes=1))
        house.work()
        tries += 1
    assert 5 <= tries <= 20
    assert len(assumed(sts)) == 1 + tries
    assert house.state(leaf).problem.label == "rejected"
    assert Credential.objects.get(level=1).expires_at - database_now() < timedelta(seconds=5)


def test_a_denied_hop_on_the_way_is_tried_again_for_what_lives_below(house, sts):
    hub = house.chained("Hub")
    leaves = started(house, 2, hub)
    house.work()
    age(61, level=1)
    age(40, level=2)
    sts.deny(hub.link.role_arn)
    house.work()
    assert all(0.9 < minutes < 2.1 for minutes in next_tries())
    sts.allow(hub.link.role_arn)
    Credential.objects.filter(level=1).update(due_at=database_now())
    house.work()
    assert [state.problem for state in house.states(leaves)] == [None] * 2
    assert Credential.objects.filter(level=2, generation=2).count() == 2


def test_a_roots_own_role_denied_for_seconds_is_taken_again(house, sts, monkeypatch, tmp_path):
    root = web_identity(house, monkeypatch, tmp_path, region="eu-west-1")
    [leaf] = started(house, 1, root)
    house.work()
    age(40)
    Credential.objects.filter(root=root, level=0).update(expires_at=database_now())
    sts.fail_next("AccessDenied", status=403)
    house.work()
    assert house.state(leaf).status is Status.ACTIVE
    assert house.state(leaf).problem.hop == 0
    assert house.state(root).problem.code == "AccessDenied"
    assert Credential.objects.get(root=root, level=0).due_at < database_now() + timedelta(minutes=3)
    try_again()
    house.work()
    assert (house.state(leaf).problem, house.state(root).problem) == (None, None)


def test_a_dead_key_under_mfa_stays_told_until_somebody_gives_a_code(house, sts):
    root = mfa_root(house)
    leaf = protected(house, root, "Leaf")
    house.start(leaf)
    house.work()
    key = sts.rules.keys.pop(root.settings["access_key_id"])
    submit_codes(root, Actor(house.ben), {"code": CODE})
    house.work()
    assert house.state(root, house.ada).problem.code == "InvalidClientTokenId"
    assert Credential.objects.get(root=root, level=0).due_at is None
    sts.rules.keys[key.access_key_id] = key
    submit_codes(root, Actor(house.ben), {"code": CODE})
    house.work()
    assert house.state(leaf).status is Status.ACTIVE


def test_many_that_are_rejected_together_are_spread_over_minutes():
    now = database_now()
    row = Credential(level=1, attempts=2, parent_id="root")
    denied = Rejection(Rejected("AccessDenied", 1, "no", "check"))
    row.problem = problem_of(denied.error)
    end = now + timedelta(minutes=24)
    tries = sorted(
        (retries.due_after(row, denied, end, now) - now) / timedelta(minutes=1)
        for _ in range(10_000)
    )
    assert tries[0] > 3.9
    assert tries[-1] < 8.1
    busiest = max(sum(start <= each < start + 1 for each in tries) for start in (4, 5, 6, 7))
    assert busiest < 3000


@pytest.mark.parametrize("about", [About.KEY, About.REGION])
def test_a_key_or_region_is_looked_at_some_day_where_nothing_lives(about):
    now = database_now()
    row = Credential(level=1, attempts=0, parent_id="root")
    rejection = Rejection(Rejected("X", 1, "no", "check", about=about))
    assert (
        timedelta(minutes=10)
        <= retries.due_after(row, rejection, None, now) - now
        <= timedelta(minutes=30)
    )
    held_up = Blocked({"hop": 0}, due_at=None, finds_out=True)
    assert retries.due_after(row, held_up, None, now) - now >= timedelta(minutes=10)
    assert retries.due_after(row, Blocked({"hop": 0}, due_at=None), None, now) is None


def test_waits_are_spread_and_bounded():
    assert {second_try(attempts) <= timedelta(minutes=8) for attempts in range(100)} == {True}
    assert len({second_try(3) for _ in range(50)}) == 50
    assert len({seldom() for _ in range(50)}) == 50


def test_a_test_of_a_living_session_is_told_its_rejection_at_once(house, sts):
    [leaf] = started(house, 1)
    house.start(leaf, house.ada)
    house.work()
    sts.deny()
    draft = Draft(
        kind=CHAINED,
        alias=leaf.alias,
        profile=leaf.profile,
        region=leaf.region,
        assumer=house.root,
        hop=HopSettings(role_arn=leaf.link.role_arn, role_session_name="{username}"),
    )
    probe = start_probe(draft, Actor(house.ada), leaf)
    assert report_on(probe).state == ProbeState.PENDING
    house.work()
    assert report_on(Probe.objects.get(pk=probe.pk)).state == ProbeState.FAILED


# --- a root that does not work --------------------------------------------------------------------


def test_a_dead_key_at_a_rotation_is_found_out_by_one_call(house, sts, dead_key, settings):
    settings.CHAINWEB_STS_THREADS = 8
    leaves = started(house, 40)
    house.work()
    age(40)
    give_back = dead_key()
    sts.calls.clear()
    house.work()
    assert len(sts.calls) <= 24
    assert set(statuses(house, leaves)) == {Status.ACTIVE}
    assert {state.problem.hop for state in house.states(leaves)} == {0}
    assert house.state(house.root).problem.code == "InvalidClientTokenId"
    sts.calls.clear()
    try_again()
    house.work()
    assert sts.calls == []  # it was tried less than a minute ago
    _forget_when_it_was_tried()
    try_again()
    house.work()
    assert len(sts.calls) == 1
    give_back()
    _forget_when_it_was_tried()
    due_now(pk=Credential.objects.filter(level=1).first().pk)
    house.work()
    assert [state.problem for state in house.states(leaves)] == [None] * 40
    assert house.state(house.root).problem is None


def _forget_when_it_was_tried():
    for root in Credential.objects.filter(level=0):
        root.problem = replace(root.problem, tried=database_now() - trial_calls.REST * 2)
        root.save()


def test_all_levels_go_on_when_one_session_finds_the_root_well(house, sts, dead_key):
    hub = house.chained("Hub")
    deep = started(house, 3, hub, "Deep")
    flat = started(house, 3)
    give_back = dead_key()
    house.work()
    assert set(statuses(house, [*deep, *flat])) == {Status.FAILED}
    give_back()
    house.start(flat[0])
    house.work()
    assert set(statuses(house, [*deep, *flat])) == {Status.ACTIVE}
    assert house.state(house.root).problem is None


def test_a_denied_role_shows_that_the_key_works_again(house, sts, dead_key):
    leaves = started(house, 3)
    give_back = dead_key()
    house.work()
    give_back()
    sts.deny(leaves[0].link.role_arn)
    house.start(leaves[0])
    house.work()
    assert house.state(leaves[0]).problem.code == "AccessDenied"
    assert statuses(house, leaves[1:]) == [Status.ACTIVE] * 2
    assert house.state(house.root).problem is None


@pytest.mark.parametrize("press", ["start", "rotate", "extend by another"])
def test_whoever_presses_has_it_tried_at_once(house, sts, dead_key, press):
    leaves = started(house, 3)
    house.work()
    age(40)
    give_back = dead_key()
    house.work()
    give_back()
    match press:
        case "start":
            house.start(leaves[0])
        case "rotate":
            assert rotate_session(leaves[0], Actor(house.ben))
        case _:
            house.start(leaves[0], house.bea)
    house.work()
    assert [state.problem for state in house.states(leaves)] == [None] * 3


def test_pressing_under_a_key_that_is_still_dead_costs_one_call(house, sts, dead_key):
    leaves = started(house, 10)
    dead_key()
    house.work()
    sts.calls.clear()
    for leaf in leaves:
        house.start(leaf)
    house.work()
    assert len(sts.calls) == 1
    assert house.state(house.root).problem is not None


def test_a_test_of_the_root_heals_what_it_held_up(house, sts, dead_key):
    leaves = started(house, 3)
    give_back = dead_key()
    house.work()
    give_back()
    draft = Draft(
        kind="iam-user",
        alias=house.root.alias,
        profile=house.root.profile,
        region=house.root.region,
        settings=dict(house.root.settings),
    )
    run_root_probe(str(start_probe(draft, Actor(house.ada), house.root).pk))
    assert house.state(house.root).problem is None
    house.work()
    assert set(statuses(house, leaves)) == {Status.ACTIVE}


def test_a_key_rotation_that_iam_answers_heals_what_was_held_up(lasting_house, sts, iam):
    house = lasting_house
    leaves = started(house, 2)
    key_id = house.root.settings["access_key_id"]
    key = sts.rules.keys.pop(key_id)
    house.work()
    assert set(statuses(house, leaves)) == {Status.FAILED}
    sts.rules.keys[key_id] = key
    ask_rotation(house.root, Actor(house.ada))
    work_due()
    house.work()
    assert set(statuses(house, leaves)) == {Status.ACTIVE}


def test_the_roots_page_says_why_others_stand(house, sts, dead_key):
    started(house, 2)
    dead_key()
    house.work()
    page = house.browser(house.ada).get(reverse("session", args=[house.root.pk])).content.decode()
    assert "InvalidClientTokenId" in page


@pytest.mark.parametrize("step", ["_take_in", "_commit"])
def test_a_rejection_does_not_outlive_the_success_of_another_worker(
    house, sts, dead_key, monkeypatch, step
):
    """Reject the key at one worker and accept it at another, before or after the first commits."""
    original = getattr(rotation.Run, step)
    leaves = started(house, 30)
    give_back = dead_key()
    healed = []

    def heal_first(run, *arguments):
        if run.tree.trials.rejected and not healed and (step == "_commit" or not run.outbox.done):
            healed.append(1)
            give_back()
            other = rotation.Run(asked_only=True)
            house.start(extra)
            other.work(100, time.monotonic() + 5)
            assert house.state(extra).status is Status.ACTIVE
        return original(run, *arguments)

    extra = house.chained("Extra")
    monkeypatch.setattr(rotation.Run, step, heal_first)
    house.work()
    assert healed
    for _ in range(3):
        Credential.objects.filter(due_at__lt=database_now() + timedelta(seconds=5)).update(
            due_at=database_now()
        )
        house.work()
    assert set(statuses(house, leaves)) == {Status.ACTIVE}
    assert house.state(house.root).problem is None


def test_a_lost_scout_holds_up_nobody(house, sts, dead_key):
    leaves = started(house, 3)
    give_back = dead_key()
    house.work()
    give_back()
    stop_session(leaves[0], Actor(house.ben))
    house.start(leaves[1])
    house.start(leaves[2])
    house.work()
    assert set(statuses(house, leaves[1:])) == {Status.ACTIVE}


# --- after a restart ------------------------------------------------------------------------------


def test_a_worker_that_starts_has_everything_rejected_tried_once(house, sts):
    leaves = started(house, 30)
    sts.deny()
    house.work()
    assert set(next_tries()) == {None}
    sts.allow()
    sts.calls.clear()
    assert retry_rejected() == 30
    assert all(-0.1 < minutes < 5.1 for minutes in next_tries())
    assert len({round(minutes, 5) for minutes in next_tries()}) > 10
    try_again()
    house.work()
    assert len(sts.calls) == 30
    assert set(statuses(house, leaves)) == {Status.ACTIVE}


def test_what_is_rejected_after_a_restart_is_tried_once_only(house, sts):
    started(house, 3)
    sts.deny()
    house.work()
    retry_rejected()
    try_again()
    house.work()
    assert set(next_tries()) == {None}


def test_a_restart_takes_no_rejection_of_a_root_for_granted(house, sts, dead_key):
    leaves = started(house, 3)
    give_back = dead_key()
    house.work()
    give_back()
    retry_rejected()
    due_now(pk=Credential.objects.filter(level=1).first().pk)
    house.work()
    assert set(statuses(house, leaves)) == {Status.ACTIVE}


def test_a_worker_retries_what_was_rejected_when_it_starts(house, sts, valkey):
    stamp("bulk")
    stamp("clock")
    started(house, 1)
    sts.deny()
    house.work()
    checking = watchdog.Watchdog()
    checking.check()
    assert next_tries() != [None]
    Credential.objects.filter(level=1).update(due_at=None)
    checking.check()
    assert next_tries() == [None]


def test_a_wrong_key_is_tried_by_bulk_without_a_storm_of_claims(house, sts, dead_key):
    started(house, 20)
    dead_key()
    house.work()
    retry_rejected()
    sts.calls.clear()
    try_again()
    rotation.run()
    rotation.run()
    assert len(sts.calls) == 1
