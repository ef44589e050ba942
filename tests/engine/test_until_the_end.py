"""Retry a rejected hop until its last credential ends, each cause by its own count.

What rests on a root waits for it.
"""

import os
from datetime import timedelta

import pytest

from sessions.activations.status import Status
from sessions.actors import Actor
from sessions.aws.errors import Rejected, Unavailable
from sessions.catalog.probes import start_probe
from sessions.catalog.sessions import Draft
from sessions.credentials import endpoints
from sessions.credentials.outcomes import Rejection, problem_of, tries_before
from sessions.db.clock import database_now
from sessions.engine import retries, rotation, second_look
from sessions.engine.root_probes import run_root_probe
from sessions.models import Credential
from sessions.roots.codes import submit_codes
from tests.engine.aging import age, assumed
from tests.engine.standing import due_now, statuses, try_again, web_identity
from tests.engine.tries import next_tries, started
from tests.house import ACCOUNT
from tests.roots.mfa import CODE, mfa_root, protected
from tests.roots.portals import approve, portal

pytestmark = pytest.mark.django_db


def rows(level):
    return Credential.objects.filter(level=level)


# --- until the end of what lives ------------------------------------------------------------------


@pytest.mark.parametrize("seconds_left", [45, 20])
def test_a_denial_in_the_last_minute_is_tried_again(house, sts, seconds_left):
    [leaf] = started(house, 1)
    house.work()
    age(60 - seconds_left / 60)
    sts.fail_next("AccessDenied", status=403)
    house.work()
    row = rows(1).get()
    assert database_now() < row.due_at <= row.expires_at
    assert house.state(leaf).problem.retrying
    try_again()
    house.work()
    assert (house.state(leaf).status, house.state(leaf).problem) == (Status.ACTIVE, None)


def test_the_last_try_is_made_at_the_very_end():
    now, row = database_now(), Credential(level=1, attempts=9, parent_id="root")
    denied = Rejection(Rejected("AccessDenied", 1, "no", "check"))
    row.problem = problem_of(denied.error)
    left, tries = timedelta(minutes=25), []
    while (
        due_at := retries.due_after(row, denied, now + left, now)
    ) is not None and left > timedelta(0):
        tries.append(due_at - now)
        left -= tries[-1]
    assert left == timedelta(0)
    assert sum(tries, timedelta(0)) == timedelta(minutes=25)
    assert 8 <= len(tries) <= 20
    assert retries.due_after(row, denied, now, now) is None


# --- each cause by its own count ------------------------------------------------------------------


def test_an_outage_lengthens_no_first_try_after_a_denial(house, sts):
    leaves = started(house, 2)
    house.work()
    age(36)
    due_now(level=1)
    sts.down = True
    for _ in range(8):
        endpoints.reset_breakers()
        rotation.run()
        due_now(level=1)
    assert min(rows(1).values_list("attempts", flat=True)) > 4
    sts.down = False
    endpoints.reset_breakers()
    sts.deny()
    house.work()
    assert {house.state(leaf).problem.code for leaf in leaves} == {"AccessDenied"}
    assert all(0.9 < minutes < 2.1 for minutes in next_tries())


def test_many_denials_lengthen_no_backoff_of_an_outage(house, sts):
    started(house, 1)
    house.work()
    age(36)
    sts.deny()
    for _ in range(7):
        due_now(level=1)
        house.work()
    sts.allow()
    sts.fail_next("ServiceUnavailable", status=503)
    due_now(level=1)
    rotation.run()
    assert rows(1).get().due_at < database_now() + timedelta(seconds=2)


def test_an_outage_that_answers_by_turns_is_one_cause():
    row = Credential(level=1, attempts=5, parent_id="root")
    row.problem = problem_of(Unavailable("ReadTimeoutError", 1, "no", "check"))
    again = problem_of(Unavailable("ServiceUnavailable", 1, "no", "check"))
    denied = problem_of(Rejected("AccessDenied", 1, "no", "check"))
    assert (tries_before(row, again), tries_before(row, denied)) == (5, 0)


# --- a first start that is rejected at its root ---------------------------------------------------


@pytest.fixture(params=["web-identity", "identity-center"])
def rejected(request, house, sts, center, monkeypatch, tmp_path):
    """Make a root whose own call is rejected, and what mends it at AWS."""
    if request.param == "web-identity":
        root = web_identity(house, monkeypatch, tmp_path, region="eu-west-1")
        role = root.settings["role_arn"]
        sts.add_role(role, trusts=[])
        return root, lambda: sts.add_role(role, trusts=["system:worker"]) and None
    root = portal(house, center, account_id=ACCOUNT, role_name="Deploy")
    center.assign("ben", ACCOUNT, "Production", "Other")
    approve(house, center, root)
    return root, lambda: center.assign("ben", ACCOUNT, "Production", "Deploy")


def stopped(house, root):
    """Start chains of one and of two hops below a root in vain."""
    hub = house.chained("Hub", root)
    leaves = [*started(house, 5, root), *started(house, 3, hub, "Deep")]
    house.work()
    assert set(statuses(house, leaves)) == {Status.FAILED}
    return leaves


def test_what_rests_on_a_rejected_root_waits_quietly_and_says_why(house, sts, rejected):
    root, _mend = rejected
    leaves = stopped(house, root)
    code = house.state(root).problem.code
    assert {(house.state(leaf).problem.hop, house.state(leaf).problem.code) for leaf in leaves} == {
        (0, code)
    }
    assert not Credential.objects.filter(due_at__isnull=False).exists()
    assert rotation.run() == 0


def test_one_press_heals_all_that_rests_on_the_root(house, sts, rejected):
    root, mend = rejected
    leaves = stopped(house, root)
    mend()
    house.start(leaves[-1])
    house.work()
    assert set(statuses(house, leaves)) == {Status.ACTIVE}
    assert house.state(root).problem is None


def test_a_restart_heals_all_that_rests_on_the_root(house, sts, rejected):
    root, mend = rejected
    leaves = stopped(house, root)
    mend()
    second_look.retry_rejected()
    due_now(level=0)
    house.work()
    assert set(statuses(house, leaves)) == {Status.ACTIVE}


def test_a_restart_that_comes_too_early_leaves_all_quiet_again(house, sts, rejected):
    root, _mend = rejected
    stopped(house, root)
    second_look.retry_rejected()
    for _ in range(2):
        try_again()
        house.work()
    assert not Credential.objects.filter(due_at__isnull=False).exists()


def test_a_test_of_the_root_heals_all_that_rests_on_it(house, sts, monkeypatch, tmp_path):
    root = web_identity(house, monkeypatch, tmp_path, region="eu-west-1")
    role = root.settings["role_arn"]
    sts.add_role(role, trusts=[])
    leaves = stopped(house, root)
    sts.add_role(role, trusts=["system:worker"])
    draft = Draft(
        "web-identity", root.alias, root.profile, root.region, settings=dict(root.settings)
    )
    run_root_probe(str(start_probe(draft, Actor(house.ada), root).pk))
    house.work()
    assert set(statuses(house, leaves)) == {Status.ACTIVE}


def test_a_token_that_is_written_anew_has_the_root_tried(house, sts, monkeypatch, tmp_path):
    root = web_identity(house, monkeypatch, tmp_path, region="eu-west-1")
    file = tmp_path / "token"
    good = file.read_text()
    file.write_text(sts.identity_token("system:other"))
    leaves = stopped(house, root)
    assert second_look.retry_rewritten_files() == 0
    file.write_text(good)
    assert second_look.retry_rewritten_files() == 1
    house.work()
    assert set(statuses(house, leaves)) == {Status.ACTIVE}


def test_a_new_token_that_is_rejected_as_well_is_tried_once(house, sts, monkeypatch, tmp_path):
    root = web_identity(house, monkeypatch, tmp_path, region="eu-west-1")
    file = tmp_path / "token"
    file.write_text(sts.identity_token("system:other"))
    stopped(house, root)
    ahead = (database_now() + timedelta(minutes=5)).timestamp()
    os.utime(file, (ahead, ahead))  # by a clock that is ahead of the database's
    sts.calls.clear()
    for _ in range(3):
        second_look.retry_rewritten_files()
        house.work()
    assert len(sts.calls) == 1
    file.unlink()
    assert second_look.retry_rewritten_files() == 0


def test_a_living_chain_is_tried_with_its_root_and_not_beside_it(house, sts, monkeypatch, tmp_path):
    root = web_identity(house, monkeypatch, tmp_path, region="eu-west-1")
    leaves = started(house, 4, root)
    house.work()
    assert set(statuses(house, leaves)) == {Status.ACTIVE}
    age(40)
    rows(0).filter(root=root).update(expires_at=database_now())
    sts.add_role(root.settings["role_arn"], trusts=[])
    house.work()
    due = set(Credential.objects.filter(root=root).values_list("due_at", flat=True))
    assert len(due) == 1
    assert due.pop() < database_now() + timedelta(minutes=3)
    assert {house.state(leaf).problem.retrying for leaf in leaves} == {True}


def test_what_rests_on_a_code_is_not_claimed_before_it_is_given(house, sts):
    root = mfa_root(house)
    leaves = [protected(house, root, f"Leaf {n}") for n in range(3)]
    for leaf in leaves:
        house.start(leaf)
    house.work()
    submit_codes(root, Actor(house.ben), {"code": CODE})
    house.work()
    age(40)
    rows(0).filter(root=root).update(expires_at=database_now())
    house.work()
    assert {house.state(leaf).problem.code for leaf in leaves} == {"CodeNeeded"}
    assert not Credential.objects.filter(due_at__isnull=False).exists()
    submit_codes(root, Actor(house.ben), {"code": CODE})
    house.work()
    assert [house.state(leaf).problem for leaf in leaves] == [None] * 3


# --- what is said of it follows what is known -----------------------------------------------------


def test_a_root_that_is_rejected_for_another_reason_says_so_everywhere(
    house, sts, monkeypatch, tmp_path
):
    root = web_identity(house, monkeypatch, tmp_path, region="eu-west-1")
    sts.add_role(root.settings["role_arn"], trusts=[])
    leaves = stopped(house, root)
    (tmp_path / "token").write_text("unknown.to.aws")
    sts.calls.clear()
    house.start(leaves[0])
    house.work()
    assert {house.state(leaf).problem.code for leaf in leaves} == {"InvalidIdentityToken"}
    assert len(sts.calls) == 1


def test_a_hop_that_is_rejected_once_its_root_is_well_is_told_below_it(house, sts, rejected):
    root, mend = rejected
    hub = house.chained("Odd hub", root, arn=house.role_arn("OddHub", trusts=[]))
    [deep] = started(house, 1, hub, "Deep")
    [flat] = started(house, 1, root, "Flat")
    house.work()
    mend()
    house.start(flat)
    house.work()
    assert house.state(flat).status is Status.ACTIVE
    assert (house.state(deep).problem.hop, house.state(deep).problem.code) == (1, "AccessDenied")
    assert len(assumed(sts)) == 2


def test_what_is_tried_again_at_once_is_not_called_rejected(house, sts, monkeypatch, tmp_path):
    root = web_identity(house, monkeypatch, tmp_path, region="eu-west-1")
    started(house, 1, root)
    house.work()
    sts.remove_key(rows(0).get(root=root).access_key_id)
    [leaf] = started(house, 1, root, "Later")
    rotation.run()
    seen = {house.state(leaf).status}
    try_again()
    house.work()
    assert (seen - {Status.ACTIVE}, house.state(leaf).status) == ({Status.PENDING}, Status.ACTIVE)
