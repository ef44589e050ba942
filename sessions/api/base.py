"""Authenticate by bearer token, find what is asked for, and answer errors in one form."""

import re
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from ninja.errors import AuthenticationError, HttpError, ValidationError

from sessions.actors import Actor
from sessions.api.bodies import BadBody, StrictParser
from sessions.api.document import Api
from sessions.api.errors import ERRORS, ApiError, ErrorOut
from sessions.api.idempotency import claim_key, keep_answer
from sessions.api.parameters import only_known_parameters
from sessions.exceptions import ActorGone
from sessions.ledger.origin import client_name
from sessions.locks.versions import CHANGED, Changed
from sessions.middleware.api_errors import api_error
from sessions.middleware.origin import client_address
from sessions.middleware.too_often import answer as too_often
from sessions.middleware.too_often import network_of
from sessions.models import AwsSession, token_text
from sessions.monitoring import request_limits
from sessions.people.tokens import OutsideNetworks, actor_of_token
from sessions.permissions import (
    NO_OWNER,
    Action,
    GroupsTooOld,
    NotAllowed,
    PermissionChecker,
    Sensitive,
    can,
    is_orphaned,
    visible_to,
)
from sessions.secret import Secret

__all__ = ["ERRORS", "ApiError", "ErrorOut", "api"]

# How often a change is made again that met another one.
TRIES = 5
ENTITY_TAG = re.compile(r'"([^"]*)"')


def secret_in(request: HttpRequest) -> Secret | None:
    """Return the token that a request sends, with “Bearer” or bare; None if there is none."""
    return token_text.from_header(request.headers.get("Authorization", ""))


class TokenAuth:
    """Authenticate by `Authorization: Bearer <token>`; cookies are ignored.

    The token's rights are those of its person now.
    """

    openapi_type = "http"
    openapi_security_schema = {"type": "http", "scheme": "bearer"}

    def __call__(self, request: HttpRequest) -> Actor | None:
        secret = secret_in(request)
        actor = (
            actor_of_token(
                secret,
                address=client_address(request),
                client=client_name(request.headers.get("User-Agent", "")),
            )
            if secret
            else None
        )
        if actor is None:
            # Whoever has a good token is not held up by a neighbour who guesses.
            request_limits.count(request_limits.BAD_SECRET, network_of(request))
        return actor


api = Api(
    title="Chainweb",
    version="1",
    auth=TokenAuth(),
    description=(
        "Every response with a status of 400 or more is an ErrorOut, which is a problem object by"
        " RFC 9457. Only a proxy in between may answer in another form."
    ),
    docs_url=None,
    urls_namespace="api",
    parser=StrictParser(),
)
# The last one around an operation is asked first: a key is claimed for what has been understood.
# By "view" the library means all that answers a request, authentication included.
api.add_decorator(claim_key, mode="operation")
api.add_decorator(only_known_parameters, mode="operation")
api.add_decorator(keep_answer, mode="view")


def answer(
    request: HttpRequest, status: int, code: str, message: str, fields: Any = None
) -> HttpResponse:
    return api_error(status, code, message, fields)


@api.exception_handler(ApiError)
def _on_api_error(request: HttpRequest, error: ApiError) -> HttpResponse:
    response = answer(request, error.status, error.code, error.message, error.fields)
    for name, value in error.headers.items():
        response.headers[name] = value
    return response


@api.exception_handler(AuthenticationError)
def _on_unauthenticated(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    response = answer(
        request, 401, "unauthenticated", "Send a valid token as “Authorization: Bearer <token>”."
    )
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


@api.exception_handler(request_limits.TooOften)
def _on_too_often(request: HttpRequest, error: request_limits.TooOften) -> HttpResponse:
    return too_often(request, error)


@api.exception_handler(ActorGone)
def _on_gone(request: HttpRequest, error: ActorGone) -> HttpResponse:
    return _on_unauthenticated(request, AuthenticationError())


@api.exception_handler(Http404)
def _on_missing(request: HttpRequest, error: Http404) -> HttpResponse:
    return answer(request, 404, "not_found", "Not found in this team.")


@api.exception_handler(GroupsTooOld)
def _on_old_groups(request: HttpRequest, error: GroupsTooOld) -> HttpResponse:
    return answer(request, 403, "groups_too_old", error.message)


@api.exception_handler(OutsideNetworks)
def _on_outside(request: HttpRequest, error: OutsideNetworks) -> HttpResponse:
    request_limits.count(request_limits.BAD_SECRET, network_of(request))
    return answer(request, 403, "wrong_network", error.message)


@api.exception_handler(Sensitive)
def _on_sensitive(request: HttpRequest, error: Sensitive) -> HttpResponse:
    return answer(request, 403, "sensitive", error.message)


@api.exception_handler(PermissionDenied)
def _on_forbidden(request: HttpRequest, error: PermissionDenied) -> HttpResponse:
    scope = getattr(error, "scope", "")
    reason = (
        getattr(error, "message", "") or str(error) or "Your role in the team does not allow that."
    )
    return answer(request, 403, "forbidden", reason, {"scope": [scope]} if scope else None)


@api.exception_handler(ValidationError)
def _on_malformed(request: HttpRequest, error: ValidationError) -> HttpResponse:
    fields = {str(each["loc"][-1]): [str(each["msg"])] for each in error.errors}
    return answer(
        request, 422, "invalid", ("The request does not match the documented schema."), fields
    )


@api.exception_handler(HttpError)
def _on_unreadable(request: HttpRequest, error: HttpError) -> HttpResponse:
    # The library's own, for a body that the parser has not taken.
    cause = error.__cause__
    message = str(cause) if isinstance(cause, BadBody) else error.message
    return answer(request, error.status_code, "invalid", message)


@api.exception_handler(Changed)
def _on_changed(request: HttpRequest, error: Changed) -> HttpResponse:
    """Answer 412 to If-Match, 409 to a version in the body.

    A caller who sent neither and met another change gets 409, too.
    """
    status = 412 if "If-Match" in request.headers else 409
    response = answer(
        request,
        status,
        "changed",
        f"{CHANGED} It is at version {error.version}: read it again, then change it.",
    )
    response.headers["ETag"] = etag(error.version)
    return response


def etag(version: int) -> str:
    """Write a version as an entity tag."""
    return f'"{version}"'


def seen_version(request: HttpRequest, stored: int, named: Any = None) -> int | None:
    """Return the version a change was made from, by If-Match or by the body's `version`.

    None without either. Raises `Changed` if it is not what is stored. A proxy that compresses makes
    a tag weak ("W/"); it counts all the same, since it stands for the version and not for the
    bytes.
    """
    if named is not None and (not isinstance(named, int) or isinstance(named, bool)):
        raise ApiError(
            422, "invalid", "A version is a whole number.", {"version": ["Must be a whole number."]}
        )
    header = request.headers.get("If-Match", "*").strip()
    if header != "*" and str(stored) not in ENTITY_TAG.findall(header):
        raise Changed("", CHANGED, stored)
    if named is not None and named != stored:
        raise Changed("", CHANGED, stored)
    return stored if header != "*" or named is not None else None


def caller(request: HttpRequest) -> Actor:
    actor: Actor = request.auth  # type: ignore[attr-defined]  # set by TokenAuth
    return actor


def caller_who_may(request: HttpRequest, action: Action) -> Actor:
    """Return the caller, if they may do that in their team. Raises `NotAllowed`."""
    actor = caller(request)
    if not can(actor, action):
        raise NotAllowed(actor, action)
    return actor


def session_for(request: HttpRequest, session_id: UUID, action: Action = Action.VIEW) -> AwsSession:
    """Find a session of the token's team. Foreign and missing ones get the same answer."""
    actor = caller(request)
    session = visible_to(actor.user).filter(pk=session_id, team=actor.team).first()
    if session is None:
        raise Http404
    if not can(actor, action, session):
        raise NotAllowed(actor, action, session)
    return session


def startable(
    request: HttpRequest, session_id: UUID, action: Action = Action.START
) -> tuple[AwsSession, Actor]:
    session, actor = session_for(request, session_id), caller(request)
    require_startable(session, PermissionChecker(actor, [session.pk]), action)
    if action is Action.START and is_orphaned(session):
        raise ApiError(409, "cut_off", NO_OWNER)
    return session, actor


def require_startable(
    session: AwsSession, rights: PermissionChecker, action: Action = Action.START
) -> None:
    if not session.is_chained:
        raise ApiError(
            409,
            "is_a_root",
            "A root delivers no credentials. Assume a role from it instead.",
        )
    if not rights.can(action, session):
        raise NotAllowed(rights.actor, action, session)
