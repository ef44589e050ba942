"""Do a POST once, however often it is sent with one `Idempotency-Key`.

The first answer is sent again for 24 hours. It is the key of one token, and of one request: its
address and body are compared by a keyed hash. A refusal is not kept, since it has changed nothing.
"""

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.crypto import salted_hmac

from sessions.actors import Actor
from sessions.api.errors import ApiError
from sessions.models import KeyedRequest
from sessions.people import keyed_requests
from sessions.people.keyed_requests import BeingAnswered, Claim, OtherRequest

HEADER = "Idempotency-Key"
LONGEST = 255
REPLAYED = "Idempotent-Replayed"
KEPT_HEADERS = ("Content-Type", "ETag", "Link", "Location")
RETRY_SECONDS = 1


def shown_once(view: Callable[..., Any]) -> Callable[..., Any]:
    """Mark an operation whose answer holds a secret: it is never kept, nor sent again."""
    view.shown_once = True  # type: ignore[attr-defined]
    return view


def claim_key(view: Callable[..., Any]) -> Callable[..., Any]:
    """Take the key of a POST, once its parameters are valid, or answer what was answered before."""

    @wraps(view)
    def claimed(request: HttpRequest, **values: Any) -> Any:
        key = request.headers.get(HEADER)
        is_anybody = getattr(request, "auth", None) is None
        if key is None or request.method != "POST" or is_anybody:
            return view(request, **values)
        if not (0 < len(key) <= LONGEST and key.isascii() and key.isprintable()):
            text = f"{HEADER} is 1 to {LONGEST} printable ASCII characters."
            raise ApiError(422, "invalid", text, {HEADER: [text]})
        actor: Actor = request.auth  # type: ignore[attr-defined]  # set by TokenAuth
        assert actor.token is not None
        try:
            held = keyed_requests.claim(actor.token, key, _digest(request))
        except OtherRequest:
            text = "Another request was sent with this key. Make a new key for each request."
            raise ApiError(422, "key_reused", text, {HEADER: [text]}) from None
        except BeingAnswered:
            raise ApiError(
                409,
                "in_progress",
                "The request with this key is being answered. Send it again in a moment.",
                headers={"Retry-After": str(RETRY_SECONDS)},
            ) from None
        if isinstance(held, KeyedRequest):
            return _again(held)
        request._held_key = held  # type: ignore[attr-defined]
        return view(request, **values)

    return claimed


def keep_answer(run: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Keep what a request with a key was answered; give the key of a refused one back."""

    @wraps(run)
    def kept(request: HttpRequest, **values: Any) -> HttpResponseBase:
        response = None
        try:
            response = run(request, **values)
        finally:
            held: Claim | None = getattr(request, "_held_key", None)
            if held is not None:
                _finish(held, response, is_shown_once=_is_shown_once(run))
        return response

    return kept


def _is_shown_once(run: Callable[..., Any]) -> bool:
    operation: Any = getattr(run, "__self__", None)
    return bool(getattr(getattr(operation, "view_func", None), "shown_once", False))


def _finish(held: Claim, response: HttpResponseBase | None, *, is_shown_once: bool) -> None:
    if not isinstance(response, HttpResponse) or response.status_code >= 300:
        keyed_requests.release(held)
        return
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    body = None if is_shown_once else response.content.decode()
    keyed_requests.keep(held, response.status_code, headers, body)


def _again(row: KeyedRequest) -> HttpResponse:
    """Make the answer that was given before."""
    if row.body is None:
        raise ApiError(
            409,
            "shown_once",
            "This was done before. Its answer held a secret, which is shown once: revoke what was"
            " made, and ask with a new key.",
            headers={name: value for name, value in row.headers.items() if name == "Location"},
        )
    assert row.status is not None
    response = HttpResponse(row.body, status=row.status)
    for name, value in row.headers.items():
        response.headers[name] = value
    response.headers[REPLAYED] = "true"
    return response


def _digest(request: HttpRequest) -> str:
    """Hash what a request asks for, by a key of this installation: a body may hold a code."""
    asked = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode())
    if (request.content_type or "").startswith("multipart/"):
        # Its boundary is another each time.
        files: dict[str, Any] = dict(request.FILES.items())
        for name, file in sorted(files.items()):
            asked.update(f"{name} {file.name} {file.size}\n".encode())
            for chunk in file.chunks():
                asked.update(chunk)
            file.seek(0)
    else:
        asked.update(request.body)
    return salted_hmac("chains.idempotency", asked.digest(), algorithm="sha256").hexdigest()
