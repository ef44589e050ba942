"""Who may what: one function, one table. Rights are read from the database on every request, never from the session."""

from enum import Enum, auto

from django.db.models import QuerySet

from sessions.aws.roots import ROOT_KINDS
from sessions.models import CHAINED, AwsSession, Membership, Role, User


class Action(Enum):
    """What a person can want."""

    VIEW = auto()
    START = auto()  # and stop, rotate, for oneself
    TAKE_CREDENTIALS = auto()
    CREATE_CHAINED = auto()
    USE_AS_ASSUMER = auto()
    CREATE_ROOT = auto()
    EDIT = auto()
    DELETE = auto()
    HOLD_TOKENS = auto()
    READ_LEDGER = auto()
    READ_POLICY = auto()
    EDIT_POLICY = auto()


EVERYONE = {Role.MEMBER, Role.ADMIN, Role.AUDITOR}
OPERATORS = {Role.MEMBER, Role.ADMIN}

ROLES: dict[Action, set[Role]] = {
    Action.VIEW: EVERYONE,
    Action.START: OPERATORS,
    Action.TAKE_CREDENTIALS: OPERATORS,
    Action.CREATE_CHAINED: OPERATORS,
    Action.USE_AS_ASSUMER: OPERATORS,
    Action.CREATE_ROOT: {Role.ADMIN},
    Action.EDIT: OPERATORS,
    Action.DELETE: OPERATORS,
    Action.HOLD_TOKENS: OPERATORS,
    Action.READ_LEDGER: {Role.ADMIN, Role.AUDITOR},
    Action.READ_POLICY: {Role.ADMIN, Role.AUDITOR},
    Action.EDIT_POLICY: {Role.ADMIN},
}


def can(member: Membership, action: Action, session: AwsSession | None = None) -> bool:
    """Whether a member may do that, to that session where one is meant. Another team's session: never."""
    if not member.user.is_active or Role(member.role) not in ROLES[action]:
        return False
    if session is None:
        return True
    if session.team_id != member.team_id:
        return False
    match action:
        case Action.START | Action.TAKE_CREDENTIALS:
            return session.is_chained  # a root hands nothing to people: it is there to be assumed from
        case Action.EDIT | Action.DELETE:
            return member.role == Role.ADMIN or (
                session.is_chained and session.created_by_id == member.user_id
            )
        case _:
            return True


def why_not_create(kind: str, member: Membership) -> str:
    """Why that member cannot create a session of that kind in that team; empty if they can."""
    if kind == CHAINED:
        return "" if can(member, Action.CREATE_CHAINED) else "Auditors read; they create nothing."
    if not can(member, Action.CREATE_ROOT):
        return "Only an admin of the team sets up what is assumed from."
    if ROOT_KINDS[kind].needs_operator and not member.team.ambient_enabled:
        return "The operator has not enabled the workers' own identity for this team."
    return ""


def memberships_of(user: User) -> QuerySet[Membership]:
    """The teams that a person is in now, by name."""
    return (
        Membership.objects.filter(user=user, user__is_active=True)
        .select_related("team", "user")
        .order_by("team__name")
    )


def visible_to(user: User) -> QuerySet[AwsSession]:
    """The sessions of the person's teams: every look-up starts here, so that foreign and missing are one answer."""
    return AwsSession.objects.filter(
        team__memberships__user=user, team__memberships__user__is_active=True
    ).select_related("team", "link")


def may_answer(member: Membership, session: AwsSession) -> bool:
    """Whether a member may give what a chain's root waits for: a code, an approval of their own.

    Who may start that session; at a root, who may start anything under it, or sets it up.
    """
    if session.is_chained:
        return can(member, Action.START, session)
    return can(member, Action.EDIT, session) or any(
        can(member, Action.START, below) for below, _ in session.dependants()
    )
