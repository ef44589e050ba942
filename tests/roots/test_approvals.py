"""Approve Identity Center once in the browser, each person for themselves.

Waiting sessions then continue automatically.
"""

import json
from datetime import timedelta

import pytest
from django.urls import reverse

from sessions import sealing
from sessions.activations.status import Status
from sessions.actors import Actor
from sessions.aws import identity_center_state
from sessions.catalog.deletions import delete_session
from sessions.credentials.outcomes import Deferred
from sessions.db.clock import database_now
from sessions.engine import approval_steps
from sessions.engine.approval_steps import usable_state, work_due
from sessions.ledger.events.roots import ApprovalAsked, ApprovalEnded, ApprovalGiven
from sessions.models import Approval, ApprovalStage, Credential, Membership
from sessions.roots import approvals, choices, prompts
from sessions.roots.approvals import (
    approval_of,
    ask_approval,
    delete_unneeded,
    end_approval,
)
from sessions.secret import Secret
from tests.engine.aging import age
from tests.roots.portals import ACCOUNT, approve, look, portal

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(house, center):
    for person in ("ben", "bea", "ada"):
        center.assign(person, ACCOUNT, "Production", "Deploy", "ReadOnly")
    return portal(house, center, account_id=ACCOUNT, role_name="Deploy")


def tokens(center):
    return [call["code"] for call in center.calls if call["path"] == "/token"]


def test_what_is_started_waits_and_goes_on_when_its_person_has_approved(house, center, sts, root):
    leaf = house.chained("Leaf", root)
    house.start(leaf)
    house.work()
    state = house.state(leaf)
    assert (state.status, state.problem.code, state.problem.hop) == (
        Status.PENDING,
        "ApprovalNeeded",
        0,
    )
    assert state.problem.label == "waiting for an approval"
    ask_approval(root, Actor(house.ben))
    assert approval_of(root, house.ben).stage == ApprovalStage.ASKED
    assert work_due() == 1
    approval = approval_of(root, house.ben)
    assert approval.stage == ApprovalStage.OPEN
    assert approval.url.endswith(approval.user_code)
    look()
    assert approval_of(root, house.ben).problem.code == "ApprovalPending"
    Approval.objects.update(due_at=None)
    center.rules.clock_ahead_seconds = 10
    center.approve(approval.user_code, "ben")
    Approval.objects.update(due_at=database_now())
    work_due()
    house.work()
    assert house.state(leaf).status is Status.ACTIVE
    approval = approval_of(root, house.ben)
    assert (approval.stage, approval.problem, approval.user_code) == (ApprovalStage.GIVEN, None, "")
    assert sts.calls[-1]["caller_arn"].endswith("AWSReservedSSO_Deploy_0123456789abcdef/ben")
    kinds = [event.kind for event in house.events()]
    assert kinds.count(ApprovalAsked.tag) == kinds.count(ApprovalGiven.tag) == 1
    assert house.events(ApprovalGiven)[0].actor == "ben"


def test_each_person_approves_alone_and_sees_nothing_of_others(house, center, sts, root):
    leaf = house.chained("Leaf", root, name="shared-name")
    for member in (house.ben, house.bea):
        house.start(leaf, member)
    approve(house, center, root, house.ben)
    house.work()
    assert house.state(leaf, house.ben).status is Status.ACTIVE
    assert house.state(leaf, house.bea).problem.code == "ApprovalNeeded"
    assert house.state(root, house.ben).problem is None
    assert house.state(root, house.bea).problem.code == "ApprovalNeeded"
    approve(house, center, root, house.bea)
    house.work()
    callers = {
        call["caller_arn"].rpartition("/")[2]
        for call in sts.calls
        if call["action"] == "AssumeRole"
    }
    assert callers == {"ben", "bea"}


def test_one_approval_serves_every_root_of_the_portal_and_survives_an_edit(house, center, root):
    second = portal(house, center, "Second", account_id=ACCOUNT, role_name="ReadOnly")
    leaves = [house.chained(f"Leaf {number}", each) for number, each in enumerate((root, second))]
    for leaf in leaves:
        house.start(leaf)
    approve(house, center, root)
    house.work()
    assert [state.status for state in house.states(leaves)] == [Status.ACTIVE] * 2
    portal(house, center, session=root, account_id=ACCOUNT, role_name="ReadOnly")
    assert (
        house.state(leaves[0]).problem.code == "IdentityChanged"
    )  # another role: ben starts it again knowingly
    house.start(leaves[0])
    house.work()
    assert house.state(leaves[0]).problem is None
    assert len([code for code in tokens(center) if not code]) == 1


def test_the_state_is_sealed_to_the_workers_and_no_token_is_anywhere_else(
    house, center, root, settings
):
    house.start(house.chained("Leaf", root))
    approval = approve(house, center, root)
    house.work()
    [access_token] = center.rules.logins
    assert (
        access_token
        in sealing.open_as_worker(
            approval.sealed_state, approval.seal_context(approval.version)
        ).reveal()
    )
    assert access_token.encode() not in bytes(approval.sealed_state)
    assert access_token not in repr(Approval.objects.values()) + repr(
        [event.data for event in house.events()]
    )
    row = Credential.objects.get(root=root, level=0)
    assert bytes(row.sealed)[0] == sealing.HPKE


def test_a_denial_and_a_page_that_was_left_are_told_and_can_begin_anew(house, center, root):
    leaf = house.chained("Leaf", root)
    house.start(leaf)
    ask_approval(root, Actor(house.ben))
    work_due()
    center.deny(approval_of(root, house.ben).user_code)
    look()
    approval = approval_of(root, house.ben)
    assert (approval.stage, approval.problem.code) == (ApprovalStage.OVER, "ApprovalDenied")
    ask_approval(root, Actor(house.ben))
    work_due()
    center.rules.clock_ahead_seconds = 601
    look()
    approval = approval_of(root, house.ben)
    assert (approval.stage, approval.problem.code) == (ApprovalStage.OVER, "ApprovalExpired")
    assert [event.data["why"] for event in house.events(ApprovalEnded)] == [
        "ApprovalDenied",
        "ApprovalExpired",
    ]
    approve(house, center, root)
    house.work()
    assert house.state(leaf).status is Status.ACTIVE


def test_it_is_asked_no_more_often_than_aws_wants(house, center, root):
    ask_approval(root, Actor(house.ben))
    work_due()
    look()
    look()
    assert tokens(center) == ["AuthorizationPendingException", "SlowDownException"]
    wait = approval_of(root, house.ben).due_at - database_now()
    assert timedelta(seconds=5) < wait <= timedelta(seconds=6)
    assert work_due() == 0


def test_an_expired_token_is_renewed_when_needed_without_the_person(house, center, root):
    leaf = house.chained("Leaf", root)
    house.start(leaf)
    approve(house, center, root)
    house.work()
    Approval.objects.update(good_until=database_now())
    center.rules.clock_ahead_seconds = 3700
    state = approval_of(root, house.ben)
    said = sealing.open_as_worker(state.sealed_state, state.seal_context(state.version)).reveal()
    parts = json.loads(said)
    parts["tokens"]["expires_at"] = database_now().isoformat()
    sealed = sealing.seal_to_workers(Secret(json.dumps(parts)), state.seal_context(state.version))
    Approval.objects.update(sealed_state=sealed)
    Credential.objects.filter(level=0).update(expires_at=database_now())
    Credential.objects.filter(level=1).update(due_at=database_now())
    house.work()
    assert house.state(leaf).problem is None
    assert Credential.objects.get(root=root, level=0).generation == 2
    assert approval_of(root, house.ben).version == state.version + 1
    assert len(house.events(ApprovalAsked)) == 1


def test_two_workers_do_not_use_one_refresh_token_twice(house, center, root):
    approve(house, center, root)
    Approval.objects.update(good_until=database_now())
    key = approvals.approval_key(root, str(house.ben.user_id))
    held = Approval.objects.hold(key)
    assert isinstance(usable_state(root, str(house.ben.user_id)), Deferred)
    held.release()
    assert usable_state(root, str(house.ben.user_id)).reveal()


def test_a_worker_that_returns_after_its_lease_stores_nothing(house, center, root):
    ask_approval(root, Actor(house.ben))
    key = approvals.approval_key(root, str(house.ben.user_id))
    late = Approval.objects.hold(key)
    ask_approval(root, Actor(house.ben))
    approval_steps._begin(late)
    assert approval_of(root, house.ben).stage == ApprovalStage.ASKED
    work_due()
    assert approval_of(root, house.ben).stage == ApprovalStage.OPEN


def test_what_aws_cannot_say_is_asked_again_and_what_it_refuses_is_told(house, center, root):
    ask_approval(root, Actor(house.ben))
    center.fail_next("InternalServerException")
    work_due()
    approval = approval_of(root, house.ben)
    assert (approval.stage, approval.problem.retrying) == (ApprovalStage.ASKED, True)
    look()
    assert approval_of(root, house.ben).stage == ApprovalStage.OPEN
    wrong = portal(house, center, "Wrong")
    wrong.settings["start_url"] = "https://other.awsapps.com/start"
    wrong.save()
    ask_approval(wrong, Actor(house.ben))
    work_due()
    approval = approval_of(wrong, house.ben)
    assert (approval.stage, approval.problem.code) == (
        ApprovalStage.OVER,
        "InvalidRequestException",
    )


def test_a_worker_lists_accounts_and_roles_for_whoever_approved(house, center):
    center.assign("ada", ACCOUNT, "Production", "Deploy", "ReadOnly")
    root = portal(house, center)
    approve(house, center, root, house.ada)
    assert prompts.at_root(root, house.ada, database_now()).needs_choice
    assert choices.request_list(approval_of(root, house.ada), "account_id", {}) is None
    work_due()
    listed = choices.request_list(approval_of(root, house.ada), "account_id", {})
    assert [each.label for each in listed.choices] == [f"Production ({ACCOUNT})"]
    assert (
        choices.request_list(approval_of(root, house.ada), "role_name", {"account_id": ACCOUNT})
        is None
    )
    work_due()
    listed = choices.request_list(
        approval_of(root, house.ada), "role_name", {"account_id": ACCOUNT}
    )
    assert [each.value for each in listed.choices] == ["Deploy", "ReadOnly"]
    center.sign_out("ada")
    assert (
        choices.request_list(
            approval_of(root, house.ada), "role_name", {"account_id": "999999999999"}
        )
        is None
    )
    work_due()
    listed = choices.request_list(
        approval_of(root, house.ada), "role_name", {"account_id": "999999999999"}
    )
    assert listed.problem.code == "ApprovalNeeded"


def test_sessions_wait_for_a_choice_and_go_on_when_it_is_made(house, center):
    center.assign("ben", ACCOUNT, "Production", "Deploy")
    root = portal(house, center)
    leaf = house.chained("Leaf", root)
    house.start(leaf)
    approve(house, center, root)
    house.work()
    assert house.state(leaf).problem.code == "ChoiceNeeded"
    portal(house, center, session=root, account_id=ACCOUNT, role_name="Deploy")
    house.work()
    assert house.state(leaf).status is Status.ACTIVE


def test_an_approval_goes_with_its_person_its_roots_or_on_request(house, center, root):
    approve(house, center, root, house.ben)
    approve(house, center, root, house.bea)
    assert delete_unneeded() == 0
    assert end_approval(root, Actor(house.ben))
    assert approval_of(root, house.ben) is None
    Membership.objects.filter(pk=house.bea.pk).delete()
    assert delete_unneeded() == 1
    approve(house, center, root, house.ada)
    delete_session(root, Actor(house.ada))
    assert delete_unneeded() == 1
    assert Approval.objects.count() == 0


def test_what_is_taken_back_at_the_portal_is_asked_for_again(house, center, sts, root):
    leaf = house.chained("Leaf", root)
    house.start(leaf)
    approve(house, center, root)
    house.work()
    center.sign_out("ben")
    age(40)
    Credential.objects.filter(root=root, level=0).update(expires_at=database_now())
    house.work()
    assert house.state(leaf).problem.code == "ApprovalNeeded"
    assert approval_of(root, house.ben).stage == ApprovalStage.GIVEN
    assert [each.root for each in prompts.in_team(house.ben, [root], database_now())] == [root]
    page = house.browser(house.ben).get(reverse("approval", args=[root.pk])).content.decode()
    assert "Not approved" in page
    assert "have not approved access" in page
    approve(house, center, root)
    house.work()
    assert house.state(leaf).problem is None
    assert prompts.in_team(house.ben, [root], database_now()) == []


def test_an_approval_whose_answer_was_lost_says_so(house, center, sts, root):
    leaf = house.chained("Leaf", root)
    house.start(leaf)
    ask_approval(root, Actor(house.ben))
    work_due()
    center.approve(approval_of(root, house.ben).user_code, "ben")
    center.lose_next()
    look()
    assert approval_of(root, house.ben).problem.retrying
    look()
    approval = approval_of(root, house.ben)
    assert (approval.stage, approval.problem.code) == (ApprovalStage.OVER, "ApprovalNeeded")
    assert "answer was lost" in approval.problem.message
    approve(house, center, root)
    house.work()
    assert house.state(leaf).status is Status.ACTIVE


def test_a_renewal_of_the_approval_whose_answer_was_lost_says_so(
    house, center, sts, root, monkeypatch
):
    leaf = house.chained("Leaf", root)
    house.start(leaf)
    approve(house, center, root)
    monkeypatch.setattr(
        identity_center_state, "TOKEN_MARGIN", timedelta(days=2)
    )  # its token has run out
    Approval.objects.update(good_until=database_now())
    center.lose_next()
    house.work()
    Credential.objects.filter(due_at__isnull=False).update(due_at=database_now())
    house.work()
    assert house.state(leaf).problem.code == "ApprovalNeeded"
    approval = approval_of(root, house.ben)
    assert approval.stage == ApprovalStage.OVER
    assert "answer was lost" in approval.problem.message
