"""What is answered when something fails that is nobody's mistake."""

import sys
from collections.abc import Iterator

from django.db import InterfaceError, InternalError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

AWAY = (
    "The database does not take this now. Nothing was changed and nothing handed out; ask again in a moment."
)
RETRY_AFTER_SECONDS = 5


def _and_its_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def is_the_databases(error: BaseException | None) -> bool:
    """Whether the database is away, full, or read-only: that passes, unlike an error of ours."""
    for each in _and_its_causes(error):
        if isinstance(each, OperationalError | InterfaceError):
            return True
        if isinstance(each, InternalError) and "read-only" in str(each):
            return True
    return False


def server_error(request: HttpRequest) -> HttpResponse:
    """503 while the database is away, else 500; for the API as an object. Neither asks the database."""
    away = is_the_databases(sys.exc_info()[1])
    status = 503 if away else 500
    if request.path.startswith("/api/"):
        code, message = (
            ("unavailable", AWAY) if away else ("error", "Something broke here; it is in the log.")
        )
        response: HttpResponse = JsonResponse({"code": code, "message": message}, status=status)
    else:
        response = render(None, f"{status}.html", status=status)  # no request: its context asks the database
    if away:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
