"""Serve the configuration of the browser extension AWS Extend Switch Roles."""

from django.http import HttpRequest, HttpResponse

from sessions.api.base import ERRORS, api, caller
from sessions.catalog.switch_roles import switch_roles_of


@api.get(
    "/switch-roles",
    response={200: str, **ERRORS},
    summary="The roles to switch to in the console, as an INI",
    openapi_extra={"responses": {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}},
)
def switch_roles(request: HttpRequest) -> HttpResponse:
    """Answer the INI of AWS Extend Switch Roles with the sessions that the caller may start.

    No credentials are in it.
    """
    text = switch_roles_of(caller(request))
    return HttpResponse(text, content_type="text/plain; charset=utf-8")
