"""Answer every error under /api/ as one object, whatever caused it.

{code, message}, perhaps {fields}, and the same again by the names of RFC 9457. Under /container/ it
has `Code` and `Message` as well, which some of AWS's SDKs read. Whatever fetches credentials is
told on which page a person can do something about it.
"""

import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.cache import add_never_cache_headers

# What an answer says that was not made by the API itself: by Django, its middleware or a library.
_SAID: dict[int, tuple[str, str]] = {
    400: ("bad_request", "The request cannot be read: check its address, headers and body."),
    401: ("unauthenticated", "Send a valid token as “Authorization: Bearer <token>”."),
    403: ("forbidden", "This request is refused."),
    404: ("not_found", "Not found."),
    405: ("method_not_allowed", "This address does not accept that method."),
    408: ("timeout", "The request took too long to arrive."),
    413: ("too_large", "The request's body is too large."),
    415: ("unsupported", "Send the body as JSON."),
    429: ("too_many", "Too many requests. Try again later."),
    503: ("unavailable", "Temporarily unavailable. Try again in a moment."),
}
PROBLEM = "application/problem+json"
_CALLERS_FAULT = ("bad_request", "The request is refused.")
_OUR_FAULT = ("error", "Server error; see the log.")
CONTAINER = "/container/"
# What tools fetch again and again, for a person who sees nothing but their message.
_FETCHES = re.compile(
    r"/container/([0-9a-f-]{36})|/api/v1/sessions/([0-9a-f-]{36})/credentials", re.ASCII
)
# What belongs to the body that is replaced.
_OF_THE_BODY = frozenset({"content-type", "content-length", "content-encoding", "content-language"})


def is_for_the_api(request: HttpRequest) -> bool:
    """Check whether a request is for an address of the API, be there something or not."""
    return request.path_info == "/api" or request.path_info.startswith(("/api/", CONTAINER))


def api_error(status: int, code: str, message: str, fields: Any = None) -> JsonResponse:
    """Make an answer of that shape."""
    body: dict[str, Any] = {"code": code, "message": message}
    if fields:
        body["fields"] = fields
    body |= {"type": "about:blank", "title": _title(status), "status": status, "detail": message}
    response = JsonResponse(body, status=status)
    response.headers["X-Content-Type-Options"] = "nosniff"
    add_never_cache_headers(response)
    return response


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def api_errors(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Give every error under /api/ its shape.

    As the outermost middleware, it lets nothing pass by.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if not is_for_the_api(request):
            return get_response(request)
        if settings.SECURE_SSL_REDIRECT and not request.is_secure():
            # A redirect would hide that the token has gone over the wire in the clear, and make a
            # GET of a POST.
            response: HttpResponse = api_error(
                403,
                "https_required",
                "The API needs https. Revoke a token that was sent over http.",
            )
        else:
            response = get_response(request)
        if response.status_code < 400:
            return response
        if not _has_the_shape(response):
            response = _reshaped(response)
        fetched = _FETCHES.fullmatch(request.path_info)
        if fetched or request.path_info.startswith(CONTAINER):
            named = fetched[fetched.lastindex or 1] if fetched else ""
            response = _for_tools(request, response, named)
        is_container = request.path_info.startswith(CONTAINER)
        if PROBLEM in request.headers.get("Accept", "") and not is_container:
            # To who has not asked for it, it stays what it was: some tools read JSON by this name
            # alone.
            response.headers["Content-Type"] = PROBLEM
        return response

    return middleware


def _for_tools(request: HttpRequest, response: HttpResponse, session_id: str) -> HttpResponse:
    """Add to a refusal the session's page, and the names by which SDKs read it."""
    body = json.loads(response.content)
    if session_id:
        body["message"] += f" See {_page(request, session_id)}"
        body["detail"] = body["message"]
    if request.path_info.startswith(CONTAINER):
        body |= {"Code": body["code"], "Message": body["message"]}
    response.content = json.dumps(body).encode()
    if "Content-Length" in response.headers:
        response.headers["Content-Length"] = str(len(response.content))
    return response


def _page(request: HttpRequest, session_id: str) -> str:
    """Return the address of a session's page; without the host where the request's is not ours."""
    path = reverse("session", args=[session_id])
    try:
        return request.build_absolute_uri(path)
    except DisallowedHost:
        return path


def _has_the_shape(response: HttpResponse) -> bool:
    if (
        response.streaming
        or response.headers.get("Content-Type", "").partition(";")[0] != "application/json"
    ):
        return False
    try:
        body = json.loads(response.content)
    except ValueError:
        return False
    return (
        isinstance(body, dict)
        and isinstance(body.get("code"), str)
        and isinstance(body.get("message"), str)
    )


def _reshaped(response: HttpResponse) -> HttpResponse:
    status = response.status_code
    code, message = _SAID.get(status, _CALLERS_FAULT if status < 500 else _OUR_FAULT)
    if status == 405 and (allowed := response.headers.get("Allow")):
        message = f"This address accepts only {allowed}."
    new = api_error(status, code, message)
    for name, value in response.headers.items():
        if name.lower() not in _OF_THE_BODY:
            new.headers[name] = value
    new.cookies = response.cookies
    return new
