"""Rotate a long-lived key: whatever breaks where, one key works, and never a third exists."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from moto.server import ThreadedMotoServer

from sessions.aws import iam
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError, Rejected, Unavailable
from sessions.aws.key_rotation import Step, begin, take_step
from sessions.aws.simulated import create_user
from sessions.aws.sts import caller_identity, session_token
from sessions.secret import Secret

REGION = "eu-west-1"
STEPS = [Step.CREATE, Step.VERIFY, Step.SWITCH, Step.DEACTIVATE, Step.DELETE, Step.DONE]
NUMBERS = itertools.count(1)
SERIAL = "arn:aws:iam::111122223333:mfa/deployer"


class Crash(Exception):
    """Report that the worker was killed here."""


class Memory:
    """Store writes as the database will; `crash_at` names the write that is lost."""

    def __init__(self, key, rotation, session=None):
        self.current, self.rotation, self.session = key, rotation, session
        self.kept = None
        self.crash_at = ""

    def key(self):
        return self.current

    def new_key(self):
        return self.kept

    def signing(self):
        return self.session or self.current

    def keep(self, new, created_at):
        self._write("keep")
        self.kept = new
        self.rotation = replace(
            self.rotation, new_key_id=new.access_key_id, created_at=created_at, verified=False
        )

    def mark_verified(self):
        self._write("mark_verified")
        self.rotation = replace(self.rotation, verified=True)

    def switch(self):
        self._write("switch")
        self.current = self.kept

    def _write(self, name):
        if self.crash_at == name:
            self.crash_at = ""
            raise Crash


@pytest.fixture
def iam_server(sts, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_IAM", sts.url)
    return sts.iam


@pytest.fixture
def key(sts):
    return sts.add_user(f"unit/deployer-{next(NUMBERS)}")


@pytest.fixture
def store(iam_server, key):
    return Memory(key, begin(key, key, REGION))


def step(store, later=0.0):
    return take_step(store, REGION, datetime.now(UTC) + timedelta(seconds=later))


def run(store, limit=30):
    """Take steps until there is none left; return them.

    As a worker does that waits where it is told to.
    """
    taken = []
    for _ in range(limit):
        try:
            taken.append(step(store))
        except AwsError as error:
            if not error.retryable:
                raise
            continue
        if taken[-1] in {Step.DONE, Step.WITHDRAW}:
            return taken
    raise AssertionError(f"no end after {taken}")


def keys(sts, store):
    return {
        key_id: record.active for key_id, record in sts.iam.keys_of(store.rotation.user_arn).items()
    }


def check_history(sts):
    """Check IAM's log of the user's keys after each call: one active, two at most."""
    seen = [call["keys"] for call in sts.calls if "keys" in call]
    assert seen
    assert all(1 <= len(each) <= 2 and any(each.values()) for each in seen)


def test_the_key_is_replaced_in_five_steps(sts, store, key):
    assert run(store) == STEPS
    assert store.current.access_key_id != key.access_key_id
    assert keys(sts, store) == {store.current.access_key_id: True}
    assert caller_identity(store.current, REGION).arn == store.rotation.user_arn
    check_history(sts)


def test_the_old_key_goes_by_requests_that_the_new_one_signs(sts, store, key):
    run(store)
    signed = {
        c["action"]: c["access_key_id"]
        for c in sts.calls
        if c["action"] in {"UpdateAccessKey", "DeleteAccessKey"}
    }
    assert set(signed.values()) == {store.current.access_key_id}


def test_a_step_that_is_done_is_not_done_again(sts, store):
    run(store)
    before = len(sts.calls)
    assert step(store) == Step.DONE
    assert [call["action"] for call in sts.calls[before:]] == ["ListAccessKeys"]


@pytest.mark.parametrize("write", ["keep", "mark_verified", "switch"])
def test_a_worker_that_dies_before_it_can_store_is_continued(sts, store, write):
    store.crash_at = write
    with pytest.raises(Crash):
        run(store)
    assert caller_identity(store.current, REGION)
    assert run(store)[-1] == Step.DONE
    assert keys(sts, store) == {store.current.access_key_id: True}
    check_history(sts)


def test_the_key_that_was_lost_with_its_worker_is_deleted_and_another_made(sts, store):
    store.crash_at = "keep"
    with pytest.raises(Crash):
        run(store)
    lost = keys(sts, store).keys() - {store.rotation.old_key_id}
    assert len(lost) == 1
    run(store)
    assert lost.isdisjoint(keys(sts, store))
    assert store.current.access_key_id not in lost


@pytest.mark.parametrize("action", ["CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"])
def test_an_answer_that_is_lost_on_the_way_does_no_harm(sts, store, action):
    sts.lose_next(action)
    assert run(store)[-1] == Step.DONE
    assert next(call["code"] for call in sts.calls if call["action"] == action) == "InternalFailure"
    assert keys(sts, store) == {store.current.access_key_id: True}
    check_history(sts)


@pytest.mark.parametrize("code", ["InternalFailure", "Throttling", "ServiceUnavailable"])
@pytest.mark.parametrize("before", range(9))
def test_a_fault_at_any_call_is_got_over(sts, store, before, code):
    begun = len(sts.calls)
    sts.fail_next(code, after=before)
    assert run(store)[-1] == Step.DONE
    assert sts.calls[begun + before]["code"] == code
    assert keys(sts, store) == {store.current.access_key_id: True}
    check_history(sts)


@pytest.mark.parametrize("stop_after", [0, 1, 2, 3, 4])
def test_a_second_worker_goes_on_from_the_stored_state(sts, store, stop_after):
    for _ in range(stop_after):
        step(store)
    other = Memory(store.current, store.rotation)
    other.kept = store.kept
    assert run(other) == STEPS[stop_after:]
    check_history(sts)


@pytest.mark.parametrize("unknown", [1, 3])
def test_a_new_key_that_aws_does_not_know_for_a_while_is_waited_for(sts, store, unknown):
    sts.iam.unknown_requests = unknown
    assert step(store) == Step.CREATE
    for _ in range(unknown):
        with pytest.raises(Unavailable) as raised:
            step(store)
        assert (raised.value.code, raised.value.hop) == ("InvalidClientTokenId", 0)
    assert store.current.access_key_id == store.rotation.old_key_id
    assert run(store)[-1] == Step.DONE


def test_a_new_key_that_aws_forgets_after_the_switch_keeps_the_old_active(sts, store):
    for _ in range(3):
        step(store)
    sts.iam.record(store.current.access_key_id).unknown_for = 2
    for _ in range(2):
        with pytest.raises(Unavailable):
            step(store)
    assert keys(sts, store)[store.rotation.old_key_id]
    assert run(store) == STEPS[3:]


def test_a_key_unknown_for_five_minutes_is_an_error_and_not_switched_to(sts, store):
    sts.iam.unknown_requests = 10**6
    step(store)
    with pytest.raises(Unavailable):
        step(store, later=299)
    with pytest.raises(Rejected) as raised:
        step(store, later=301)
    assert raised.value.code == "InvalidClientTokenId"
    assert keys(sts, store)[store.rotation.old_key_id]
    assert store.current.access_key_id == store.rotation.old_key_id


def test_a_list_that_does_not_show_the_new_key_yet_makes_no_third(sts, store):
    step(store)
    sts.iam.unlisted = 2
    assert step(store) == Step.VERIFY
    assert step(store) == Step.SWITCH
    # From the switch on, the old key is only touched if the new one is listed as active.
    sts.iam.unlisted = 1
    assert run(store)[-1] == Step.DONE
    check_history(sts)


def test_a_lost_key_that_is_not_listed_yet_is_waited_for(sts, store):
    store.crash_at = "keep"
    with pytest.raises(Crash):
        step(store)
    sts.iam.unlisted = 1
    with pytest.raises(Unavailable) as raised:
        step(store)
    assert raised.value.code == "LimitExceeded"
    assert run(store)[-1] == Step.DONE
    check_history(sts)


def test_a_second_key_is_nobody_to_be_deleted_by_us(sts, iam_server, key):
    second = iam.create_key(key, key_name(sts, key), REGION)
    with pytest.raises(Rejected) as raised:
        begin(key, key, REGION)
    assert raised.value.code == "SecondKey"
    assert set(sts.iam.keys_of(sts.arn_of(key))) == {key.access_key_id, second.access_key_id}


def test_a_key_that_a_person_makes_and_uses_meanwhile_is_left_alone(sts, store, key):
    second = iam.create_key(key, store.rotation.user_name, REGION)
    caller_identity(second, REGION)
    with pytest.raises(Rejected) as raised:
        step(store)
    assert raised.value.code == "SecondKey"
    assert keys(sts, store) == {key.access_key_id: True, second.access_key_id: True}


def test_what_is_missing_in_the_users_policy_is_said_and_can_be_mended(sts, store):
    sts.iam.denied.add("CreateAccessKey")
    with pytest.raises(Rejected) as raised:
        run(store)
    assert raised.value.code == "AccessDenied"
    assert "iam:CreateAccessKey" in raised.value.check
    sts.iam.denied.clear()
    for _ in range(3):
        step(store)
    sts.iam.denied.add("DeleteAccessKey")
    with pytest.raises(Rejected):
        run(store)
    assert keys(sts, store) == {store.rotation.old_key_id: False, store.current.access_key_id: True}
    sts.iam.denied.clear()
    assert run(store) == [Step.DELETE, Step.DONE]


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_before_the_switch_it_can_be_withdrawn(sts, store, key, taken):
    for _ in range(taken):
        step(store)
    store.rotation = replace(store.rotation, withdrawn=True)
    assert run(store) == [Step.WITHDRAW]
    assert keys(sts, store) == {key.access_key_id: True}
    assert run(store) == [Step.WITHDRAW]
    check_history(sts)


def test_withdrawing_takes_a_lost_key_along_but_not_one_that_is_used(sts, store, key):
    store.crash_at = "keep"
    with pytest.raises(Crash):
        step(store)
    store.rotation = replace(store.rotation, withdrawn=True)
    assert run(store) == [Step.WITHDRAW]
    assert keys(sts, store) == {key.access_key_id: True}
    second = iam.create_key(key, store.rotation.user_name, REGION)
    caller_identity(second, REGION)
    assert run(store) == [Step.WITHDRAW]
    assert second.access_key_id in keys(sts, store)


def test_after_the_switch_there_is_nothing_to_withdraw(sts, store):
    for _ in range(3):
        step(store)
    store.rotation = replace(store.rotation, withdrawn=True)
    assert run(store) == STEPS[3:]


def test_a_user_who_has_to_show_mfa_signs_with_a_session(sts, iam_server):
    key = sts.add_user("mfa-deployer", mfa_device=(SERIAL, "123456"))
    session = session_token(key, REGION, SERIAL, Secret("123456"))
    store = Memory(key, begin(key, session, REGION), session)
    assert run(store) == STEPS
    signed = {c["access_key_id"] for c in sts.calls if c["action"].endswith(("Key", "Keys"))}
    assert signed == {session.access_key_id}
    # The new key is verified by itself.
    assert store.current.access_key_id in {
        c["access_key_id"] for c in sts.calls if c["action"] == "GetCallerIdentity"
    }


def test_a_key_that_is_no_users_is_not_begun_with(sts, iam_server):
    role = sts.role_session("arn:aws:iam::111122223333:role/Worker", "worker")
    with pytest.raises(Rejected) as raised:
        begin(role, role, REGION)
    assert raised.value.code == "NotAUser"


def test_a_key_that_is_gone_is_not_begun_with(sts, iam_server, key):
    second = iam.create_key(key, key_name(sts, key), REGION)
    sts.iam.unlisted = 1
    with pytest.raises(Rejected) as raised:
        begin(second, second, REGION)
    assert raised.value.code == "KeyGone"
    sts.remove_key(key.access_key_id)
    with pytest.raises(Rejected) as raised:
        begin(key, second, REGION)
    assert raised.value.code == "InvalidClientTokenId"


def key_name(sts, key):
    return sts.arn_of(key).rpartition("/")[2]


def test_nothing_of_a_rotation_shows_a_secret(store):
    step(store)
    assert store.kept.secret_access_key.reveal() not in f"{store.rotation!r}{store.kept!r}"
    assert isinstance(store.kept, AwsCredentials)


def test_the_requests_are_such_as_another_iam_takes_them(monkeypatch):
    with_moto = ThreadedMotoServer(port=0, verbose=False)
    with_moto.start()
    try:
        url = f"http://127.0.0.1:{with_moto.get_host_and_port()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        _, key = create_user(url, "deployer")
        store = Memory(key, begin(key, key, REGION))
        assert run(store) == STEPS
        assert set(iam.list_keys(store.current, "deployer", REGION)) == {
            store.current.access_key_id
        }
    finally:
        with_moto.stop()
