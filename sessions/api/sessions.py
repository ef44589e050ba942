"""Serve sessions of every kind: read, create, change, delete, start, stop, rotate."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from ninja import Status as Answer

from sessions import tasks
from sessions.activations.moves import progress
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
    TRIES,
    ApiError,
    api,
    caller,
    etag,
    require_startable,
    seen_version,
    session_for,
    startable,
)
from sessions.api.schemas import Chosen, ProblemOut, SessionIn, SessionOut, SessionPatch
from sessions.aws.roots import ROOT_KINDS
from sessions.catalog.deletions import delete_session, mark_of
from sessions.catalog.team_view import Described, view_of_sessions, view_of_team
from sessions.db.clock import database_now
from sessions.exceptions import NotThere, Refused, RightLost
from sessions.forms.fields import wrong_types
from sessions.forms.sessions import SessionForm, form_for, stored_values
from sessions.locks.versions import Changed
from sessions.models import CHAINED, AwsSession, TeamPolicy
from sessions.monitoring import request_limits
from sessions.permissions import (
    NO_OWNER,
    Action,
    NotAllowed,
    PermissionChecker,
    orphaned_among,
    visible_to,
    why_not_create,
)

# A message names so many sessions, and says how many more there are.
NAMED = 20


def _as_json(described: Described, policy: TeamPolicy) -> dict[str, Any]:
    session, state = described.session, described.state
    values = answered(session, policy)
    if session.is_chained:
        values["role_session_name_is_default"] = not session.link.role_session_name
    else:
        values["sts_region"] = session.sts_home
    return {
        "id": session.pk,
        "version": session.version,
        "kind": session.kind,
        **values,
        "is_sensitive": session.is_sensitive,
        "account": described.account,
        "cloudtrail_name": described.cloudtrail_name,
        "cloudtrail_arn": described.cloudtrail_arn,
        "status": str(state.status),
        "expires_at": state.expires_at,
        "minted_at": state.minted_at,
        "next_rotation_at": state.next_rotation_at,
        "ends_at": state.ends_at,
        "problem": ProblemOut.of(state.problem),
        "chain": [
            {"id": each.pk, "alias": each.alias, "kind": each.kind} for each in described.chain
        ],
    }


def answered(session: AwsSession, policy: TeamPolicy) -> dict[str, Any]:
    """Return the stored values of a form's fields.

    A name that is left to the team is the default of now.
    """
    values = as_json(stored_values(session))
    if session.is_chained and not session.link.role_session_name:
        values["role_session_name"] = policy.role_session_name
    return values


def as_json(values: dict[str, Any]) -> dict[str, Any]:
    """Return a form's stored values as JSON has them: ids as text."""
    return {
        name: str(value) if isinstance(value, UUID) else value for name, value in values.items()
    }


def _described(actor: Actor, session: AwsSession) -> dict[str, Any]:
    described = _all_described(actor, [session])[0]
    moving = progress(actor.team_id, session)
    return described | ({"moving": moving} if moving else {})


def _all_described(actor: Actor, sessions: Sequence[AwsSession]) -> list[dict[str, Any]]:
    view = view_of_sessions(actor, database_now(), sessions)
    return [_as_json(view.describe(view.sessions[session.pk]), view.policy) for session in sessions]


def _checked(form: SessionForm, sent: dict[str, Any]) -> SessionForm:
    unknown = sorted(set(sent) - set(form.fields))
    if unknown:
        raise ApiError(
            422,
            "invalid",
            "There are fields that this kind does not have.",
            {name: ["Unknown field."] for name in unknown},
        )
    if wrong := wrong_types(form, sent):
        raise ApiError(422, "invalid", "There are values of the wrong type.", wrong)
    if not form.is_valid():
        _raise_form_errors(form)
    return form


def _raise_form_errors(form: SessionForm) -> None:
    fields = {
        name: [str(message) for message in messages] for name, messages in form.errors.items()
    }
    first = next(iter(fields.values()))[0]
    raise ApiError(422, "invalid", first, fields)


@api.get(
    "/sessions",
    response={200: list[SessionOut], **ERRORS},
    summary="All sessions of the token's team",
)
def list_sessions(request: HttpRequest) -> Any:
    view = view_of_team(caller(request), database_now())
    seen = [each for each in view.sessions.values() if view.rights.can(Action.VIEW, each)]
    return [_as_json(described, view.policy) for described in view.describe_all(seen)]


@api.post("/sessions", response={201: SessionOut, **ERRORS}, summary="Create a session of any kind")
def create_session(request: HttpRequest, payload: SessionIn) -> Any:
    actor = caller(request)
    kind = payload.kind
    if kind != CHAINED and kind not in ROOT_KINDS:
        raise ApiError(
            422,
            "invalid",
            f"There is no kind {kind!r}.",
            {"kind": [f"One of: {', '.join([CHAINED, *ROOT_KINDS])}."]},
        )
    reason = why_not_create(kind, actor)
    if reason:
        lacks = NotAllowed(
            actor, Action.CREATE_CHAINED if kind == CHAINED else Action.CREATE_ROOT
        ).scope
        raise ApiError(403, "forbidden", reason, {"scope": [lacks]} if lacks else None)
    sent = {
        key: value for key, value in payload.model_dump(exclude_unset=True).items() if key != "kind"
    }
    form = _checked(
        form_for(kind, sent, view=view_of_sessions(actor, database_now()), is_page=False), sent
    )
    session = form.save()
    if session is None:
        _raise_form_errors(form)
    assert session is not None
    response = api.create_response(request, _described(actor, session), status=201)
    response.headers["ETag"] = etag(session.version)
    return response


@api.get("/sessions/{uuid:session_id}", response={200: SessionOut, **ERRORS}, summary="One session")
def get_session(request: HttpRequest, response: HttpResponse, session_id: UUID) -> Any:
    """Read a session.

    `ETag` is its version, which goes up with every change of its fields and not with its status.
    """
    session = session_for(request, session_id)
    response.headers["ETag"] = etag(session.version)
    return _described(caller(request), session)


@api.patch(
    "/sessions/{uuid:session_id}",
    response={200: SessionOut, **ERRORS},
    summary="Change some of a session's fields",
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
        form = _patched(session, actor, sent)
        form.seen = session.version
        try:
            if form.save() is None:
                _raise_form_errors(form)
        except Changed:
            if seen is not None or attempt == TRIES - 1:
                raise
            continue  # somebody came in between: the same change of what is stored now
        break
    tasks.wake_after_change()
    response.headers["ETag"] = etag(session.version)
    return _described(actor, session)


def _patched(session: AwsSession, actor: Actor, sent: dict[str, Any]) -> SessionForm:
    """Return the valid form of a session with some fields changed."""
    view = view_of_sessions(actor, database_now())
    as_it_was = answered(session, view.policy)
    # What is sent back as it was answered changes nothing: a default that was shown does not become
    # a name of its own.
    changes = {
        name: value
        for name, value in sent.items()
        if name not in as_it_was or value != as_it_was[name]
    }
    merged = as_json(stored_values(session)) | changes
    return _checked(form_for(session.kind, merged, view=view, session=session, is_page=False), sent)


@api.delete(
    "/sessions/{uuid:session_id}",
    response={204: None, **ERRORS},
    summary="Delete a session, and what is assumed from it",
)
def remove_session(request: HttpRequest, session_id: UUID, dependants: bool = False) -> Any:
    """Delete a session.

    With dependants it is refused (409, with their aliases) unless `?dependants=true` confirms them.
    """
    session, actor = session_for(request, session_id, Action.DELETE), caller(request)
    seen = seen_version(request, session.version)
    if not dependants and (below := [each.alias for each, _ in session.dependants(NAMED)]):
        count = session.with_dependants().count() - 1
        more = f" and {count - NAMED} more" if count > NAMED else ""
        raise ApiError(
            409,
            "has_dependants",
            f"Sessions are assumed from it: {', '.join(below)}{more}. Confirm with"
            " ?dependants=true.",
        )
    try:
        delete_session(session, actor, seen=seen, below_seen=None if dependants else mark_of([]))
    except (Changed, NotThere, RightLost):
        raise
    except Refused as refused:
        raise ApiError(409, "refused", refused.message) from None
    tasks.wake_after_deletion()
    return Answer(204, None)


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
    return _described(actor, session)


@api.post(
    "/sessions/{uuid:session_id}/stop",
    response={200: SessionOut, **ERRORS},
    summary="End your own activation",
)
def stop(request: HttpRequest, session_id: UUID) -> Any:
    session, actor = startable(request, session_id)
    stop_session(session, actor)
    return _described(actor, session)


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
    return _described(actor, session)


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
    return _described(actor, session)


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
    return _all_described(actor, sessions)


@api.post(
    "/sessions/stop",
    response={200: list[SessionOut], **ERRORS},
    summary="Stop several sessions in one step",
)
def stop_several(request: HttpRequest, payload: Chosen) -> Any:
    request_limits.count(request_limits.SEVERAL, caller(request).user_id)
    sessions, actor = _all_startable(request, payload)
    stop_sessions(sessions, actor)
    return _all_described(actor, sessions)
