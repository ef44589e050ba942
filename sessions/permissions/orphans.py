"""Find chains without an owner: an author lost the right to an assumer, or it is deleted."""

from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import RawSQL

from sessions.models import (
    AssumerLink,
    AwsSession,
    GrantedRight,
    Role,
    SessionGrant,
    forest,
)
from sessions.models.sessions import load_chains
from sessions.permissions.members import working_members

NO_OWNER = "This chain has no owner. An admin can take it over by editing and saving the session."


def is_orphaned(session: AwsSession) -> bool:
    """Tell whether nothing is issued for a session, as a link of its chain is orphaned."""
    return bool(orphaned_among([session]))


def orphaned_among(sessions: Iterable[AwsSession]) -> set[Any]:
    """Find those of these sessions (ids) of one team that have an orphaned link on their chains."""
    chains = load_chains(sessions, broken=True)
    teams = {chain[-1].team_id for chain in chains.values()}
    links = {each.pk for chain in chains.values() for each in chain if each.is_chained}
    orphaned = orphaned_links(teams, among=links) if links else set()
    return {pk for pk, chain in chains.items() if any(each.pk in orphaned for each in chain)}


def orphaned_links(
    teams: Collection[Any], among: Collection[Any] | QuerySet[Any, Any] | RawSQL | None = None
) -> set[Any]:
    """Find the orphaned links of these teams, as ids of their sessions.

    Their author has lost the right to the assumer, or the assumer is deleted.
    `among`: only these sessions are looked at, ids or a query for them; without it, the whole team.
    Normally none is found. One query for each team, which looks for grants only where something is
    not open to everyone.
    """
    found: set[Any] = set()
    for team in teams:
        some = _suspects(team) if among is None else among
        links = select_orphaned_links(team)
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


def is_orphaned_chain(chain: Sequence[AwsSession]) -> bool:
    """Tell whether nothing is issued for a chain, root first, annotated with `author_role`.

    The roles mostly show already that every author has their right; where not, it queries.
    """
    doubtful = [
        session.pk
        for assumer, session in pairwise(chain)
        if (role := getattr(session, "author_role", None)) != Role.ADMIN
        and not (role and assumer.open_to_assume)
    ]
    return bool(doubtful and orphaned_links([chain[0].team_id], among=doubtful))


def select_orphaned_links(team: Any) -> QuerySet[AssumerLink]:
    """Select a team's links whose author lost the right to the assumer, or whose assumer went."""
    granted = SessionGrant.objects.filter(
        session=OuterRef("assumer"), right=GrantedRight.ASSUME
    ).filter(Q(member__user=OuterRef("author")) | Q(group__members__user=OuterRef("author")))
    working = working_members(team=team)
    admins, everybody = working.filter(role=Role.ADMIN).values("user"), working.values("user")
    links = AssumerLink.objects.filter(session__team=team)
    allowed = Q(author__in=admins) | Q(author__in=everybody, assumer__open_to_assume=True)
    named = Q(author__in=everybody) & Exists(granted)
    return links.filter(~allowed & ~named | Q(assumer__deletion__isnull=False))


def _suspects(team: Any) -> set[Any]:
    """Find links that may be orphaned, by indexes: author gone, assumer closed or deleted."""
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


def descendants(sessions: Collection[Any]) -> set[Any]:
    """Find these sessions (ids) and everything assumed from them, at all levels."""
    if not sessions:
        return set()
    links = AssumerLink.objects.filter(pk__in=forest.below_these(sessions))
    return {*sessions, *links.values_list("pk", flat=True)}
