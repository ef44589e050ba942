"""Describe the two sides of a call: the session or key that made it, and the session it made."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sessions.aws.cloudtrail.issued import Issued
from sessions.aws.cloudtrail.records import Identity, Record, identity_of_arn
from sessions.aws.cloudtrail.session_names import is_masked

_TEMPORARY_KEY = re.compile(r"ASIA[A-Z0-9]{8,124}", re.ASCII)
_ROLE = re.compile(r"arn:[a-z0-9-]+:iam::([^:]*):role/(.*)", re.DOTALL)


class By(StrEnum):
    """Name what joins two records, from the surest on.

    A key id names one set of credentials. A sign-in session and a session's principal with the
    second of its beginning name one session, whatever keys it used.
    """

    KEY = "access key id"
    SIGN_IN = "sign-in session"
    SESSION = "principal and beginning"


@dataclass(frozen=True, slots=True)
class Link:
    """Hold one value that records of one session share."""

    by: By
    value: str


@dataclass(frozen=True, slots=True)
class Party:
    """Hold one side of a call. Absent text is "".

    `arn` is the user's or the role session's, `created_at` when the session began. `links` are
    what other records of the session share, the surest first. A long-lived key is none: it belongs
    to a user, not to a session.
    """

    account: str = ""
    arn: str = ""
    principal_id: str = ""
    user_name: str = ""
    role_name: str = ""
    role_arn: str = ""
    session_name: str = ""
    access_key_id: str = ""
    created_at: datetime | None = None
    links: tuple[Link, ...] = ()

    @property
    def label(self) -> str:
        """Return the party in one word, as people refer to it: role/session, user or account."""
        if self.role_name:
            return f"{self.role_name}/{self.session_name}"
        return self.user_name or self.session_name or self.arn or self.account


def caller_of(record: Record) -> Party | None:
    """Return the session, user or account that made the call; None for a service or nobody.

    For Switch Role that is the identity the console left.
    """
    if record.switch_from:
        return party_of(identity_of_arn(record.switch_from), None)
    return party_of(record.identity, record.identity.created_at)


def party_of(identity: Identity, began: datetime | None) -> Party | None:
    """Return an identity as a side of a call; None where nothing in it identifies anybody."""
    names = identity.arn, identity.principal_id, identity.access_key_id, identity.user_name
    if all(not name or is_masked(name) for name in names):
        return None
    return Party(
        account=identity.account,
        arn=identity.arn,
        principal_id=identity.principal_id,
        user_name=identity.user_name if not identity.role_name else "",
        role_name=identity.role_name,
        role_arn=identity.role_arn,
        session_name=identity.session_name,
        access_key_id=identity.access_key_id,
        created_at=began,
        links=tuple(
            _links(
                identity.access_key_id, identity.sign_in_session_arn, identity.principal_id, began
            )
        ),
    )


def issued_to(record: Record) -> Party | None:
    """Return the session that the call made; None where it made none or only further credentials.

    Its key is no link where it is the caller's own, as AWS's examples have it: that would make the
    session its own parent.
    """
    issued = record.issued
    if issued is None or issued.same_session or issued.permission_set:
        return None
    if issued.by == "SwitchRole":
        return party_of(record.identity, record.identity.created_at or record.event_time)
    role = _ROLE.fullmatch(issued.role_arn)
    root = issued.by == "AssumeRoot"
    principal = issued.account if root else issued.assumed_role_id
    of_user = issued.by == "GetSessionToken"
    if of_user:
        principal = record.identity.principal_id
    own_key = record.identity.access_key_id
    key = issued.access_key_id if issued.access_key_id != own_key else ""
    return Party(
        account=role[1] if role else issued.account or record.identity.account,
        arn=_arn_of(record, issued),
        principal_id=principal,
        user_name=record.identity.user_name if of_user else "",
        role_name=role[2].rpartition("/")[2] if role else "",
        role_arn=issued.role_arn,
        session_name=issued.session_name,
        access_key_id=issued.access_key_id,
        created_at=record.event_time,
        links=tuple(_links(key, "", principal, record.event_time)),
    )


def _arn_of(record: Record, issued: Issued) -> str:
    if issued.by == "GetSessionToken":
        return record.identity.arn
    if issued.by == "AssumeRoot":
        partition = record.identity.arn.partition(":")[2].partition(":")[0] or "aws"
        return f"arn:{partition}:iam::{issued.account}:root"
    return issued.assumed_role_arn


def _links(
    access_key_id: str, sign_in_session_arn: str, principal_id: str, began: datetime | None
) -> Iterator[Link]:
    # Three different characters: anonymised keys are one character over and over.
    if _TEMPORARY_KEY.fullmatch(access_key_id) and len(set(access_key_id[4:])) > 2:
        yield Link(By.KEY, access_key_id)
    if sign_in_session_arn:
        yield Link(By.SIGN_IN, sign_in_session_arn)
    if principal_id and began is not None and not is_masked(principal_id):
        yield Link(By.SESSION, f"{principal_id} {began:%Y-%m-%dT%H:%M:%SZ}")
