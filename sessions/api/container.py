"""Serve `GET /container/{session id}` to the container credential provider of AWS's SDKs."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from sessions.api.fetching import fetch


@require_GET
def container(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Answer a tool with the credentials of its person, by the token in `Authorization`."""
    return fetch(request, session_id, "container")
