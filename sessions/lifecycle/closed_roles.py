"""Whose sessions may have a role: who is kept out of it by one session does not come in by another of their own."""

from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from sessions.lifecycle.audiences import Audience, is_open, limit_of, opened
from sessions.lifecycle.refused import Refused
from sessions.models import CHAINED, AwsSession, Membership, Right, Role, SessionGrant
from sessions.policy import grants_to

NAMED = 3
ASK = "Ask an admin of the team to open it."


def sessions_with_role(team_id: UUID, role_arn: str) -> QuerySet[AwsSession]:
    """Select the sessions of a team with that role. It is known by its ARN, letter by letter, as AWS knows it."""
    return AwsSession.objects.filter(team=team_id, kind=CHAINED, link__role_arn=role_arn)


def check_role(role_arn: str, member: Membership, session: AwsSession) -> None:
    """Refuse a role that is closed to its author: some session has it, and none that has it is open to them.

    Admins say who is let in, so nothing is closed to them. A session that has the role already keeps it. Raises `Refused`.
    """
    if member.role == Role.ADMIN:
        return
    having = sessions_with_role(member.team_id, role_arn)
    if having.filter(pk=session.pk).exists():
        return
    granted = SessionGrant.objects.filter(grants_to(member), right=Right.START, session=OuterRef("pk"))
    if not having.exists() or having.filter(Q(open_to_start=True) | Exists(granted)).exists():
        return
    raise Refused("role_arn", f"This role is closed to you: {_named(having)}. {ASK}")


def check_opening(session: AwsSession, member: Membership, right: Right, wanted: Audience) -> None:
    """Refuse to give more people a right at a session, where others have closed its role to them.

    Admins say who is let in, and whoever has made every session with the role. Raises `Refused`.
    """
    if member.role == Role.ADMIN or not session.is_chained or is_open(session, right):
        return
    having = sessions_with_role(member.team_id, session.link.role_arn)
    others = having.exclude(created_by=member.user_id)
    if not others.exists() or having.filter(opened(right)).exists():
        return
    if limit_of(right, having.values("pk")).narrow(wanted) != wanted:
        raise Refused(str(right), f"This role is closed: {_named(others)}. {ASK}")


def _named(sessions: QuerySet[AwsSession]) -> str:
    aliases = list(sessions.order_by("alias").values_list("alias", flat=True)[: NAMED + 1])
    more = " and others" if len(aliases) > NAMED else ""
    return ", ".join(f"“{alias}”" for alias in aliases[:NAMED]) + more
