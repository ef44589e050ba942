"""Make CloudTrail's records of what a team was issued, and have workers read them."""

import gzip
import json
from datetime import timedelta
from itertools import count

from sessions.actors import Actor
from sessions.delivery.reveal import reveal
from sessions.engine import trail
from sessions.ledger.drift import imports
from sessions.ledger.events.credentials import CredentialMinted
from sessions.models import TrailImport, TrailRecord
from tests.aws.cloudtrail.samples import event

_numbers = count(1)


def issued(house, session, member=None):
    """Start a session, have it issued, and return what its last hop's line says."""
    house.start(session, member)
    house.work()
    return said(house)


def said(house, at=-1):
    return CredentialMinted.read(house.events(CredentialMinted)[at].data)


def took(house, session, member):
    return reveal(session, Actor(member), form="process", via="page").access_key_id


def stamp(moment):
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def number():
    return f"00000000-0000-4000-8000-{next(_numbers):012}"


def identity_of(minted, **more):
    """Return the identity of calls that are made with what was issued."""
    account, role = minted.arn.split(":")[4], minted.arn.split("/")[1]
    source = {"sourceIdentity": minted.source_identity} if minted.source_identity else {}
    return {
        "type": "AssumedRole",
        "principalId": minted.principal_id,
        "arn": minted.arn,
        "accountId": account,
        "accessKeyId": minted.access_key_id,
        "sessionContext": {
            "sessionIssuer": {"type": "Role", "arn": minted.role_arn, "userName": role},
            "attributes": {"creationDate": stamp(minted.expires_at - timedelta(hours=1))},
            **source,
        },
        **more,
    }


def call(minted, name="ListBuckets", *, minutes=2, identity=None, **more):
    """Return the record of a call some minutes after the issue."""
    at = minted.expires_at - timedelta(hours=1) + timedelta(minutes=minutes)
    who = identity_of(minted) | (identity or {})
    return event(name, who, eventTime=stamp(at), eventID=number(), **more)


def assume(caller, minted_at, key, *, role="Further", name="botocore-session-1700000000", **more):
    """Return the record of an AssumeRole call that Chainweb did not make."""
    arn = f"arn:aws:iam::111122223333:role/{role}"
    return event(
        "AssumeRole",
        caller,
        eventSource="sts.amazonaws.com",
        eventTime=stamp(minted_at),
        eventID=number(),
        requestParameters={"roleArn": arn, "roleSessionName": name},
        responseElements={
            "credentials": {"accessKeyId": key},
            "assumedRoleUser": {
                "assumedRoleId": f"AROAFURTHEREXAMPLE123:{name}",
                "arn": f"arn:aws:sts::111122223333:assumed-role/{role}/{name}",
            },
        },
        **more,
    )


def of_further(key, at, *, role="Further", name="botocore-session-1700000000", began=None, **more):
    """Return the record of a call by a session that `assume` has made."""
    who = {
        "type": "AssumedRole",
        "principalId": f"AROAFURTHEREXAMPLE123:{name}",
        "arn": f"arn:aws:sts::111122223333:assumed-role/{role}/{name}",
        "accountId": "111122223333",
        "accessKeyId": key,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "arn": f"arn:aws:iam::111122223333:role/{role}",
                "userName": role,
            },
            "attributes": {"creationDate": stamp(began or at)},
        },
    }
    return event("PutObject", who, eventTime=stamp(at), eventID=number(), **more)


def as_file(records):
    return gzip.compress(json.dumps({"Records": records}).encode())


def upload(house, content, member=None, name="log.json.gz"):
    """Upload a file and have a worker read it; return the import as it is then."""
    content = content if isinstance(content, bytes) else as_file(content)
    taken = imports.take_file(Actor(member or house.ada), name, [content])
    trail.work_off(60)
    return TrailImport.objects.get(pk=taken.pk)


def rows(house, **by):
    """Return the records that count, the oldest first."""
    shown = TrailRecord.objects.filter(team=house.team, trail_import__is_shown=True, **by)
    return list(shown.order_by("at", "pk"))


def row_of(house, record):
    """Return the row of a record that was uploaded."""
    [row] = rows(house, detail__event_id=record["eventID"])
    return row


def kinds(house, *records):
    """Return what the records turned out to be, in their order."""
    return [row_of(house, each).kind for each in records]
