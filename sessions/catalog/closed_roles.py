"""Keep a role closed: who is kept out by one session does not come in by another of their own.

What an admin has closed, only an admin opens. What they have left open is kept beside the session
(`ClosedByAdmin`), so that its creator widens it by no change of access, and beside the role, so
that nothing is won by deleting the session and making it again, nor by editing its role away and
back. What a member has closed themselves they may open again.
"""

from collections.abc import Sequence
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from sessions.actors import Actor, AnyActor, NamedActor
from sessions.aws.arn import role_key
from sessions.catalog.audiences import Access, Audience, Limit, access_of, is_open, limit_of, opened
from sessions.exceptions import Refused
from sessions.models import (
    CHAINED,
    AssumerLink,
    AwsSession,
    ClosedByAdmin,
    GrantedRight,
    SessionGrant,
    TeamGroup,
)
from sessions.permissions import grants_to

NAMED = 3
ASK = "Ask an admin of the team for access."


def role_of(session: AwsSession) -> str:
    """Return the role of a chained session, as roles are told apart: see `role_key`."""
    return role_key(session.link.role_arn)


def sessions_with_role(team_id: UUID, role: str) -> QuerySet[AwsSession]:
    """Select a team's sessions with that role, as roles are told apart by `role_key`."""
    return AwsSession.objects.filter(team=team_id, kind=CHAINED, link__role_arn__role_key=role)


def _left_behind(team_id: UUID, role: str, having: QuerySet[AwsSession]) -> QuerySet[ClosedByAdmin]:
    """Select what admins have closed of a role at other sessions.

    These are deleted ones, and ones that had the role.
    """
    return _closings(team_id, role).exclude(session__in=having.values("pk"))


def _closings(team_id: UUID, role: str) -> QuerySet[ClosedByAdmin]:
    return ClosedByAdmin.objects.filter(team=team_id, role=role)


def is_closed_by_admin(session: AwsSession) -> bool:
    """Check whether an admin has closed a session, for any right.

    Its creator then lets in no more people.
    """
    if not session.is_chained or session.team_id is None:
        return False
    return _closings(session.team_id, role_of(session)).filter(session=session).exists()


def check_role(role_arn: str, actor: Actor, session: AwsSession) -> None:
    """Refuse a role closed to its author: something has it, or had it, and lets them in nowhere.

    Admins say who is let in, so nothing is closed to them. A session that has the role already
    keeps it. Raises `Refused`.
    """
    if actor.is_admin:
        return
    role = role_key(role_arn)
    having = sessions_with_role(actor.team_id, role)
    if having.filter(pk=session.pk).exists():
        return
    granted = SessionGrant.objects.filter(
        grants_to(actor.member), right=GrantedRight.START, session=OuterRef("pk")
    )
    if having.filter(opened(GrantedRight.START) | Exists(granted)).exists():
        return
    kept = _left_behind(actor.team_id, role, having).filter(right=GrantedRight.START)
    if not having.exists() and not kept.exists():
        return
    groups = TeamGroup.members.through.objects.filter(membership=actor.member.pk).values(
        "teamgroup"
    )
    if kept.filter(Q(members=actor.member.pk) | Q(groups__in=groups)).exists():
        return
    raise Refused("role_arn", f"This role is closed to you{_named(having)}. {ASK}")


def check_opening(session: AwsSession, actor: Actor, right: GrantedRight, wanted: Audience) -> None:
    """Refuse to open a session to people to whom an admin has closed it.

    Or to whom an admin has closed other sessions of its role.

    Admins say who is let in, and whoever has made every session with the role, while no admin has
    closed it. Raises `Refused`.
    """
    if actor.is_admin or not session.is_chained or is_open(session, right):
        return
    role, now = role_of(session), access_of(session).to(right)
    having = sessions_with_role(actor.team_id, role)
    closings = _closings(actor.team_id, role).filter(right=right)
    others = having.exclude(created_by=actor.user_id)
    if (own := closings.filter(session=session)).exists():
        limit = limit_of(right, having.none().values("pk"), own)
    elif having.filter(opened(right)).exists() or not (closings.exists() or others.exists()):
        return
    else:
        kept = _left_behind(actor.team_id, role, having).filter(right=right)
        limit = limit_of(right, having.values("pk"), kept)
    if _lets_in_more(wanted, now, limit):
        raise Refused(str(right), f"This role is closed{_named(others)}. {ASK}")


def _lets_in_more(wanted: Audience, now: Audience, limit: Limit) -> bool:
    """Check whether an audience names anybody who is named neither now nor by the limit.

    By their own name: whom a group lets in is out with it, once they leave the group.
    """
    allowed = limit.audience
    members = {each.pk for each in (*now.members, *allowed.members)}
    groups = {each.pk for each in (*now.groups, *allowed.groups)}
    named = wanted.everyone or any(each.pk not in members for each in wanted.members)
    return named or any(each.pk not in groups for each in wanted.groups)


def limits_of_role(session: AwsSession) -> dict[GrantedRight, Limit]:
    """Read to whom other sessions close a session's role.

    They have the role, or had it; a right that is open is left out.
    """
    assert session.team_id is not None
    role = role_of(session)
    others = sessions_with_role(session.team_id, role).exclude(pk=session.pk)
    limits: dict[GrantedRight, Limit] = {}
    for right in GrantedRight:
        kept = _left_behind(session.team_id, role, others).filter(right=right)
        if not others.filter(opened(right)).exists() and (others.exists() or kept.exists()):
            limits[right] = limit_of(right, others.values("pk"), kept)
    return limits


def is_admins(actor: AnyActor) -> bool:
    """Check whether only an admin can reopen what this actor closes.

    True for admins, and for the operator, who acts by name.
    """
    return isinstance(actor, NamedActor) or actor.is_admin


def keep_closed(changes: Sequence[tuple[AwsSession, Access, Access]]) -> None:
    """Remember to whom an admin has left these chained sessions, or that they have opened them.

    `changes`: sessions of one team, whom each was open to and is now. The latest word counts: what
    was said of a role at sessions that are gone is over.
    """
    links = AssumerLink.objects.filter(session__in=[session.pk for session, _, _ in changes])
    roles = {pk: role_key(role_arn) for pk, role_arn in links.values_list("session", "role_arn")}
    by_role: dict[str, list[tuple[AwsSession, Access, Access]]] = {}
    for change in changes:
        by_role.setdefault(roles[change[0].pk], []).append(change)
    for role, some in by_role.items():
        _keep_closed(role, some)


def _keep_closed(role: str, changes: Sequence[tuple[AwsSession, Access, Access]]) -> None:
    team_id = changes[0][0].team_id
    assert team_id is not None
    having = sessions_with_role(team_id, role)
    for right in GrantedRight:
        closings = _closings(team_id, role).filter(right=right)
        left = {
            session: after.to(right)
            for session, _, after in changes
            if not after.to(right).everyone
        }
        if left or any(not before.to(right).everyone for _, before, _ in changes):
            _left_behind(team_id, role, having).filter(right=right).delete()
        closings.filter(session__in=[session.pk for session, _, _ in changes]).delete()
        kept = ClosedByAdmin.objects.bulk_create(
            ClosedByAdmin(team_id=team_id, role=role, right=right, session=session)
            for session in left
        )
        ClosedByAdmin.members.through.objects.bulk_create(
            ClosedByAdmin.members.through(closedbyadmin=each, membership=member)
            for each, audience in zip(kept, left.values(), strict=True)
            for member in audience.members
        )
        ClosedByAdmin.groups.through.objects.bulk_create(
            ClosedByAdmin.groups.through(closedbyadmin=each, teamgroup=group)
            for each, audience in zip(kept, left.values(), strict=True)
            for group in audience.groups
        )


def _named(sessions: QuerySet[AwsSession]) -> str:
    aliases = list(sessions.order_by("alias").values_list("alias", flat=True)[: NAMED + 1])
    more = " and others" if len(aliases) > NAMED else ""
    names = ", ".join(f"“{alias}”" for alias in aliases[:NAMED])
    return f": {names}{more}" if aliases else " by an admin"
