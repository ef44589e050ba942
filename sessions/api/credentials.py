"""Deliver credentials to the owner of a token."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse

from sessions import tasks
from sessions.activations.status import Status
from sessions.api.base import ERRORS, ApiError, api, caller, startable
from sessions.api.schemas import Format, ProcessOut
from sessions.delivery.prepared import wait_for
from sessions.delivery.reveal import NotReady, Preparing
from sessions.delivery.snippets import deliver
from sessions.monitoring import request_limits
from sessions.permissions import Action
from sessions.snippets import FORMATS

# SDKs give up after one or two seconds.
FIRST_FETCH_WAITS_SECONDS = 0.7
# What a browser sends with what a page asks for. Sec-Fetch-Mode alone is none of it: Node's fetch
# sends that as well.
BROWSER_HEADERS = ("Origin", "Referer", "Sec-Fetch-Site", "Sec-Fetch-Dest", "Sec-Fetch-User")


@api.get(
    "/sessions/{uuid:session_id}/credentials",
    response={200: ProcessOut, **ERRORS},
    url_name="credentials",
    summary="Get your credentials in a format",
    openapi_extra={"responses": {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}},
)
def credentials(request: HttpRequest, session_id: UUID, format: Format = "process") -> Any:
    """Deliver credentials: `process` is credential_process JSON, others are the page's snippets.

    409 while there is nothing to hand out, 503 when what there was has run out, 429 for a token
    that asks in a loop. Browsers are refused.
    """
    if any(header in request.headers for header in BROWSER_HEADERS):
        raise ApiError(403, "browser", "This address gives no credentials to browsers.")
    token = caller(request).token
    assert token is not None
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
            wait_for(preparing.delivery, FIRST_FETCH_WAITS_SECONDS)
            delivered = deliver(session, actor, chosen, via=via, base_url=base_url)
    except NotReady as not_ready:
        raise _not_ready(not_ready) from None
    content_type = "application/json" if chosen.language == "json" else "text/plain; charset=utf-8"
    return HttpResponse(delivered.text, content_type=content_type)


def _not_ready(not_ready: NotReady) -> ApiError:
    state = not_ready.state
    if state.status is Status.INACTIVE:
        ended = state.problem
        said = f"{ended.message} {ended.check}" if ended else "You have not started this session."
        return ApiError(409, "inactive", said)
    problem = state.problem
    if problem is None:
        return ApiError(409, "pending", "The credentials are being issued. Try again in a moment.")
    status = 503 if problem.retrying else 409
    return ApiError(status, problem.code, f"Hop {problem.hop}: {problem.message} {problem.check}")
