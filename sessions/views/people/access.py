"""Set who may use a session, and the groups that say so."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.defaultfilters import pluralize
from django.views.decorators.http import require_http_methods, require_POST

from sessions.actors import Actor
from sessions.catalog.access import delete_group, save_group, set_access
from sessions.catalog.audiences import access_of
from sessions.catalog.closed_roles import is_closed_by_admin
from sessions.catalog.same_role import close_wider_ways, how_many_end, may_close, wider_ways
from sessions.chains.same_identity import is_known
from sessions.exceptions import Refused
from sessions.forms.conflicts import Stored, status_of
from sessions.forms.people import AccessForm, GroupForm
from sessions.ledger.events.people import GroupChanged, GroupCreated
from sessions.ledger.events.sessions import AccessChanged
from sessions.locks.versions import last_change
from sessions.models import AssumerLink, AwsSession, TeamGroup
from sessions.permissions import Action
from sessions.views.guards import member_in, recently_logged_in, session_for

BUILT_ON_SHOWN = 20
WAYS_SHOWN = 20


@recently_logged_in
@require_http_methods(["GET", "HEAD", "POST"])
def session_access(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Set who may start a session, and who may assume further roles from it."""
    session, actor = session_for(request, session_id, Action.SHARE)
    if request.method == "POST" and "close_others" in request.POST:
        return _close_others(request, session, actor)
    initial = AccessForm.initial_for(access_of(session))
    data = request.POST if request.method == "POST" else None
    form = AccessForm(data, team=actor.team, session=session, initial=initial)
    form.open_at(session.access_version, initial)
    if request.method == "POST" and form.is_valid():

        def save(seen: int | None) -> bool:
            set_access(session, form.access(), actor, seen=seen)
            return True

        def stored_again() -> Stored:
            stored = AccessForm.initial_for(access_of(session))
            return session.access_version, stored, last_change(session, AccessChanged.tag)

        if form.save_or_show(save, stored_again):
            messages.success(request, f"Access to “{session.alias}” saved.")
            return redirect("session", session.pk)
    built_on = (
        AssumerLink.objects.filter(assumer=session)
        .select_related("session", "author")
        .order_by("pk")
    )
    ways, more_ways = wider_ways(session, WAYS_SHOWN)
    context = {
        "form": form,
        "session": session,
        "ways": ways,
        "more_ways": more_ways,
        "may_close": bool(ways) and may_close(actor, session),
        "ending": how_many_end(session) if ways else 0,
        "is_closed": is_closed_by_admin(session),
        "is_unknown": not is_known(session),
        "built_on": built_on[:BUILT_ON_SHOWN],
        "built_on_more": max(built_on.count() - BUILT_ON_SHOWN, 0),
    }
    return render(request, "sessions/access.html", context, status=status_of(form))


def _close_others(request: HttpRequest, session: AwsSession, actor: Actor) -> HttpResponse:
    try:
        closed = close_wider_ways(session, actor)
    except Refused as refused:
        messages.error(request, refused.message)
    else:
        messages.success(
            request,
            f"{len(closed)} other session{pluralize(len(closed))} restricted like"
            f" “{session.alias}”.",
        )
    return redirect("session_access", session.pk)


@recently_logged_in
@require_http_methods(["GET", "HEAD", "POST"])
def edit_group(request: HttpRequest, team_slug: str, group_id: UUID | None = None) -> HttpResponse:
    """Create a group, or edit one."""
    actor = member_in(request, team_slug, Action.MANAGE_PEOPLE)
    group = get_object_or_404(TeamGroup, pk=group_id, team=actor.team) if group_id else None
    initial = _group_values(group) if group else None
    form = GroupForm(
        request.POST if request.method == "POST" else None, team=actor.team, initial=initial
    )
    if group and initial:
        form.open_at(group.version, initial)
    if request.method == "POST" and form.is_valid():

        def save(seen: int | None) -> TeamGroup:
            return save_group(
                actor, form.cleaned_data["name"], form.cleaned_data["members"], group, seen=seen
            )

        def stored_again() -> Stored:
            fresh = get_object_or_404(TeamGroup, pk=group_id, team=actor.team)
            change = last_change(fresh, GroupCreated.tag, GroupChanged.tag)
            return fresh.version, _group_values(fresh), change

        if saved := form.save_or_show(save, stored_again):
            messages.success(request, f"Group “{saved.name}” saved.")
            return redirect("people", team_slug)
    return render(
        request, "people/group.html", {"form": form, "group": group}, status=status_of(form)
    )


def _group_values(group: TeamGroup) -> dict[str, Any]:
    return {"name": group.name, "members": list(group.members.values_list("pk", flat=True))}


@recently_logged_in
@require_POST
def remove_group(request: HttpRequest, team_slug: str, group_id: UUID) -> HttpResponse:
    actor = member_in(request, team_slug, Action.MANAGE_PEOPLE)
    group = get_object_or_404(TeamGroup, pk=group_id, team=actor.team)
    delete_group(group, actor)
    messages.success(request, f"Group “{group.name}” deleted.")
    return redirect("people", team_slug)
