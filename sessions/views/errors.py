"""What is answered when something fails that is nobody's mistake."""

import sys
from collections.abc import Iterator

from django.conf import settings
from django.core.exceptions import DisallowedHost, RequestDataTooBig
from django.db import InterfaceError, InternalError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views import defaults

from sessions.api_errors import api_error, is_for_the_api
from sessions.policy import GroupsTooOld

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


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403 with the reason, and with the way back in for whom groups let in."""
    if is_for_the_api(request):
        return api_error(403, "forbidden", str(exception) or "Your role in the team does not allow that.")
    page = "groups_too_old.html" if isinstance(exception, GroupsTooOld) else "403.html"
    is_page = request.method == "GET" and "HX-Request" not in request.headers
    context = {"reason": str(exception), "back": request.get_full_path() if is_page else "/"}
    return render(request, page, context, status=403)


def server_error(request: HttpRequest) -> HttpResponse:
    """503 while the database is away, else 500; for the API as an object. Neither asks the database."""
    away = is_the_databases(sys.exc_info()[1])
    status = 503 if away else 500
    if is_for_the_api(request):
        code, message = (
            ("unavailable", AWAY) if away else ("error", "Something broke here; it is in the log.")
        )
        response: HttpResponse = api_error(status, code, message)
    else:
        response = render(None, f"{status}.html", status=status)  # no request: its context asks the database
    if away:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django cannot take; to the API's callers with the reason."""
    if not is_for_the_api(request):
        return defaults.bad_request(request, exception)
    match exception:
        case DisallowedHost():
            message = "This host name is not one of the installation's: its operator sets ALLOWED_HOSTS."
            return api_error(400, "bad_host", message)
        case RequestDataTooBig():
            most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
            return api_error(413, "too_large", f"A request's body has at most {most} bytes.")
        case _:
            message = "The request cannot be read: check its address, headers and body."
            return api_error(400, "bad_request", message)
