"""Say whom a right to a session is given to: everyone of the team, or people and groups by name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from sessions.ledger.events.sessions import Opening
from sessions.models import (
    AwsSession,
    ClosedByAdmin,
    GrantedRight,
    Membership,
    SessionGrant,
    TeamGroup,
)


@dataclass(frozen=True)
class Audience:
    """Name everyone of the team, or only these people and groups."""

    everyone: bool = True
    members: list[Membership] = field(default_factory=list)
    groups: list[TeamGroup] = field(default_factory=list)

    def teams(self) -> set[UUID]:
        """Name the teams of its people and groups."""
        return {
            *(member.team_id for member in self.members),
            *(group.team_id for group in self.groups),
        }

    def as_event(self) -> Opening:
        if self.everyone:
            return Opening(everyone=True)
        return Opening(
            everyone=False,
            people=tuple(sorted(member.user.get_username() for member in self.members)),
            groups=tuple(sorted(group.name for group in self.groups)),
        )


NOBODY = Audience(everyone=False)


@dataclass(frozen=True)
class Limit:
    """Bound whom a right may be given to: an audience, and the people in it now."""

    audience: Audience
    people: frozenset[int]

    def narrow(self, wanted: Audience) -> Audience:
        """Leave out of an audience whom the limit does not let in."""
        if self.audience.everyone:
            return wanted
        if wanted.everyone:
            return Audience(False, list(self.audience.members), list(self.audience.groups))
        members = [each for each in wanted.members if each.pk in self.people]
        return Audience(
            False, members, [each for each in wanted.groups if each in self.audience.groups]
        )


@dataclass(frozen=True)
class Access:
    """Say who may start a session, and who may assume further roles from it."""

    start: Audience
    assume: Audience

    def to(self, right: GrantedRight) -> Audience:
        """Return who has that right."""
        return self.start if right == GrantedRight.START else self.assume

    def as_event(self) -> dict[str, Any]:
        """Return what an event says of it."""
        return {right: self.to(right).as_event().as_data() for right in GrantedRight}

    def narrowed(self, limits: Mapping[GrantedRight, Limit]) -> "Access":
        """Leave out whom these limits do not let in; a right without a limit stays as it is."""
        start, assume = (
            limits[right].narrow(self.to(right)) if right in limits else self.to(right)
            for right in (GrantedRight.START, GrantedRight.ASSUME)
        )
        return Access(start, assume)


def is_open(session: AwsSession, right: GrantedRight) -> bool:
    """Check whether everyone of the team has that right."""
    return session.open_to_start if right == GrantedRight.START else session.open_to_assume


def opened(right: GrantedRight, session: str = "") -> Q:
    """Match sessions that are open to everyone for that right.

    `session`: the way to them, with `__`.
    """
    return Q(**{f"{session}open_to_{'start' if right == GrantedRight.START else 'assume'}": True})


def access_of(session: AwsSession) -> Access:
    """Read whom a session is open to."""
    return accesses_of([session])[session.pk]


def accesses_of(sessions: Iterable[AwsSession]) -> dict[UUID, Access]:
    """Read whom these sessions are open to, with one query."""
    found = {
        each.pk: Access(Audience(each.open_to_start), Audience(each.open_to_assume))
        for each in sessions
    }
    grants = SessionGrant.objects.filter(session_id__any_of=found).order_by("pk")
    for grant in grants.select_related("member__user", "group"):
        audience = found[grant.session_id].to(GrantedRight(grant.right))
        if grant.member:
            audience.members.append(grant.member)
        if grant.group:
            audience.groups.append(grant.group)
    return found


def named(
    right: GrantedRight, sessions: QuerySet[Any, Any], kept: QuerySet[ClosedByAdmin] | None = None
) -> tuple[QuerySet[Membership], QuerySet[TeamGroup]]:
    """Select the people and groups named for that right at one of these sessions (ids).

    `kept`: what admins have closed, of which those whom they left it count as well.
    """
    by_name, groups = _by_name(right, sessions, kept)
    found = TeamGroup.objects.filter(groups)
    in_groups = TeamGroup.members.through.objects.filter(teamgroup__in=found.values("pk"))
    return Membership.objects.filter(by_name | Q(pk__in=in_groups.values("membership"))), found


def _by_name(
    right: GrantedRight, sessions: QuerySet[Any, Any], kept: QuerySet[ClosedByAdmin] | None
) -> tuple[Q, Q]:
    """Match the members, and the groups, that are named themselves."""
    grants = SessionGrant.objects.filter(session__in=sessions, right=right)
    members, groups = Q(pk__in=grants.values("member")), Q(pk__in=grants.values("group"))
    if kept is None:
        return members, groups
    return members | Q(pk__in=kept.values("members")), groups | Q(pk__in=kept.values("groups"))


def limit_of(
    right: GrantedRight, sessions: QuerySet[Any, Any], kept: QuerySet[ClosedByAdmin] | None = None
) -> Limit:
    """Read the audiences of sessions (ids) that are not open to everyone.

    For that right; `kept` as for `named`.
    """
    by_name, _ = _by_name(right, sessions, kept)
    members = Membership.objects.filter(by_name).select_related("user").order_by("pk")
    people, groups = named(right, sessions, kept)
    audience = Audience(False, list(members), list(groups))
    return Limit(audience, frozenset(people.values_list("pk", flat=True)))
