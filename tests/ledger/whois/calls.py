"""Make records of CloudTrail of calls with what a team has issued."""

from datetime import timedelta

from sessions.actors import Actor
from sessions.aws.cloudtrail.records import Where, record_of
from sessions.delivery.reveal import reveal
from sessions.ledger.events.credentials import CredentialMinted
from sessions.ledger.origin import Origin, asked_from
from sessions.ledger.whois import clues_of_record

LAPTOP = Origin(address="192.0.2.17", client="aws-cli/2.31", token_id="1", token="ada-macbook")


def take(session, member, origin=LAPTOP):
    """Have a member take a session's credentials; return their key id."""
    with asked_from(lambda: origin):
        return reveal(
            session, Actor(member), form="process", via=f"token {origin.token}"
        ).access_key_id


def issued_for(house, number=-1):
    """Return what was issued by one of the team's calls, the last if none is named."""
    return CredentialMinted.read(house.events(CredentialMinted)[number].data)


def call(issued, **changes):
    """Return what CloudTrail writes of a call with these credentials, soon after their issue.

    `identity` changes who is said to have called.
    """
    began = issued.expires_at - timedelta(hours=1)
    identity = {
        "type": "AssumedRole",
        "principalId": issued.principal_id,
        "arn": issued.arn,
        "accountId": issued.arn.split(":")[4],
        "accessKeyId": issued.access_key_id,
        "sessionContext": {
            "sessionIssuer": {"type": "Role", "userName": issued.arn.split("/")[1]},
            "attributes": {"creationDate": f"{began:%Y-%m-%dT%H:%M:%SZ}"},
        },
    } | changes.pop("identity", {})
    return {
        "eventTime": f"{began + timedelta(minutes=2):%Y-%m-%dT%H:%M:%SZ}",
        "eventName": "GetObject",
        "eventSource": "s3.amazonaws.com",
        "userIdentity": identity,
    } | changes


def began(at):
    """Return the part of an identity that says when its session began."""
    return {"sessionContext": {"attributes": {"creationDate": f"{at:%Y-%m-%dT%H:%M:%SZ}"}}}


def assume_role(issued, name="AssumeRole", **changes):
    """Return what CloudTrail writes of the call that issued these credentials."""
    return {
        "eventName": name,
        "eventSource": "sts.amazonaws.com",
        "eventTime": f"{issued.expires_at - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
        "userIdentity": {"type": "AWSAccount", "accountId": "111122223333"},
        "requestParameters": {
            "roleArn": issued.role_arn,
            "roleSessionName": issued.role_session_name,
        },
        "responseElements": {
            "credentials": {"accessKeyId": issued.access_key_id},
            "assumedRoleUser": {"arn": issued.arn, "assumedRoleId": issued.principal_id},
        },
    } | changes


def clues_in(said):
    """Read a record as a question."""
    return clues_of_record(record_of(said, Where()))


def record(issued, **changes):
    """Ask about a call with these credentials."""
    return clues_in(call(issued, **changes))
