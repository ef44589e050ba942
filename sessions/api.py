"""The API under /api/v1/: the same forms, permissions and events as the pages, with a bearer token instead of a cookie."""

import re
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja import Status as Answer
from ninja.errors import AuthenticationError, ValidationError
from pydantic import BaseModel, ConfigDict

from sessions import tasks
from sessions.aws.roots import ROOT_KINDS
from sessions.clock import database_now
from sessions.forms import SessionForm, form_for, stored_values
from sessions.lifecycle.activations import rotate_session, start_session, stop_session
from sessions.lifecycle.people import member_of_token
from sessions.lifecycle.reveal import NotReady, hand_out
from sessions.lifecycle.sessions import Refused, delete_session
from sessions.lifecycle.state import Described, Status, view_of_team
from sessions.models import CHAINED, AwsSession, Membership
from sessions.policy import Action, can, visible_to, why_not_create
from sessions.secret import Secret
from sessions.snippets import FORMATS

BEARER = re.compile(r"(?:Bearer\s+)?(cwt_[A-Za-z0-9_-]{20,100})\s*", re.IGNORECASE)
BROWSER_HEADERS = (
    "Origin",
    "Referer",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
    "Sec-Fetch-Dest",
    "Sec-Fetch-User",
)


class ApiError(Exception):
    """An answer that is not what was asked for: {code, message, fields}."""

    def __init__(
        self, status: int, code: str, message: str, fields: dict[str, list[str]] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.fields = status, code, message, fields


class TokenAuth:
    """`Authorization: Bearer <token>`; cookies count for nothing here. The token's rights are those of its person now."""

    openapi_type = "http"
    openapi_security_schema = {"type": "http", "scheme": "bearer"}

    def __call__(self, request: HttpRequest) -> Membership | None:
        match = BEARER.fullmatch(request.headers.get("Authorization", ""))
        found = member_of_token(Secret(match.group(1))) if match else None
        if found is None:
            return None
        member, token = found
        request.token_name = token.name  # type: ignore[attr-defined]  # the ledger says by which token
        return member


api = NinjaAPI(title="Chainweb", version="1", auth=TokenAuth(), docs_url=None, urls_namespace="api")


# pydantic's own models, since ninja's Schema passes on no fields that it was not told of.
class ProblemOut(BaseModel):
    """What stands in the way: at which hop (0 is the root), and what to check."""

    code: str
    hop: int
    message: str
    check: str
    since: Any = None


class StepOut(BaseModel):
    """One session of a chain, from the root down."""

    id: UUID
    alias: str
    kind: str


class SessionOut(BaseModel):
    """A session as its caller sees it. Settings of a root kind stand beside these fields; secrets never do."""

    model_config = ConfigDict(extra="allow")

    id: UUID
    kind: str
    alias: str
    profile: str
    region: str
    status: str
    expires_at: Any = None
    problem: ProblemOut | None = None
    chain: list[StepOut]


class SessionIn(BaseModel):
    """The fields of the kind's form, by the same names. Unknown ones are refused."""

    model_config = ConfigDict(extra="allow")

    kind: str = CHAINED
    alias: str = ""
    profile: str = ""
    region: str = ""


class SessionPatch(BaseModel):
    """Any of the fields of the session's form; what is left out stays."""

    model_config = ConfigDict(extra="allow")


class ErrorOut(BaseModel):
    """Every answer over 399."""

    code: str
    message: str
    fields: dict[str, list[str]] | None = None


ERRORS = {
    400: ErrorOut,
    401: ErrorOut,
    403: ErrorOut,
    404: ErrorOut,
    409: ErrorOut,
    422: ErrorOut,
    503: ErrorOut,
}


def _answer(request: HttpRequest, status: int, code: str, message: str, fields: Any = None) -> HttpResponse:
    body: dict[str, Any] = {"code": code, "message": message}
    if fields:
        body["fields"] = fields
    return api.create_response(request, body, status=status)


@api.exception_handler(ApiError)
def _on_api_error(request: HttpRequest, error: ApiError) -> HttpResponse:
    return _answer(request, error.status, error.code, error.message, error.fields)


@api.exception_handler(AuthenticationError)
def _on_unauthenticated(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    response = _answer(
        request, 401, "unauthenticated", "Send a valid token as “Authorization: Bearer <token>”."
    )
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


@api.exception_handler(Http404)
def _on_missing(request: HttpRequest, error: Http404) -> HttpResponse:
    return _answer(request, 404, "not_found", "There is no such thing here.")


@api.exception_handler(PermissionDenied)
def _on_forbidden(request: HttpRequest, error: PermissionDenied) -> HttpResponse:
    return _answer(request, 403, "forbidden", "Your role in the team does not allow that.")


@api.exception_handler(ValidationError)
def _on_malformed(request: HttpRequest, error: ValidationError) -> HttpResponse:
    fields = {str(each["loc"][-1]): [str(each["msg"])] for each in error.errors}
    return _answer(request, 422, "invalid", "The request is not of the documented form.", fields)


def _caller(request: HttpRequest) -> Membership:
    member: Membership = request.auth  # type: ignore[attr-defined]  # set by TokenAuth
    return member


def _session(request: HttpRequest, session_id: UUID, action: Action = Action.VIEW) -> AwsSession:
    """A session of the token's team. Foreign and missing are one and the same answer."""
    member = _caller(request)
    session = visible_to(member.user).filter(pk=session_id, team=member.team).first()
    if session is None:
        raise Http404
    if not can(member, action, session):
        raise PermissionDenied
    return session


def _as_json(described: Described) -> dict[str, Any]:
    session, state = described.session, described.state
    values = stored_values(session)
    if session.is_chained:
        values["assumer"] = str(values["assumer"])
    return {
        "id": session.pk,
        "kind": session.kind,
        **values,
        "account": described.account,
        "cloudtrail_name": described.cloudtrail_name,
        "status": str(state.status),
        "expires_at": state.expires_at,
        "next_rotation_at": state.next_rotation_at,
        "ends_at": state.ends_at,
        "problem": state.problem.as_json() if state.problem else None,
        "chain": [{"id": each.pk, "alias": each.alias, "kind": each.kind} for each in described.chain],
    }


def _described(member: Membership, session: AwsSession) -> dict[str, Any]:
    view = view_of_team(member, database_now())
    return _as_json(view.describe(view.sessions[session.pk]))


def _checked(form: SessionForm, sent: dict[str, Any]) -> SessionForm:
    unknown = sorted(set(sent) - set(form.fields))
    if unknown:
        raise ApiError(
            422,
            "invalid",
            "There are fields that this kind does not have.",
            {name: ["Unknown field."] for name in unknown},
        )
    for name, value in sent.items():
        if value is not None and not isinstance(value, str):
            raise ApiError(422, "invalid", "Every field is text.", {name: ["Must be text."]})
    if not form.is_valid():
        _raise_form_errors(form)
    return form


def _raise_form_errors(form: SessionForm) -> None:
    fields = {name: [str(message) for message in messages] for name, messages in form.errors.items()}
    first = next(iter(fields.values()))[0]
    raise ApiError(422, "invalid", first, fields)


@api.get("/sessions", response={200: list[SessionOut], **ERRORS}, summary="All sessions of the token's team")
def list_sessions(request: HttpRequest) -> Any:
    view = view_of_team(_caller(request), database_now())
    return [_as_json(described) for described in view.describe_all(view.sessions.values())]


@api.post("/sessions", response={201: SessionOut, **ERRORS}, summary="Create a session of any kind")
def create_session(request: HttpRequest, payload: SessionIn) -> Any:
    member = _caller(request)
    kind = payload.kind
    if kind != CHAINED and kind not in ROOT_KINDS:
        raise ApiError(
            422,
            "invalid",
            f"There is no kind {kind!r}.",
            {"kind": [f"One of: {', '.join([CHAINED, *ROOT_KINDS])}."]},
        )
    reason = why_not_create(kind, member)
    if reason:
        raise ApiError(403, "forbidden", reason)
    sent = {key: value for key, value in payload.model_dump().items() if key != "kind"}
    form = _checked(form_for(kind, sent, view=view_of_team(member, database_now())), sent)
    session = form.save()
    if session is None:
        _raise_form_errors(form)
    assert session is not None
    return api.create_response(request, _described(member, session), status=201)


@api.get("/sessions/{uuid:session_id}", response={200: SessionOut, **ERRORS}, summary="One session")
def get_session(request: HttpRequest, session_id: UUID) -> Any:
    return _described(_caller(request), _session(request, session_id))


@api.patch(
    "/sessions/{uuid:session_id}",
    response={200: SessionOut, **ERRORS},
    summary="Change some of a session's fields",
)
def patch_session(request: HttpRequest, session_id: UUID, payload: SessionPatch) -> Any:
    session, member = _session(request, session_id, Action.EDIT), _caller(request)
    sent = payload.model_dump()
    merged = {key: str(value) for key, value in stored_values(session).items()} | sent
    form = _checked(
        form_for(session.kind, merged, view=view_of_team(member, database_now()), session=session), sent
    )
    if form.save() is None:
        _raise_form_errors(form)
    tasks.wake()
    return _described(member, session)


@api.delete(
    "/sessions/{uuid:session_id}",
    response={204: None, **ERRORS},
    summary="Delete a session, and what is assumed from it",
)
def remove_session(request: HttpRequest, session_id: UUID, dependants: bool = False) -> Any:
    """With dependants it is refused (409, with their aliases) unless `?dependants=true` confirms that they go too."""
    session, member = _session(request, session_id, Action.DELETE), _caller(request)
    below = [each.alias for each, _ in session.dependants()]
    if below and not dependants:
        raise ApiError(
            409,
            "has_dependants",
            f"Sessions are assumed from it: {', '.join(below)}. Confirm with ?dependants=true.",
        )
    try:
        delete_session(session, member)
    except Refused as refused:
        raise ApiError(409, "refused", refused.message) from None
    return Answer(204, None)


@api.post(
    "/sessions/{uuid:session_id}/start",
    response={200: SessionOut, **ERRORS},
    summary="Have a session kept fresh for you",
)
def start(request: HttpRequest, session_id: UUID) -> Any:
    session, member = _startable(request, session_id)
    start_session(session, member)
    tasks.wake_for_start()
    return _described(member, session)


@api.post(
    "/sessions/{uuid:session_id}/stop",
    response={200: SessionOut, **ERRORS},
    summary="End your own activation",
)
def stop(request: HttpRequest, session_id: UUID) -> Any:
    session, member = _startable(request, session_id)
    stop_session(session, member)
    return _described(member, session)


@api.post(
    "/sessions/{uuid:session_id}/rotate",
    response={200: SessionOut, **ERRORS},
    summary="Mint your credential anew now",
)
def rotate(request: HttpRequest, session_id: UUID) -> Any:
    session, member = _startable(request, session_id)
    if not rotate_session(session, member):
        raise ApiError(409, "inactive", "You have not started this session.")
    tasks.wake_for_start()
    return _described(member, session)


def _startable(request: HttpRequest, session_id: UUID) -> tuple[AwsSession, Membership]:
    session, member = _session(request, session_id), _caller(request)
    if not session.is_chained:
        raise ApiError(
            409, "is_a_root", "A root is there to be assumed from: it has no credentials to hand out."
        )
    if not can(member, Action.START, session):
        raise PermissionDenied
    return session, member


@api.get(
    "/sessions/{uuid:session_id}/credentials",
    response=ERRORS,
    url_name="credentials",
    summary="Your credentials, in a format",
)
def credentials(request: HttpRequest, session_id: UUID, format: str = "process") -> Any:
    """`format=process` is the credential_process JSON; the others are the snippets of the page.

    409 while there is nothing to hand out, 503 when what there was has run out. Browsers are refused.
    """
    if any(header in request.headers for header in BROWSER_HEADERS):
        raise ApiError(403, "browser", "Credentials are not handed to browsers here.")
    session, member = _startable(request, session_id)
    if format not in FORMATS or not FORMATS[format].secret:
        known = ", ".join(key for key, each in FORMATS.items() if each.secret)
        raise ApiError(422, "invalid", f"There is no format {format!r}.", {"format": [f"One of: {known}."]})
    chosen = FORMATS[format]
    try:
        via = f"token {request.token_name}"  # type: ignore[attr-defined]  # set by TokenAuth
        text = hand_out(session, member, chosen, via=via, base_url=request.build_absolute_uri("/"))
    except NotReady as not_ready:
        raise _not_ready(not_ready) from None
    content_type = "application/json" if chosen.language == "json" else "text/plain; charset=utf-8"
    return HttpResponse(text, content_type=content_type)


def _not_ready(not_ready: NotReady) -> ApiError:
    state = not_ready.state
    if state.status is Status.INACTIVE:
        return ApiError(409, "inactive", "You have not started this session.")
    problem = state.problem
    if problem is None:
        return ApiError(409, "pending", "The credentials are being minted; ask again in a moment.")
    status = 503 if problem.retrying else 409
    return ApiError(status, problem.code, f"Hop {problem.hop}: {problem.message} {problem.check}")
