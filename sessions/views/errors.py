"""Answer failures that are nobody's mistake."""

import sys

from django.conf import settings
from django.core.exceptions import DisallowedHost, RequestDataTooBig
from django.db import InterfaceError, InternalError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views import defaults

from sessions.db.limits import is_busy, is_ended_by_server, with_causes
from sessions.ledger import LedgerError
from sessions.locks.turnstile import Busy
from sessions.middleware.api_errors import api_error, is_for_the_api
from sessions.permissions import GroupsTooOld
from sessions.views.live_parts import htmx_of

AWAY = (
    "The database is unavailable. Nothing was changed and no "
    "credentials were given out. Try again shortly."
)
BUSY = (
    "Another change is in progress. Nothing was changed and no "
    "credentials were given out. Try again in a few seconds."
)
# PostgreSQL's: the role may not do that to the table, a trigger has refused it.
REFUSALS = frozenset({"42501", "P0001"})
AWAY_SECONDS = 5
BUSY_SECONDS = 2


def is_the_databases(error: BaseException | None) -> bool:
    """Check whether the database is away, full, busy or read-only, or refuses what it is told.

    A trigger or a privilege that was taken away may refuse. That passes, unlike an error of ours.
    """
    if is_ended_by_server(error):
        return True
    return any(
        isinstance(each, OperationalError | InterfaceError | InternalError | LedgerError)
        or getattr(each, "sqlstate", "") in REFUSALS
        for each in with_causes(error)
    )


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403 with the reason, and with the way back in for whom groups let in."""
    if is_for_the_api(request):
        return api_error(
            403, "forbidden", str(exception) or "Your role in the team does not allow that."
        )
    page = "people/groups_too_old.html" if isinstance(exception, GroupsTooOld) else "403.html"
    is_page = request.method == "GET" and not htmx_of(request)
    context = {"reason": str(exception), "back": request.get_full_path() if is_page else "/"}
    return render(request, page, context, status=403)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 503 while the database is away or busy, else 500; for the API as an object.

    Neither asks the database.
    """
    error = sys.exc_info()[1]
    busy = is_busy(error) or isinstance(error, Busy)
    away = busy or is_the_databases(error)
    status, reason = (503, BUSY if busy else AWAY) if away else (500, "Server error; see the log.")
    if is_for_the_api(request):
        response: HttpResponse = api_error(status, "unavailable" if away else "error", reason)
    else:  # no request: its context asks the database
        response = render(None, f"{status}.html", {"reason": reason}, status=status)
    if away:
        response.headers["Retry-After"] = str(BUSY_SECONDS if busy else AWAY_SECONDS)
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django cannot take; to the API's callers with the reason."""
    if not is_for_the_api(request):
        return defaults.bad_request(request, exception)
    match exception:
        case DisallowedHost():
            message = (
                "This host name does not belong to the installation. The "
                "operator sets ALLOWED_HOSTS."
            )
            return api_error(400, "bad_host", message)
        case RequestDataTooBig():
            most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
            return api_error(413, "too_large", f"A request's body has at most {most} bytes.")
        case _:
            message = "The request cannot be read: check its address, headers and body."
            return api_error(400, "bad_request", message)
