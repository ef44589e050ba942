"""Call an STS that checks signatures, trust, expiry and the one-hour rule."""

import logging
import multiprocessing
import os
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from sessions.aws import clients
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import (
    AwsError,
    CredentialsExpired,
    Rejected,
    Throttled,
    UnacceptableAnswer,
    Unavailable,
)
from sessions.aws.hop import Hop
from sessions.aws.sts import assume_role, caller_identity, session_token
from sessions.secret import Secret

REGION = "eu-west-1"
ACCOUNT = "111122223333"
POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'


def role(name):
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


@pytest.fixture
def key(sts):
    return sts.add_user("ada", ACCOUNT)


@pytest.fixture
def hop(sts, key):
    return Hop(sts.add_role(role("unit/Deploy"), trusts=[sts.arn_of(key)]), "ben")


def refusal(*arguments):
    with pytest.raises(AwsError) as raised:
        assume_role(*arguments)
    # botocore's exception holds the whole answer, so it must not hang on ours.
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    return raised.value


def test_cloudtrail_shows_once_that_a_call_is_ours(sts, key, hop):
    seen = []
    events = clients.sts_client(REGION).meta.events

    def note(request, **_):
        seen.append(request.headers["User-Agent"])

    events.register("before-send.sts", note)
    try:
        assume_role(hop, key, REGION, 1)
    finally:
        events.unregister("before-send.sts", note)
    [agent] = (str(each, "ascii") if isinstance(each, bytes) else each for each in seen)
    assert agent.startswith("Botocore/")
    assert agent.split().count("app/chainweb") == 1


@pytest.mark.parametrize(
    "said",
    [
        "2026-11-25T03:04:05Z",
        "2026-11-25T03:04:05.000Z",
        "2026-11-25T03:04:05+00:00",
        "Wed, 25 Nov 2026 03:04:05 GMT",
        1795575845,
        "1795575845",
    ],
)
def test_a_time_is_read_in_every_form_that_aws_uses(said):
    assert clients._moment(said) == datetime(2026, 11, 25, 3, 4, 5, tzinfo=UTC)


def test_a_role_is_assumed_and_its_session_is_who_it_says(sts, key, hop):
    answer = assume_role(hop, key, REGION, 1)
    assert answer.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/ben"
    assert answer.assumed_role_id.endswith(":ben")
    assert answer.packed_policy_size is None
    assert answer.credentials.expires_at.tzinfo is UTC
    assert (
        timedelta(minutes=59)
        < answer.credentials.expires_at - datetime.now(UTC)
        <= timedelta(hours=1)
    )
    identity = caller_identity(answer.credentials, REGION)
    assert (identity.arn, identity.account) == (answer.arn, ACCOUNT)
    assert sts.calls[0]["region"] == REGION


def test_a_chain_of_five_is_walked_hop_by_hop(sts, key):
    using, caller = key, sts.arn_of(key)
    for number in range(1, 6):
        arn = sts.add_role(role(f"Hop{number}"), trusts=[caller])
        using, caller = (
            assume_role(Hop(arn, f"ben-{number}"), using, REGION, number).credentials,
            arn,
        )
    assert caller_identity(using, REGION).arn.endswith("assumed-role/Hop5/ben-5")


def test_everything_a_hop_says_reaches_aws(sts, key):
    arn = sts.add_role(role("Partner"), trusts=["*"], external_id="partner-7", session_name="ben")
    hop = Hop(
        arn,
        "ben",
        external_id="partner-7",
        source_identity="ben",
        tags=(("team", "platform"), ("cost", "42")),
        transitive_tag_keys=("team",),
        policy=POLICY,
        policy_arns=("arn:aws:iam::aws:policy/ReadOnlyAccess",),
    )
    answer = assume_role(hop, key, REGION, 1)
    assert answer.packed_policy_size == 4
    [sent] = [call["sent"] for call in sts.calls]
    assert (sent.source_identity, sent.policy, sent.policy_arns) == ("ben", POLICY, hop.policy_arns)
    assert (sent.tags, sent.transitive_tag_keys) == (dict(hop.tags), ("team",))
    assert refusal(Hop(arn, "ben", external_id="other"), key, REGION, 1).code == "AccessDenied"


def test_an_untrusted_caller_is_refused_at_its_hop(sts, key, hop):
    stranger = sts.add_user("eve", ACCOUNT)
    error = refusal(hop, stranger, REGION, 3)
    assert isinstance(error, Rejected)
    assert (error.code, error.hop) == ("AccessDenied", 3)
    assert "user/eve" in error.message


def test_a_wrong_secret_is_a_wrong_signature_without_the_quoted_token(sts, key, hop):
    session = assume_role(hop, key, REGION, 1).credentials
    wrong = AwsCredentials(session.access_key_id, Secret("x" * 40), session.session_token)
    error = refusal(hop, wrong, REGION, 2)
    assert error.code == "SignatureDoesNotMatch"
    assert session.session_token.reveal() not in f"{error}{error.message}{error.check}"


def test_an_unknown_key_and_a_token_of_another_session_are_refused(sts, key, hop):
    sts.remove_key(key.access_key_id)
    assert refusal(hop, key, REGION, 1).code == "InvalidClientTokenId"
    one, other = (sts.role_session(role("Worker"), name) for name in ("one", "other"))
    mixed = AwsCredentials(one.access_key_id, one.secret_access_key, other.session_token)
    assert refusal(hop, mixed, REGION, 1).code == "InvalidClientTokenId"


def test_credentials_that_have_ended_are_told_apart_from_a_refusal(sts, key, hop):
    session = assume_role(hop, key, REGION, 1).credentials
    sts.rules.clock_ahead_seconds = 3601
    assert isinstance(refusal(hop, session, REGION, 2), CredentialsExpired)


def test_a_token_that_is_stored_as_empty_counts_as_none(sts, key, hop):
    stored = AwsCredentials(key.access_key_id, key.secret_access_key, Secret(""))
    assert assume_role(hop, stored, REGION, 1).arn.endswith("/ben")


def test_an_illegal_request_is_refused_without_a_call(sts, key):
    for bad in (
        Hop(role("Deploy"), "b\n"),
        Hop("Deploy", "ben"),
        Hop(role("Deploy"), "ben", external_id="é"),
    ):
        error = refusal(bad, key, REGION, 1)
        assert error.code == "ValidationError"
    assert refusal(Hop(role("Deploy"), "ben"), key, "eu-west-99", 1).code == "InvalidRegion"
    assert sts.calls == []


def test_there_is_one_attempt_and_who_called_decides_about_the_next(sts, key, hop):
    sts.fail_next("Throttling")
    assert isinstance(refusal(hop, key, REGION, 1), Throttled)
    sts.fail_next("ServiceUnavailable")
    assert isinstance(refusal(hop, key, REGION, 1), Unavailable)
    assert len(sts.calls) == 2


def test_an_sts_that_hangs_up_or_is_away_is_unavailable(sts, key, hop, monkeypatch):
    sts.down = True
    assert isinstance(refusal(hop, key, REGION, 1), Unavailable)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    assert isinstance(refusal(hop, key, REGION, 1), Unavailable)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "no address")
    error = refusal(hop, key, REGION, 1)
    assert not isinstance(error, Unavailable)


@pytest.mark.parametrize(
    "change",
    [
        {"AccessKeyId": None},
        {"AccessKeyId": "ASIA\n[default]\ncredential_process=x"},
        {"AccessKeyId": "ASIAÉÉÉÉÉÉÉÉÉÉÉÉ"},
        {"AccessKeyId": "A" * 129},
        {"SecretAccessKey": None},
        {"SecretAccessKey": ""},
        {"SecretAccessKey": "x" * 39 + "'"},
        {"SecretAccessKey": "x" * 257},
        {"SessionToken": None},
        {"SessionToken": "token\nregion = x"},
        {"SessionToken": 'to"ken'},
        {"SessionToken": "to ken"},
        {"SessionToken": "to\\ken"},
        {"SessionToken": "t" * (16 * 1024 + 1)},
        {"SessionToken": "t" * 1_000_000},
        {"Expiration": None},
        {"Expiration": "soon"},
        {"Expiration": "2020-01-01T00:00:00Z"},
        {"Expiration": "2099-01-01T00:00:00Z"},
        {"Arn": None},
        {"Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/eve"},
        {"Arn": "arn:aws:sts::444455556666:assumed-role/Deploy/ben"},
        {"Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/unit/Deploy/ben"},
        {"AssumedRoleId": "<script>"},
        {"Credentials": None},
        {"AssumedRoleUser": None},
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_not_believed(sts, key, hop, change):
    sts.change_next(**change)
    error = refusal(hop, key, REGION, 1)
    assert isinstance(error, UnacceptableAnswer)
    for value in change.values():
        assert not value or value not in f"{error} {error.check}"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (b"<html><body>Welcome to the proxy</body></html>", 200),
        (b"<html><body>Forbidden</body></html>", 403),
        (b'{"Credentials": {}}', 200),
        (b"<AssumeRoleResponse></AssumeRoleResponse>", 200),
        (b"\xff\xfe\x00", 200),
        (b"", 302),
        (b"<!DOCTYPE x [<!ENTITY a 'a'>]><AssumeRoleResponse>&a;</AssumeRoleResponse>", 200),
    ],
)
def test_what_is_no_answer_of_sts_is_not_believed(sts, key, hop, body, status):
    sts.answer_next(body, status)
    error = refusal(hop, key, REGION, 1)
    assert not isinstance(error, CredentialsExpired)
    assert b"proxy" not in error.message.encode()


def test_a_caller_identity_that_does_not_fit_together_is_not_believed(sts, key):
    for change in ({"Account": "444455556666"}, {"Arn": "<b>"}, {"UserId": None}, {"Account": "x"}):
        sts.change_next(**change)
        with pytest.raises(UnacceptableAnswer):
            caller_identity(key, REGION)


def test_a_session_token_needs_the_devices_code(sts):
    serial = f"arn:aws:iam::{ACCOUNT}:mfa/ada"
    key = sts.add_user("ada", ACCOUNT, mfa_device=(serial, "123456"))
    protected = Hop(sts.add_role(role("Protected"), trusts=["*"], mfa=True), "ben")
    assert refusal(protected, key, REGION, 1).code == "AccessDenied"
    session = session_token(key, REGION, serial, Secret("123456"))
    assert timedelta(hours=11) < session.expires_at - datetime.now(UTC) <= timedelta(hours=12)
    assert assume_role(protected, session, REGION, 1).arn.endswith("Protected/ben")
    with pytest.raises(Rejected) as raised:
        session_token(key, REGION, serial, Secret("654321"))
    assert (raised.value.code, raised.value.hop) == ("AccessDenied", 0)
    assert "code" in raised.value.check


def test_thirty_two_threads_with_keys_of_their_own_are_never_mixed_up(sts):
    keys = [sts.add_user(f"user-{number}", ACCOUNT) for number in range(32)]
    for number, key in enumerate(keys):
        sts.add_role(role(f"Only{number}"), trusts=[sts.arn_of(key)])

    def walk(number):
        for turn in range(12):
            answer = assume_role(
                Hop(role(f"Only{number}"), f"n{number}-{turn}"), keys[number], REGION, 1
            )
            assert caller_identity(answer.credentials, REGION).arn == answer.arn
            assert caller_identity(keys[number], REGION).arn == sts.arn_of(keys[number])

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(walk, range(32)))
    assert len(sts.calls) == 32 * 12 * 3
    assert {call["code"] for call in sts.calls} == {""}


def test_one_client_serves_a_region_whatever_the_credentials(sts, key, hop):
    before = clients.sts_client(REGION)
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: id(clients.sts_client(REGION)), range(64)))
    assert made == {id(before)}
    assert clients.sts_client("us-east-1") is not before


def test_the_shared_client_signs_nothing_unless_told_with_what(sts):
    with pytest.raises(RuntimeError, match="whose credentials"):
        clients.sts_client(REGION).get_caller_identity()
    assert sts.calls == []


def in_a_child(answers, key, region):
    answers.put((caller_identity(key, region).arn, len(clients._clients)))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_makes_a_client_of_its_own(sts, key):
    caller_identity(key, REGION)
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=in_a_child, args=(answers, key, REGION))
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert answers.get() == (sts.arn_of(key), 1)


def test_no_shared_file_and_no_profile_of_the_machine_is_read(sts, key, monkeypatch, tmp_path):
    trap = tmp_path / "config"
    trap.write_text("[default]\nendpoint_url = http://127.0.0.1:9\nregion = us-east-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(trap))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(trap))
    monkeypatch.setenv("AWS_PROFILE", "missing")
    monkeypatch.setenv("AWS_DEFAULTS_MODE", "auto")
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
    clients._clients.clear()
    assert caller_identity(key, REGION).arn == sts.arn_of(key)
    monkeypatch.delenv("AWS_ENDPOINT_URL_STS")
    assert clients.sts_client(REGION).meta.endpoint_url == "https://sts.eu-west-1.amazonaws.com"
    assert (
        clients.sts_client("cn-north-1").meta.endpoint_url
        == "https://sts.cn-north-1.amazonaws.com.cn"
    )


def test_the_general_endpoint_variable_counts_as_well(sts, key, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL_STS")
    monkeypatch.setenv("AWS_ENDPOINT_URL", sts.url)
    assert caller_identity(key, REGION).arn == sts.arn_of(key)


def test_the_client_is_set_up_for_many_threads_and_short_waits(sts):
    config = clients.sts_client(REGION).meta.config
    assert config.retries["total_max_attempts"] == 1
    assert (config.max_pool_connections, config.connect_timeout, config.read_timeout) == (64, 2, 5)


def test_no_log_line_holds_a_secret_even_when_all_is_logged(sts, key, hop, caplog):
    with caplog.at_level(logging.DEBUG):
        for name in ("botocore", "urllib3"):
            caplog.set_level(logging.DEBUG, logger=name)
        clients._clients.clear()
        session = assume_role(hop, key, REGION, 1).credentials
        caller_identity(session, REGION)
    secrets = [key.secret_access_key, session.secret_access_key, session.session_token]
    assert not [secret for secret in secrets if secret.reveal() in caplog.text]


def test_no_local_variable_in_an_errors_frames_holds_an_answers_secret(sts, key, hop):
    sts.change_next(SecretAccessKey="canary/secret/of/the/answer0", SessionToken="canary token")
    error = refusal(hop, key, REGION, 1)
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [frame for frame in frames if "sts_server" not in frame and "arguments" not in frame]
    assert len(ours) > 1
    assert "canary" not in repr(ours)


def test_the_environments_own_credentials_are_never_used(sts, key, monkeypatch):
    other = sts.add_user("environment", ACCOUNT)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", other.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", other.secret_access_key.reveal())
    clients._clients.clear()
    assert caller_identity(key, REGION).arn == sts.arn_of(key)
    assert os.environ["AWS_ACCESS_KEY_ID"] not in {call["access_key_id"] for call in sts.calls}
