"""Check what an actor may do: by role, by token, and by whom a session is open to."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet

from sessions.actors import Actor
from sessions.aws.roots import ROOT_KINDS
from sessions.models import (
    CHAINED,
    AwsSession,
    GrantedRight,
    Membership,
    Role,
    SessionGrant,
    Team,
    TeamGroup,
)
from sessions.permissions.actions import READING, ROLES, SCOPES, Action


class PermissionChecker:
    """Check what one actor may do now, for many sessions: grants are read once, when first needed.

    `among`: the ids of the sessions that it will be asked about; None: any of the team. `grants`:
    {session: rights} where they have been read already, of all of `among`. Made again for every
    request.
    """

    def __init__(
        self,
        actor: Actor,
        among: Collection[Any] | None = None,
        grants: dict[Any, set[str]] | None = None,
    ) -> None:
        self.actor = actor
        self._among = among
        self._grants = grants

    def can(self, action: Action, session: AwsSession | None = None) -> bool:
        """Check whether the actor may do that, to that session if one is given.

        A session of another team is always refused.
        """
        actor, member = self.actor, self.actor.member
        if (
            not member.user.is_active
            or member.disabled_at
            or Role(member.role) not in ROLES[action]
        ):
            return False
        if not self._token_allows(action, session):
            return False
        if session is None:
            return True
        if session.team_id != member.team_id:
            return False
        match action:
            case Action.START | Action.TAKE_CREDENTIALS:
                # A root hands nothing to people: it is there to be assumed from.
                return session.is_chained and (
                    session.open_to_start or self._granted(session, GrantedRight.START)
                )
            case Action.USE_AS_ASSUMER:
                is_open = actor.is_admin or session.open_to_assume
                return is_open or self._granted(session, GrantedRight.ASSUME)
            case Action.EDIT | Action.DELETE | Action.SHARE:
                return actor.is_admin or (
                    session.is_chained and session.created_by_id == actor.user_id
                )
            case _:
                return True

    def _token_allows(self, action: Action, session: AwsSession | None) -> bool:
        token, limits = self.actor.token, self.actor.limited_to
        if token is None:
            return True
        # Good for some sessions alone: nothing that is about the team as a whole, nor about another
        # session. What these are assumed from may be any that its person may use.
        if action is not Action.USE_AS_ASSUMER and not _is_within(limits, session):
            return False
        return action in READING or (action in SCOPES and SCOPES[action] in token.scopes)

    def _granted(self, session: AwsSession, right: GrantedRight) -> bool:
        if self._grants is None:
            self._grants = self._read_grants(self._among)
        if self._among is not None and session.pk not in self._among:
            return str(right) in self._read_grants([session.pk]).get(session.pk, ())
        return str(right) in self._grants.get(session.pk, ())

    def _read_grants(self, among: Collection[Any] | None) -> dict[Any, set[str]]:
        grants = SessionGrant.objects.filter(
            grants_to(self.actor.member), session__team=self.actor.team_id
        )
        if among is not None:
            grants = grants.filter(session_id__any_of=among)
        found: dict[Any, set[str]] = {}
        for session_id, right in grants.values_list("session_id", "right"):
            found.setdefault(session_id, set()).add(right)
        return found


def can(actor: Actor, action: Action, session: AwsSession | None = None) -> bool:
    """Tell if the actor may do that, to that session if one is meant. Another team's: never."""
    return PermissionChecker(actor, () if session is None else (session.pk,)).can(action, session)


def may_answer(actor: Actor, session: AwsSession) -> bool:
    """Tell if an actor may give what a chain's root waits for: a code, an approval.

    Who may start that session; at a root, who may start anything under it, or sets it up.
    """
    if session.is_chained:
        return can(actor, Action.START, session)
    if can(actor, Action.EDIT, session):
        return True
    return any(can(actor, Action.START, each) for each in _startable_below(session, actor))


def _startable_below(root: AwsSession, actor: Actor) -> list[AwsSession]:
    """Find one session under a root that is open to an actor.

    Role and token are not looked at here.
    """
    granted = SessionGrant.objects.filter(grants_to(actor.member), right=GrantedRight.START).values(
        "session"
    )
    startable = AwsSession.objects.filter(Q(open_to_start=True) | Q(pk__in=granted), kind=CHAINED)
    if actor.limited_to is not None:
        startable = startable.filter(pk__in=list(actor.limited_to))
    # Mostly one is found among the nearest.
    nearest = list(startable.filter(link__assumer=root).order_by()[:1])
    return nearest or list(
        startable.filter(pk__in=root.with_dependants().values("pk")).order_by()[:1]
    )


def not_to_change(actor: Actor, sessions: QuerySet[AwsSession]) -> QuerySet[AwsSession]:
    """Select those of these sessions that an actor may not share or delete.

    They may do it to some. It is `can` for very many at once.
    """
    may = Q(team=actor.team_id)
    if not actor.is_admin:
        may &= Q(kind=CHAINED, created_by=actor.user_id)
    if actor.limited_to is not None:
        may &= Q(pk__in=list(actor.limited_to))
    return sessions.exclude(may)


def grants_to(member: Membership) -> Q:
    """Select the grants that name a member, or a group of theirs."""
    groups = TeamGroup.members.through.objects.filter(membership=member.pk).values("teamgroup")
    return Q(member=member.pk) | Q(group__in=groups)


class NotAllowed(PermissionDenied):
    """Raise the refusal with its reason.

    The role, the token's scopes or sessions, or whom the session is open to.

    `scope` is the one that the token lacks, if that is the reason.
    """

    def __init__(self, actor: Actor, action: Action, session: AwsSession | None = None) -> None:
        self.message, self.scope = _why_not(actor, action, session)
        super().__init__(self.message)


def _why_not(actor: Actor, action: Action, session: AwsSession | None) -> tuple[str, str]:
    """Say why `can` says no, and name the scope that is missing if one is."""
    token = actor.token
    if Role(actor.member.role) not in ROLES[action]:
        return "Your role in the team does not allow that.", ""
    if token is not None and action not in READING:
        scope = SCOPES.get(action)
        if scope is None:
            return "Tokens cannot do that: log in and use the page.", ""
        if scope not in token.scopes:
            has = ", ".join(f"“{each}”" for each in token.scopes) or "none"
            return (
                f"This token lacks the scope “{scope}”; it has {has}. Create one that has it.",
                str(scope),
            )
    limits = actor.limited_to
    if token is not None and limits is not None and not _is_within(limits, session):
        return f"This token is only for {token.limit()}.", ""
    if session is None:
        return "You may not do that in this team.", ""
    if action in {Action.EDIT, Action.DELETE, Action.SHARE}:
        return "Only the session's creator or an admin may do that.", ""
    return "You have no access to this session for that. Ask an admin of the team.", ""


def _is_within(limits: Mapping[UUID, str] | None, session: AwsSession | None) -> bool:
    return limits is None or (session is not None and session.pk in limits)


def why_not_create(kind: str, actor: Actor) -> str:
    """Say why that actor cannot create a session of that kind; empty if they can."""
    action = Action.CREATE_CHAINED if kind == CHAINED else Action.CREATE_ROOT
    if (
        actor.token is not None
        and Role(actor.member.role) in ROLES[action]
        and not can(actor, action)
    ):
        return NotAllowed(actor, action).message
    if kind == CHAINED:
        return "" if can(actor, action) else "Auditors can only read."
    if not can(actor, action):
        return "Only admins can add roots."
    return why_not_kind(kind, actor.team)


def why_not_kind(kind: str, team: Team) -> str:
    """Say why a team cannot have a root of that kind, whoever asks; empty if it can."""
    if ROOT_KINDS[kind].needs_operator and not team.ambient_enabled:
        return "The operator has not enabled the workers' own identity for this team."
    return ""
