"""An AWS answer reaches no further than what it proves."""

from datetime import timedelta

import pytest

from sessions.activations.start_stop import rotate_session
from sessions.activations.status import Status
from sessions.actors import Actor
from sessions.catalog.sessions import Draft, save_session
from sessions.credentials import endpoints
from sessions.db.clock import database_now
from sessions.engine import rotation
from sessions.ledger.events.credentials import CredentialRejected
from sessions.models import Credential
from sessions.roots.codes import submit_codes
from tests.engine.aging import age, assumed
from tests.engine.standing import (
    FAR,
    HUB_ACCOUNT,
    allow_the_workers_own_identity,
    due_now,
    statuses,
    try_again,
    web_identity,
)
from tests.house import ACCOUNT
from tests.roots.mfa import CODE, mfa_root
from tests.roots.portals import approve, portal

pytestmark = pytest.mark.django_db


def ambient(house, monkeypatch):
    role = house.role_arn("Workers")
    given = house.sts.role_session(role, "worker-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", given.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", given.secret_access_key.reveal())
    monkeypatch.setenv("AWS_SESSION_TOKEN", given.session_token.reveal())
    allow_the_workers_own_identity(house)
    return save_session(
        Draft(kind="ambient", alias="Ambient", profile="ambient", region=FAR), Actor(house.ada)
    )


@pytest.fixture(params=["iam-user", "mfa", "ambient", "web-identity", "identity-center"])
def far_root(request, house, center, monkeypatch, tmp_path):
    """Make a root of each kind in an opt-in region, and what has to be done to start."""
    house.sts.enable_region(ACCOUNT, FAR)
    match request.param:
        case "iam-user":
            return house.iam_user("Far key", region=FAR), lambda: None
        case "mfa":
            root = mfa_root(house, region=FAR)
            return root, lambda: submit_codes(root, Actor(house.ben), {"code": CODE})
        case "ambient":
            return ambient(house, monkeypatch), lambda: None
        case "web-identity":
            return web_identity(house, monkeypatch, tmp_path), lambda: None
        case _:
            center.assign("ben", ACCOUNT, "Production", "Deploy")
            root = portal(house, center, account_id=ACCOUNT, role_name="Deploy", region=FAR)
            return root, lambda: approve(house, center, root)


def test_one_session_in_a_region_not_enabled_stops_none_of_120(house, sts):
    leaves = [
        house.chained(f"Leaf {n}", region=FAR if n == 60 else "eu-west-1") for n in range(120)
    ]
    for leaf in leaves:
        house.start(leaf)
    house.work()
    age(40)
    house.work()
    assert set(statuses(house, leaves)) == {Status.ACTIVE}
    assert not Credential.objects.filter(problem__isnull=False).exists()
    assert len(assumed(sts)) == 240


def test_one_rejected_account_stops_none_of_120_under_the_same_root(house, sts):
    """Some are assumed from an account that has not enabled the root's STS region."""
    sts.enable_region(ACCOUNT, FAR)
    root = house.iam_user("Far key", region=FAR)
    odd_hub = house.chained("Odd hub", root, arn=house.role_arn("OddHub", HUB_ACCOUNT))
    odd = [house.chained(f"Odd {n}", odd_hub) for n in range(3)]
    leaves = [house.chained(f"Leaf {n}", root) for n in range(117)]
    sts.enable_region(HUB_ACCOUNT, FAR)
    for leaf in [*odd, *leaves]:
        house.start(leaf)
    house.work()
    sts.disable_region(HUB_ACCOUNT, FAR)
    age(40)
    house.work()
    assert set(statuses(house, [*odd, *leaves])) == {Status.ACTIVE}
    assert {state.problem for state in house.states(leaves)} == {None}
    assert house.state(root).problem is None
    for session in odd:
        problem = house.state(session).problem
        assert (problem.hop, problem.retrying) == (2, True)
        assert f"not enabled for the calling account {HUB_ACCOUNT}" in problem.message
    assert Credential.objects.get(level=1, request__role_arn=odd_hub.link.role_arn).generation == 1


def test_a_root_whose_account_lacks_its_own_region_stops_no_other_root(house, sts):
    far = house.iam_user("Far key", region=FAR)
    odd, sound = house.chained("Odd", far), house.chained("Sound")
    for session in (odd, sound):
        house.start(session)
    house.work()
    assert statuses(house, [odd, sound]) == [Status.FAILED, Status.ACTIVE]
    problem = house.state(far).problem
    assert f"the region {FAR} is not enabled for their account" in problem.check
    sts.enable_region(ACCOUNT, FAR)
    house.start(odd)
    house.work()
    assert house.state(odd).status is Status.ACTIVE


def test_an_account_without_the_roots_region_has_its_own_hop_rejected(house, sts, far_root):
    root, begin = far_root
    hubs = [
        house.chained(f"Hub {n}", root, region=FAR, arn=house.role_arn(f"Hub{n}", account))
        for n, account in enumerate([ACCOUNT, HUB_ACCOUNT])
    ]
    leaves = [
        house.chained(f"Leaf {n}", hubs[n % 2], region=FAR, arn=house.role_arn(f"Leaf{n}"))
        for n in range(6)
    ]
    for leaf in leaves:
        house.start(leaf)
    house.work()
    begin()
    house.work()
    assert statuses(house, leaves[::2]) == [Status.ACTIVE] * 3
    for leaf in leaves[1::2]:
        state = house.state(leaf)
        assert (state.status, state.problem.hop) == (Status.FAILED, 2)
        assert (
            state.problem.message
            == f"The region {FAR} is not enabled for the calling account {HUB_ACCOUNT}."
        )
    assert house.state(root).problem is None
    # The parent lives on as it was: nothing was said about it.
    hub = Credential.objects.get(level=1, request__role_arn=hubs[1].link.role_arn)
    assert (hub.generation, hub.problem) == (1, None)
    assert hub.is_live(database_now() + timedelta(minutes=50))


def test_enabling_the_region_later_needs_nobody(house, sts):
    sts.enable_region(ACCOUNT, FAR)
    root = house.iam_user("Far key", region=FAR)
    hub = house.chained("Hub", root, region=FAR, arn=house.role_arn("Hub", HUB_ACCOUNT))
    leaf = house.chained("Leaf", hub, region=FAR)
    house.start(leaf)
    house.work()
    assert house.state(leaf).status is Status.FAILED
    sts.enable_region(HUB_ACCOUNT, FAR)
    assert house.state(leaf).next_rotation_at < database_now() + timedelta(minutes=31)
    try_again()
    house.work()
    assert house.state(leaf).status is Status.ACTIVE


def test_a_dead_parent_is_minted_again_once_and_its_children_go_on(house, sts):
    *_, leaf = house.chain(2)
    house.start(leaf)
    house.work()
    sts.rules.keys.pop(Credential.objects.get(level=1).access_key_id)
    age(40, level=2)
    rotation.run()
    try_again()
    house.work()
    assert (house.state(leaf).status, house.state(leaf).problem) == (Status.ACTIVE, None)
    assert Credential.objects.get(level=1).generation == 2


def test_a_parent_that_is_no_use_minted_again_is_left_alone(house, sts):
    """Tell a caller that AWS does not want from one it does not know.

    AWS goes on to say that it does not know the caller.
    """
    hub = house.chained("Hub")
    odd, sound = house.chained("Odd", hub), house.chained("Sound", hub)
    house.start(odd)
    rotation.run()
    Credential.objects.filter(level=2).update(due_at=database_now())
    sts.fail_next("InvalidClientTokenId", status=403)
    house.start(odd)
    rotate_session(odd, Actor(house.ben))
    rotation.run()
    assert Credential.objects.get(level=2).problem.code == "InvalidClientTokenId"
    for _ in range(3):
        sts.fail_next("InvalidClientTokenId", status=403, after=0 if _hub_lives() else 1)
        try_again()
        house.work()
    assert Credential.objects.get(level=1).generation == 2
    assert house.state(odd).problem.hop == 2
    house.start(sound)
    house.work()
    assert house.state(sound).status is Status.ACTIVE


def _hub_lives():
    return Credential.objects.get(level=1).is_live(database_now() + timedelta(minutes=1))


@pytest.mark.parametrize("skew_seconds", [20 * 60, -20 * 60])
def test_a_wrong_clock_is_waited_for_and_named(house, sts, skew_seconds):
    leaves = [house.chained(f"Leaf {n}") for n in range(3)]
    for leaf in leaves:
        house.start(leaf)
    house.work()
    age(36)
    due_now(level=1)
    sts.rules.skew_seconds = skew_seconds
    rotation.run()
    for leaf in leaves:
        state = house.state(leaf)
        assert (state.status, state.problem.hop, state.problem.retrying) == (Status.ACTIVE, 1, True)
        assert "20 min" in state.problem.message
        assert ("behind" if skew_seconds > 0 else "ahead of") in state.problem.message
        assert "secret" not in state.problem.message + state.problem.check
        assert state.next_rotation_at < database_now() + timedelta(seconds=65)
    assert house.state(house.root).problem is None
    sts.rules.skew_seconds = 0
    endpoints.reset_breakers()
    try_again()
    house.work()
    assert [state.problem for state in house.states(leaves)] == [None] * 3


def test_a_wrong_clock_costs_few_calls_however_many_are_due(house, sts):
    for n in range(60):
        house.start(house.chained(f"Leaf {n}"))
    sts.rules.skew_seconds = 3600
    sts.calls.clear()
    rotation.run()
    assert len(sts.calls) < 60
    assert not Credential.objects.filter(level=1, due_at=None).exists()


def test_a_proxys_page_is_waited_for(house, sts):
    [leaf] = house.chain(1)
    house.start(leaf)
    sts.answer_next(b"<html><body>Please log in</body></html>", status=403)
    rotation.run()
    state = house.state(leaf)
    assert (state.status, state.problem.code, state.problem.retrying) == (
        Status.PENDING,
        "UnreadableAnswer",
        True,
    )
    try_again()
    house.work()
    assert house.state(leaf).status is Status.ACTIVE


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("SomethingNew", "why"),
        ("AuthFailure", "not validated"),
        ("IncompleteSignature", "x"),
        ("MissingAuthenticationToken", "x"),
        ("InvalidParameterValue", "conflicts"),
        ("PackedPolicyTooLarge", None),
    ],
)
def test_any_other_rejection_is_one_sessions_own(house, sts, code, message):
    leaves = [house.chained(f"Leaf {n}") for n in range(4)]
    for leaf in leaves:
        house.start(leaf)
    sts.fail_next(code, status=403, message=message)
    house.work()
    assert sorted(statuses(house, leaves)) == [Status.ACTIVE] * 3 + [Status.FAILED]
    assert house.state(house.root).problem is None


@pytest.mark.parametrize("code", ["OptInRequired", "RegionDisabledException"])
def test_what_a_region_rejected_is_tried_again_when_it_takes_others(house, sts, code):
    leaves = [house.chained(f"Leaf {n}") for n in range(4)]
    for leaf in leaves:
        house.start(leaf)
    sts.calls.clear()
    sts.fail_next(code, status=403)
    rotation.run()
    assert sorted(statuses(house, leaves)) == [Status.ACTIVE] * 3 + [Status.FAILED]
    assert house.state(house.root).problem is None
    house.work()
    assert statuses(house, leaves) == [Status.ACTIVE] * 4
    assert len(sts.calls) == 5


def test_the_account_roots_own_user_is_told_at_the_root(house, sts):
    leaf = house.chained("Leaf")
    house.start(leaf)
    sts.fail_next("AccessDenied", status=403, message="Roles may not be assumed by root accounts.")
    house.work()
    assert house.state(leaf).problem.hop == 0
    assert "root user" in house.state(house.root).problem.check


def test_a_wrong_secret_is_told_at_the_root_and_a_repaired_one_heals(house, sts):
    leaves = [house.chained(f"Leaf {n}") for n in range(3)]
    for leaf in leaves:
        house.start(leaf)
    sts.fail_next("SignatureDoesNotMatch", status=403, times=6)
    house.work()
    assert house.state(house.root).problem.code == "SignatureDoesNotMatch"
    assert len(house.events(CredentialRejected)) <= 3
    sts.reset()
    house.start(leaves[0])
    house.work()
    assert set(statuses(house, leaves)) == {Status.ACTIVE}


def test_calls_of_a_root_go_on_after_one_of_them_met_a_proxy(house, sts):
    leaves = [house.chained(f"Leaf {n}") for n in range(3)]
    for leaf in leaves:
        house.start(leaf)
    sts.fail_next("403", status=403)
    house.work()
    try_again()
    house.work()
    assert set(statuses(house, leaves)) == {Status.ACTIVE}
    assert len(assumed(sts)) == 4
