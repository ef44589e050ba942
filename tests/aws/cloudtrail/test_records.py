"""Records of every shape become one form, and nothing in them makes reading fail."""

import json
from datetime import UTC, datetime

import pytest

from sessions.aws.cloudtrail.issued import ISSUERS
from tests.aws.cloudtrail.samples import (
    ACCOUNT,
    CHILD_KEY,
    SESSION_KEY,
    assumed,
    event,
    record,
    role,
    sso,
    user,
)


def test_a_record_holds_what_its_fields_say():
    found = record(event(identity=user(), sharedEventID="s-1", errorCode="AccessDenied"))
    assert (found.event_name, found.event_source) == ("ListBuckets", "s3.amazonaws.com")
    assert found.event_time == datetime(2026, 7, 1, 8, 30, tzinfo=UTC)
    assert (found.source_address, found.region) == ("192.0.2.10", "eu-west-1")
    assert found.identity.user_name == "Alice"
    assert found.identity.account == found.recipient_account == ACCOUNT
    assert found.call_id == "s-1"
    assert found.failed
    assert found.unreadable == ()


def test_the_role_is_the_issuers_whatever_path_the_arn_has():
    identity = role("ada", name="Runner", path="/service-role/")
    identity["arn"] = f"arn:aws:sts::{ACCOUNT}:assumed-role/service-role/Runner/ada"
    found = record(event(identity=identity)).identity
    assert (found.role_name, found.session_name) == ("Runner", "ada")
    assert found.role_arn == f"arn:aws:iam::{ACCOUNT}:role/service-role/Runner"


def test_the_arn_names_role_and_session_where_there_is_no_issuer():
    identity = {"type": "AssumedRole", "arn": "arn:aws-cn:sts::111122223333:assumed-role/R/ada"}
    found = record(event(identity=identity)).identity
    assert (found.role_name, found.session_name, found.account) == ("R", "ada", ACCOUNT)
    assert found.role_arn == "arn:aws-cn:iam::111122223333:role/R"


def test_the_principal_names_the_session_where_there_is_no_arn():
    identity = {"type": "AWSAccount", "principalId": "AROAEXAMPLE:ada", "accountId": ACCOUNT}
    assert record(event(identity=identity)).identity.session_name == "ada"


def test_an_issued_session_has_its_key_names_tags_and_end():
    found = record(
        assumed(
            asked={
                "sourceIdentity": "ada",
                "tags": [{"key": "Team", "value": "blue"}],
                "incomingTransitiveTags": {"Site": "B"},
                "transitiveTagKeys": ["Team"],
            }
        )
    ).issued
    assert found.by == "AssumeRole"
    assert found.access_key_id == CHILD_KEY
    assert found.role_arn.endswith(":role/team/Reader")
    assert found.assumed_role_id == "AROACHILDEXAMPLE12345:ada"
    assert (found.session_name, found.source_identity) == ("ada", "ada")
    assert found.expires_at == datetime(2026, 7, 1, 9, 30, tzinfo=UTC)
    assert found.duration_seconds == 3600
    assert found.tags == (("Team", "blue"),)
    assert found.inherited_tags == (("Site", "B"),)
    assert found.transitive_tag_keys == ("Team",)


def test_a_record_never_holds_a_session_token():
    for name in ISSUERS:
        assert "TOKEN" not in repr(record(assumed() | {"eventName": name}))


@pytest.mark.parametrize(
    "expiration", ["Jul 1, 2035, 9:30:00 AM", "Jul 1, 2020, 9:30:00 AM", "soon"]
)
def test_an_end_that_no_session_can_have_stays_text(expiration):
    found = assumed()
    found["responseElements"]["credentials"]["expiration"] = expiration
    assert record(found).issued.expiration == expiration
    assert record(found).issued.expires_at is None


@pytest.mark.parametrize("request_parameters", [None, {"roleArn": "arn:aws:iam::1:role/Reader"}])
def test_a_refused_assume_role_made_no_session(request_parameters):
    found = record(
        event(
            "AssumeRole",
            errorCode="AccessDenied",
            errorMessage=f"User: arn:aws:iam::{ACCOUNT}:user/Alice is not authorized to perform:"
            " sts:AssumeRole on resource: arn:aws:iam::1:role/Reader",
            requestParameters=request_parameters,
        )
    )
    assert found.issued is None
    assert found.refused_role == "arn:aws:iam::1:role/Reader"


def test_an_assume_role_without_role_and_answer_is_no_hop():
    assert record({"eventName": "AssumeRole", "userIdentity": user()}).issued is None


def test_a_permission_set_is_named_in_service_details():
    found = record(
        event(
            "GetRoleCredentials",
            {"type": "IdentityCenterUser"},
            serviceEventDetails={"role_name": "Admin", "account_id": "444455556666"},
        )
    ).issued
    assert (found.permission_set, found.account) == ("Admin", "444455556666")


@pytest.mark.parametrize("absent", [None, "", "null", [], {}])
def test_each_spelling_of_nothing_reads_as_absent(absent):
    found = record(
        event(
            requestParameters=absent,
            responseElements=absent,
            resources=absent,
            sharedEventID=absent,
            errorCode=absent,
            additionalEventData=absent,
        )
    )
    assert found.shared_event_id == found.error_code == ""
    assert found.request == {}
    assert not found.failed
    assert found.unreadable == ()


def test_objects_are_read_from_json_text_as_well():
    found = assumed(sso())
    for name in ("userIdentity", "requestParameters", "responseElements"):
        found[name] = json.dumps(found[name])
    assert record(found) == record(assumed(sso()))


def test_lower_case_and_underscores_are_read_as_cloudtrails_names():
    found = {"eventname": "ListBuckets", "user_identity": {"type": "IAMUser", "user_name": "Al"}}
    assert record(found).event_name == "ListBuckets"
    assert record(found).identity.user_name == "Al"


def test_the_time_of_a_log_shipper_stands_in_for_a_missing_one():
    found = event()
    del found["eventTime"]
    assert record(found | {"@timestamp": "2026-07-01T08:30:01Z"}).event_time.second == 1


def test_fields_that_hold_something_else_are_named():
    identity = role(context={"attributes": {"creationDate": "..."}})
    found = record(event(identity=identity, eventTime="...", requestParameters="words"))
    assert found.unreadable == ("eventTime", "creationDate", "requestParameters")


@pytest.mark.parametrize(
    "change",
    [
        {"sessionCredentialFromConsole": "true"},
        {"sessionCredentialFromConsole": True},
        {"userAgent": "signin.amazonaws.com"},
        {"userAgent": "console.ec2.amazonaws.com"},
        {"userAgent": "AWSConsole"},
        {"userAgent": "[S3Console/0.4]"},
        {"sourceIPAddress": "signin.amazonaws.com"},
        {"eventType": "AwsConsoleSignIn"},
        {"userIdentity": user(invokedBy="signin.amazonaws.com")},
        {"userIdentity": role(context={"attributes": {"sessionCredentialFromConsole": "true"}})},
    ],
)
def test_the_console_is_told_by_any_of_its_marks(change):
    assert record(event() | change).from_console


def test_a_link_to_the_console_made_by_a_script_is_not_the_console():
    found = event("GetSigninToken", role(), eventType="AwsConsoleSignIn")
    assert not record(found).from_console
    assert not record(event(userAgent="AWS Internal")).from_console


def test_identity_of_an_agent_session_is_found_in_both_places():
    arn = "arn:aws:signin:eu-west-1:111122223333:session/a90e1d90"
    inside = record(event(identity=sso(context={"signInSessionArn": arn})))
    beside = record(event(identity=sso(), additionalEventData={"signInSessionArn": arn}))
    assert inside.identity.sign_in_session_arn == beside.identity.sign_in_session_arn == arn


def test_session_key_of_a_role_is_kept():
    assert record(event(identity=role())).identity.access_key_id == SESSION_KEY
