"""List what a person still holds: credentials handed to them that AWS accepts until they expire.

Nothing can call these back but AWS itself, so it is the ledger that answers, whatever has been
deleted since.
"""

from dataclasses import dataclass
from datetime import datetime

from sessions.db.clock import database_now
from sessions.ledger.events import as_stored
from sessions.ledger.events.credentials import CredentialRevealed
from sessions.ledger.events.people import MemberRemoved
from sessions.models import Event
from sessions.models.ledger import EXPIRES_AT, REVEALED


@dataclass(frozen=True)
class Held:
    """One credential in somebody's hands. `until` is when AWS stops accepting it."""

    access_key_id: str
    session_alias: str
    session_id: str
    until: datetime
    taken_at: datetime
    via: str


def held_by(team_id: object, username: str) -> list[Held]:
    """List that person's unexpired credentials of that team, the longest-lived first."""
    now = database_now()
    found: dict[str, Held] = {}
    taken = Event.objects.filter(REVEALED, team_id=str(team_id), actor=username)
    for line in taken.alias(until=EXPIRES_AT).filter(until__gt=as_stored(now)).order_by("-seq"):
        said = CredentialRevealed.read(line.data)
        until, key = said.expires_at, said.access_key_id
        if until is not None and key not in found:
            found[key] = Held(key, line.session_alias, line.session_id, until, line.at, said.via)
    return sorted(found.values(), key=lambda held: held.until, reverse=True)


def name_of_former_member(team_id: object, person_id: int) -> str:
    """Return the username of a person who was removed from that team.

    Empty if nobody of that id ever was.
    """
    removed = Event.objects.filter(team_id=str(team_id), kind=MemberRemoved.tag)
    line = removed.filter(data__person_id=person_id).order_by("-seq").first()
    return MemberRemoved.read(line.data).member if line else ""
