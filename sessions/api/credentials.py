"""Deliver credentials to the owner of a token."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja.errors import AuthenticationError

from sessions import tasks
from sessions.activations.status import Status
from sessions.api.base import ERRORS, ApiError, TokenAuth, api, startable
from sessions.api.fetching import ANSWER_WITHIN_SECONDS, fetch, refusal, refuse_browsers
from sessions.api.schemas import Format, ProcessOut
from sessions.delivery.prepared import wait_for
from sessions.delivery.reveal import NotReady, Preparing
from sessions.delivery.snippets import deliver
from sessions.monitoring import request_limits
from sessions.permissions import Action
from sessions.snippets import FORMATS

# What tools fetch by themselves, again and again.
FETCHED = {"process", "container"}
_authenticate = TokenAuth()


@api.get(
    "/sessions/{uuid:session_id}/credentials",
    response={200: ProcessOut, **ERRORS},
    url_name="credentials",
    summary="Get your credentials in a format",
    # The function authenticates: what tools fetch again and again is found in one query.
    auth=None,
    openapi_extra={
        "security": [{"TokenAuth": []}],
        "responses": {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    },
)
def credentials(request: HttpRequest, session_id: UUID, format: Format = "process") -> Any:
    """Deliver credentials: `process` is credential_process JSON, others are the page's snippets.

    `process` and `container` start the session if the token may, have at least 15 minutes to live,
    and are refused with 503 while they are being issued. 409 while there is nothing to hand out,
    503 when what there was has run out, 429 for a token that asks in a loop. Browsers are refused.
    """
    if format in FETCHED:
        return fetch(request, session_id, format)
    refuse_browsers(request)
    actor = _authenticate(request)
    if actor is None or actor.token is None:
        raise AuthenticationError
    request.auth = actor  # type: ignore[attr-defined]  # as ninja does
    token = actor.token
    request_limits.count(request_limits.FETCH, token.pk)
    session, actor = startable(request, session_id, Action.TAKE_CREDENTIALS)
    if format not in FORMATS or not FORMATS[format].secret:
        known = ", ".join(key for key, each in FORMATS.items() if each.secret)
        raise ApiError(
            422, "invalid", f"There is no format {format!r}.", {"format": [f"One of: {known}."]}
        )
    chosen = FORMATS[format]
    via, base_url = f"token {token.name}", request.build_absolute_uri("/")
    try:
        try:
            delivered = deliver(session, actor, chosen, via=via, base_url=base_url)
        except Preparing as preparing:
            # The first fetch of this token since the session was started: later ones find it done.
            tasks.wake_for_start()
            wait_for(preparing.delivery, ANSWER_WITHIN_SECONDS)
            delivered = deliver(session, actor, chosen, via=via, base_url=base_url)
    except NotReady as not_ready:
        raise _not_ready(not_ready) from None
    content_type = "application/json" if chosen.language == "json" else "text/plain; charset=utf-8"
    return HttpResponse(delivered.text, content_type=content_type)


def _not_ready(not_ready: NotReady) -> ApiError:
    state = not_ready.state
    if state.status is not Status.INACTIVE and state.problem is None:
        return ApiError(409, "pending", "The credentials are being issued. Try again in a moment.")
    return refusal(state)
