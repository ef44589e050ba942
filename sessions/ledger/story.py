"""Tell what surrounds one line: what it changed, and the lines that belong to it."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sessions.ledger import origin
from sessions.ledger.events import Changing, EventData, read
from sessions.ledger.events.accounts import EmailChanged, FactorRenamed
from sessions.ledger.events.credentials import CredentialMinted, CredentialRevealed
from sessions.ledger.events.people import (
    GroupChanged,
    GroupCreated,
    GroupDeleted,
    InvitationAccepted,
    InvitationRevoked,
    MemberLost,
    MemberReadmitted,
    MemberReinstated,
    MemberRemoved,
    MemberRenamed,
    MemberRoleChanged,
    MemberSuspended,
)
from sessions.ledger.events.roots import KeyRotationStep, RootOpened
from sessions.ledger.events.sessions import (
    AccessChanged,
    PolicyChanged,
    SessionCreated,
    SessionDeleted,
    SessionEdited,
)
from sessions.ledger.events.tokens import TokenRevoked
from sessions.ledger.previous import prev_of
from sessions.ledger.search import Lines
from sessions.ledger.terms import KEY, PARENT, SUBJECT, choice, choice_of_kinds
from sessions.models import Event

# Which lines before say what a line changed, by their kinds.
FOLLOWS = {
    SessionEdited.tag: (SessionCreated.tag, SessionEdited.tag),
    GroupChanged.tag: (GroupCreated.tag, GroupChanged.tag),
    AccessChanged.tag: (AccessChanged.tag,),
}
# These leave nothing of what was before.
ENDED = (SessionDeleted, GroupDeleted, MemberRemoved, TokenRevoked)
STATES: Mapping[type[EventData], tuple[str, str, str]] = {
    MemberSuspended: ("state", "active", "suspended"),
    MemberReinstated: ("state", "suspended", "active"),
    MemberReadmitted: ("return by groups", "refused", "allowed"),
    InvitationAccepted: ("state", "open", "used"),
    InvitationRevoked: ("state", "open", "revoked"),
    TokenRevoked: ("state", "valid", "revoked"),
}
SWITCHED = "switch"
RELATED = 20
_SHORT = re.compile(r"\b(arn(?=s?\b)|id\b)")
NOT_SET = "not set"


@dataclass(frozen=True)
class Change:
    """Hold one field that a line changed, as people read it; `before` is None if nobody knows."""

    field: str
    before: str | None
    after: str


@dataclass(frozen=True)
class Story:
    """Hold one line and what belongs to it.

    `before` and `after` are its neighbours in the chain; `signed_by` is the line that issued the
    key which signed this credential's call, and `signs` those whose calls this credential signed;
    `issued` is the line that issued the key which was taken away here, and `taken` those that took
    it. At most twenty of each.
    """

    line: Event
    said: EventData
    changes: tuple[Change, ...]
    before: Event | None
    after: Event | None
    signed_by: Event | None
    issued: Event | None
    signs: tuple[Event, ...]
    taken: tuple[Event, ...]

    @property
    def prev(self) -> str:
        """Return the hash that the line follows."""
        return prev_of(self.line)


def story_of(line: Event, lines: Lines) -> Story:
    """Tell a line's story from the lines that the reader may see."""
    said = read(line.kind, line.data)
    key = getattr(said, "access_key_id", "") or ""
    parent = getattr(said, "parent_access_key_id", "") or ""
    is_issue = isinstance(said, CredentialMinted | RootOpened)
    issue = choice_of_kinds(CredentialMinted.tag, RootOpened.tag)
    earlier = lines.having(issue)

    def issued(access_key_id: str) -> Event | None:
        found = earlier.having(choice(access_key_id, KEY)).newest(1, before=line.seq)
        return next(iter(found), None)

    def later(wanted: Lines) -> tuple[Event, ...]:
        return tuple(wanted.oldest(RELATED, after=line.seq))

    taken = lines.having(choice_of_kinds(CredentialRevealed.tag))
    return Story(
        line=line,
        said=said,
        changes=changes_of(line, said),
        before=next(iter(lines.newest(1, before=line.seq)), None),
        after=next(iter(lines.oldest(1, after=line.seq)), None),
        signed_by=issued(parent) if parent else None,
        issued=issued(key) if key and not is_issue else None,
        signs=later(lines.having(choice(key, PARENT))) if key and is_issue else (),
        taken=later(taken.having(choice(key, KEY))) if key and is_issue else (),
    )


def changes_of(line: Event, said: EventData) -> tuple[Change, ...]:
    """Tell what a line changed; of an edit by comparing it with the line before it."""
    found = [*_told_by(said, line.data), *_told_by_kind(said)]
    if found or (isinstance(said, Changing) and said.before is not None):
        return tuple(found)
    kinds = FOLLOWS.get(line.kind)
    subject = line.session_id or line.data.get("group_id", "")
    if not kinds or not subject:
        return ()
    about = Lines(line.team_id, (choice(subject, SUBJECT), choice_of_kinds(*kinds)))
    before = next(iter(about.newest(1, before=line.seq)), None)
    if before is None:
        return tuple(Change(*each) for each in _unknown(line.data))
    return tuple(_differences(_fields(before.data), _fields(line.data)))


def _told_by(said: EventData, data: Mapping[str, Any]) -> Iterator[Change]:
    """Tell what a line itself says that was before."""
    match said:
        case PolicyChanged():
            yield from _differences(said.before, said.after)
        case MemberRenamed():
            yield Change("CloudTrail name", said.aws_name_before, said.aws_name)
        case MemberRoleChanged():
            yield Change("role", said.before, said.role)
        case FactorRenamed():
            yield Change("name", said.name_before, said.name)
        case EmailChanged() if said.before != said.after:
            yield Change("email address", shown(said.before), shown(said.after))
        case KeyRotationStep() if said.step == SWITCHED:
            yield Change("access key", said.old_key_id, said.new_key_id)
        case Changing() if said.before is not None:
            ends = isinstance(said, ENDED)
            for key, value in sorted(said.before.items()):
                yield Change(label(key), shown(value), NOT_SET if ends else shown(data.get(key)))


def _told_by_kind(said: EventData) -> Iterator[Change]:
    """Tell what a line changes by its kind alone, and who answers for sessions since."""
    if type(said) in STATES:
        yield Change(*STATES[type(said)])
    if isinstance(said, MemberLost):
        for alias in said.sessions_handed_over or ():
            yield Change(f"owner of {alias}", said.member, said.to or NOT_SET)


def _fields(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != origin.KEY}


def _unknown(data: Mapping[str, Any]) -> Iterator[tuple[str, None, str]]:
    return ((label(key), None, shown(value)) for key, value in _fields(data).items())


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            yield Change(label(key), shown(before.get(key)), shown(after.get(key)))


def label(key: str) -> str:
    """Return a field's key as people read it."""
    return _SHORT.sub(lambda found: found[0].upper(), key.replace("_", " "))


def shown(value: Any) -> str:
    """Return a stored value as people read it."""
    if value in (None, "", [], {}):
        return NOT_SET
    match value:
        case bool():
            return "yes" if value else "no"
        case str():
            return value
        case list() if all(isinstance(each, str) for each in value):
            return ", ".join(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
