"""Make CloudTrail records by hand, with AWS's documentation keys and made-up names."""

import json

from sessions.aws.cloudtrail.reading import read
from sessions.aws.cloudtrail.records import Where, record_of

ACCOUNT = "111122223333"
USER_KEY = "AKIAIOSFODNN7EXAMPLE"
SESSION_KEY = "ASIAIOSFODNN7EXAMPLE"
CHILD_KEY = "ASIAI44QH8DHBEXAMPLE"
ROLE_ID = "AROADBQP57FF2AEXAMPLE"
SSO_ROLE = "AWSReservedSSO_Admin_1234567890abcdef"


def user(name="Alice", **more):
    return {
        "type": "IAMUser",
        "principalId": "AIDACKCEVSQ6C2EXAMPLE",
        "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}",
        "accountId": ACCOUNT,
        "accessKeyId": USER_KEY,
        "userName": name,
        **more,
    }


def role(session_name="ada@example.com", name="Deploy", path="/", **more):
    """Make the identity of a role session; `context` is added to its sessionContext."""
    context = more.pop("context", {})
    return {
        "type": "AssumedRole",
        "principalId": f"{ROLE_ID}:{session_name}",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session_name}",
        "accountId": ACCOUNT,
        "accessKeyId": SESSION_KEY,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": ROLE_ID,
                "arn": f"arn:aws:iam::{ACCOUNT}:role{path}{name}",
                "accountId": ACCOUNT,
                "userName": name,
            },
            "attributes": {"creationDate": "2026-07-01T08:00:00Z", "mfaAuthenticated": "false"},
            **context,
        },
        **more,
    }


def sso(session_name="ada@example.com", **more):
    path = "/aws-reserved/sso.amazonaws.com/eu-west-1/"
    return role(session_name, name=SSO_ROLE, path=path, **more)


def event(name="ListBuckets", identity=None, **more):
    return {
        "eventVersion": "1.11",
        "userIdentity": user() if identity is None else identity,
        "eventTime": "2026-07-01T08:30:00Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": name,
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "192.0.2.10",
        "userAgent": "aws-cli/2.15.0",
        "requestParameters": None,
        "responseElements": None,
        "requestID": "0e8d4EXAMPLE",
        "eventID": "3fcfb182-98f8-4744-bd45-10a395ab61cb",
        "eventType": "AwsApiCall",
        "recipientAccountId": ACCOUNT,
        **more,
    }


def assumed(identity=None, session_name="ada", name="Reader", key=CHILD_KEY, **more):
    """Make a successful AssumeRole; `asked` is added to its request."""
    role_arn = f"arn:aws:iam::{ACCOUNT}:role/team/{name}"
    return event(
        "AssumeRole",
        identity,
        eventSource="sts.amazonaws.com",
        requestParameters={
            "roleArn": role_arn,
            "roleSessionName": session_name,
            "durationSeconds": 3600,
            **more.pop("asked", {}),
        },
        responseElements={
            "credentials": {
                "accessKeyId": key,
                "sessionToken": "AQoDYXdzEJr-EXAMPLE-TOKEN",
                "expiration": "Jul 1, 2026, 9:30:00 AM",
            },
            "assumedRoleUser": {
                "assumedRoleId": f"AROACHILDEXAMPLE12345:{session_name}",
                "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session_name}",
            },
        },
        **more,
    )


def record(found):
    return record_of(found, Where())


def reading(found):
    return read(record(found))


def as_text(found):
    return json.dumps(found)
