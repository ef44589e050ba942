"""Whom a session is open to."""

from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from sessions.api.base import ERRORS, ApiError, api, caller, etag, seen_version, session_for
from sessions.lifecycle.access import Access, Audience, access_of, set_access
from sessions.lifecycle.refused import NotThere, Refused, RightLost
from sessions.lifecycle.versions import Changed
from sessions.models import AwsSession, Membership
from sessions.policy import Action

# A NUL is in no name, and PostgreSQL takes none as text.
Name = Annotated[str, StringConstraints(max_length=150, pattern=r"^[^\x00]*$")]


class AudienceModel(BaseModel):
    """Everyone in the team, or only these people (user names) and groups (names)."""

    model_config = ConfigDict(extra="forbid")

    everyone: bool = True
    people: list[Name] = Field(default_factory=list, max_length=1000)
    groups: list[Name] = Field(default_factory=list, max_length=1000)


class AccessModel(BaseModel):
    """`start`: who may start it and take its credentials; `assume`: who may assume further roles from it.

    Without `assume` everyone may where everyone may start; a root, and a session that is closed, is closed for that as well.
    """

    model_config = ConfigDict(extra="forbid")

    start: AudienceModel = Field(default_factory=AudienceModel)
    assume: AudienceModel | None = None


def _as_json(session: AwsSession) -> dict[str, Any]:
    access = access_of(session)
    return {
        name: {
            "everyone": audience.everyone,
            "people": sorted(member.user.get_username() for member in audience.members),
            "groups": sorted(group.name for group in audience.groups),
        }
        for name, audience in (("start", access.start), ("assume", access.assume))
    }


def _audience(member: Membership, wanted: AudienceModel, name: str) -> Audience:
    if wanted.everyone:
        return Audience()
    people = list(
        Membership.objects.filter(team=member.team, user__username__in=wanted.people).select_related("user")
    )
    groups = list(member.team.groups.filter(name__in=wanted.groups))
    unknown = {
        *wanted.people,
        *wanted.groups,
    } - {*(each.user.get_username() for each in people), *(group.name for group in groups)}
    if unknown:
        text = f"Not in the team: {', '.join(sorted(unknown))}."
        raise ApiError(422, "invalid", text, {name: [text]})
    return Audience(everyone=False, members=people, groups=groups)


@api.get(
    "/sessions/{uuid:session_id}/access",
    response={200: AccessModel, **ERRORS},
    summary="Whom a session is open to",
)
def get_access(request: HttpRequest, response: HttpResponse, session_id: UUID) -> Any:
    """`ETag` is the version of the access alone: it is not the session's."""
    session = session_for(request, session_id)
    response.headers["ETag"] = etag(session.access_version)
    return _as_json(session)


@api.put(
    "/sessions/{uuid:session_id}/access",
    response={200: AccessModel, **ERRORS},
    summary="Open or close a session; whoever loses a right loses what they have running by it",
)
def put_access(request: HttpRequest, response: HttpResponse, session_id: UUID, payload: AccessModel) -> Any:
    """With `If-Match` it is refused (412) where somebody has changed the access since."""
    session, member = session_for(request, session_id, Action.SHARE), caller(request)
    seen = seen_version(request, session.access_version)
    is_open = session.is_chained and payload.start.everyone
    wanted = payload.assume or AudienceModel(everyone=is_open)
    start, assume = _audience(member, payload.start, "start"), _audience(member, wanted, "assume")
    try:
        set_access(session, Access(start, assume), member, seen=seen)
    except (Changed, NotThere, RightLost):
        raise
    except Refused as refused:
        fields = {refused.field: [refused.message]} if refused.field else None
        raise ApiError(422, "invalid", refused.message, fields) from None
    response.headers["ETag"] = etag(session.access_version)
    return _as_json(session)
