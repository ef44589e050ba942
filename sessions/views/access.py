"""Who is asking, and for what of theirs: every view begins here. Foreign and missing are the same 404."""

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404

from sessions.models import AwsSession, Membership, User
from sessions.policy import Action, can, memberships_of, visible_to


def member_in(request: HttpRequest, team_slug: str) -> Membership:
    """The caller's membership in that team; 404 if they are not in it."""
    assert isinstance(request.user, User)
    member = get_object_or_404(memberships_of(request.user), team__slug=team_slug)
    request.membership = member  # type: ignore[attr-defined]  # read by the context processor
    return member


def session_for(
    request: HttpRequest, session_id: UUID, action: Action = Action.VIEW
) -> tuple[AwsSession, Membership]:
    """A session of the caller's teams and their membership there; 404 if it is not theirs to see, 403 if not to do."""
    assert isinstance(request.user, User)
    session = visible_to(request.user).filter(pk=session_id).first()
    if session is None:
        raise Http404
    member = member_in(request, session.team.slug)
    require(member, action, session)
    return session, member


def require(member: Membership, action: Action, session: AwsSession | None = None) -> None:
    if not can(member, action, session):
        raise PermissionDenied
