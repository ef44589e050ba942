"""Keep an admin's removal of a person.

Whatever a provider's groups say, only an admin lets the person in again.
"""

from datetime import datetime
from typing import Any

from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.signals import social_account_added
from django.db import transaction
from django.db.models import Q, QuerySet
from django.dispatch import receiver

from sessions import ledger
from sessions.actors import Actor, AnyActor
from sessions.db.clock import database_now
from sessions.ledger import Entry
from sessions.ledger.events.people import MemberReadmitted
from sessions.locks.team_lock import lock_team_for
from sessions.models import Removal, Team, User
from sessions.permissions import Action

Identity = tuple[str, str]  # provider, uid


def remember_removal(team: Team, user: User, actor: AnyActor) -> None:
    """Store that an admin removed a person, and their identities at the providers.

    Under the team's lock.
    """
    now = database_now()
    identities = SocialAccount.objects.filter(user=user).values_list("provider", "uid")
    _remember(team, user, actor.username, now, ("", ""), *identities)


def _remember(team: Team, user: User, by: str, at: datetime, *identities: Identity) -> None:
    Removal.objects.bulk_create(
        [
            Removal(team=team, user=user, provider=name, uid=uid, by=by, at=at)
            for name, uid in identities
        ],
        ignore_conflicts=True,
    )


def is_removed(team: Team, user: User, identity: Identity | None = None) -> bool:
    """Check whether an admin removed this person from the team.

    Or a person who had this identity before.
    """
    who = Q(user=user)
    if identity:
        who |= Q(provider=identity[0], uid=identity[1])
    return Removal.objects.filter(who, team=team).exists()


def removals_of(team: Team) -> QuerySet[Removal]:
    """Select whom admins took out of a team and nobody let in since, a row for each person."""
    return (
        Removal.objects.filter(team=team, provider="", uid="")
        .select_related("user")
        .order_by("user__username")
    )


def removal_after(team: Team, user: User, at: datetime) -> bool:
    """Check whether the person was taken out later than that."""
    return Removal.objects.filter(team=team, user=user, at__gte=at).exists()


def lift_removal(team: Team, user: User) -> bool:
    """Forget that a person was taken out, since they are let in again. Under the team's lock."""
    return Removal.objects.filter(team=team, user=user).delete()[0] > 0


@transaction.atomic(durable=True)
def readmit(removal: Removal, actor: Actor) -> None:
    """Let groups bring a person back, by an admin. Raises `Refused` for who is none any more."""
    team = lock_team_for(actor, removal.team_id, Action.MANAGE_PEOPLE)
    if lift_removal(team, removal.user):
        told = MemberReadmitted(member=removal.user.get_username(), person_id=removal.user_id)
        ledger.append(team.pk, [Entry(told, actor)])


@receiver(social_account_added)
def remember_identity(sociallogin: Any, **kwargs: Any) -> None:
    """Record an identity connected to a removed account, which could move to another account."""
    account = sociallogin.account
    for removal in Removal.objects.filter(user=account.user, provider="", uid="").select_related(
        "team", "user"
    ):
        _remember(
            removal.team, account.user, removal.by, removal.at, (account.provider, account.uid)
        )
