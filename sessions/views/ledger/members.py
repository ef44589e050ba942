"""Find the people of whom a page of the ledger tells, for links to their pages."""

from collections.abc import Iterable
from uuid import UUID

from sessions.models import Membership


def members_named(team_id: UUID, names: Iterable[str]) -> dict[str, Membership]:
    """Return {username: membership} of those of these who are in the team now."""
    members = Membership.objects.filter(team=team_id, user__username__in=set(names))
    return {each.user.get_username(): each for each in members.select_related("user")}
