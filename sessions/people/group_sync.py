"""Make a person's memberships follow their groups at the identity provider."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from django.db import transaction

from sessions.activations.moves import follow
from sessions.actors import NamedActor
from sessions.db.clock import database_now
from sessions.locks.team_lock import lock_team
from sessions.models import Membership, Role, Team, User
from sessions.people.memberships import change_role, remove_member
from sessions.people.people import add_member
from sessions.people.removals import Identity, is_removed

IDENTITY_PROVIDER = NamedActor("sso")
# Where several groups of a person speak of one team, the first of these wins.
STRONGEST_FIRST = (Role.ADMIN, Role.MEMBER, Role.AUDITOR)


def follow_groups(
    user: User,
    groups: AbstractSet[str],
    mapping: Mapping[str, tuple[str, str]],
    identity: Identity | None = None,
) -> None:
    """Add, change and end the memberships that came about by groups.

    A membership that was made by hand is left alone, and so is a team that an admin took the person
    out of. Who is suspended stays so. All of that is read again under the team's lock. A team that
    does not exist is passed over.
    """
    wanted: dict[str, set[str]] = {slug: set() for slug, _ in mapping.values()}
    for group in groups & mapping.keys():
        slug, name = mapping[group]
        wanted[slug].add(name)
    for team in Team.objects.filter(slug__in=wanted).order_by("slug"):
        role: Role | None = next(
            (each for each in STRONGEST_FIRST if each in wanted[team.slug]), None
        )
        member = (
            Membership.objects.select_related("user", "team").filter(team=team, user=user).first()
        )
        if member is None:
            if role is not None:
                _bring_in(team, user, role, identity)
        elif not member.from_sso:
            continue
        elif role is None:
            remove_member(member, IDENTITY_PROVIDER, by_groups=True)
        else:
            if member.role != role:
                change_role(member, role, IDENTITY_PROVIDER, by_groups=True)
            _note_reading(team, user)


@transaction.atomic
def _bring_in(team: Team, user: User, role: Role, identity: Identity | None) -> None:
    """Add a person whom nobody has added, or taken out, meanwhile."""
    lock_team(team.pk)
    is_there = Membership.objects.filter(team=team, user=user).exists()
    if not is_there and not is_removed(team, user, identity):
        add_member(team, user, role, IDENTITY_PROVIDER, from_sso=True)


@transaction.atomic
def _note_reading(team: Team, user: User) -> None:
    """Store when a person's groups were read.

    Sessions of theirs that had stopped for it are issued again.
    """
    lock_team(team.pk)
    now = database_now()
    if Membership.objects.filter(team=team, user=user, from_sso=True).update(groups_read_at=now):
        follow(team.pk, now, of=user.pk)
