"""Find a team's sessions that are the same at AWS: one role, or one user."""

from uuid import UUID

from django.db.models import QuerySet

from sessions.aws.arn import identity_key, role_key
from sessions.aws.roots import ROOT_KINDS
from sessions.models import CHAINED, AssumerLink, AwsSession


def keys_of(session: AwsSession) -> frozenset[str]:
    """Name a session's identity at AWS in each known way.

    By its role, by what a test has told, by a root's settings.
    """
    if session.is_chained:
        return frozenset([role_key(session.link.role_arn)])
    told = identity_key(session.identity_arn) if session.identity_arn else ""
    return frozenset({told, ROOT_KINDS[session.kind].identity(session.settings)} - {""})


def is_known(session: AwsSession) -> bool:
    """Check whether all of a session's identities at AWS are known.

    A test of a per-person root tells only the tester's.
    """
    return session.is_chained or bool(session.identity_arn) or ROOT_KINDS[session.kind].per_person


def others_like(session: AwsSession) -> QuerySet[AwsSession]:
    """Select the other sessions of the team that are the same at AWS, as far as that is known."""
    keys, team = (
        keys_of(session),
        AwsSession.objects.filter(team=session.team_id).exclude(pk=session.pk),
    )
    roots = [
        each.pk for each in _roots(session.team_id) if each != session and keys & keys_of(each)
    ]
    if not roots:
        return team.filter(kind=CHAINED, link__role_arn__role_key__in=keys)
    # Each half by its own index.
    links = AssumerLink.objects.filter(session__team=session.team_id, role_arn__role_key__in=keys)
    either = links.values("pk").union(
        AwsSession.objects.filter(pk__in=roots).order_by().values("pk")
    )
    return team.filter(pk__in=either)


def _roots(team_id: UUID | None) -> QuerySet[AwsSession]:
    found = AwsSession.objects.filter(team=team_id).exclude(kind=CHAINED).order_by()
    return found.only("kind", "settings", "identity_arn")
