"""Write into the ledgers of all of a person's teams what happens to their account."""

from uuid import UUID

from django.db import transaction

from sessions import ledger
from sessions.actors import AnyActor, NamedActor
from sessions.ledger import Entry
from sessions.ledger.events import EventData
from sessions.models import Membership, User


def record(user: User, *said: EventData, actor: AnyActor | None = None) -> None:
    """Append these events to the ledger of each team a person is in; without `actor`, as theirs.

    Whose account it is, no single team decides: each of them has given it rights. Suspended people
    are still in their teams.
    """
    actor = actor or NamedActor(user.get_username())
    with transaction.atomic():
        for team_id in teams_of(user):
            ledger.append(team_id, [Entry(each, actor) for each in said])


def teams_of(user: User) -> list[UUID]:
    """List the teams of a person, in the order in which all lock several."""
    memberships = Membership.objects.filter(user=user).order_by("team_id")
    return list(memberships.values_list("team_id", flat=True))
