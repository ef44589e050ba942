"""Retry a code that brought no answer while it can serve.

Where AWS may have taken it, a person is told so.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from sessions.activations.start_stop import stop_session
from sessions.activations.status import Status
from sessions.actors import Actor
from sessions.credentials import endpoints
from sessions.credentials.outcomes import CODE_LIFE, TypedCode
from sessions.db.clock import database_now
from sessions.engine import rotation
from sessions.ledger.events.roots import RootAnswered
from sessions.models import Credential, RootAnswer
from sessions.roots import codes
from sessions.roots.codes import submit_codes
from sessions.secret import Secret
from tests.credentials.test_endpoints import HOME, NEXT, let_time_pass, regions
from tests.engine.aging import age
from tests.roots.mfa import CODE, SERIAL, mfa_root, protected
from tests.roots.test_codes import actions, base_row

pytestmark = pytest.mark.django_db


@pytest.fixture
def leaf(house, sts):
    """Make a session under a root whose code has just been typed."""
    sts.rules.takes_codes_once = True
    root = mfa_root(house)
    leaf = protected(house, root, "Leaf")
    house.start(leaf)
    house.work()
    submit_codes(root, Actor(house.ben), {"code": CODE})
    return leaf


def asked(sts):
    return regions(sts, "GetSessionToken")


def new_code_typed(house, sts, leaf, code="654321"):
    key_id = leaf.link.assumer.settings["access_key_id"]
    sts.rules.keys[key_id] = replace(sts.rules.keys[key_id], mfa_device=(SERIAL, code))
    submit_codes(leaf.link.assumer, Actor(house.ben), {"code": code})


def new_code(house, sts, leaf):
    new_code_typed(house, sts, leaf)
    house.work()


@pytest.mark.parametrize("broken", ["", "ServiceUnavailable"])
def test_a_code_is_tried_at_the_next_region_at_once(house, sts, leaf, broken):
    sts.out_of_order[HOME] = broken
    rotation.run()
    assert asked(sts) == [HOME, NEXT]
    assert house.state(leaf).problem is None or house.state(leaf).problem.hop == 1
    sts.out_of_order.clear()
    let_time_pass()
    house.work()
    assert house.state(leaf).status is Status.ACTIVE
    assert len(house.events(RootAnswered)) == 1


def test_a_code_outlives_seconds_without_any_answer(house, sts, leaf):
    sts.down = True
    rotation.run()
    [kept] = RootAnswer.objects.all()
    assert CODE.encode() not in bytes(kept.sealed)
    assert kept.given_by == "ben"
    row = base_row(leaf.link.assumer)
    assert row.due_at < database_now() + timedelta(seconds=3)
    assert house.state(leaf).problem.retrying
    assert CODE not in repr(list(Credential.objects.values()))
    sts.down = False
    endpoints.reset_breakers()
    let_time_pass()
    house.work()
    assert house.state(leaf).status is Status.ACTIVE
    assert RootAnswer.objects.count() == 0


@pytest.mark.parametrize("code", ["Throttling", "RequestTimeTooSkewed"])
def test_what_takes_no_code_costs_none(house, sts, leaf, code):
    sts.fail_next(code, status=403)
    rotation.run()
    assert asked(sts) == [HOME]
    let_time_pass()
    house.work()
    assert (asked(sts), house.state(leaf).status) == ([HOME, HOME], Status.ACTIVE)


def test_a_lost_answer_is_told_when_aws_has_taken_the_code(house, sts, leaf):
    sts.lose_next("GetSessionToken")
    house.work()
    assert asked(sts) == [HOME, NEXT]
    problem = house.state(leaf).problem
    assert (problem.code, problem.hop, problem.label) == ("CodeNeeded", 0, "waiting for a code")
    assert "no answer to the first call with this code" in problem.message
    assert "next code" in problem.check
    assert RootAnswer.objects.count() == 0
    new_code(house, sts, leaf)
    assert house.state(leaf).status is Status.ACTIVE


def test_a_lost_answer_is_told_too_where_no_other_region_was_asked(house, sts, leaf):
    sts.out_of_order |= dict.fromkeys(
        (NEXT, "eu-west-3", "eu-central-1", "eu-north-1", "eu-south-1"), ""
    )
    sts.lose_next("GetSessionToken")
    rotation.run()
    let_time_pass()
    rotation.run()
    assert asked(sts)[0] == asked(sts)[-1] == HOME
    assert "no answer to the first call" in house.state(leaf).problem.message


def test_a_wrong_code_after_a_lost_one_is_told_plainly(house, sts, leaf):
    sts.down = True
    rotation.run()
    sts.down = False
    endpoints.reset_breakers()
    submit_codes(leaf.link.assumer, Actor(house.ben), {"code": "999999"})
    house.work()
    assert house.state(leaf).problem.code == "AccessDenied"


def test_a_code_that_ran_out_unanswered_is_asked_for_again(house, sts, leaf):
    sts.down = True
    rotation.run()
    RootAnswer.objects.update(given_at=database_now() - CODE_LIFE)
    endpoints.reset_breakers()
    let_time_pass()
    sts.down = False
    house.work()
    problem = house.state(leaf).problem
    assert (problem.code, problem.label) == ("CodeNeeded", "waiting for a code")
    assert "ran out before AWS took it" in problem.message
    assert actions(sts) == []
    new_code(house, sts, leaf)
    assert house.state(leaf).status is Status.ACTIVE


def test_a_code_is_tried_until_it_runs_out_and_no_longer(house, sts, leaf):
    Credential.objects.filter(level=0).update(attempts=50)
    sts.down = True
    rotation.run()
    RootAnswer.objects.update(given_at=database_now() - CODE_LIFE + timedelta(seconds=1))
    endpoints.reset_breakers()
    let_time_pass()
    rotation.run()
    assert base_row(leaf.link.assumer).due_at < database_now() + timedelta(seconds=1.1)


def test_a_newer_code_is_not_replaced_by_one_that_comes_back(house, sts, leaf):
    row = base_row(leaf.link.assumer)
    [newer] = RootAnswer.objects.all()
    old = TypedCode("code", Secret("111111"), "bea", database_now())
    assert not codes.restore_codes(row, [old])
    assert RootAnswer.objects.get() == newer


def test_a_worker_that_cannot_open_a_code_leaves_it_to_others(house, sts, leaf, settings):
    keys, settings.CHAINWEB_ROOT_KEYS = settings.CHAINWEB_ROOT_KEYS, ""
    house.work()
    assert RootAnswer.objects.count() == 1
    assert house.state(leaf).problem.code == "CannotOpen"
    settings.CHAINWEB_ROOT_KEYS = keys
    let_time_pass()
    house.work()
    assert house.state(leaf).status is Status.ACTIVE


def test_a_code_goes_with_the_session_that_is_stopped(house, sts, leaf):
    sts.down = True
    rotation.run()
    stop_session(leaf, Actor(house.ben))
    assert RootAnswer.objects.count() == 0


# --- rejections that say nothing about the code ---------------------------------------------------


def test_a_wrong_secret_is_told_though_a_code_was_typed(house, sts, leaf):
    sts.fail_next("SignatureDoesNotMatch", status=403, times=2)
    for _ in range(3):
        house.work()
        let_time_pass()
    assert len(asked(sts)) == 2
    assert house.state(leaf).problem.code == "SignatureDoesNotMatch"
    assert (base_row(leaf.link.assumer).due_at, RootAnswer.objects.count()) == (None, 0)


def test_a_rejection_at_a_first_start_waits_for_the_person(house, sts, leaf):
    sts.fail_next("AccessDenied", status=403)
    house.work()
    assert (house.state(leaf).status, base_row(leaf.link.assumer).due_at) == (Status.FAILED, None)
    assert RootAnswer.objects.count() == 0


def test_a_passing_denial_while_something_lives_costs_no_code(house, sts, leaf):
    house.work()
    age(40)
    Credential.objects.filter(level=0).update(expires_at=database_now())
    let_time_pass()
    house.work()
    assert house.state(leaf).problem.code == "CodeNeeded"
    new_code_typed(house, sts, leaf)
    sts.fail_next("AccessDenied", status=403)
    house.work()
    row = base_row(leaf.link.assumer)
    assert database_now() < row.due_at < database_now() + CODE_LIFE
    assert (house.state(leaf).status, house.state(leaf).problem.retrying) == (Status.ACTIVE, True)
    let_time_pass()
    house.work()
    assert (house.state(leaf).problem, base_row(leaf.link.assumer).problem) == (None, None)


def test_a_lasting_denial_is_told_when_the_code_has_run_out(house, sts, leaf):
    house.work()
    age(40)
    Credential.objects.filter(level=0).update(expires_at=database_now())
    let_time_pass()
    new_code_typed(house, sts, leaf)
    sts.fail_next("AccessDenied", status=403, times=9)
    house.work()
    RootAnswer.objects.update(given_at=database_now() - CODE_LIFE + timedelta(seconds=5))
    let_time_pass()
    house.work()
    assert house.state(leaf).problem.code == "AccessDenied"
    assert (base_row(leaf.link.assumer).due_at, RootAnswer.objects.count()) == (None, 0)
