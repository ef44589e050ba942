"""Let the simulated AWS answer GetScopedCredentials as the service's model says."""

import json
import os
import socket
import subprocess
import time
import urllib.request
from datetime import UTC, datetime

import boto3
import pytest
from botocore.exceptions import ClientError

from chainweb.local.processes import moto_command

pytestmark = pytest.mark.processes

POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}}
)


@pytest.fixture(scope="module")
def url():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(moto_command(port), env=dict(os.environ), **quiet) as server:
        try:
            for _ in range(300):
                assert server.poll() is None, "the simulated AWS has ended"
                try:
                    urllib.request.urlopen(f"{address}/moto-api/", timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield address
        finally:
            server.terminate()


def sts(url, credentials=None):
    keys = credentials or {
        "AccessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "SessionToken": None,
    }
    return boto3.client(
        "sts",
        region_name="eu-west-1",
        endpoint_url=url,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


@pytest.fixture(scope="module")
def parent(url):
    arn = "arn:aws:iam::222233334444:role/Deploy"
    return sts(url).assume_role(RoleArn=arn, RoleSessionName="ada")["Credentials"]


def code_of(url, credentials=None, **asked):
    with pytest.raises(ClientError) as refused:
        sts(url, credentials).get_scoped_credentials(**asked)
    return refused.value.response["Error"]["Code"]


def test_a_child_has_a_key_and_an_end_of_its_own_and_the_same_arn(url, parent):
    given = sts(url, parent).get_scoped_credentials(
        Policy=POLICY, DurationSeconds=900, ScopedSessionDescription="chainweb platform 1 ada"
    )
    child = given["Credentials"]
    assert child["AccessKeyId"] not in {parent["AccessKeyId"], ""}
    assert 890 <= (child["Expiration"] - datetime.now(UTC)).total_seconds() <= 901
    arn = "arn:aws:sts::222233334444:assumed-role/Deploy/ada"
    assert given["SessionInfo"]["Arn"] == arn
    assert (given["ScopedPoliciesCount"], given["SessionTokenSize"]) == (
        1,
        len(child["SessionToken"]),
    )
    assert sts(url, child).get_caller_identity()["Arn"] == arn


def test_without_a_duration_the_child_ends_with_its_parent(url, parent):
    child = sts(url, parent).get_scoped_credentials(Policy=POLICY)["Credentials"]
    assert child["Expiration"] == parent["Expiration"]


def test_it_refuses_what_the_model_refuses(url, parent):
    assert code_of(url, parent) == "ValidationError"
    assert code_of(url, parent, Policy="{}") == "MalformedPolicyDocument"
    assert code_of(url, parent, DurationSeconds=7200) == "InsufficientSessionLifetime"
    assert code_of(url, Policy=POLICY) == "InvalidSubjectCredentials"
    child = parent
    for _ in range(3):
        child = sts(url, child).get_scoped_credentials(Policy=POLICY)["Credentials"]
    assert code_of(url, child, Policy=POLICY) == "AccessDenied"
