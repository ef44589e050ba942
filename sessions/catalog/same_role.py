"""Find the other ways to a session's role, which closing the session leaves open.

For roots the same holds of who they are, as far as that is known.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from sessions import ledger
from sessions.actors import Actor, AnyActor
from sessions.catalog.access import write_accesses
from sessions.catalog.audiences import (
    Access,
    Limit,
    access_of,
    accesses_of,
    is_open,
    limit_of,
    named,
    opened,
)
from sessions.catalog.closed_roles import is_admins, keep_closed, limits_of_role
from sessions.chains.same_identity import others_like
from sessions.exceptions import Refused, RightLost
from sessions.ledger import Entry
from sessions.locks import parts
from sessions.locks.team_lock import LOST, lock_team_by, require_still
from sessions.models import (
    CHAINED,
    Activation,
    AssumerLink,
    AwsSession,
    GrantedRight,
    Membership,
    Role,
    SessionGrant,
    forest,
)
from sessions.permissions import Action, can, not_to_change, working_members


@dataclass(frozen=True)
class Way:
    """Hold another session that is the same at AWS.

    With whom it is open to, and how many people have it active.
    """

    session: AwsSession
    access: Access
    active_people: int


def rights_of(session: AwsSession) -> list[GrantedRight]:
    """List what a session can be open for: nobody starts a root."""
    return list(GrantedRight) if session.is_chained else [GrantedRight.ASSUME]


def closed_rights(session: AwsSession) -> list[GrantedRight]:
    """List the rights that are not everyone's."""
    return [right for right in rights_of(session) if not is_open(session, right)]


def wider_ways(session: AwsSession, most: int) -> tuple[list[Way], bool]:
    """List other ways to a session's role or identity that let in more people.

    The second value tells if there are still more.

    A session that is open to everyone leaves nobody out: it has no wider way.
    """
    found = _wider(session).select_related("team", "link").defer("sealed_secrets")
    some = list(found.order_by("alias")[: most + 1])
    started: dict[UUID, set[int]] = {}
    for session_id, user_id in Activation.objects.filter(session__in=some).values_list(
        "session", "user"
    ):
        started.setdefault(session_id, set()).add(user_id)
    accesses = accesses_of(some[:most])
    ways = [Way(each, accesses[each.pk], len(started.get(each.pk, ()))) for each in some[:most]]
    return ways, len(some) > most


def _wider(session: AwsSession, *rights: GrantedRight) -> QuerySet[AwsSession]:
    """Select the other ways that let in people whom the session does not.

    For one of these rights, or any.
    """
    wider = Q(pk=None)
    for right in closed_rights(session):
        if rights and right not in rights:
            continue
        people, groups = _named(session, right)
        grants = SessionGrant.objects.filter(session=OuterRef("pk"), right=right)
        others = Q(member__isnull=False) & ~Q(member__in=people) | Q(group__isnull=False) & ~Q(
            group__in=groups
        )
        more = opened(right) | Q(Exists(grants.filter(others)))
        wider |= more & Q(kind=CHAINED) if right == GrantedRight.START else more
    return others_like(session).filter(wider)


def _named(session: AwsSession, right: GrantedRight) -> tuple[list[int], list[UUID]]:
    """Read the people and groups that are named for that right.

    One more query inside is one too deep for SQLite.
    """
    people, groups = named(right, AwsSession.objects.filter(pk=session.pk).values("pk"))
    return list(people.values_list("pk", flat=True)), list(groups.values_list("pk", flat=True))


def how_many_end(session: AwsSession) -> int:
    """Count the activations that `close_wider_ways` would end, built on these ways or below."""
    started = Activation.objects.filter(
        session__in=_wider(session, GrantedRight.START).values("pk")
    )
    started = started.exclude(_keeps(session, GrantedRight.START, of="session", person="user"))
    built_on = AssumerLink.objects.filter(
        assumer__in=_wider(session, GrantedRight.ASSUME).values("pk")
    )
    admins = working_members(team=session.team_id, role=Role.ADMIN).values("user")
    cut = built_on.exclude(
        _keeps(session, GrantedRight.ASSUME, of="assumer", person="author") | Q(author__in=admins)
    )
    ends = Q(pk__in=started.values("pk")) | Q(session__in=forest.below(cut.values("pk")))
    return Activation.objects.filter(ends).count()


def _keeps(session: AwsSession, right: GrantedRight, *, of: str, person: str) -> Q:
    """Match rows whose person keeps a right to the way `of` the row once it is closed alike."""
    people, groups = _named(session, right)
    grants = SessionGrant.objects.filter(session=OuterRef(of), right=right)
    by_name = Q(member__in=people, member__user=OuterRef(person))
    kept = grants.filter(by_name | Q(group__in=groups, group__members__user=OuterRef(person)))
    users = Membership.objects.filter(pk__in=people).values("user")
    return opened(right, f"{of}__") & Q(**{f"{person}__in": users}) | Q(Exists(kept))


def close_like_role(session: AwsSession, actor: Actor) -> list[Entry]:
    """Close a session that just got a closed role like that role; return the events.

    Without that, whoever is let in would let in everyone, by making a session of their own and
    without noticing. Of an admin it is taken that they want it for themselves. For a caller that
    holds the team's row.
    """
    limits, was = limits_of_role(session), access_of(session)
    access = was.narrowed(limits)
    if (
        GrantedRight.START in limits
        and was.start.everyone
        and actor.member.pk not in limits[GrantedRight.START].people
    ):
        access.start.members.append(actor.member)
    return [] if access == was else write_accesses(actor.team, [(session, was, access)], actor)


def close_wider_ways(session: AwsSession, actor: AnyActor) -> list[AwsSession]:
    """Close every other session that is the same at AWS to whom this one is closed; return them.

    Nobody is let in anywhere by it. Many are closed in parts. Whoever loses a right loses what they
    have running by it. Raises `RightLost`, and closes none, where the actor may not share all of
    them.
    """
    closed: list[AwsSession] = []
    pace = parts.Pace(parts.AT_ONCE)
    pace.begin()
    while some := _close_part(session, actor, pace.size, is_first=not closed):
        pace.end()
        closed += some
        time.sleep(parts.PAUSE_SECONDS)
        pace.begin()
    return closed


@transaction.atomic(durable=True)
def _close_part(
    session: AwsSession, actor: AnyActor, size: int, *, is_first: bool
) -> list[AwsSession]:
    team, actor = lock_team_by(actor, session.team_id, Action.SHARE, session)
    if not closed_rights(session):
        raise Refused("", f"“{session.alias}” is open to everyone: restrict it first.")
    # Under the lock, so that none is made beside it.
    left = _wider(session)
    if is_first and isinstance(actor, Actor) and not_to_change(actor, left).exists():
        raise RightLost("", LOST)
    others = list(left.select_related("team", "link").order_by("pk")[:size])
    if not others:
        return []
    require_still(actor, Action.SHARE, *others)
    itself = AwsSession.objects.filter(pk=session.pk).values("pk")
    limits = {right: limit_of(right, itself) for right in closed_rights(session)}
    were = accesses_of([session, *others])
    wanted = [(other, were[other.pk].narrowed(_limits_for(other, limits))) for other in others]
    changes = [(each, were[each.pk], access) for each, access in wanted]
    entries = write_accesses(team, changes, actor)
    if is_admins(actor):
        now = [(session, were[session.pk]), *wanted]
        keep_closed([(each, were[each.pk], access) for each, access in now if each.is_chained])
    ledger.append(team.pk, entries)
    return others


def _limits_for(
    session: AwsSession, limits: Mapping[GrantedRight, Limit]
) -> dict[GrantedRight, Limit]:
    return {right: limits[right] for right in rights_of(session) if right in limits}


def may_close(actor: Actor, session: AwsSession) -> bool:
    """Check whether a member may close all of the other ways to a session's role."""
    return can(actor, Action.SHARE, session) and not not_to_change(actor, _wider(session)).exists()
