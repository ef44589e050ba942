"""Read a record: who acted, by which session, and which session the call made.

A record alone names a person at best by a field that somebody chose; `Who.sure` tells which.
Sessions of several records are joined by their links, never by a key alone: a console and Identity
Center use keys that no answer gave. Take the surest link first; records of one call in several
accounts have the same `call_id` and are one hop.
"""

import re
from dataclasses import dataclass

from sessions.aws.cloudtrail.actors import Actor, NamedBy, Who, source_identity_of, who_of
from sessions.aws.cloudtrail.issued import Issued
from sessions.aws.cloudtrail.parties import Party, caller_of, issued_to
from sessions.aws.cloudtrail.records import SIGN_IN, Record

_DENIED = re.compile(r"AccessDenied|Unauthori[sz]ed|NotAuthori[sz]ed|Forbidden|AuthorizationError")


@dataclass(frozen=True, slots=True)
class Reading:
    """Hold what a record says.

    `also` are further names of the person, by the field that tells each, where they differ.
    `present`: the person was there, which a sign-in that failed does not show. `user_id` is that
    of Identity Center. `parent` made the call; `child` is the session the call made.
    `denied`: AWS refused for lack of rights, which is one kind of `Record.failed`. `notes` say in
    plain words what contradicts itself.
    """

    who: Who
    present: bool
    user_id: str
    also: tuple[tuple[NamedBy, str], ...]
    parent: Party | None
    child: Party | None
    denied: bool
    notes: tuple[str, ...]

    @property
    def is_hop(self) -> bool:
        """Tell if the call made a session out of another, or out of a user's key."""
        return self.child is not None


def read(record: Record) -> Reading:
    """Read a record. Never raises: what the record does not say is absent."""
    who = who_of(record)
    return Reading(
        who=who,
        present=_is_present(record, who),
        user_id=record.identity.on_behalf_of,
        also=tuple(_also(record, who)),
        parent=caller_of(record),
        child=issued_to(record),
        denied=bool(_DENIED.search(record.error_code)),
        notes=tuple(_notes(record)),
    )


def _is_present(record: Record, who: Who) -> bool:
    signing_in = record.event_type == SIGN_IN or record.event_source.startswith("signin.")
    return who.actor is Actor.PERSON and not (signing_in and record.failed)


def _also(record: Record, who: Who) -> list[tuple[NamedBy, str]]:
    identity = record.identity
    names = [(NamedBy.SOURCE_IDENTITY, source_identity_of(record))]
    if identity.type == "FederatedUser":
        names.append((NamedBy.IAM_USER, identity.issuer_user_name))
    if who.actor is Actor.PERSON:
        names.append((NamedBy.SESSION_NAME, identity.session_name))
    names.append((NamedBy.IDENTITY_CENTER_ID, identity.on_behalf_of))
    return [(field, name) for field, name in names if name and name != who.name]


def _notes(record: Record) -> list[str]:
    notes = []
    issued, identity = record.issued, record.identity
    if record.unreadable:
        notes.append(f"Not readable: {', '.join(record.unreadable)}.")
    if issued is not None:
        notes.extend(_notes_of(issued, identity.access_key_id))
    if identity.role_name and identity.issuer_arn.rpartition("/")[2] not in (
        "",
        identity.role_name,
    ):
        notes.append("The role's ARN and its name in the record differ.")
    return notes


def _notes_of(issued: Issued, own_key: str) -> list[str]:
    notes = []
    if issued.access_key_id and issued.access_key_id == own_key:
        notes.append("The key in the answer is the caller's own: it joins nothing.")
    elif issued.access_key_id.startswith("AKIA"):
        notes.append("The key in the answer is a long-lived one: no session has it.")
    if issued.expiration and issued.expires_at is None:
        notes.append("The end in the answer is no time that this session can have.")
    answered = issued.assumed_role_arn.partition(":assumed-role/")[2].rpartition("/")[0]
    if issued.role_arn and answered and issued.role_arn.rpartition("/")[2] != answered:
        notes.append("The answer names another role than the request.")
    if issued.permission_set:
        notes.append(f"Permission set {issued.permission_set} in account {issued.account}.")
    return notes
