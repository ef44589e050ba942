"""Start, stop and rotate sessions, and deliver their credentials."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST
from django_htmx.http import trigger_client_event

from sessions import tasks
from sessions.activations.start_stop import (
    dismiss_notice,
    rotate_session,
    start_session,
    stop_session,
)
from sessions.actors import Actor
from sessions.delivery.reveal import NotReady, Preparing
from sessions.delivery.snippets import Delivered, deliver
from sessions.models import AwsSession
from sessions.monitoring import request_limits
from sessions.permissions import Action, Sensitive
from sessions.snippets import FORMATS, SnippetFormat
from sessions.views.guards import back_or_session, confirm_then, session_for
from sessions.views.live_parts import htmx_of

CLEAR_AFTER_SECONDS = 30


def _act(
    request: HttpRequest, session_id: UUID, act: Callable[[AwsSession, Actor], object]
) -> HttpResponse:
    """Act, wake a worker after the commit, and go back.

    A live part of the page asks for its new state at once.
    """
    session, actor = session_for(request, session_id, Action.START)
    act(session, actor)
    tasks.wake_for_start()
    return _done(request, session)


def _done(request: HttpRequest, session: AwsSession) -> HttpResponse:
    if htmx_of(request):
        return trigger_client_event(HttpResponse(status=204), "chainweb:changed")
    return back_or_session(request, session.pk)


@login_required
@require_POST
def start_session_now(request: HttpRequest, session_id: UUID) -> HttpResponse:
    request_limits.count(request_limits.START, request.user.pk)
    return _act(request, session_id, start_session)


@login_required
@require_POST
def stop_session_now(request: HttpRequest, session_id: UUID) -> HttpResponse:
    return _act(request, session_id, stop_session)


@login_required
@require_POST
def rotate_session_now(request: HttpRequest, session_id: UUID) -> HttpResponse:
    request_limits.count(request_limits.ROTATE, request.user.pk, session_id)
    return _act(request, session_id, rotate_session)


@login_required
@require_POST
def dismiss_notice_now(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Dismiss the member's notice that an edit has ended their session."""
    session, actor = session_for(request, session_id, Action.DISMISS)
    dismiss_notice(session, actor)
    return _done(request, session)


def _format(key: str) -> SnippetFormat:
    if key not in FORMATS:
        raise Http404
    return FORMATS[key]


def _deliver(
    request: HttpRequest, session: AwsSession, actor: Actor, chosen: SnippetFormat, via: str
) -> Delivered:
    base_url, delivery = request.build_absolute_uri("/"), _delivery_of(request)
    return deliver(session, actor, chosen, via=via, base_url=base_url, delivery=delivery)


def _delivery_of(request: HttpRequest) -> UUID | None:
    """Return the delivery that the page has asked for before; what names none is none."""
    try:
        return UUID(request.POST.get("delivery", ""))
    except ValueError:
        return None


@login_required
@require_POST
def reveal_snippet(request: HttpRequest, session_id: UUID, format: str) -> HttpResponse:
    """Show one snippet, on a click.

    Where its credentials have to be narrowed first, the answer asks again with the delivery that
    this has begun.
    """
    asked = _delivery_of(request)
    if asked is None:
        request_limits.count(request_limits.FETCH, request.user.pk)
    session, actor = session_for(request, session_id, Action.TAKE_CREDENTIALS)
    chosen = _format(format)
    context = {
        "format": chosen,
        "session_id": session.pk,
        "clear_after_seconds": CLEAR_AFTER_SECONDS,
    }
    try:
        context["delivered"] = _deliver(request, session, actor, chosen, via="page")
        context["delivery"] = asked
    except Sensitive:
        return confirm_then(request, session, chosen.key)
    except Preparing as preparing:
        if asked is not None and preparing.delivery != asked:
            request_limits.count(request_limits.FETCH, request.user.pk)
        tasks.wake_for_start()
        context["preparing"] = preparing.delivery
    except NotReady as not_ready:
        context["state"] = not_ready.state
    return render(request, "sessions/_snippet.html", context)


@login_required
@require_POST
def download_snippet(request: HttpRequest, session_id: UUID, format: str) -> HttpResponse:
    """Download a snippet as a file."""
    request_limits.count(request_limits.FETCH, request.user.pk)
    session, actor = session_for(request, session_id, Action.TAKE_CREDENTIALS)
    chosen = _format(format)
    try:
        text = _deliver(request, session, actor, chosen, via="download").text
    except Sensitive:
        return confirm_then(request, session, chosen.key)
    except Preparing:
        messages.error(request, "What was shown is no longer kept. Get credentials again.")
        return redirect("session", session.pk)
    except NotReady:
        messages.error(request, "Nothing to download: the session is not active.")
        return redirect("session", session.pk)
    return HttpResponse(
        text,
        content_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{chosen.filename}"'},
    )
