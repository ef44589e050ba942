"""Build what the pages show of events."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sessions.actors import Actor
from sessions.ledger.events import EventData, read
from sessions.ledger.origin import Origin
from sessions.ledger.terms import ACCOUNT, account_in, terms_of
from sessions.models import AwsSession, Event, Membership
from sessions.permissions import Action, can

WORKER = "worker"
ICONS = {
    "credential.minted": "check",
    "credential.revealed": "download",
    "session.started": "play",
    "session.stopped": "square",
    "session.ended": "clock",
    "session.edited": "pencil",
    "session.created": "plus",
    "session.deleted": "trash-2",
    "session.access": "users",
    "rotation": "rotate-cw",
    "probe": "flask-conical",
    "policy": "settings",
    "label": "tag",
    "scoping": "shield-check",
    "console": "external-link",
    "ledger.searched": "search",
    "ledger.asked": "search",
    "ledger.exported": "download",
    "ledger.removed": "trash-2",
    "login": "log-in",
    "login.ended": "log-out",
    "login.others_ended": "log-out",
    "factor": "shield-check",
    "codes": "shield-check",
    "password": "key-round",
    "email": "mail",
    "identity": "user-check",
    "trail": "cloud",
    "trail.read": "search",
    "trail.deleted": "trash-2",
    "secrets": "key-round",
    "team": "settings",
    "member": "users",
    "group": "users",
    "invitation": "users",
    "token": "key-round",
    "robot": "monitor",
    "trust": "shield-check",
    "root": "key-round",
    "key": "key-round",
    "approval": "shield-alert",
}
PEOPLE_SHOWN = 2


@dataclass(frozen=True)
class Person:
    """Name somebody; `person_id` only where the reader may open their page."""

    name: str
    person_id: int | None


@dataclass(frozen=True)
class EventRow:
    """Describe one line of the list.

    `session_id` is empty where the session is deleted; `origin` says from where it was asked for.
    """

    seq: int
    at: datetime
    kind: str
    label: str
    icon: str
    is_bad: bool
    people: tuple[Person, ...]
    more_people: int
    session_id: str
    session_alias: str
    summary: str
    account: str
    key: str
    origin: Origin
    by_worker: bool


def rows_of(lines: Iterable[Event], actor: Actor) -> list[EventRow]:
    """Build the rows of some lines, with the links that a member may follow."""
    said = [(line, read(line.kind, line.data)) for line in lines]
    names = {name for line, each in said for name in _names(line, each)}
    people = _people(names, actor)
    sessions = _sessions({line.session_id for line, _ in said if line.session_id}, actor)
    return [_row(line, each, people, sessions) for line, each in said]


def _names(line: Event, said: EventData) -> Sequence[str]:
    """Name whom a line is about: for whom a worker acted, or who acted."""
    people = getattr(said, "people", None)
    if line.actor == WORKER and isinstance(people, tuple) and people:
        return people
    return (line.actor,)


def _people(names: set[str], actor: Actor) -> dict[str, int]:
    if not can(actor, Action.SEE_PEOPLE):
        return {}
    members = Membership.objects.filter(team=actor.team_id, user__username__in=names)
    return dict(members.values_list("user__username", "user_id"))


def _sessions(ids: set[str], actor: Actor) -> dict[str, str]:
    """Return the accounts of those of these sessions that are still there, by id."""
    there = AwsSession.objects.filter(pk__in=ids, team=actor.team_id)
    return {
        str(pk): account_in(role_arn or "")
        for pk, role_arn in there.values_list("pk", "link__role_arn")
    }


def _row(
    line: Event, said: EventData, people: Mapping[str, int], sessions: Mapping[str, str]
) -> EventRow:
    names = _names(line, said)
    accounts = [each[2:] for each in terms_of(line) if each.startswith(f"{ACCOUNT}|")]
    return EventRow(
        seq=line.seq,
        at=line.at,
        kind=line.kind,
        label=said.label,
        icon=icon_of(line.kind),
        is_bad=_is_bad(line.kind),
        people=tuple(Person(each, people.get(each)) for each in names[:PEOPLE_SHOWN]),
        more_people=max(len(names) - PEOPLE_SHOWN, 0),
        session_id=line.session_id if line.session_id in sessions else "",
        session_alias=line.session_alias,
        summary=said.summary(),
        account=min(accounts) if accounts else sessions.get(line.session_id, ""),
        key=getattr(said, "access_key_id", "") or "",
        origin=Origin.read(line.data),
        by_worker=line.actor == WORKER,
    )


def icon_of(kind: str) -> str:
    """Return the icon of a kind of event."""
    if _is_bad(kind):
        return "octagon-alert"
    return ICONS.get(kind) or ICONS.get(kind.partition(".")[0]) or "circle"


def _is_bad(kind: str) -> bool:
    return kind.endswith((".refused", ".failed"))
