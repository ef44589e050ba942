"""The stand-in is as strict as the tests that lean on it believe."""

import http.client
import re
import urllib.parse

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.harness.sts import FakeSts, signature

ROLE = "arn:aws:iam::111122223333:role/Deploy"


def client(sts, key):
    return botocore.session.Session().create_client(
        "sts",
        region_name="eu-west-1",
        endpoint_url=sts.url,
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key.reveal(),
        aws_session_token=key.session_token.reveal() if key.session_token else None,
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )


def code(call, **arguments):
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    return raised.value.response["Error"]["Code"]


def test_awss_documented_example_has_the_signature_printed_there():
    signed = signature.parse(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request,"
        " SignedHeaders=content-type;host;x-amz-date,"
        " Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )
    headers = {
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "host": "iam.amazonaws.com",
        "x-amz-date": "20150830T123600Z",
    }
    target = "/?Action=ListUsers&Version=2010-05-08"
    canonical = signature.canonical_request(signed, "GET", target, headers, b"")
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    assert signature.is_right(signed, canonical, headers["x-amz-date"], secret)
    assert not signature.is_right(signed, canonical + " ", headers["x-amz-date"], secret)


def test_a_request_that_was_changed_on_the_way_is_refused(sts):
    key = sts.add_user("ada")
    body = urllib.parse.urlencode({"Action": "GetCallerIdentity", "Version": "2011-06-15"})
    request = AWSRequest(
        "POST", sts.url, data=body, headers={"Host": urllib.parse.urlsplit(sts.url).netloc}
    )
    SigV4Auth(
        Credentials(key.access_key_id, key.secret_access_key.reveal()), "sts", "eu-west-1"
    ).add_auth(request)
    for sent, wanted in ((body, 200), (body + "&x=y", 403)):
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(sts.url).netloc)
        connection.request("POST", "/", sent, dict(request.headers))
        answer = connection.getresponse()
        assert answer.status == wanted, answer.read()
        connection.close()


def test_an_unsigned_request_is_refused(sts):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(sts.url).netloc)
    connection.request("POST", "/", "Action=GetCallerIdentity&Version=2011-06-15")
    assert b"MissingAuthenticationToken" in connection.getresponse().read()
    connection.close()


def test_a_chained_role_gets_one_hour_and_a_first_one_what_its_role_allows(sts):
    key = sts.add_user("ada")
    sts.add_role(ROLE, trusts=["*"], max_session_seconds=7200)
    worker = sts.role_session("arn:aws:iam::111122223333:role/Worker", "w")
    asked = {"RoleArn": ROLE, "RoleSessionName": "ben"}
    client(sts, key).assume_role(**asked, DurationSeconds=7200)
    client(sts, worker).assume_role(**asked, DurationSeconds=3600)
    with pytest.raises(
        ClientError, match="1 hour session limit for roles assumed by role chaining"
    ):
        client(sts, worker).assume_role(**asked, DurationSeconds=3601)
    with pytest.raises(ClientError, match="MaxSessionDuration"):
        client(sts, key).assume_role(**asked, DurationSeconds=7201)


@pytest.mark.parametrize("name", ["b", "b n", "bén", "x" * 65, "b\n", ""])
def test_an_illegal_session_name_is_refused(sts, name):
    sts.add_role(ROLE, trusts=["*"])
    assert (
        code(client(sts, sts.add_user("ada")).assume_role, RoleArn=ROLE, RoleSessionName=name)
        == "ValidationError"
    )


def test_trust_is_by_user_role_session_account_or_all_and_nothing_else(sts):
    user = sts.add_user("ada")
    worker_role = "arn:aws:iam::111122223333:role/unit/Worker"
    worker = sts.role_session(worker_role, "w")
    asked = {"RoleArn": ROLE, "RoleSessionName": "ben"}
    for trust in (sts.arn_of(user), "111122223333", "arn:aws:iam::111122223333:root", "*"):
        sts.add_role(ROLE, trusts=[trust])
        client(sts, user).assume_role(**asked)
    for trust in (worker_role, sts.arn_of(worker)):
        sts.add_role(ROLE, trusts=[trust])
        client(sts, worker).assume_role(**asked)
        assert code(client(sts, user).assume_role, **asked) == "AccessDenied"
    sts.add_role(ROLE, trusts=["*"], external_id="partner")
    assert code(client(sts, user).assume_role, **asked) == "AccessDenied"
    client(sts, user).assume_role(**asked, ExternalId="partner")
    assert (
        code(client(sts, user).assume_role, RoleArn=f"{ROLE}X", RoleSessionName="ben")
        == "AccessDenied"
    )


def test_a_role_session_may_not_ask_for_a_session_token(sts):
    worker = sts.role_session("arn:aws:iam::111122223333:role/Worker", "w")
    assert code(client(sts, worker).get_session_token) == "AccessDenied"


def test_an_expired_session_is_refused(sts):
    worker = sts.role_session("arn:aws:iam::111122223333:role/Worker", "w", seconds=-1)
    assert code(client(sts, worker).get_caller_identity) == "ExpiredToken"


def test_the_log_of_calls_holds_no_secret(sts):
    key = sts.add_user("ada")
    sts.add_role(ROLE, trusts=["*"])
    answer = client(sts, key).assume_role(RoleArn=ROLE, RoleSessionName="ben")["Credentials"]
    [call] = sts.calls
    assert call["issued_access_key_id"] == answer["AccessKeyId"]
    assert (call["role_arn"], call["role_session_name"], call["duration_seconds"]) == (
        ROLE,
        "ben",
        3600,
    )
    for secret in (
        answer["SecretAccessKey"],
        answer["SessionToken"],
        key.secret_access_key.reveal(),
    ):
        assert secret not in repr(sts.calls)
        assert secret not in repr(sts.rules.keys)


def test_faults_come_as_often_as_asked_for_and_end_with_reset(sts):
    call = client(sts, sts.add_user("ada")).get_caller_identity
    sts.fail_next("Throttling", times=2)
    assert [code(call), code(call)] == ["Throttling", "Throttling"]
    call()
    sts.fail_next("AccessDenied", times=5)
    sts.down = True
    sts.reset()
    call()
    assert len(sts.calls) == 1


def test_two_stand_ins_know_nothing_of_each_other(sts):
    with FakeSts() as other:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", other.url)
        assert (
            code(client(other, sts.add_user("ada")).get_caller_identity) == "InvalidClientTokenId"
        )


def assumed(sts, key, arn, **asked):
    """Make a client that acts as the role's session."""
    from sessions.aws.credentials import AwsCredentials
    from sessions.secret import Secret

    parts = client(sts, key).assume_role(RoleArn=arn, RoleSessionName="ben", **asked)["Credentials"]
    session = AwsCredentials(
        parts["AccessKeyId"], Secret(parts["SecretAccessKey"]), Secret(parts["SessionToken"]), None
    )
    return session, client(sts, session)


def test_a_source_identity_persists_and_needs_every_later_roles_trust(sts):
    key = sts.add_user("ada")
    first = sts.add_role(ROLE, ["*"])
    open_to_it = sts.add_role(f"{ROLE}2", ["*"])
    shut = sts.add_role(f"{ROLE}3", ["*"], actions=["sts:TagSession"])
    session, call = assumed(sts, key, first, SourceIdentity="ben")
    assert call.assume_role(RoleArn=open_to_it, RoleSessionName="ben")["SourceIdentity"] == "ben"
    other = {"RoleArn": open_to_it, "RoleSessionName": "ben", "SourceIdentity": "eve"}
    assert code(call.assume_role, **other) == "AccessDenied"
    with pytest.raises(ClientError, match="sts:SetSourceIdentity on resource"):
        call.assume_role(RoleArn=shut, RoleSessionName="ben")
    _, further = assumed(sts, session, open_to_it)
    assert code(further.assume_role, RoleArn=shut, RoleSessionName="ben") == "AccessDenied"
    _, without = assumed(sts, key, first)
    assert "SourceIdentity" not in without.assume_role(RoleArn=shut, RoleSessionName="ben")


def test_transitive_tags_are_inherited_and_may_not_be_sent_again(sts):
    key = sts.add_user("ada")
    roles = [sts.add_role(f"{ROLE}{number}", ["*"]) for number in range(3)]
    untagged = sts.add_role(f"{ROLE}9", ["*"], actions=["sts:SetSourceIdentity"])
    tags = [{"Key": "Team", "Value": "x"}, {"Key": "cost", "Value": "y"}]
    session, _ = assumed(sts, key, roles[0], Tags=tags, TransitiveTagKeys=["Team"])
    _, second = assumed(sts, session, roles[1], Tags=[{"Key": "COST", "Value": "z"}])
    again = {"RoleArn": roles[2], "RoleSessionName": "ben", "Tags": [{"Key": "team", "Value": "x"}]}
    assert code(second.assume_role, **again) == "InvalidParameterValue"
    with pytest.raises(ClientError, match="sts:TagSession on resource"):
        second.assume_role(RoleArn=untagged, RoleSessionName="ben")
    lone = {"RoleArn": roles[0], "RoleSessionName": "ben", "TransitiveTagKeys": ["Team"]}
    assert code(client(sts, key).assume_role, **lone) == "InvalidParameterValue"


def test_policies_are_read_and_have_their_two_limits(sts):
    call = client(sts, sts.add_user("ada")).assume_role
    asked = {"RoleArn": sts.add_role(ROLE, ["*"]), "RoleSessionName": "ben"}
    good = '{"Version":"2012-10-17","Statement":[]}'
    assert call(**asked, Policy=good)["PackedPolicySize"] == 1
    assert code(call, **asked, Policy="{}") == "MalformedPolicyDocument"
    assert code(call, **asked, Policy=good + " " * 2048) == "ValidationError"
    tags = [{"Key": f"{number}" * 20, "Value": "v" * 256} for number in range(10, 25)]
    assert code(call, **asked, Tags=tags) == "PackedPolicyTooLarge"
