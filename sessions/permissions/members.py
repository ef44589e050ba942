"""Find who counts as a member now: not suspended, and with groups that were read recently."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet

from sessions.db.clock import Now
from sessions.models import (
    AwsSession,
    Membership,
    User,
)
from sessions.permissions.actions import OPERATORS


class GroupsTooOld(PermissionDenied):
    """Refuse a member by groups until the groups are read again."""

    def __init__(self, member: Membership) -> None:
        read_at = member.groups_read_at
        when = f"on {read_at:%-d %b %Y at %H:%M} UTC" if read_at else "never"
        self.member = member
        self.message = (
            f"Your groups were last read {when}; for {member.team.name} they have to be read every"
            f" {settings.CHAINWEB_GROUPS_MAX_AGE_HOURS:g} hours. Log in again by single sign-on"
            " to continue; your tokens then work again too."
        )
        super().__init__(self.message)


def with_fresh_groups(membership: str = "") -> Q:
    """Select memberships made by hand, or whose groups were read recently.

    `membership`: the way to it, with `__`.
    """
    oldest = Now() - timedelta(hours=settings.CHAINWEB_GROUPS_MAX_AGE_HOURS)
    return Q(**{f"{membership}from_sso": False}) | Q(**{f"{membership}groups_read_at__gt": oldest})


def has_fresh_groups(member: Membership, now: datetime) -> bool:
    """Tell whether a membership is one that `with_fresh_groups` selects."""
    oldest = now - timedelta(hours=settings.CHAINWEB_GROUPS_MAX_AGE_HOURS)
    return not member.from_sso or (
        member.groups_read_at is not None and member.groups_read_at > oldest
    )


def require_fresh_groups(user: User, **of: Any) -> None:
    """Raise `GroupsTooOld` for a person who is kept out by the age of their groups alone."""
    member = (
        Membership.objects.filter(user=user, user__is_active=True, disabled_at=None, **of)
        .exclude(with_fresh_groups())
        .select_related("team")
        .first()
    )
    if member is not None:
        raise GroupsTooOld(member)


def memberships_of(user: User) -> QuerySet[Membership]:
    """Select a person's teams now, by name, without suspensions and outdated groups."""
    return (
        Membership.objects.filter(
            with_fresh_groups(), user=user, user__is_active=True, disabled_at=None
        )
        .select_related("team", "user")
        .order_by("team__name")
    )


def visible_to(user: User) -> QuerySet[AwsSession]:
    """Select the sessions of a person's teams.

    Every look-up starts here, so that foreign and missing are one answer.
    """
    return AwsSession.objects.filter(
        with_fresh_groups("team__memberships__"),
        team__memberships__user=user,
        team__memberships__user__is_active=True,
        team__memberships__disabled_at=None,
    ).select_related("team", "link")


def working_members(**of: Any) -> QuerySet[Membership]:
    """Select members and admins who may log in and are not suspended.

    The age of groups does not count here: chains that others use do not stop because their author
    is on leave.
    """
    return Membership.objects.filter(
        role__in=OPERATORS, user__is_active=True, disabled_at=None, **of
    )
