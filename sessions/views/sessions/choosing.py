"""Serve the live search in choices of a session."""

from collections.abc import Callable
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from sessions.actors import Actor
from sessions.forms.picking import SessionPicker
from sessions.forms.sessions import assumer_picker
from sessions.forms.team_policy import preview_picker
from sessions.forms.tokens import token_picker
from sessions.models import AwsSession
from sessions.permissions import Action
from sessions.views.guards import member_in, require, session_for

# For each purpose: the field's name, its id on the page, and what it takes to see it.
FIELDS = {
    "assumer": ("assumer", "id_assumer", Action.CREATE_CHAINED),
    "token": ("session", "id_session", Action.HOLD_TOKENS),
    "preview": ("session", "preview-session", Action.READ_POLICY),
}


@login_required
@require_safe
def session_choices(request: HttpRequest, team_slug: str, purpose: str) -> HttpResponse:
    """Answer a search with the options that it finds; what is chosen already stays among them."""
    actor = member_in(request, team_slug)
    if purpose not in FIELDS:
        raise Http404
    name, field_id, action = FIELDS[purpose]
    require(actor, action)
    pickers: dict[str, Callable[[], SessionPicker]] = {
        "assumer": lambda: assumer_picker(actor, _editing(request, actor)),
        "token": lambda: token_picker(actor),
        "preview": lambda: preview_picker(actor),
    }
    picker = pickers[purpose]()
    chosen = picker.value_from_datadict(request.GET, None, name)
    context = {**picker.found(chosen), "name": name, "id": field_id}
    return render(request, "components/_session_picker_options.html", context)


def _editing(request: HttpRequest, actor: Actor) -> AwsSession | None:
    try:
        session_id = UUID(request.GET.get("editing", ""))
    except ValueError:
        return None
    session, _ = session_for(request, session_id)
    if session.team_id != actor.team_id:
        raise Http404
    return session
