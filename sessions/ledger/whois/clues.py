"""Read what somebody pastes to ask whose it was: a key, an ARN, a name, an address, a record."""

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime

from sessions.aws.cloudtrail.records import Record

# An ARN has at most 2,048 characters, everything else far fewer.
LONGEST_VALUE = 2048
# AWS began in 2006.
FIRST_YEAR, LAST_YEAR = 2006, 2200
# A secret access key has 40 characters, and a name of CloudTrail's may have as many.
SHORTEST_SECRET = 32

_KEY_ID = re.compile(r"A(?:SIA|KIA)[A-Z0-9]{8,124}", re.ASCII)
# Of a user, a role, a group, an instance profile, a policy, a certificate, a server certificate, a
# bearer token and another kind of key: each is whose, and none is a credential.
_UNIQUE_ID = re.compile(r"A(?:IDA|ROA|GPA|IPA|NPA|SCA|PKA|BIA|CCA)[A-Z0-9]{8,124}", re.ASCII)
_OTHERS = {
    "Root": "The root user",
    "IAMUser": "An IAM user",
    "FederatedUser": "A federated user",
    "SAMLUser": "A user of SAML",
    "WebIdentityUser": "A user of a web identity",
    "IdentityCenterUser": "A user of Identity Center",
    "AWSService": "A service of AWS",
}
_ROLE_SESSION = re.compile(
    r"arn:([a-z0-9-]+):sts::([0-9]*):assumed-role/(?:[^\s]*/)?([^/\s]+)/([^/\s]+)", re.ASCII
)
_WORD = re.compile(r"[A-Za-z0-9_+=,.@:/-]*[A-Za-z0-9_+=@/-]", re.ASCII)
_PRINCIPAL = re.compile(r"(AROA[A-Z0-9]{8,124}):([^\s:/]+)", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Clues:
    """Hold what is known of who is looked for. Absent text is "", an absent time None.

    `what` names the clue for people. `at` is when they acted, `began_at` when their session began.
    `issued_key_id` is the key that the call made. `other_identity` names who acted if that was no
    session of a role. `record` is what the rest was read from, if it was a record of CloudTrail.
    """

    what: str
    access_key_id: str = ""
    principal_id: str = ""
    account: str = ""
    role_name: str = ""
    session_name: str = ""
    source_identity: str = ""
    address: str = ""
    at: datetime | None = None
    began_at: datetime | None = None
    issued_key_id: str = ""
    other_identity: str = ""
    record: Record | None = None


def clues_of(text: str) -> Clues | None:
    """Read one value; None where there is nothing to look for. A record is `clues_of_record`'s.

    Of a sentence with one key, ARN or principal id in it, that one.
    """
    text = _searchable(" ".join(text.split()).strip("\"'"))
    if not text:
        return None
    if len(words := {each for each in _WORD.findall(text) if _is_exact(each)}) == 1:
        text = words.pop()
    if role_session := _ROLE_SESSION.fullmatch(text):
        _, account, role_name, session_name = role_session.groups()
        return Clues(
            what="role session",
            account=account,
            role_name=role_name,
            session_name=session_name,
        )
    if principal := _PRINCIPAL.fullmatch(text):
        return Clues(what="principal id", principal_id=text, session_name=principal[2])
    if _KEY_ID.fullmatch(text):
        return Clues(what="access key id", access_key_id=text)
    if _UNIQUE_ID.fullmatch(text):
        return Clues(what="unique id", principal_id=text)
    if address := _address(text):
        return Clues(what="address", address=address)
    return Clues(what="name", session_name=text, source_identity=text)


def _is_exact(word: str) -> bool:
    return any(each.fullmatch(word) for each in (_ROLE_SESSION, _PRINCIPAL, _KEY_ID))


def clues_of_record(record: Record) -> Clues:
    """Read who acted in a record of CloudTrail; whom a call made is another question."""
    identity = record.identity
    return Clues(
        what="record of CloudTrail",
        access_key_id=_searchable(identity.access_key_id),
        principal_id=_searchable(identity.principal_id) if ":" in identity.principal_id else "",
        account=identity.account if identity.role_name else "",
        other_identity=_other(record),
        role_name=_searchable(identity.role_name),
        session_name=_searchable(identity.session_name),
        source_identity=_searchable(identity.source_identity),
        at=_possible(record.event_time),
        began_at=_possible(identity.created_at),
        issued_key_id=_searchable(record.issued.access_key_id) if record.issued else "",
        record=record,
    )


def _other(record: Record) -> str:
    """Name who acted if it is no session of a role, or one that a console has switched to."""
    identity = record.identity
    if record.switch_from:
        return "Switch Role in the console"
    if not (kind := _OTHERS.get(identity.type)):
        return ""
    name = _searchable(identity.user_name)
    of = f" of {identity.account}" if identity.account.isdigit() else ""
    return f"{kind}{f' {name}' if name else ''}{of}"


def looks_like_a_record(text: str) -> bool:
    """Tell a record, or a line of a log with one, from a single value."""
    return "{" in text


def _searchable(text: str) -> str:
    """Return text that a ledger can hold; empty for any other, which it has of nobody."""
    holds = len(text) <= LONGEST_VALUE and "\0" not in text
    return text if holds and text.isprintable() else ""


def _possible(at: datetime | None) -> datetime | None:
    """Return a time that AWS can have written; None for any other, as for a placeholder."""
    return at if at is not None and FIRST_YEAR <= at.year <= LAST_YEAR else None


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def is_public(text: str) -> bool:
    """Tell whether a text may stand in an address: no secret can look like it.

    Whoever pastes a secret key by mistake finds it neither in the history nor in a proxy's log.
    """
    clues = clues_of(text) if not looks_like_a_record(text) else None
    if clues is None:
        return False
    # A sentence may have anything beside what it asks about.
    return " " not in text and (clues.what != "name" or len(text) < SHORTEST_SECRET)
