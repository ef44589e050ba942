"""Read what somebody pastes for what it is."""

import pytest

from sessions.aws.cloudtrail.records import Where, record_of
from sessions.ledger.whois import clues_of, clues_of_record
from sessions.ledger.whois.clues import Clues

pytestmark = pytest.mark.no_servers

ARN = "arn:aws:sts::444455556666:assumed-role/IncidentResponder/ada"


@pytest.mark.parametrize(
    ("pasted", "read"),
    [
        (
            "ASIAIOSFODNN7EXAMPLE",
            Clues(what="access key id", access_key_id="ASIAIOSFODNN7EXAMPLE"),
        ),
        (
            '  "AKIAIOSFODNN7EXAMPLE"\n',
            Clues(what="access key id", access_key_id="AKIAIOSFODNN7EXAMPLE"),
        ),
        (
            ARN,
            Clues(
                what="role session",
                account="444455556666",
                role_name="IncidentResponder",
                session_name="ada",
            ),
        ),
        (
            "arn:aws-cn:sts::444455556666:assumed-role/path/Deploy/ada@example.com",
            Clues(
                what="role session",
                account="444455556666",
                role_name="Deploy",
                session_name="ada@example.com",
            ),
        ),
        (
            "AROADBQP57FF2AEXAMPLE:ada",
            Clues(
                what="principal id",
                principal_id="AROADBQP57FF2AEXAMPLE:ada",
                session_name="ada",
            ),
        ),
        (
            "who was ASIAIOSFODNN7EXAMPLE at 14:02?",
            Clues(what="access key id", access_key_id="ASIAIOSFODNN7EXAMPLE"),
        ),
        (
            '"accessKeyId": "ASIAIOSFODNN7EXAMPLE",\n',
            Clues(what="access key id", access_key_id="ASIAIOSFODNN7EXAMPLE"),
        ),
        (
            "ASIAIOSFODNN7EXAMPLE ASIAI44QH8DHBEXAMPLE",
            Clues(
                what="name",
                session_name="ASIAIOSFODNN7EXAMPLE ASIAI44QH8DHBEXAMPLE",
                source_identity="ASIAIOSFODNN7EXAMPLE ASIAI44QH8DHBEXAMPLE",
            ),
        ),
        ("192.0.2.17", Clues(what="address", address="192.0.2.17")),
        ("2001:DB8:0::1", Clues(what="address", address="2001:db8::1")),
        ("ada", Clues(what="name", session_name="ada", source_identity="ada")),
        ("", None),
        ("  ''  ", None),
    ],
)
def test_a_value_is_taken_for_what_it_is(pasted, read):
    assert clues_of(pasted) == read


def test_a_record_says_who_acted_and_when():
    record = record_of(
        {
            "eventTime": "2026-11-26T14:05:00Z",
            "eventName": "GetObject",
            "userIdentity": {
                "type": "AssumedRole",
                "principalId": "AROADBQP57FF2AEXAMPLE:ada",
                "arn": ARN,
                "accountId": "444455556666",
                "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
                "sessionContext": {"attributes": {"creationDate": "2026-11-26T14:02:11Z"}},
            },
        },
        Where(),
    )
    clues = clues_of_record(record)
    assert (clues.access_key_id, clues.principal_id, clues.session_name, clues.role_name) == (
        "ASIAIOSFODNN7EXAMPLE",
        "AROADBQP57FF2AEXAMPLE:ada",
        "ada",
        "IncidentResponder",
    )
    assert (clues.at, clues.began_at) == (record.event_time, record.identity.created_at)


def test_a_user_of_iam_is_no_role_session():
    record = record_of(
        {
            "userIdentity": {
                "type": "IAMUser",
                "principalId": "AIDACKCEVSQ6C2EXAMPLE",
                "arn": "arn:aws:iam::444455556666:user/ada",
                "accountId": "444455556666",
                "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
                "userName": "ada",
            }
        },
        Where(),
    )
    clues = clues_of_record(record)
    assert (clues.session_name, clues.role_name, clues.account) == ("", "", "")
