"""One role, several sessions: closing a session closes its role only if every other way to the same role is closed as well.

A role is known by its ARN, letter by letter, as AWS knows it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from sessions import ledger
from sessions.ledger import Entry
from sessions.lifecycle import parts
from sessions.lifecycle.access import Access, Audience, access_of, write_access
from sessions.lifecycle.authority import Actor, lock_team_for, require_still
from sessions.lifecycle.closed_roles import sessions_with_role
from sessions.lifecycle.refused import Refused
from sessions.models import Activation, AwsSession, Membership, Right, SessionGrant, TeamGroup
from sessions.policy import Action, Rights, can, grants_to

# A dozen queries each, some tens of milliseconds.
CLOSED_AT_ONCE = 4


@dataclass(frozen=True)
class Way:
    """Another session with the same role: whom it is open to, and how many people have it active."""

    session: AwsSession
    access: Access
    active_people: int


def with_role_of(session: AwsSession) -> QuerySet[AwsSession]:
    """Select the other sessions of the team with the same role, by alias; none for a root."""
    if not session.is_chained:
        return AwsSession.objects.none()
    return sessions_with_role(session.team_id, session.link.role_arn).exclude(pk=session.pk).order_by("alias")


def wider_ways(session: AwsSession, most: int) -> tuple[list[Way], bool]:
    """List the other ways to a session's role that let in people whom the session itself does not; and whether there are more.

    A session that is open to everyone leaves nobody out: it has no wider way.
    """
    if session.open_to_start:
        return [], False
    named = SessionGrant.objects.filter(session=OuterRef("pk"), right=Right.START)
    mine = access_of(session).start
    people = Q(member__isnull=False) & ~Q(member__in=mine.members)
    groups = Q(group__isnull=False) & ~Q(group__in=mine.groups)
    found = with_role_of(session).filter(Q(open_to_start=True) | Exists(named.filter(people | groups)))
    some = list(found.select_related("team", "link").defer("sealed_secrets")[: most + 1])
    active = Activation.objects.filter(session__in=[each.pk for each in some]).values_list(
        "session_id", "user_id"
    )
    started: dict[object, set[int]] = {}
    for session_id, user_id in active:
        started.setdefault(session_id, set()).add(user_id)
    ways = [Way(each, access_of(each), len(started.get(each.pk, ()))) for each in some[:most]]
    return ways, len(some) > most


def close_like_role(session: AwsSession, author: Membership) -> list[Entry]:
    """Open a session that has just got a closed role to those whom the role is open to; return the lines for the ledger.

    Without that, whoever is let in would let in everyone, by making a session of their own and without noticing. Of an admin
    it is taken that they want it for themselves. For a caller that holds the team's row.
    """
    others = with_role_of(session)
    if not others.exists() or others.filter(open_to_start=True).exists():
        return []
    granted = SessionGrant.objects.filter(session__in=others.order_by().values("pk"), right=Right.START)
    start = Audience(
        everyone=False,
        members=list(Membership.objects.filter(pk__in=granted.values("member")).select_related("user")),
        groups=list(TeamGroup.objects.filter(pk__in=granted.values("group"))),
    )
    if not granted.filter(grants_to(author)).exists():
        start.members.append(author)
    return write_access(author.team, session, Access(start, Audience(everyone=False)), author)


def close_wider_ways(session: AwsSession, actor: Actor) -> list[AwsSession]:
    """Open every other session with the same role to whom this one is open to, and close it to assume from; return them.

    Many are closed in parts. Whoever loses a right loses what they have running by it. Raises `RightLost` where the actor may
    not share one of them.
    """
    closed: list[AwsSession] = []
    while some := _close_part(session, actor, closed):
        closed += some
        time.sleep(parts.PAUSE_SECONDS)
    return closed


@transaction.atomic(durable=True)
def _close_part(session: AwsSession, actor: Actor, closed: Sequence[AwsSession]) -> list[AwsSession]:
    team = lock_team_for(actor, session.team_id, Action.SHARE, session)
    if session.open_to_start:
        raise Refused("", f"“{session.alias}” is open to everyone: close it first.")
    # Under the lock, so that none is made beside it.
    left = with_role_of(session).exclude(pk__in=[each.pk for each in closed])
    if not closed:
        require_still(actor, Action.SHARE, *left)
    others = list(left.select_related("team", "link").order_by("pk")[:CLOSED_AT_ONCE])
    require_still(actor, Action.SHARE, *others)
    start, nobody = access_of(session).start, Audience(everyone=False)
    entries = []
    for other in others:
        was = access_of(other)
        keeps_assume = not was.assume.everyone
        entries += write_access(team, other, Access(start, was.assume if keeps_assume else nobody), actor)
    ledger.append(team.pk, entries)
    return others


def may_close(member: Membership, session: AwsSession, ways: Sequence[Way]) -> bool:
    """Check whether a member may close all of these ways."""
    rights = Rights(member, [way.session.pk for way in ways])
    return can(member, Action.SHARE, session) and all(rights.can(Action.SHARE, way.session) for way in ways)
