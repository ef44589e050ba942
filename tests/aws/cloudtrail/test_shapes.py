"""Records are found in what tools put around them, each once."""

import base64
import gzip
import json

import pytest

from sessions.aws.cloudtrail import shapes
from sessions.aws.cloudtrail.actors import Actor
from tests.aws.cloudtrail.samples import ACCOUNT, assumed, event, reading, record, role, sso, user

ONE = event()
TEXT = json.dumps(ONE)


def only(value):
    found, problems = shapes.find(value)
    assert problems == []
    assert len(found) == 1
    return record(found[0])


@pytest.mark.parametrize(
    "wrapped",
    [
        ONE,
        TEXT,
        [ONE],
        {"Records": [ONE]},
        {"detail-type": "AWS API Call via CloudTrail", "account": "1", "detail": ONE},
        {"EventId": "x", "EventName": "Other", "EventTime": 1.0, "CloudTrailEvent": TEXT},
        {"NextToken": "x", "Events": [{"CloudTrailEvent": TEXT}]},
        {"messageType": "DATA_MESSAGE", "logEvents": [{"id": "1", "message": TEXT + "\n"}]},
        {"data": {"logEvents": [{"message": TEXT}]}, "service": "kinesis"},
        {"awslogs": {"data": base64.b64encode(gzip.compress(TEXT.encode())).decode()}},
        {"category": "cloudtrail", "details": ONE},
        {"input": {"message": TEXT}, "expected": {"message": TEXT, "event": {"action": "x"}}},
        {
            "_index": "logs",
            "_source": {"event": {"original": TEXT}, "aws": {"cloudtrail": {"a": 1}}},
        },
        {"hits": {"total": 1, "hits": [{"_source": ONE}]}},
        {"preview": False, "result": {"_raw": TEXT}},
        {"Body": json.dumps({"Message": json.dumps({"detail": ONE})})},
        {"anything": {"else": [{"at": {"all": ONE}}]}},
        {"message": 'words { that are not JSON "', "attributes": ONE},
        [{"eventname": "ListBuckets"}, {"useridentity": json.dumps(user())}, {"eventtime": "-"}],
    ],
)
def test_a_record_is_found_in_its_wrapper_once(wrapped):
    found = only(wrapped)
    assert found.event_name == "ListBuckets"
    assert found.identity.user_name == "Alice"


def test_the_inner_time_of_a_looked_up_event_is_right():
    found = only({"EventTime": "2026-07-02 09:00:00+11:00", "CloudTrailEvent": TEXT})
    assert found.event_time.isoformat() == "2026-07-01T08:30:00+00:00"


def test_a_looked_up_event_without_its_text_keeps_its_columns():
    found = reading(
        shapes.find({"EventName": "A", "EventTime": 1424476529.0, "Username": "ada"})[0][0]
    )
    assert found.who.name == "ada"


@pytest.mark.parametrize("value", [None, 7, "", "words", {}, [], {"a": {"b": "c"}}, [[[[]]]]])
def test_json_without_a_record_says_so(value):
    assert shapes.find(value) == ([], [shapes.NOTHING])


def test_a_digest_is_called_a_digest():
    digest = {"awsAccountId": "1", "digestStartTime": "2026-07-01T00:00:00Z", "logFiles": []}
    assert shapes.find(digest) == ([], [shapes.DIGEST])


def test_broken_text_within_is_said_and_its_neighbours_are_read():
    found, problems = shapes.find([{"CloudTrailEvent": '{\n"a": }'}, {"CloudTrailEvent": TEXT}])
    assert len(found) == 1
    assert problems == ["The JSON text within this record is broken at its line 2, column 6."]


def test_text_nested_too_deeply_is_said():
    deep = '{"a": ' + '{"a":' * 100_000
    assert "deeply" in shapes.find({"CloudTrailEvent": deep})[1][0]


def test_a_payload_that_is_no_payload_is_said():
    assert "payload" in shapes.find({"awslogs": {"data": "H4sIAAAA"}})[1][0]


def test_values_under_many_spellings_are_looked_at_once():
    value = {"x": list(range(1000))}
    for _ in range(7):
        value = {"EVENTS": value, "Events": value, "events": value, "message": value}
    assert shapes.find(value)[0] == []


ECS = {
    "@timestamp": "2026-07-01T08:30:00.000Z",
    "event": {"action": "AssumeRole", "provider": "sts.amazonaws.com", "id": "e-1"},
    "cloud": {"region": "eu-west-1"},
    "source": {"address": "192.0.2.10"},
    "user": {"name": "Deploy", "id": "AROADBQP57FF2AEXAMPLE:ada@example.com"},
    "user_agent": {"original": "aws-cli"},
    "aws": {
        "cloudtrail": {
            "event_type": "AwsApiCall",
            "recipient_account_id": ACCOUNT,
            "request_parameters": "{roleArn=arn:aws:iam::1:role/Reader, roleSessionName=ada}",
            "response_elements": "{credentials={accessKeyId=ASIAI44QH8DHBEXAMPLE, sessionToken=x}}",
            "user_identity": {
                "type": "AssumedRole",
                "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/ada@example.com",
                "access_key_id": "ASIAIOSFODNN7EXAMPLE",
                "session_context": {
                    "creation_date": "2026-07-01T08:00:00.000Z",
                    "session_issuer": {
                        "type": "Role",
                        "arn": f"arn:aws:iam::{ACCOUNT}:role/Deploy",
                    },
                },
            },
        }
    },
}


def with_dots(value, before=""):
    for key, item in value.items():
        if isinstance(item, dict):
            yield from with_dots(item, f"{before}{key}.")
        else:
            yield f"{before}{key}", [item]


@pytest.mark.parametrize("form", [ECS, dict(with_dots(ECS)), {"fields": dict(with_dots(ECS))}])
def test_elastics_form_is_read_and_its_user_name_is_a_role(form):
    found = only(form)
    assert (found.event_name, found.event_source) == ("AssumeRole", "sts.amazonaws.com")
    assert found.identity.role_name == "Deploy"
    assert found.identity.session_name == "ada@example.com"
    assert found.identity.principal_id == "AROADBQP57FF2AEXAMPLE:ada@example.com"
    assert found.identity.created_at.hour == 8
    assert found.issued.access_key_id == "ASIAI44QH8DHBEXAMPLE"
    assert found.issued.role_arn == "arn:aws:iam::1:role/Reader"


DOTS = {
    "eventName": "ListBuckets",
    "userIdentity.type": "AssumedRole",
    "userIdentity.arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/ada",
    "userIdentity.sessionContext.sessionIssuer.arn": f"arn:aws:iam::{ACCOUNT}:role/team/Deploy",
    "userIdentity.sessionContext.attributes.creationDate": "2026-07-01T08:00:00Z",
    "requestParameters.bucketName": "b",
}


@pytest.mark.parametrize(
    "form",
    [
        DOTS,
        {"results": [[{"field": key, "value": item} for key, item in DOTS.items()]]},
        {"results": [[{"field": "@ptr", "value": "x"}, {"field": "@message", "value": TEXT}]]},
    ],
)
def test_fields_with_dots_and_results_of_logs_insights_are_read(form):
    found = only(form)
    assert found.event_name == "ListBuckets"
    assert found.identity.role_arn.endswith("/team/Deploy") or found.identity.user_name == "Alice"


def test_sentinels_table_is_read():
    found = only(
        {
            "TimeGenerated": "2026-07-01T08:30:00Z",
            "EventName": "ListBuckets",
            "EventSource": "s3.amazonaws.com",
            "AwsEventId": "e-1",
            "UserIdentityType": "AssumedRole",
            "UserIdentityPrincipalid": "AROADBQP57FF2AEXAMPLE:ada",
            "UserIdentityArn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/ada",
            "UserIdentityAccessKeyId": "ASIAIOSFODNN7EXAMPLE",
            "SessionIssuerArn": f"arn:aws:iam::{ACCOUNT}:role/team/Deploy",
            "SessionIssuerUserName": "Deploy",
            "SessionCreationDate": "2026-07-01T08:00:00Z",
        }
    )
    assert (found.event_id, found.event_time.minute) == ("e-1", 30)
    assert found.identity.role_arn.endswith("/team/Deploy")
    assert found.identity.created_at.hour == 8
    assert found.identity.access_key_id == "ASIAIOSFODNN7EXAMPLE"


def test_ocsf_is_read():
    found = only(
        {
            "class_uid": 6003,
            "time": 1782894600000,
            "api": {
                "operation": "ListBuckets",
                "service": {"name": "s3.amazonaws.com"},
                "response": {"error": "AccessDenied"},
                "request": {"uid": "r-1", "data": '{"a": 1}'},
            },
            "actor": {
                "user": {
                    "type": "AssumedRole",
                    "uid": f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/ada",
                    "uid_alt": "AROADBQP57FF2AEXAMPLE:ada",
                    "credential_uid": "ASIAIOSFODNN7EXAMPLE",
                },
                "session": {"created_time": 1782892800000, "issuer": "arn:aws:iam::1:role/Deploy"},
            },
            "cloud": {"region": "eu-west-1"},
            "src_endpoint": {"ip": "192.0.2.10"},
            "metadata": {"uid": "e-1"},
        }
    )
    assert (found.event_name, found.error_code, found.request) == (
        "ListBuckets",
        "AccessDenied",
        {"a": 1},
    )
    assert found.identity.session_name == "ada"
    assert found.identity.access_key_id == "ASIAIOSFODNN7EXAMPLE"
    assert found.event_time.isoformat() == "2026-07-01T08:30:00+00:00"


def test_an_identity_alone_is_read():
    assert only(role("ada")).identity.session_name == "ada"
    assert only(sso()).identity.account == ACCOUNT
    assert only(json.dumps(user())).identity.user_name == "Alice"


@pytest.mark.parametrize(
    ("arn", "actor", "name"),
    [
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/ada", Actor.PERSON, "ada"),
        (f"arn:aws:iam::{ACCOUNT}:user/team/Alice", Actor.PERSON, "Alice"),
        (f"arn:aws:iam::{ACCOUNT}:root", Actor.ROOT, ""),
    ],
)
def test_the_answer_of_get_caller_identity_is_read(arn, actor, name):
    found, _ = shapes.find({"UserId": "AROAX:ada", "Account": ACCOUNT, "Arn": arn})
    assert (reading(found[0]).who.actor, reading(found[0]).who.name) == (actor, name)


def test_both_statistics_of_insights_are_records_of_no_call():
    insight = {"eventVersion": "1.07", "eventType": "AwsCloudTrailInsight", "insightDetails": {}}
    found, problems = shapes.find({"Events": [insight, insight]})
    assert (len(found), problems) == (2, [])
    assert reading(found[0]).who.actor is Actor.NO_CALL


def test_a_record_is_not_looked_into():
    hop = assumed() | {"requestParameters": {"detail": ONE, "Records": [ONE]}}
    assert only(hop).event_name == "AssumeRole"
