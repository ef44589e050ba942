"""Read and change who may use a session, and close the other ways to who it is at AWS."""

from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from sessions.api.base import ERRORS, ApiError, api, caller, etag, seen_version, session_for
from sessions.api.schemas import Kind
from sessions.catalog.access import set_access
from sessions.catalog.audiences import Access, Audience, access_of
from sessions.catalog.same_role import close_wider_ways, how_many_end, may_close, wider_ways
from sessions.exceptions import NotThere, Refused, RightLost
from sessions.locks.versions import Changed
from sessions.models import AwsSession, Membership, Team
from sessions.monitoring import request_limits
from sessions.permissions import Action, can

WAYS_SHOWN = 100
# A NUL is in no name, and PostgreSQL takes none as text.
Name = Annotated[str, StringConstraints(max_length=150, pattern=r"^[^\x00]*$")]


class AudienceModel(BaseModel):
    """Name everyone in the team, or only these people (usernames) and groups (names)."""

    model_config = ConfigDict(extra="forbid")

    everyone: bool = True
    people: list[Name] = Field(default_factory=list, max_length=1000)
    groups: list[Name] = Field(default_factory=list, max_length=1000)


class AccessModel(BaseModel):
    """Hold who may start a session and assume from it.

    `start`: who may start it and get its credentials; `assume`: who may assume further roles from
    it.

    Without `assume` everyone may where everyone may start; a root, and a session that is closed, is
    closed for that as well.
    """

    model_config = ConfigDict(extra="forbid")

    start: AudienceModel = Field(default_factory=AudienceModel)
    assume: AudienceModel | None = None


class NamedOut(BaseModel):
    """Name a session by its id and alias."""

    id: UUID
    alias: str


class WayOut(AccessModel):
    """Show another session that is the same role or root at AWS, and for how many it is active."""

    id: UUID
    alias: str
    kind: Kind
    active_people: int


class WaysOut(BaseModel):
    """Hold the other ways that let in people whom the session does not.

    At most 100 of them are listed by alias; `more`: there are others.

    `may_close`: you may close all of them; that would stop `ending` active sessions.
    """

    ways: list[WayOut]
    more: bool
    may_close: bool
    ending: int


class ClosedOut(BaseModel):
    """List the sessions that were closed like the one that was asked about."""

    closed: list[NamedOut]


def _as_json(session: AwsSession) -> dict[str, Any]:
    return _access_json(access_of(session))


def _access_json(access: Access) -> dict[str, Any]:
    return {
        name: {
            "everyone": audience.everyone,
            "people": sorted(member.user.get_username() for member in audience.members),
            "groups": sorted(group.name for group in audience.groups),
        }
        for name, audience in (("start", access.start), ("assume", access.assume))
    }


def _audience(team: Team, wanted: AudienceModel, name: str) -> Audience:
    if wanted.everyone:
        return Audience()
    people = list(
        Membership.objects.filter(team=team, user__username__in=wanted.people).select_related(
            "user"
        )
    )
    groups = list(team.groups.filter(name__in=wanted.groups))
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
    summary="Read who may use a session",
)
def get_access(request: HttpRequest, response: HttpResponse, session_id: UUID) -> Any:
    """Return the access. `ETag` is the version of the access alone: it is not the session's."""
    session = session_for(request, session_id)
    response.headers["ETag"] = etag(session.access_version)
    return _as_json(session)


@api.put(
    "/sessions/{uuid:session_id}/access",
    response={200: AccessModel, **ERRORS},
    summary=("Change who may use a session; people who lose access lose their running sessions"),
)
def put_access(
    request: HttpRequest, response: HttpResponse, session_id: UUID, payload: AccessModel
) -> Any:
    """Change the access; with `If-Match`, 412 where somebody has changed it since."""
    session, actor = session_for(request, session_id, Action.SHARE), caller(request)
    seen = seen_version(request, session.access_version)
    is_open = session.is_chained and payload.start.everyone
    wanted = payload.assume or AudienceModel(everyone=is_open)
    start, assume = (
        _audience(actor.team, payload.start, "start"),
        _audience(actor.team, wanted, "assume"),
    )
    try:
        set_access(session, Access(start, assume), actor, seen=seen)
    except (Changed, NotThere, RightLost):
        raise
    except Refused as refused:
        fields = {refused.field: [refused.message]} if refused.field else None
        raise ApiError(422, "invalid", refused.message, fields) from None
    response.headers["ETag"] = etag(session.access_version)
    return _as_json(session)


@api.get(
    "/sessions/{uuid:session_id}/access/ways",
    response={200: WaysOut, **ERRORS},
    summary=("List other ways to a restricted session's role or a restricted root's identity"),
)
def get_ways(request: HttpRequest, session_id: UUID) -> Any:
    """Name the other sessions that are the same at AWS and let in somebody whom this one does not.

    A session that is open to everyone leaves nobody out. Of roots these are named whose identity is
    known by a test or the same settings. A token for some sessions alone sees those alone.
    """
    session, actor = session_for(request, session_id, Action.SHARE), caller(request)
    ways, more = wider_ways(session, WAYS_SHOWN)
    return {
        "ways": [
            {
                "id": way.session.pk,
                "alias": way.session.alias,
                "kind": way.session.kind,
                "active_people": way.active_people,
                **_access_json(way.access),
            }
            for way in ways
            if can(actor, Action.VIEW, way.session)
        ],
        "more": more,
        "may_close": bool(ways) and may_close(actor, session),
        "ending": how_many_end(session) if ways else 0,
    }


@api.post(
    "/sessions/{uuid:session_id}/access/ways/close",
    response={200: ClosedOut, **ERRORS},
    summary="Restrict every other way to a restricted session's role in one step",
)
def close_ways(request: HttpRequest, session_id: UUID) -> Any:
    """Close the other ways to a role: it lets nobody in, and ends what runs by a lost right.

    None is closed (403) where you may not share all of them, or (409) where the session itself is
    open to everyone.
    """
    session, actor = session_for(request, session_id, Action.SHARE), caller(request)
    request_limits.count(request_limits.SEVERAL, actor.user_id)
    try:
        closed = close_wider_ways(session, actor)
    except (NotThere, RightLost):
        raise
    except Refused as refused:
        raise ApiError(409, "is_open", refused.message) from None
    return {"closed": [{"id": each.pk, "alias": each.alias} for each in closed]}
