"""IAM Identity Center: one approval per person, then roles of accounts while it lasts."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from sessions.aws.errors import (
    AwsError,
    ClockSkewed,
    Rejected,
    Throttled,
    UnacceptableAnswer,
    Unavailable,
    WaitingForPerson,
)
from sessions.aws.hop import Hop
from sessions.aws.names import InvalidName
from sessions.aws.roots import ROOT_KINDS
from sessions.aws.sts import assume_role, caller_identity
from sessions.secret import Secret
from tests.harness.sts import FakeSts

REGION = "eu-west-1"
KIND = ROOT_KINDS["identity-center"]


@pytest.fixture
def portal(center):
    return {"start_url": center.start_url, "sso_region": "eu-central-1"}


@pytest.fixture
def settings(portal):
    return {**portal, "account_id": "111122223333", "role_name": "Deploy"}


def approved(center, settings, person="ada", state=None):
    """Return the state after that person's approval."""
    approval = KIND.begin(settings, state, REGION)
    center.approve(approval.user_code, person)
    advanced = KIND.advance(settings, approval.state, REGION)
    assert (advanced.problem, advanced.ask_again_seconds) == (None, None)
    return advanced.state


def base(settings, state):
    return KIND.get_credentials(settings, {}, {"approval": state} if state else {}, REGION)


def refusal(call, *arguments):
    with pytest.raises(AwsError) as raised:
        call(*arguments)
    assert raised.value.hop == 0
    assert raised.value.__cause__ is None
    return raised.value


def codes(center):
    return [call["code"] for call in center.calls if call["path"] == "/token"]


def test_an_approval_gives_the_persons_role_and_a_chain_can_begin_with_it(center, sts, settings):
    given = base(settings, approved(center, settings))
    arn = caller_identity(given, REGION).arn
    assert (
        arn == "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Deploy_0123456789abcdef/ada"
    )
    assert timedelta(minutes=59) < given.expires_at - datetime.now(UTC) <= timedelta(hours=1)
    role = sts.add_role("arn:aws:iam::444455556666:role/Target", trusts=["111122223333"])
    assert assume_role(Hop(role, "ada"), given, REGION, 1).arn.endswith("Target/ada")


def test_the_page_and_its_code_are_for_the_person_and_the_rest_is_a_secret(center, settings):
    approval = KIND.begin(settings, None, REGION)
    assert approval.url == f"{center.start_url}/#/device?user_code={approval.user_code}"
    assert timedelta(minutes=9) < approval.expires_at - datetime.now(UTC) <= timedelta(minutes=10)
    assert approval.interval_seconds == 1
    (device_code,) = center.rules.devices
    assert device_code in approval.state.reveal()
    assert device_code not in repr(approval)


def test_until_it_is_approved_it_is_pending_and_says_when_to_ask_again(center, settings):
    approval = KIND.begin(settings, None, REGION)
    advanced = KIND.advance(settings, approval.state, REGION)
    assert (advanced.problem.code, advanced.ask_again_seconds) == ("ApprovalPending", 1)
    error = refusal(base, settings, advanced.state)
    assert (type(error), error.code) == (WaitingForPerson, "ApprovalNeeded")
    assert codes(center) == ["AuthorizationPendingException"]


def test_slow_down_is_obeyed_for_all_later_requests(center, settings):
    approval = KIND.begin(settings, None, REGION)
    first = KIND.advance(settings, approval.state, REGION)
    second = KIND.advance(settings, first.state, REGION)
    assert (second.problem.code, second.ask_again_seconds) == ("ApprovalPending", 6)
    center.rules.clock_ahead_seconds = 10
    third = KIND.advance(settings, second.state, REGION)
    assert (third.problem.code, third.ask_again_seconds) == ("ApprovalPending", 6)
    assert codes(center) == [
        "AuthorizationPendingException",
        "SlowDownException",
        "AuthorizationPendingException",
    ]


def test_the_interval_has_an_end(center, settings):
    state = KIND.begin(settings, None, REGION).state
    for _ in range(20):
        center.fail_next("SlowDownException")
        advanced = KIND.advance(settings, state, REGION)
        state = advanced.state
    assert advanced.ask_again_seconds == 60


def test_an_approval_that_comes_too_late_or_not_at_all_has_to_begin_anew(center, settings):
    approval = KIND.begin(settings, None, REGION)
    center.rules.clock_ahead_seconds = 601
    advanced = KIND.advance(settings, approval.state, REGION)
    assert (advanced.problem.code, advanced.ask_again_seconds) == ("ApprovalExpired", None)
    # Nothing more is asked with a code that is over.
    asked = len(center.calls)
    assert KIND.advance(settings, advanced.state, REGION).problem.code == "ApprovalNeeded"
    assert len(center.calls) == asked
    base(settings, approved(center, settings, state=advanced.state))


def test_a_denial_is_told(center, settings):
    approval = KIND.begin(settings, None, REGION)
    center.deny(approval.user_code)
    advanced = KIND.advance(settings, approval.state, REGION)
    assert (advanced.problem.code, advanced.ask_again_seconds) == ("ApprovalDenied", None)
    assert refusal(base, settings, advanced.state).code == "ApprovalNeeded"


def test_a_device_code_used_before_its_answer_was_stored_asks_again(center, settings):
    approval = KIND.begin(settings, None, REGION)
    center.approve(approval.user_code, "ada")
    KIND.advance(settings, approval.state, REGION)
    assert KIND.advance(settings, approval.state, REGION).problem.code == "ApprovalNeeded"
    assert codes(center)[-1] == "InvalidGrantException"


def test_an_access_token_that_has_run_out_is_renewed_without_the_person(center, settings):
    state = approved(center, settings)
    short = json.loads(state.reveal())
    short["tokens"]["expires_at"] = (datetime.now(UTC) + timedelta(minutes=4)).isoformat()
    renewed = KIND.advance(settings, Secret(json.dumps(short)), REGION)
    assert renewed.problem is None
    assert renewed.state.reveal() != state.reveal()
    base(settings, renewed.state)
    # The refresh token was good once: whoever kept the old state asks the person.
    assert (
        KIND.advance(settings, Secret(json.dumps(short)), REGION).problem.code == "ApprovalNeeded"
    )
    base(settings, renewed.state)


def test_a_renewal_that_aws_cannot_answer_leaves_the_state_as_it_was(center, settings):
    state = json.loads(approved(center, settings).reveal())
    state["tokens"]["expires_at"] = datetime.now(UTC).isoformat()
    kept = Secret(json.dumps(state))
    for code, kind in (("InternalServerException", Unavailable), ("SlowDownException", Throttled)):
        center.fail_next(code)
        error = refusal(KIND.advance, settings, kept, REGION)
        assert (type(error), error.retryable) == (kind, True)
    assert KIND.advance(settings, kept, REGION).problem is None


def test_a_live_state_is_left_alone_and_aws_is_not_asked(center, settings):
    state = approved(center, settings)
    asked = len(center.calls)
    advanced = KIND.advance(settings, state, REGION)
    assert advanced.state == state
    assert len(center.calls) == asked


def test_a_second_approval_leaves_the_first_working_until_it_is_given(center, settings):
    state = approved(center, settings)
    approval = KIND.begin(settings, state, REGION)
    advanced = KIND.advance(settings, approval.state, REGION)
    assert (advanced.problem, advanced.ask_again_seconds) == (None, 1)
    base(settings, advanced.state)
    center.deny(approval.user_code)
    assert KIND.advance(settings, advanced.state, REGION).problem is None


def test_we_register_once_and_again_when_it_is_forgotten_or_over(center, settings):
    approval = KIND.begin(settings, None, REGION)
    again = KIND.begin(settings, approval.state, REGION)
    assert len(center.rules.clients) == 1
    center.rules.clients.clear()
    assert KIND.advance(settings, again.state, REGION).problem.code == "ApprovalNeeded"
    third = KIND.begin(settings, again.state, REGION)
    assert len(center.rules.clients) == 1
    state = json.loads(third.state.reveal())
    state["client"]["expires_at"] = (datetime.now(UTC) + timedelta(hours=23)).isoformat()
    KIND.begin(settings, Secret(json.dumps(state)), REGION)
    assert len(center.rules.clients) == 2


def test_accounts_and_roles_are_picked_from_lists_over_several_pages(center, portal):
    center.assign("ada", "777788889999", "", "One")
    state = approved(center, portal)
    accounts = KIND.choices("account_id", portal, state, REGION)
    assert [(each.value, each.label) for each in accounts] == [
        ("777788889999", "777788889999"),
        ("444455556666", "Development (444455556666)"),
        ("111122223333", "Production (111122223333)"),
    ]
    roles = KIND.choices("role_name", {**portal, "account_id": "111122223333"}, state, REGION)
    assert [each.value for each in roles] == ["Audit", "Deploy", "ReadOnly"]
    assert refusal(KIND.choices, "role_name", portal, state, REGION).code == "ChoiceNeeded"
    assert (
        refusal(KIND.choices, "account_id", portal, Secret("{}"), REGION).code == "ApprovalNeeded"
    )
    with pytest.raises(NotImplementedError):
        KIND.choices("start_url", portal, state, REGION)


def test_each_person_gets_what_is_assigned_to_that_person(center, settings):
    center.assign("ben", "444455556666", "Development", "Admin")
    state = approved(center, settings, "ben")
    error = refusal(base, settings, state)
    assert (type(error), error.code) == (Rejected, "ForbiddenException")
    assert "assignment" in error.check
    given = base({**settings, "account_id": "444455556666", "role_name": "Admin"}, state)
    assert caller_identity(given, REGION).arn.endswith("/ben")
    assert refusal(KIND.choices, "role_name", settings, state, REGION).code == "ForbiddenException"


def test_without_account_and_role_it_waits_for_the_choice(center, portal):
    state = approved(center, portal)
    for chosen in ({}, {"account_id": "111122223333"}, {"role_name": "Deploy"}):
        assert refusal(base, {**portal, **chosen}, state).code == "ChoiceNeeded"


def test_who_signs_out_of_the_portal_is_asked_again(center, settings):
    state = approved(center, settings)
    center.sign_out("ada")
    error = refusal(base, settings, state)
    assert (type(error), error.code) == (WaitingForPerson, "ApprovalNeeded")
    base(settings, approved(center, settings, state=state))


def test_roots_of_one_portal_share_the_approval_of_any_account_and_role(portal, settings):
    scope = KIND.approval_scope(settings)
    assert scope == KIND.approval_scope(portal) != ""
    assert scope != KIND.approval_scope({**settings, "sso_region": "eu-west-1"})
    assert scope != KIND.approval_scope(
        {**settings, "start_url": "https://other.awsapps.com/start"}
    )


def test_a_wrong_start_url_is_told_as_such(center, settings):
    error = refusal(
        KIND.begin, {**settings, "start_url": "https://other.awsapps.com/start"}, None, REGION
    )
    assert (error.code, error.retryable) == ("InvalidRequestException", False)
    assert "start URL" in error.check


def test_throttling_and_outages_are_tried_again(center, settings):
    state = approved(center, settings)
    center.fail_next("TooManyRequestsException")
    assert isinstance(refusal(base, settings, state), Throttled)
    center.fail_next("InternalServerException")
    assert isinstance(refusal(KIND.begin, settings, None, REGION), Unavailable)
    center.fail_next("SlowDownException")
    assert isinstance(refusal(KIND.begin, settings, None, REGION), Throttled)


@pytest.mark.parametrize(
    "change",
    [
        {"verificationUriComplete": "javascript:alert(1)"},
        {"verificationUriComplete": 'https://x/"onmouseover="alert(1)'},
        {"verificationUriComplete": "http://device.sso.eu-west-1.amazonaws.com/"},
        {"verificationUriComplete": "https://user@x/"},
        {"userCode": "<b>AAAA</b>"},
        {"userCode": None},
        {"deviceCode": "a\nb"},
        {"expiresIn": -1},
        {"expiresIn": 10**9},
        {"interval": 10**9},
    ],
)
def test_a_hostile_answer_to_the_start_is_refused(center, settings, change):
    KIND.begin(settings, None, REGION)
    state = KIND.begin(settings, None, REGION).state
    good = {
        "deviceCode": "d" * 40,
        "userCode": "ABCD-EFGH",
        "verificationUri": center.start_url,
        "verificationUriComplete": center.start_url,
        "expiresIn": 600,
        "interval": 1,
    }
    center.answer_next(json.dumps(good).encode())
    KIND.begin(settings, state, REGION)
    center.answer_next(json.dumps(good | change).encode())
    assert isinstance(refusal(KIND.begin, settings, state, REGION), UnacceptableAnswer)


@pytest.mark.parametrize(
    "change",
    [
        {"accessKeyId": "ASIA\n[default]"},
        {"secretAccessKey": "short"},
        {"sessionToken": ""},
        {"expiration": 0},
        {"expiration": "tomorrow"},
        {"expiration": int((datetime.now(UTC) + timedelta(days=3)).timestamp() * 1000)},
        {"expiration": 1 << 49},
        None,
    ],
)
def test_hostile_role_credentials_are_refused(center, settings, change):
    state = approved(center, settings)
    ends = datetime.now(UTC) + timedelta(hours=1)
    good = {
        "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "secretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "sessionToken": "token",
        "expiration": int(ends.timestamp() * 1000),
    }
    center.answer_next(json.dumps({"roleCredentials": good}).encode())
    assert base(settings, state).access_key_id == "ASIAIOSFODNN7EXAMPLE"
    center.answer_next(json.dumps({"roleCredentials": good | change if change else None}).encode())
    assert isinstance(refusal(base, settings, state), UnacceptableAnswer)


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'{"accountList": [{"accountId": "1 OR 1"}]}', b"\xff" * 100]
)
def test_a_hostile_list_is_refused(center, portal, body):
    state = approved(center, portal)
    center.answer_next(body)
    assert isinstance(
        refusal(KIND.choices, "account_id", portal, state, REGION), UnacceptableAnswer
    )


def test_a_list_without_an_end_ends(center, portal):
    state = approved(center, portal)
    center.rules.accounts = lambda person, asked: {
        "accountList": [],
        "nextToken": str(int(asked.get("next_token") or 0) + 1),
    }
    assert isinstance(
        refusal(KIND.choices, "account_id", portal, state, REGION), UnacceptableAnswer
    )
    assert len(center.calls) < 120


@pytest.mark.parametrize(
    "state", ["", "{}", "[]", "null", "{", '{"tokens": {"access_token": 1}}', '{"client": "x"}']
)
def test_a_state_that_cannot_be_read_asks_for_an_approval(settings, state):
    assert refusal(base, settings, Secret(state)).code == "ApprovalNeeded"
    assert KIND.advance(settings, Secret(state), REGION).problem.code == "ApprovalNeeded"


def test_no_token_is_in_a_log_or_an_error(center, settings, caplog):
    with caplog.at_level("DEBUG"):
        state = approved(center, settings)
        center.fail_next("UnauthorizedException")
        error = refusal(base, settings, state)
        KIND.choices("account_id", settings, state, REGION)
    said = json.loads(state.reveal())
    secrets = [
        said["tokens"]["access_token"],
        said["tokens"]["refresh_token"],
        said["client"]["client_secret"],
    ]
    assert not [each for each in secrets if each in f"{caplog.text}{error}{error.check}"]


def test_the_fields_take_what_the_portal_shows_and_refuse_the_rest():
    fields = {field.name: field.validate for field in KIND.fields}
    start = "https://d-1234567890.awsapps.com/start"
    for typed in (start, f"{start}/", f"{start}/#/", f"{start}#/?tab=accounts"):
        assert fields["start_url"](typed) == start
    for bad in (
        "http://d-1.awsapps.com/start",
        "https://",
        "https://a b/",
        f"{start}\n",
        "javascript:alert(1)",
        "https://é/",
    ):
        with pytest.raises(InvalidName):
            fields["start_url"](bad)
    assert fields["account_id"]("111122223333") == "111122223333"
    assert fields["role_name"]("Read+Only") == "Read+Only"
    for name, bad in (
        ("account_id", "1111"),
        ("account_id", "١" * 12),
        ("role_name", "a b"),
        ("role_name", "a\n"),
    ):
        with pytest.raises(InvalidName):
            fields[name](bad)
    assert KIND.summary({"start_url": start}) == start
    assert (
        KIND.summary({"account_id": "111122223333", "role_name": "Deploy"})
        == "111122223333 / Deploy"
    )


@pytest.mark.parametrize("minutes", [10, -10])
def test_a_clock_some_minutes_off_takes_no_role_away(center, settings, sts, minutes):
    state = approved(center, settings)
    sts.rules.skew_seconds = minutes * 60
    assert base(settings, state).expires_at is not None


def test_a_clock_far_off_is_told_as_such(center, settings, sts):
    state = approved(center, settings)
    sts.rules.skew_seconds = -90 * 60
    error = refusal(base, settings, state)
    assert (type(error), error.retryable) == (ClockSkewed, True)
    assert "The workers' clock is 1 h" in error.message


@pytest.mark.parametrize("status", [200, 302, 403, 407])
def test_a_proxys_page_is_waited_for(center, settings, monkeypatch, status):
    state = approved(center, settings)
    with FakeSts() as proxy:
        proxy.answer_next(b"<html>Please log in</html>", status=status, times=2)
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", proxy.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO_OIDC", proxy.url)
        for error in (
            refusal(base, settings, state),
            refusal(KIND.begin, settings, None, REGION),
        ):
            assert (error.code, error.retryable) == ("UnreadableAnswer", True)
