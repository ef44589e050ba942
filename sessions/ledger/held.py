"""List what a person still holds: credentials handed to them that AWS accepts until they expire.

Nothing can call these back but AWS itself, so it is the ledger that answers, whatever has been
deleted since.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max

from sessions.db.clock import database_now
from sessions.ledger.events import as_stored
from sessions.ledger.events.credentials import CredentialRevealed
from sessions.ledger.events.people import MemberRemoved
from sessions.models import Event
from sessions.models.ledger import ACCESS_KEY_ID, EXPIRES_AT, REVEALED

# AWS's own maximum for a role's session; a chained one lives an hour.
LONGEST_LIFE = timedelta(hours=12)


@dataclass(frozen=True)
class Held:
    """Describe a credential in somebody's hands. `until` is when AWS stops accepting it."""

    access_key_id: str
    session_alias: str
    session_id: str
    until: datetime
    taken_at: datetime
    via: str


def held_by(team_id: object, username: str, most: int) -> list[Held]:
    """List that person's unexpired credentials of that team, the longest-lived first."""
    return held_between(team_id, username, database_now(), None, most)


def held_between(
    team_id: object, username: str, since: datetime, until: datetime | None, most: int
) -> list[Held]:
    """List what a person held between two moments, the longest-lived first; one for each key.

    Taken before `until`, and valid after `since`. None: what they hold from then on. However often
    a tool has fetched one, the database counts it once.
    """
    taken = Event.objects.filter(REVEALED, team_id=str(team_id), actor=username)
    taken = taken.annotate(ends=EXPIRES_AT).filter(ends__gt=as_stored(since))
    if until is not None:
        # Nothing that was taken before then lives longer.
        taken = taken.filter(ends__lte=as_stored(until + LONGEST_LIFE), at__lte=until)
    keys = taken.values("ends", key=ACCESS_KEY_ID).annotate(last=Max("seq"))
    last = [each["last"] for each in keys.order_by("-ends", "key")[:most]]
    lines = Event.objects.filter(team_id=str(team_id), seq__in=last)
    held = (_held(line) for line in lines)
    return sorted(
        (each for each in held if each is not None), key=lambda each: each.until, reverse=True
    )


def _held(line: Event) -> Held | None:
    said = CredentialRevealed.read(line.data)
    if said.expires_at is None:
        return None
    return Held(
        said.access_key_id,
        line.session_alias,
        line.session_id,
        said.expires_at,
        line.at,
        said.via,
    )


def name_of_former_member(team_id: object, person_id: int) -> str:
    """Return the username of a person who was removed from that team.

    Empty if nobody of that id ever was.
    """
    removed = Event.objects.filter(team_id=str(team_id), kind=MemberRemoved.tag)
    line = removed.filter(data__person_id=person_id).order_by("-seq").first()
    return MemberRemoved.read(line.data).member if line else ""
