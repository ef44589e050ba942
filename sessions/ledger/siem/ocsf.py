"""Write a line of the ledger as an event of OCSF, the Open Cybersecurity Schema Framework.

Issues are Authentication (3002), as the AssumeRole calls of CloudTrail are in OCSF: somebody became
a role's session. Deliveries are API Activity (6003): somebody read credentials. What OCSF has no
place for is in `unmapped.chainweb`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sessions.ledger.events import read
from sessions.ledger.events.credentials import (
    CredentialMinted,
    CredentialRejected,
    CredentialRevealed,
)
from sessions.ledger.events.roots import RootOpened
from sessions.ledger.origin import Origin
from sessions.ledger.terms import account_in
from sessions.models import Event

VERSION = "1.5.0"
PRODUCT = {"name": "Chainweb", "vendor_name": "Chainweb"}

Fields = dict[str, Any]


@dataclass(frozen=True)
class Record:
    """Hold one line as it is sent: `text` is the event as JSON in ASCII, on one line."""

    team_id: str
    seq: int
    kind: str
    at: datetime
    has_failed: bool
    text: str


def record_of(line: Event) -> Record:
    """Write a line of a kind in `KINDS` as an event of OCSF."""
    said = read(line.kind, line.data)
    fields = _common(line) | {"message": f"{line.actor} {said.summary()}"} | KINDS[line.kind](line)
    text = json.dumps(_without_empty(fields), separators=(",", ":"), sort_keys=True)
    failed = fields["status_id"] == _FAILURE["status_id"]
    return Record(line.team_id, line.seq, str(line.kind), line.at, failed, text)


_SUCCESS = {"status_id": 1, "status": "Success", "severity_id": 1, "severity": "Informational"}
_FAILURE = {"status_id": 2, "status": "Failure", "severity_id": 2, "severity": "Low"}
_LOGON = {
    "category_uid": 3,
    "category_name": "Identity & Access Management",
    "class_uid": 3002,
    "class_name": "Authentication",
    "activity_id": 1,
    "activity_name": "Logon",
    "type_uid": 300201,
    "type_name": "Authentication: Logon",
    "service": {"name": "sts.amazonaws.com"},
    "is_remote": True,
}
_READ = {
    "category_uid": 6,
    "category_name": "Application Activity",
    "class_uid": 6003,
    "class_name": "API Activity",
    "activity_id": 2,
    "activity_name": "Read",
    "type_uid": 600302,
    "type_name": "API Activity: Read",
}


def _common(line: Event) -> Fields:
    """Return what every event says: when, and which line it is."""
    return {
        "time": _milliseconds(line.at),
        "metadata": {
            "version": VERSION,
            "product": PRODUCT,
            "profiles": ["cloud"],
            "log_name": "ledger",
            "event_code": str(line.kind),
            "uid": f"{line.team_id}:{line.seq}",
            "sequence": line.seq,
            "tenant_uid": line.team_id,
            "original_time": line.at.astimezone(UTC).isoformat(timespec="microseconds"),
        },
    }


def _issued(line: Event) -> Fields:
    said = CredentialMinted.read(line.data)
    account = account_in(said.role_arn)
    return {
        **_LOGON,
        **_SUCCESS,
        "actor": _workers(said.people, said.parent_access_key_id),
        "user": {
            "name": said.role_session_name,
            "uid": said.arn or said.role_arn,
            "uid_alt": _principal(said.principal_id, said.role_session_name),
            "credential_uid": said.access_key_id,
            "account": _account(account),
        },
        "session": {
            "uid": said.arn,
            "credential_uid": said.access_key_id,
            "issuer": said.role_arn,
            "created_time": _milliseconds(line.at),
            "expiration_time": _milliseconds(said.expires_at),
        },
        "cloud": _cloud(account, said.sts_region),
        "unmapped": _ours(
            line,
            people=list(said.people),
            hop=said.hop,
            role_arn=said.role_arn,
            role_session_name=said.role_session_name,
            access_key_id=said.access_key_id,
            parent_access_key_id=said.parent_access_key_id,
            principal_id=_principal(said.principal_id, said.role_session_name),
            source_identity=said.source_identity,
            request_id=said.request_id,
            until=_moment(said.expires_at),
        ),
    }


def _root_issued(line: Event) -> Fields:
    said = RootOpened.read(line.data)
    return {
        **_LOGON,
        **_SUCCESS,
        "actor": _workers(said.people, ""),
        "user": {"name": line.session_alias, "credential_uid": said.access_key_id},
        "session": {
            "credential_uid": said.access_key_id,
            "created_time": _milliseconds(line.at),
            "expiration_time": _milliseconds(said.expires_at),
        },
        "cloud": _cloud("", said.sts_region or ""),
        "unmapped": _ours(
            line,
            people=list(said.people),
            hop=0,
            access_key_id=said.access_key_id,
            until=_moment(said.expires_at),
        ),
    }


def _rejected(line: Event) -> Fields:
    said = CredentialRejected.read(line.data)
    account = account_in(said.role_arn)
    return {
        **_LOGON,
        **_FAILURE,
        "status_code": said.code,
        "status_detail": said.message,
        "actor": _workers(said.people, ""),
        "user": {
            "name": said.role_session_name,
            "uid": said.role_arn,
            "account": _account(account),
        },
        "cloud": _cloud(account, ""),
        "unmapped": _ours(
            line,
            people=list(said.people),
            hop=said.hop,
            at_hop=said.at_hop,
            role_arn=said.role_arn,
            role_session_name=said.role_session_name,
        ),
    }


def _delivered(line: Event) -> Fields:
    said, origin = CredentialRevealed.read(line.data), Origin.read(line.data)
    return {
        **_READ,
        **_SUCCESS,
        "actor": {"user": {"name": line.actor, "type_id": 1, "type": "User"}},
        "api": {"operation": "GetCredentials", "service": {"name": "chainweb"}},
        # The class demands one of them; an address is not known of every delivery.
        "src_endpoint": {"ip": origin.address} if origin.address else {"name": "unknown"},
        "http_request": {"user_agent": origin.client},
        "resources": [
            {"type": "AWS credential", "uid": said.access_key_id, "name": line.session_alias}
        ],
        "cloud": _cloud("", ""),
        "unmapped": _ours(
            line,
            people=[line.actor],
            access_key_id=said.access_key_id,
            form=said.form,
            via=said.via,
            client=origin.client,
            token_id=origin.token_id,
            token=origin.token,
            until=_moment(said.expires_at),
        ),
    }


# Which lines are sent, by kind.
KINDS: Mapping[str, Callable[[Event], Fields]] = {
    CredentialMinted.tag: _issued,
    CredentialRejected.tag: _rejected,
    CredentialRevealed.tag: _delivered,
    RootOpened.tag: _root_issued,
}


def _workers(people: tuple[str, ...], parent: str) -> Fields:
    """Name who called STS: workers, for one person or for several, with the parent's key."""
    actor: Fields = {"app_name": "Chainweb", "session": {"credential_uid": parent}}
    if len(people) == 1:
        actor["user"] = {"name": people[0], "type_id": 1, "type": "User"}
    return actor


def _account(number: str) -> Fields:
    return {"uid": number, "type_id": 10, "type": "AWS Account"} if number else {}


def _cloud(account: str, region: str) -> Fields:
    return {"provider": "AWS", "region": region, "account": _account(account)}


def _ours(line: Event, **fields: Any) -> Fields:
    return {
        "chainweb": {
            "team_id": line.team_id,
            "seq": line.seq,
            "hash": line.hash,
            "session_id": line.session_id,
            "session": line.session_alias,
            **fields,
        }
    }


def _principal(principal_id: str, session_name: str) -> str:
    """Write an assumed-role id with its session name, as CloudTrail's principalId has it."""
    known = principal_id.partition(":")[0]
    return f"{known}:{session_name}" if known else ""


def _milliseconds(at: datetime | None) -> int | None:
    return round(at.timestamp() * 1000) if at else None


def _moment(at: datetime | None) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds") if at else ""


def _without_empty(fields: Mapping[str, Any]) -> Fields:
    """Leave out what is not known, in objects within too."""
    kept = {
        key: _without_empty(value) if isinstance(value, dict) else value
        for key, value in fields.items()
    }
    return {key: value for key, value in kept.items() if value not in (None, "", {}, [])}
