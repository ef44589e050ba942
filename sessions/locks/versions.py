"""Tell the second of two people who change one thing, instead of undoing the first's change.

Everything that people edit has a version, which goes up, under the team's lock, with each change of
what a form or the API shows of it. Whoever saves says which version they have seen, and it is
compared under the same lock.
"""

from dataclasses import dataclass

from sessions.exceptions import Refused
from sessions.models import AwsSession, Event, Membership, TeamGroup, TeamPolicy

CHANGED = "Somebody has saved a change of this since you opened it."


@dataclass
class Changed(Refused):
    """Refuse to save over a change that its author has not seen; `version` is what is stored."""

    version: int = 0


def expect(stored: int, expected: int | None) -> None:
    """Check under the lock that what is stored is what was seen; None: any. Raises `Changed`."""
    if expected is not None and stored != expected:
        raise Changed("", CHANGED, stored)


def last_change(
    thing: AwsSession | TeamPolicy | TeamGroup | Membership, *tags: str
) -> Event | None:
    """Find the ledger's last line about something, of the kinds with these tags."""
    match thing:
        case AwsSession():
            found = Event.objects.filter(session_id=str(thing.pk))
        case TeamGroup():
            found = Event.objects.filter(team_id=str(thing.team_id), data__group_id=str(thing.pk))
        case Membership():
            found = Event.objects.filter(
                team_id=str(thing.team_id), data__member=thing.user.get_username()
            )
        case TeamPolicy():
            found = Event.objects.filter(team_id=str(thing.pk))
    return found.filter(kind__in=tags).order_by("-seq").first()
