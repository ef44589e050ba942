"""Deliver the credentials of several sessions as one credentials file."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from sessions import tasks
from sessions.actors import Actor
from sessions.delivery.several import (
    FORM,
    MOST_AT_ONCE,
    Block,
    are_prepared,
    chosen_by,
    deliver_several,
    started_by,
)
from sessions.ledger.events.credentials import DOWNLOAD, PAGE
from sessions.models import AwsSession
from sessions.monitoring import request_limits
from sessions.permissions import Action
from sessions.views.guards import member_in
from sessions.views.live_parts import htmx_of
from sessions.views.sessions.actions import CLEAR_AFTER_SECONDS

# A page asks so often for what a worker narrows, a third of a second apart.
MOST_LOOKS = 30


@login_required
@require_POST
def reveal_several(request: HttpRequest, team_slug: str) -> HttpResponse:
    """Show one block for the ticked sessions, or for all that the member has started.

    Where their credentials have to be narrowed first, the answer asks again with the deliveries
    that this has begun, and nothing of them is opened before all are there.
    """
    actor = member_in(request, team_slug, Action.TAKE_CREDENTIALS)
    deliveries = _deliveries(request)
    sessions = _sessions(request, actor)
    if refusal := _refusal(sessions):
        messages.error(request, refusal)
        return redirect("session_list", team_slug)
    looks = _looks(request)
    context: dict[str, Any] = {
        "format": FORM,
        "sessions": sessions,
        "clear_after_seconds": CLEAR_AFTER_SECONDS,
        "looks": looks + 1,
    }
    if deliveries and looks < MOST_LOOKS and not are_prepared(deliveries):
        tasks.wake_for_start()
        context["preparing"] = deliveries
    else:
        block = _deliver(request, actor, sessions, PAGE, deliveries)
        context |= {"several": block, "deliveries": deliveries}
        if block.preparing:
            tasks.wake_for_start()
            # What is there already is shown; a first look that finds nothing yet goes on looking.
            context["preparing"] = block.preparing if block.is_empty and not deliveries else {}
    template = "sessions/_several.html" if htmx_of(request) else "sessions/several.html"
    return render(request, template, context)


@login_required
@require_POST
def download_several(request: HttpRequest, team_slug: str) -> HttpResponse:
    """Download the same block as a file."""
    actor = member_in(request, team_slug, Action.TAKE_CREDENTIALS)
    sessions = _sessions(request, actor)
    if refusal := _refusal(sessions):
        messages.error(request, refusal)
        return redirect("session_list", team_slug)
    block = _deliver(request, actor, sessions, DOWNLOAD, _deliveries(request))
    if block.is_empty:
        messages.error(request, "Nothing to download: none of these sessions has credentials now.")
        return redirect("session_list", team_slug)
    return HttpResponse(
        block.text,
        content_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{FORM.filename}"'},
    )


def _deliver(
    request: HttpRequest,
    actor: Actor,
    sessions: list[AwsSession],
    via: str,
    deliveries: Mapping[UUID, UUID],
) -> Block:
    for _ in sessions:
        request_limits.count(request_limits.FETCH, request.user.pk)
    return deliver_several(
        sessions,
        actor,
        via=via,
        base_url=request.build_absolute_uri("/"),
        deliveries=deliveries,
    )


def _sessions(request: HttpRequest, actor: Actor) -> list[AwsSession]:
    ticked = {found for each in request.POST.getlist("session") if (found := _uuid(each))}
    return chosen_by(actor, ticked) if "session" in request.POST else started_by(actor)


def _refusal(sessions: list[AwsSession]) -> str:
    if not sessions:
        return "You have no active session. Start one, then get its credentials."
    if len(sessions) > MOST_AT_ONCE:
        return f"One file holds at most {MOST_AT_ONCE} sessions. Tick fewer."
    return ""


def _deliveries(request: HttpRequest) -> dict[UUID, UUID]:
    """Return {session: delivery} of what this page has asked for before."""
    found = {}
    for each in request.POST.getlist("delivery"):
        session, _, delivery = each.partition(":")
        if (asked_for := _uuid(session)) and (asked := _uuid(delivery)):
            found[asked_for] = asked
    return found


def _looks(request: HttpRequest) -> int:
    looks = request.POST.get("looks", "")
    return int(looks) if looks.isascii() and looks.isdecimal() and len(looks) < 4 else 0


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
