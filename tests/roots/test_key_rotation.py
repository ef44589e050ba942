"""Replace a root's key in the background: sessions go on, workers may die, steps are logged."""

from datetime import timedelta

import pytest

from sessions.activations.status import Status
from sessions.actors import Actor
from sessions.aws.key_rotation import Step
from sessions.aws.sts import caller_identity
from sessions.catalog.sessions import Draft, save_session
from sessions.credentials.endpoints import route_of
from sessions.credentials.payloads import root_credentials
from sessions.db.clock import database_now
from sessions.engine import key_steps
from sessions.engine.key_steps import DatabaseStore, work_due
from sessions.engine.second_look import retry_rejected
from sessions.exceptions import Refused
from sessions.ledger.events.roots import (
    KeyRotationAsked,
    KeyRotationEnded,
    KeyRotationRejected,
    KeyRotationStep,
)
from sessions.models import AwsSession, Credential, KeyRotation
from sessions.roots import key_rotation
from sessions.roots.codes import submit_codes
from sessions.roots.key_rotation import ask_again, ask_rotation, rotation_of
from tests.roots.mfa import CODE, mfa_root, protected

pytestmark = pytest.mark.django_db
STEPS = ["create", "verify", "switch", "deactivate", "delete"]


@pytest.fixture
def root(house, iam):
    return house.root


def reload(root):
    return AwsSession.objects.get(pk=root.pk)


def key_of(root):
    return root_credentials(reload(root), "eu-west-1")


def keys(sts, root):
    arn = sts.arn_of(key_of(root))
    return {key_id: record.active for key_id, record in sts.iam.keys_of(arn).items()}


def again():
    """Let the clock pass: leases are over, what waits is due."""
    rows = KeyRotation.objects.filter(ended_at=None)
    rows.update(lease_until=None)
    rows.filter(due_at__isnull=False).update(due_at=database_now())
    return work_due()


def steps_told(house):
    return [event.data["step"] for event in house.events(KeyRotationStep)]


def test_the_key_is_replaced_and_active_sessions_move_to_it_by_themselves(house, sts, root):
    leaf = house.chained("Leaf", root)
    house.start(leaf)
    house.work()
    old = key_of(root)
    rotation = ask_rotation(root, Actor(house.ada))
    assert work_due() == 1
    rotation.refresh_from_db()
    assert rotation.ended_at is not None
    assert (rotation.problem, rotation.sealed_new) == (None, None)
    new = key_of(root)
    assert new.access_key_id != old.access_key_id
    assert keys(sts, root) == {new.access_key_id: True}
    assert caller_identity(new, "eu-west-1").arn == rotation.user_arn
    # Who still has the root's form open with the old key is told when they save.
    assert AwsSession.objects.get(pk=root.pk).version == root.version + 1
    house.work()
    state = house.state(leaf)
    assert (state.status, state.problem) == (Status.ACTIVE, None)
    assert sts.calls[-1]["access_key_id"] == new.access_key_id
    assert steps_told(house) == STEPS
    assert house.events(KeyRotationAsked)[0].actor == "ada"
    assert house.events(KeyRotationEnded)[0].data["new_key_id"] == new.access_key_id


def test_no_secret_of_a_key_is_in_the_ledger_or_readable_in_the_table(house, sts, root):
    ask_rotation(root, Actor(house.ada))
    work_due()
    secret = key_of(root).secret_access_key.reveal()
    stored = repr([event.data for event in house.events()]) + repr(KeyRotation.objects.values())
    assert secret not in stored
    assert secret.encode() not in bytes(reload(root).sealed_secrets)


@pytest.mark.parametrize("method", ["keep", "mark_verified", "switch", "took", "end"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_that_dies_around_any_write_is_followed_by_another(
    house, sts, root, monkeypatch, method, when
):
    done = getattr(DatabaseStore, method)

    def die(self, *arguments):
        if when == "after":
            done(self, *arguments)
        raise SystemExit

    monkeypatch.setattr(DatabaseStore, method, die)
    ask_rotation(root, Actor(house.ada))
    with pytest.raises(SystemExit):
        work_due()
    assert caller_identity(key_of(root), "eu-west-1")
    monkeypatch.undo()
    monkeypatch.setenv("AWS_ENDPOINT_URL_IAM", sts.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
    again()
    assert rotation_of(root).ended_at is not None
    assert keys(sts, root) == {key_of(root).access_key_id: True}
    assert set(steps_told(house)) >= {"create", "verify", "switch"}
    assert all(
        len(call["keys"]) <= 2 and any(call["keys"].values())
        for call in sts.calls
        if "keys" in call
    )


@pytest.mark.parametrize("before", range(10))
def test_a_fault_at_any_call_is_tried_again_by_itself(house, sts, root, before):
    ask_rotation(root, Actor(house.ada))
    sts.calls.clear()
    sts.fail_next("ServiceUnavailable", after=before)
    work_due()
    rotation = rotation_of(root)
    if rotation.ended_at is None:
        assert rotation.problem.retrying
        again()
    assert rotation_of(root).ended_at is not None
    assert rotation_of(root).problem is None
    assert keys(sts, root) == {key_of(root).access_key_id: True}


def test_a_key_that_aws_does_not_know_yet_is_waited_for(house, sts, root):
    sts.iam.unknown_requests = 2
    ask_rotation(root, Actor(house.ada))
    work_due()
    rotation = rotation_of(root)
    assert (rotation.step, rotation.problem.code) == ("create", "InvalidClientTokenId")
    assert rotation.due_at > database_now() + timedelta(seconds=0.5)
    again()
    again()
    assert rotation_of(root).step == Step.DONE


def test_one_worker_works_on_a_key_rotation_and_a_late_one_is_fenced(house, sts, root):
    ask_rotation(root, Actor(house.ada))
    KeyRotation.objects.update(fence="00000000-0000-4000-8000-000000000001")
    late = DatabaseStore(KeyRotation.objects.get())
    late.begin()
    assert work_due() == 0
    again()
    with pytest.raises(key_steps.LostHold):
        late.mark_verified()
    assert rotation_of(root).step == Step.DONE


def test_what_the_policy_forbids_is_said_and_goes_on_when_it_is_mended(house, sts, root):
    sts.iam.denied.add("DeleteAccessKey")
    ask_rotation(root, Actor(house.ada))
    work_due()
    rotation = rotation_of(root)
    assert (rotation.step, rotation.problem.code) == ("deactivate", "AccessDenied")
    assert rotation.due_at > database_now() + timedelta(seconds=50)
    assert "iam:DeleteAccessKey" in rotation.problem.check
    with pytest.raises(Refused, match="already uses the new key"):
        ask_again(rotation, Actor(house.ada), withdraw=True)
    with pytest.raises(Refused, match="already"):
        ask_rotation(root, Actor(house.ada))
    sts.iam.denied.clear()
    ask_again(rotation, Actor(house.ada))
    work_due()
    assert rotation_of(root).step == Step.DONE


def test_a_passing_denial_heals_by_itself_and_a_lasting_one_waits(house, sts, root):
    sts.iam.denied.add("DeleteAccessKey")
    ask_rotation(root, Actor(house.ada))
    work_due()
    for _ in range(key_steps.MOST_SECOND_TRIES):
        KeyRotation.objects.filter(due_at__isnull=False).update(due_at=database_now())
        work_due()
    assert rotation_of(root).due_at is None
    sts.iam.denied.clear()
    retry_rejected()  # a worker starts
    work_due()
    assert rotation_of(root).step == Step.DONE


def test_a_wrong_clock_stops_no_key_rotation_for_good(house, sts, root):
    sts.rules.skew_seconds = 20 * 60
    ask_rotation(root, Actor(house.ada))
    work_due()
    rotation = rotation_of(root)
    assert rotation.ended_at is None
    assert "clock is 20 min" in rotation.problem.message
    sts.rules.skew_seconds = 0
    KeyRotation.objects.update(due_at=database_now())
    work_due()
    assert rotation_of(root).step == Step.DONE


def test_a_rotation_that_cannot_begin_changes_nothing_and_is_over(house, sts, root):
    sts.iam.denied.add("ListAccessKeys")
    ask_rotation(root, Actor(house.ada))
    work_due()
    rotation = rotation_of(root)
    assert (rotation.step, rotation.problem.code) == ("", "AccessDenied")
    assert rotation.ended_at is not None
    assert len(house.events(KeyRotationRejected)) == 1
    sts.iam.denied.clear()
    ask_rotation(root, Actor(house.ada))
    work_due()
    assert rotation_of(root).step == Step.DONE


def test_before_the_switch_it_can_be_given_up(house, sts, root):
    old = key_of(root)
    sts.iam.unknown_requests = 10**6
    rotation = ask_rotation(root, Actor(house.ada))
    work_due()
    assert len(keys(sts, root)) == 2
    ask_again(rotation, Actor(house.ada), withdraw=True)
    work_due()
    rotation = rotation_of(root)
    assert (rotation.step, rotation.withdrawn, rotation.sealed_new) == ("withdraw", True, None)
    assert key_of(root) == old
    assert keys(sts, root) == {old.access_key_id: True}
    with pytest.raises(Refused, match="has ended"):
        ask_again(rotation, Actor(house.ada))


def test_a_root_that_was_given_another_key_meanwhile_is_left_alone(house, sts, root):
    sts.iam.unknown_requests = 10**6
    ask_rotation(root, Actor(house.ada))
    work_due()
    other = sts.add_user("other")
    settings = {"access_key_id": other.access_key_id}
    secrets = {"secret_access_key": other.secret_access_key}
    draft = Draft("iam-user", root.alias, root.profile, root.region, settings, secrets)
    save_session(draft, Actor(house.ada), reload(root))
    again()
    rotation = rotation_of(root)
    assert rotation.problem.code in {"KeyChanged", "AccessDenied"}
    assert key_of(root) == other


def test_a_user_with_mfa_signs_with_the_session_of_one_code(house, sts, iam):
    root = mfa_root(house)
    ask_rotation(root, Actor(house.ada))
    work_due()
    assert rotation_of(root).problem.code == "CodeNeeded"
    assert rotation_of(root).ended_at is None
    leaf = protected(house, root, "Leaf")
    house.start(leaf)
    submit_codes(root, Actor(house.ben), {"code": CODE})
    house.work()
    ask_again(rotation_of(root), Actor(house.ada))
    work_due()
    assert rotation_of(root).step == Step.DONE
    house.work()
    assert house.state(leaf).problem is None
    assert [call["action"] for call in sts.calls].count("GetSessionToken") == 1
    assert Credential.objects.filter(root=root, level=0).count() == 1


def test_a_root_without_a_long_lived_key_has_none_to_rotate(house, center):
    portal = save_session(
        Draft(
            "identity-center",
            "Portal",
            "portal",
            "eu-west-1",
            {"start_url": center.start_url, "sso_region": "eu-central-1"},
        ),
        Actor(house.ada),
    )
    assert not key_rotation.can_be_rotated(portal)
    with pytest.raises(Refused, match="no long-lived key"):
        ask_rotation(portal, Actor(house.ada))


def test_an_outage_of_iam_says_nothing_of_sts(house, sts, root):
    ask_rotation(root, Actor(house.ada))
    way = route_of(root)
    for _ in range(4):
        sts.fail_next("ServiceUnavailable", after=1)  # STS says who it is, IAM does not answer
        again()
    assert [way.breaker(region).last_error for region in way.regions] == [None] * 4
    leaf = house.chained("Leaf", root)
    house.start(leaf)
    house.work()
    assert house.state(leaf).status is Status.ACTIVE


@pytest.mark.parametrize("steps", [0, 1])
def test_while_the_sts_region_is_shut_a_key_is_verified_at_another(house, sts, root, steps):
    ask_rotation(root, Actor(house.ada))
    if steps:
        sts.fail_next("ServiceUnavailable", 2, after=4)  # a key is made, and is yet to be verified
        work_due()
        assert steps_told(house) == STEPS[:steps]
    sts.out_of_order["eu-west-1"] = ""
    for _ in range(3):
        again()
    assert rotation_of(root).ended_at
    assert steps_told(house) == STEPS
