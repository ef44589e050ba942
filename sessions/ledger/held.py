"""List what a person still holds: credentials handed to them that AWS accepts until they expire.

Nothing can call these back but AWS itself, so it is the ledger that answers, whatever has been
deleted since.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sessions.db.clock import database_now
from sessions.ledger.events import as_stored
from sessions.ledger.events.credentials import CredentialRevealed
from sessions.ledger.events.people import MemberRemoved
from sessions.models import Event
from sessions.models.ledger import EXPIRES_AT, REVEALED

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


def held_by(team_id: object, username: str) -> list[Held]:
    """List that person's unexpired credentials of that team, the longest-lived first."""
    found = held_between(team_id, username, database_now(), None)
    return sorted(found, key=lambda held: held.until, reverse=True)


def held_between(
    team_id: object, username: str, since: datetime, until: datetime | None
) -> list[Held]:
    """List what a person held between two moments, by when it was taken last; one for each key.

    Taken before `until`, and valid after `since`. None: what they hold from then on.
    """
    found: dict[str, Held] = {}
    taken = Event.objects.filter(REVEALED, team_id=str(team_id), actor=username)
    taken = taken.alias(until=EXPIRES_AT).filter(until__gt=as_stored(since))
    if until is not None:
        # Nothing that was taken before then lives longer.
        longest = as_stored(until + LONGEST_LIFE)
        taken = taken.filter(until__lte=longest, at__lte=until)
    for line in taken.order_by("-seq"):
        said = CredentialRevealed.read(line.data)
        ends, key = said.expires_at, said.access_key_id
        if ends is not None and key not in found:
            found[key] = Held(key, line.session_alias, line.session_id, ends, line.at, said.via)
    return list(found.values())


def name_of_former_member(team_id: object, person_id: int) -> str:
    """Return the username of a person who was removed from that team.

    Empty if nobody of that id ever was.
    """
    removed = Event.objects.filter(team_id=str(team_id), kind=MemberRemoved.tag)
    line = removed.filter(data__person_id=person_id).order_by("-seq").first()
    return MemberRemoved.read(line.data).member if line else ""
