"""Save, rename and delete one's own searches of the ledger."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from sessions.actors import Actor
from sessions.exceptions import Refused
from sessions.forms.searches import SavedSearchForm, SearchNameForm
from sessions.models import SavedSearch
from sessions.models.searches import SearchedPage
from sessions.people.searches import delete_search, rename_search, save_search, searches_of
from sessions.permissions import Action
from sessions.views.guards import member_in


def saved_searches(actor: Actor, page: str, asked: dict[str, str]) -> dict[str, Any]:
    """Return what the menu of a page shows: the searches with their addresses."""
    return {
        "searches": [(each, _address(actor, each)) for each in searches_of(actor, page)],
        "searched_page": page,
        "search_to_save": urlencode(asked),
    }


@login_required
@require_POST
def add_search(request: HttpRequest, team_slug: str) -> HttpResponse:
    """Save the search of a page under a name."""
    actor = member_in(request, team_slug)
    form = SavedSearchForm(request.POST)
    if not form.is_valid():
        said = " ".join(each for problems in form.problems().values() for each in problems)
        messages.error(request, said)
        page = request.POST.get("page")
        return redirect("drift" if page == SearchedPage.DRIFT else "events", team_slug)
    typed = form.cleaned_data
    if typed["page"] == SearchedPage.DRIFT:
        actor = member_in(request, team_slug, Action.READ_LEDGER)
    there = SavedSearch(page=typed["page"], query=typed["query"])
    try:
        there = save_search(actor, typed["page"], typed["name"], typed["query"])
        messages.success(request, f"Saved “{there.name}”.")
    except Refused as refused:
        messages.error(request, refused.message)
    return redirect(_address(actor, there))


@login_required
@require_POST
def name_search(request: HttpRequest, team_slug: str, search_id: UUID) -> HttpResponse:
    """Give one's own search another name."""
    actor = member_in(request, team_slug)
    there = searches_of(actor).filter(pk=search_id).first()
    if there is None:
        raise Http404
    form = SearchNameForm(request.POST)
    try:
        if not form.is_valid():
            raise Refused("name", next(iter(form.problems().values()))[0])
        rename_search(actor, search_id, form.cleaned_data["name"])
        messages.success(request, f"Renamed to “{form.cleaned_data['name']}”.")
    except Refused as refused:
        messages.error(request, refused.message)
    return redirect(_address(actor, there))


@login_required
@require_POST
def remove_search(request: HttpRequest, team_slug: str, search_id: UUID) -> HttpResponse:
    """Delete one's own search."""
    actor = member_in(request, team_slug)
    there = searches_of(actor).filter(pk=search_id).first()
    if there is None or not delete_search(actor, search_id):
        raise Http404
    messages.success(request, f"Deleted “{there.name}”.")
    return redirect(_address(actor, there))


def _address(actor: Actor, search: SavedSearch) -> str:
    return f"{reverse(search.page, args=[actor.team.slug])}?{search.query}"
