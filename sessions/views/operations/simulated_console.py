"""Stand in for AWS's console sign-in in the simulated AWS, so that a demo can be clicked through.

It takes what the real endpoint takes: a POST with the session, and no `SessionDuration`. A token is
signed and good for a moment; nothing of the session is kept.
"""

import json
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

SALT = "chainweb.simulated.console"
TOKEN_SECONDS = 15 * 60


@csrf_exempt
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def simulated_federation(request: HttpRequest) -> HttpResponse:
    """Give a sign-in token for a session, or show where one would land."""
    if not settings.SIMULATED:
        raise Http404
    if request.method == "POST":
        return _token(request)
    if request.GET.get("Action") != "login":
        return HttpResponseBadRequest("Action")
    try:
        said: dict[str, Any] = signing.loads(
            request.GET.get("SigninToken", ""), salt=SALT, max_age=TOKEN_SECONDS
        )
    except signing.BadSignature:
        return HttpResponseBadRequest("SigninToken")
    context = {"destination": request.GET.get("Destination", ""), "key": said["key"]}
    return render(request, "operations/simulated_console.html", context)


def _token(request: HttpRequest) -> HttpResponse:
    if request.POST.get("Action") != "getSigninToken" or "SessionDuration" in request.POST:
        return HttpResponseBadRequest("Action")
    try:
        session = json.loads(request.POST.get("Session", ""))
        parts = [session[name] for name in ("sessionId", "sessionKey", "sessionToken")]
    except (ValueError, KeyError, TypeError):
        return HttpResponseBadRequest("Session")
    if not all(isinstance(part, str) and part for part in parts):
        return HttpResponseBadRequest("Session")
    token = signing.dumps({"key": parts[0]}, salt=SALT)
    return JsonResponse({"SigninToken": token})
