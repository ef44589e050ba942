"""Decide who may what: one function, one table. Rights are read from the database each time.

`can()` asks for what the role allows, what the token in use is good for, and whom the session is
open to.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from enum import Enum, auto
from itertools import pairwise
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import RawSQL

from sessions.actors import Actor
from sessions.aws.roots import ROOT_KINDS
from sessions.db.clock import Now
from sessions.models import (
    CHAINED,
    AssumerLink,
    AwsSession,
    Membership,
    Right,
    Role,
    Scope,
    SessionGrant,
    Team,
    TeamGroup,
    User,
    forest,
)
from sessions.models.sessions import load_chains


class Action(Enum):
    """Name what a person can want."""

    VIEW = auto()
    START = auto()  # and stop, rotate, for oneself
    DISMISS = auto()  # a notice of one's own
    TAKE_CREDENTIALS = auto()
    CREATE_CHAINED = auto()
    USE_AS_ASSUMER = auto()
    CREATE_ROOT = auto()
    EDIT = auto()
    DELETE = auto()
    SHARE = auto()  # say whom a session is open to
    HOLD_TOKENS = auto()
    READ_LEDGER = auto()
    READ_POLICY = auto()
    EDIT_POLICY = auto()
    SEE_PEOPLE = auto()
    MANAGE_PEOPLE = auto()  # and others' tokens, invitations, groups


EVERYONE = {Role.MEMBER, Role.ADMIN, Role.AUDITOR}
OPERATORS = {Role.MEMBER, Role.ADMIN}

ROLES: dict[Action, set[Role]] = {
    Action.VIEW: EVERYONE,
    Action.START: OPERATORS,
    Action.DISMISS: EVERYONE,
    Action.TAKE_CREDENTIALS: OPERATORS,
    Action.CREATE_CHAINED: OPERATORS,
    Action.USE_AS_ASSUMER: OPERATORS,
    Action.CREATE_ROOT: {Role.ADMIN},
    Action.EDIT: OPERATORS,
    Action.DELETE: OPERATORS,
    Action.SHARE: OPERATORS,
    Action.HOLD_TOKENS: OPERATORS,
    Action.READ_LEDGER: {Role.ADMIN, Role.AUDITOR},
    Action.READ_POLICY: {Role.ADMIN, Role.AUDITOR},
    Action.EDIT_POLICY: {Role.ADMIN},
    Action.SEE_PEOPLE: {Role.ADMIN, Role.AUDITOR},
    Action.MANAGE_PEOPLE: {Role.ADMIN},
}

# Which scope a token needs for it. What is not here no token can do: people are managed by people,
# logged in.
SCOPES: dict[Action, Scope] = {
    Action.START: Scope.USE,
    Action.DISMISS: Scope.USE,
    Action.TAKE_CREDENTIALS: Scope.CREDENTIALS,
    Action.CREATE_CHAINED: Scope.MANAGE,
    Action.USE_AS_ASSUMER: Scope.MANAGE,
    Action.CREATE_ROOT: Scope.MANAGE,
    Action.EDIT: Scope.MANAGE,
    Action.DELETE: Scope.MANAGE,
    Action.SHARE: Scope.MANAGE,
    Action.EDIT_POLICY: Scope.MANAGE,
}
CUT_OFF = "This chain has no owner. An admin can take it over by editing and saving the session."
READING = {Action.VIEW, Action.READ_LEDGER, Action.READ_POLICY}


class Rights:
    """Check what one actor may do now, for many sessions: grants are read once, when first needed.

    `among`: the ids of the sessions that it will be asked about; None: any of the team. Made anew
    for every request.
    """

    def __init__(self, actor: Actor, among: Collection[Any] | None = None) -> None:
        self.actor = actor
        self._among = among
        self._grants: dict[Any, set[str]] | None = None

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
                    session.open_to_start or self._granted(session, Right.START)
                )
            case Action.USE_AS_ASSUMER:
                is_open = actor.is_admin or session.open_to_assume
                return is_open or self._granted(session, Right.ASSUME)
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

    def _granted(self, session: AwsSession, right: Right) -> bool:
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


def grants_to(member: Membership) -> Q:
    """Select the grants that name a member, or a group of theirs."""
    groups = TeamGroup.members.through.objects.filter(membership=member.pk).values("teamgroup")
    return Q(member=member.pk) | Q(group__in=groups)


def is_dead(session: AwsSession) -> bool:
    """Tell if nothing is issued for that session because its chain is cut off: see `cut_off`."""
    return bool(dead_among([session]))


def dead_among(sessions: Iterable[AwsSession]) -> set[Any]:
    """Find those of these sessions (ids) of one team that have a cut-off link on their chains."""
    chains = load_chains(sessions, broken=True)
    teams = {chain[-1].team_id for chain in chains.values()}
    links = {each.pk for chain in chains.values() for each in chain if each.is_chained}
    cut = cut_off(teams, among=links) if links else set()
    return {pk for pk, chain in chains.items() if any(each.pk in cut for each in chain)}


def can(actor: Actor, action: Action, session: AwsSession | None = None) -> bool:
    """Tell if the actor may do that, to that session if one is meant. Another team's: never."""
    return Rights(actor, () if session is None else (session.pk,)).can(action, session)


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


class NotAllowed(PermissionDenied):
    """Raise the refusal with its reason.

    The role, the token's scopes or sessions, or whom the session is open to.

    `scope` is the one that the token lacks, if that is the reason.
    """

    def __init__(self, actor: Actor, action: Action, session: AwsSession | None = None) -> None:
        self.message, self.scope = _why_not(actor, action, session)
        super().__init__(self.message)


def _is_within(limits: Mapping[UUID, str] | None, session: AwsSession | None) -> bool:
    return limits is None or (session is not None and session.pk in limits)


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
    if limits is not None and not _is_within(limits, session):
        names = ", ".join(f"“{alias}”" for alias in sorted(limits.values()))
        return f"This token is only for {names}.", ""
    if session is None:
        return "You may not do that in this team.", ""
    if action in {Action.EDIT, Action.DELETE, Action.SHARE}:
        return "Only the session's creator or an admin may do that.", ""
    return "You have no access to this session for that. Ask an admin of the team.", ""


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
    granted = SessionGrant.objects.filter(grants_to(actor.member), right=Right.START).values(
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


def working_members(**of: Any) -> QuerySet[Membership]:
    """Select members and admins who may log in and are not suspended.

    The age of groups does not count here: chains that others use do not stop because their author
    is on leave.
    """
    return Membership.objects.filter(
        role__in=OPERATORS, user__is_active=True, disabled_at=None, **of
    )


def cut_off(
    teams: Collection[Any], among: Collection[Any] | QuerySet[Any, Any] | RawSQL | None = None
) -> set[Any]:
    """Find these teams' sessions whose link's author lost the right to the assumer, or whose
    assumer is deleted.

    `among`: only these sessions are looked at, ids or a query for them; without it, the whole team.
    Normally none is found. One query for each team, which looks for grants only where something is
    not open to everyone.
    """
    found: set[Any] = set()
    for team in teams:
        some = _suspects(team) if among is None else among
        links = cut_off_links(team)
        # Ids as one parameter: thousands may rest on one session.
        links = (
            links.filter(pk__in=some)
            if isinstance(some, QuerySet | RawSQL)
            else links.filter(pk__any_of=some)
        )
        found.update(links.values_list("pk", flat=True))
    return found


def author_role(team: Any) -> Subquery:
    """Annotate chained sessions with the role of their link's author, if they may use it."""
    return Subquery(working_members(team=team, user=OuterRef("link__author")).values("role")[:1])


def is_cut_off(chain: Sequence[AwsSession]) -> bool:
    """Tell if nothing is issued for a chain, root first, annotated with `author_role`.

    Mostly that says already that every author has their right; `cut_off` is asked where it does
    not.
    """
    doubtful = [
        session.pk
        for assumer, session in pairwise(chain)
        if (role := getattr(session, "author_role", None)) != Role.ADMIN
        and not (role and assumer.open_to_assume)
    ]
    return bool(doubtful and cut_off([chain[0].team_id], among=doubtful))


def cut_off_links(team: Any) -> QuerySet[AssumerLink]:
    """Select the links of a team whose author has lost the right to the assumer, or whose assumer
    is deleted.
    """
    granted = SessionGrant.objects.filter(session=OuterRef("assumer"), right=Right.ASSUME).filter(
        Q(member__user=OuterRef("author")) | Q(group__members__user=OuterRef("author"))
    )
    working = working_members(team=team)
    admins, everybody = working.filter(role=Role.ADMIN).values("user"), working.values("user")
    links = AssumerLink.objects.filter(session__team=team)
    allowed = Q(author__in=admins) | Q(author__in=everybody, assumer__open_to_assume=True)
    named = Q(author__in=everybody) & Exists(granted)
    return links.filter(~allowed & ~named | Q(assumer__deletion__isnull=False))


def _suspects(team: Any) -> set[Any]:
    """Find links that may be cut off, by indexes: author gone, assumer closed or deleted."""
    working = dict(working_members(team=team).values_list("user", "role"))
    gone = [user for user in _authors() if user not in working]
    links = AssumerLink.objects.filter(session__team=team)
    found = set(links.filter(Q(author=None) | Q(author__in=gone)).values_list("pk", flat=True))
    deleted = AwsSession.objects.filter(deletion__isnull=False).values("pk")
    found.update(links.filter(assumer__in=deleted).values_list("pk", flat=True))
    built_on = Exists(AssumerLink.objects.filter(assumer=OuterRef("pk")))
    closed = AwsSession.objects.filter(built_on, team=team, open_to_assume=False).values("pk")
    members = [user for user, role in working.items() if role != Role.ADMIN]
    return found | set(
        links.filter(assumer__in=closed, author__in=members).values_list("pk", flat=True)
    )


def _authors() -> list[int]:
    """List the authors of all links.

    With one look into the index for each of them, not for each link.
    """
    statement = (
        "WITH RECURSIVE authors(id) AS (SELECT min(author_id) FROM chains_assumerlink UNION ALL"
        " SELECT (SELECT min(author_id) FROM chains_assumerlink WHERE author_id > authors.id) FROM"
        " authors WHERE authors.id IS NOT NULL) SELECT id FROM authors WHERE id IS NOT NULL"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [user for (user,) in cursor.fetchall()]


def below(sessions: Collection[Any]) -> set[Any]:
    """Find these sessions (ids) and everything assumed from them, at all levels."""
    if not sessions:
        return set()
    links = AssumerLink.objects.filter(pk__in=forest.below_these(sessions))
    return {*sessions, *links.values_list("pk", flat=True)}
