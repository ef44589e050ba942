"""What a person's groups at the identity provider make of them here."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from sessions.lifecycle.people import add_member
from sessions.lifecycle.rights import change_role, remove_member
from sessions.models import Membership, Role, Team, User

ACTOR = "sso"
# Where several groups of a person speak of one team, the first of these wins.
STRONGEST_FIRST = (Role.ADMIN, Role.MEMBER, Role.AUDITOR)


def follow_groups(user: User, groups: AbstractSet[str], mapping: Mapping[str, tuple[str, str]]) -> None:
    """Makes a person's memberships what their groups say: adds, changes and ends those that came about by groups.

    A membership that was made by hand is left alone. A team that does not exist is passed over.
    """
    wanted: dict[str, set[str]] = {slug: set() for slug, _ in mapping.values()}
    for group in groups & mapping.keys():
        slug, name = mapping[group]
        wanted[slug].add(name)
    for team in Team.objects.filter(slug__in=wanted).order_by("slug"):
        role: Role | None = next((each for each in STRONGEST_FIRST if each in wanted[team.slug]), None)
        member = Membership.objects.select_related("user", "team").filter(team=team, user=user).first()
        if member is None:
            if role is not None:
                add_member(team, user, role, ACTOR, from_sso=True)
        elif member.from_sso and role is None:
            remove_member(member, ACTOR, even_the_last_admin=True)
        elif member.from_sso and role is not None and member.role != role:
            change_role(member, role, ACTOR, even_the_last_admin=True)
