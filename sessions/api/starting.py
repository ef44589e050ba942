"""Start, stop and rotate sessions for the caller, one or several."""

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest

from sessions import tasks
from sessions.activations.start_stop import (
    dismiss_notice,
    rotate_session,
    start_session,
    start_sessions,
    stop_session,
    stop_sessions,
)
from sessions.actors import Actor
from sessions.api.base import (
    ERRORS,
    ApiError,
    api,
    caller,
    require_startable,
    session_for,
    startable,
)
from sessions.api.presenting import all_described, described
from sessions.api.schemas import Chosen, SessionOut
from sessions.models import AwsSession
from sessions.monitoring import request_limits
from sessions.permissions import (
    NO_OWNER,
    Action,
    PermissionChecker,
    orphaned_among,
    visible_to,
)


@api.post(
    "/sessions/{uuid:session_id}/start",
    response={200: SessionOut, **ERRORS},
    summary="Start a session for yourself",
)
def start(request: HttpRequest, session_id: UUID) -> Any:
    session, actor = startable(request, session_id)
    request_limits.count(request_limits.START, actor.user_id)
    start_session(session, actor)
    tasks.wake_for_start()
    return described(actor, session)


@api.post(
    "/sessions/{uuid:session_id}/stop",
    response={200: SessionOut, **ERRORS},
    summary="End your own activation",
)
def stop(request: HttpRequest, session_id: UUID) -> Any:
    session, actor = startable(request, session_id)
    stop_session(session, actor)
    return described(actor, session)


@api.post(
    "/sessions/{uuid:session_id}/rotate",
    response={200: SessionOut, **ERRORS},
    summary="Rotate your credential now",
)
def rotate(request: HttpRequest, session_id: UUID) -> Any:
    session, actor = startable(request, session_id)
    request_limits.count(request_limits.ROTATE, actor.user_id, session.pk)
    if not rotate_session(session, actor):
        raise ApiError(409, "inactive", "You have not started this session.")
    tasks.wake_for_start()
    return described(actor, session)


@api.post(
    "/sessions/{uuid:session_id}/dismiss",
    response={200: SessionOut, **ERRORS},
    summary="Dismiss your notice that an edit has ended what you had started",
)
def dismiss(request: HttpRequest, session_id: UUID) -> Any:
    """Dismiss the session's `problem` with the code `IdentityChanged`.

    Nothing else changes, also where there is none.
    """
    session, actor = session_for(request, session_id, Action.DISMISS), caller(request)
    dismiss_notice(session, actor)
    return described(actor, session)


def _all_startable(request: HttpRequest, chosen: Chosen) -> tuple[list[AwsSession], Actor]:
    """Return all of them, or raise an error for one that cannot be started."""
    actor = caller(request)
    found = visible_to(actor.user).filter(pk__any_of=chosen.ids, team=actor.team).in_bulk()
    if len(found) < len(set(chosen.ids)):
        raise Http404
    rights = PermissionChecker(actor, list(found))
    for session in found.values():
        require_startable(session, rights)
    if orphaned_among(found.values()):
        raise ApiError(409, "cut_off", NO_OWNER)
    return [found[each] for each in dict.fromkeys(chosen.ids)], actor


@api.post(
    "/sessions/start",
    response={200: list[SessionOut], **ERRORS},
    summary="Start several sessions in one step",
)
def start_several(request: HttpRequest, payload: Chosen) -> Any:
    """Start several sessions; of those on one named profile the last wins.

    The result is the same as starting one after the other.
    """
    request_limits.count(request_limits.SEVERAL, caller(request).user_id)
    sessions, actor = _all_startable(request, payload)
    start_sessions(sessions, actor)
    tasks.wake_for_start()
    return all_described(actor, sessions)


@api.post(
    "/sessions/stop",
    response={200: list[SessionOut], **ERRORS},
    summary="Stop several sessions in one step",
)
def stop_several(request: HttpRequest, payload: Chosen) -> Any:
    request_limits.count(request_limits.SEVERAL, caller(request).user_id)
    sessions, actor = _all_startable(request, payload)
    stop_sessions(sessions, actor)
    return all_described(actor, sessions)
