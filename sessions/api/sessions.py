"""Serve sessions of every kind: list, read, create, change, delete."""

from typing import Annotated, Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from ninja import Status as Answer
from pydantic import Field

from sessions import tasks
from sessions.activations.status import Status
from sessions.actors import Actor
from sessions.api.base import (
    ERRORS,
    TRIES,
    ApiError,
    api,
    caller,
    etag,
    seen_version,
    session_for,
)
from sessions.api.document import takes_version, tells_version
from sessions.api.paging import MOST, Cursor, Limit, link_next, page_by
from sessions.api.presenting import all_described, described
from sessions.api.saving import (
    KINDS,
    checked_form,
    create,
    delete_one,
    patch_fields,
    require_one_of,
    save,
)
from sessions.api.schemas import SessionIn, SessionOut, SessionPatch, Text, one_of
from sessions.aws.roots import ROOT_KINDS
from sessions.catalog.finding import SessionSearch, session_by_alias, sessions_seen_by
from sessions.catalog.sessions import is_unchanged
from sessions.catalog.team_view import view_of_sessions
from sessions.db.clock import database_now
from sessions.forms.sessions import form_for
from sessions.locks.versions import Changed
from sessions.models import CHAINED, AwsSession
from sessions.permissions import Action

StatusAsked = Annotated[str, one_of("", *Status)]
KindAsked = Annotated[str, one_of("", CHAINED, *ROOT_KINDS)]
AccountAsked = Annotated[str, Field(pattern="^([0-9]{12})?$", description="an account's number")]


@api.get(
    "/sessions", response={200: list[SessionOut], **ERRORS}, summary="List the team's sessions"
)
def list_sessions(
    request: HttpRequest,
    response: HttpResponse,
    status: StatusAsked = "",
    kind: KindAsked = "",
    account: AccountAsked = "",
    label: Text = "",
    q: Text = "",
    cursor: Cursor = "",
    limit: Limit = MOST,
) -> Any:
    """List the sessions that a token sees, by alias.

    `status` is the caller's own; `label` is a label's name. `q` finds sessions that have each of
    its words in their alias, profile, region, role, role session name, kind or assumer. While there
    are more, `Link` names the next part.
    """
    require_one_of("status", status, [*Status])
    require_one_of("kind", kind, KINDS)
    actor = caller(request)
    found = SessionSearch(status, kind, account, label, q).find(actor, database_now())
    sessions, cursor_after = page_by(found, "alias", cursor, limit)
    link_next(request, response, cursor_after)
    return all_described(actor, sessions)


@api.post(
    "/sessions",
    response={201: SessionOut, **ERRORS},
    summary="Create a session of any kind",
    openapi_extra=tells_version(201),
)
def create_session(request: HttpRequest, payload: SessionIn) -> Any:
    """Create a session."""
    actor = caller(request)
    sent = payload.model_dump(exclude_unset=True)
    kind = sent.pop("kind", CHAINED)
    session = create(actor, kind, sent)
    return _answer(request, actor, session, 201)


def _answer(request: HttpRequest, actor: Actor, session: AwsSession, status: int) -> HttpResponse:
    response = api.create_response(request, described(actor, session), status=status)
    response.headers["ETag"] = etag(session.version)
    response.headers["Location"] = f"/api/v1/sessions/{session.pk}"
    return response


@api.get(
    "/sessions/by-alias/{path:alias}",
    response={200: SessionOut, **ERRORS},
    summary="One session by its alias",
    openapi_extra=tells_version(),
)
def get_by_alias(request: HttpRequest, response: HttpResponse, alias: str) -> Any:
    """Read a session by its alias, in whatever case."""
    actor = caller(request)
    session = _with_alias(actor, alias)
    if session is None:
        raise Http404
    response.headers["ETag"] = etag(session.version)
    return described(actor, session)


@api.put(
    "/sessions/by-alias/{path:alias}",
    response={200: SessionOut, 201: SessionOut, **ERRORS},
    summary="Create the session with that alias, or make it what is sent",
    openapi_extra=takes_version(200, 201),
)
def put_by_alias(request: HttpRequest, alias: str, payload: SessionIn) -> Any:
    """Create a session (201), or change the one with that alias (200) to exactly what is sent.

    What is left out goes back to its default, but secrets and the mark `sensitive` stay. Sent
    again, it changes nothing, and nothing is written. With `If-Match` it only changes, with
    `If-None-Match: *` it only creates (412).
    """
    actor = caller(request)
    sent = payload.model_dump(exclude_unset=True)
    kind = sent.pop("kind", CHAINED)
    if sent.setdefault("alias", alias) != alias:
        text = "The alias of the body is another than the address's."
        raise ApiError(422, "invalid", text, {"alias": [text]})
    only_new = request.headers.get("If-None-Match", "").strip() == "*"
    for attempt in range(TRIES):
        session = _with_alias(actor, alias)
        if session is not None and only_new:
            raise ApiError(412, "exists", f"There is a session “{session.alias}” already.")
        if session is None and "If-Match" in request.headers:
            raise ApiError(412, "not_there", f"There is no session “{alias[:64]}” to change.")
        try:
            if session is None:
                return _answer(request, actor, create(actor, kind, sent), 201)
            return _answer(request, actor, _made(request, actor, session, kind, sent), 200)
        except (Changed, ApiError) as error:
            # Somebody was quicker: it is there by now, or is another by now.
            raced = isinstance(error, Changed) or (session is None and _with_alias(actor, alias))
            if not raced or attempt == TRIES - 1 or "If-Match" in request.headers or only_new:
                raise
    raise AssertionError("the last try has answered or raised")


def _with_alias(actor: Actor, alias: str) -> AwsSession | None:
    if "\x00" in alias:
        return None
    return session_by_alias(sessions_seen_by(actor), alias)


def _made(
    request: HttpRequest, actor: Actor, session: AwsSession, kind: str, sent: dict[str, Any]
) -> AwsSession:
    """Make a session what is sent; one that is that already stays as it is, its owner too."""
    session = session_for(request, session.pk, Action.EDIT)
    seen_version(request, session.version)
    if kind != session.kind:
        text = f"“{session.alias}” is of another kind, {session.kind}: delete it first."
        raise ApiError(422, "invalid", text, {"kind": [text]})
    view = view_of_sessions(actor, database_now())
    if session.is_chained:
        sent = {"sensitive": session.marked_sensitive, **sent}
    form = checked_form(form_for(kind, sent, view=view, session=session, is_page=False), sent)
    if is_unchanged(form.draft(), session):
        return session
    form.seen = session.version
    saved = save(form)
    tasks.wake_after_change()
    return saved


@api.get(
    "/sessions/{uuid:session_id}",
    response={200: SessionOut, **ERRORS},
    summary="One session",
    openapi_extra=tells_version(),
)
def get_session(request: HttpRequest, response: HttpResponse, session_id: UUID) -> Any:
    """Read a session.

    `ETag` is its version, which goes up with every change of its fields and not with its status.
    """
    session = session_for(request, session_id)
    response.headers["ETag"] = etag(session.version)
    return described(caller(request), session)


@api.patch(
    "/sessions/{uuid:session_id}",
    response={200: SessionOut, **ERRORS},
    summary="Change some of a session's fields",
    openapi_extra=takes_version(),
)
def patch_session(
    request: HttpRequest, response: HttpResponse, session_id: UUID, payload: SessionPatch
) -> Any:
    """Change a session.

    With `If-Match`, or `version` in the body, it is refused (412, 409) if somebody else was
    quicker.

    Without, the fields that are sent win, and what others have saved in other fields stays.
    """
    actor, sent = caller(request), payload.model_dump()
    version = sent.pop("version", None)
    for attempt in range(TRIES):
        session = session_for(request, session_id, Action.EDIT)
        seen = seen_version(request, session.version, version)
        try:
            patch_fields(session, actor, sent)
        except Changed:
            if seen is not None or attempt == TRIES - 1:
                raise
            continue  # somebody came in between: the same change of what is stored now
        break
    tasks.wake_after_change()
    response.headers["ETag"] = etag(session.version)
    return described(actor, session)


@api.delete(
    "/sessions/{uuid:session_id}",
    response={204: None, **ERRORS},
    summary="Delete a session, and what is assumed from it",
    openapi_extra={"parameters": takes_version()["parameters"]},
)
def remove_session(request: HttpRequest, session_id: UUID, dependants: bool = False) -> Any:
    """Delete a session.

    With dependants it is refused (409, with their aliases) unless `?dependants=true` confirms them.
    """
    session, actor = session_for(request, session_id, Action.DELETE), caller(request)
    seen = seen_version(request, session.version)
    delete_one(session, actor, dependants=dependants, seen=seen)
    tasks.wake_after_deletion()
    return Answer(204, None)
