"""The page of a team's policy: admins change it, auditors read it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from sessions import tasks
from sessions.clock import database_now
from sessions.lifecycle.naming import unnamed_sessions
from sessions.lifecycle.refused import Refused
from sessions.lifecycle.state import TeamView, view_of_team
from sessions.models import AwsSession, TeamPolicy
from sessions.policy import Action, can
from sessions.policy_form import TeamPolicyForm
from sessions.views.access import member_in, require
from sessions.views.preview import chosen_person, people_to_preview, preview_context


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def team_policy(request: HttpRequest, team_slug: str) -> HttpResponse:
    """Read and change it. What is active moves to the new names by itself."""
    member = member_in(request, team_slug)
    require(member, Action.EDIT_POLICY if request.method == "POST" else Action.READ_POLICY)
    view = view_of_team(member, database_now())
    form = TeamPolicyForm(request.POST or None, member=member, policy=view.policy)
    if request.method == "POST" and form.is_valid() and form.save():
        tasks.wake()
        messages.success(request, "Policy saved. What is active follows by itself.")
        return redirect("team_policy", team_slug)
    may_edit = can(member, Action.EDIT_POLICY)
    if not may_edit:
        for field in form.fields.values():
            field.disabled = True
    context = {
        "form": form,
        "may_edit": may_edit,
        "unnamed": unnamed_sessions((chain for _, chain in _with_chains(view)), view.policy, member.team),
        "people": people_to_preview(member),
        "sessions": _longest_first(view),
        "member": member,
    }
    return render(request, "team_policy.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def preview_policy(request: HttpRequest, team_slug: str) -> HttpResponse:
    """One chain and one person under the policy as it is typed; nothing is stored."""
    member = member_in(request, team_slug)
    require(member, Action.READ_POLICY)
    person = chosen_person(request, member)
    view = view_of_team(member, database_now())
    session = _chosen_session(request, view)
    policy = _typed_policy(request, view) if can(member, Action.EDIT_POLICY) else view.policy
    context: dict[str, Any] = {}
    if session is not None and policy is not None:
        context = preview_context(view.chain_of(session), person, policy, member)
    return render(request, "_preview.html", context)


def _typed_policy(request: HttpRequest, view: TeamView) -> TeamPolicy | None:
    """The policy that the form would save; None while something in it is not right."""
    form = TeamPolicyForm(request.POST, member=view.member, policy=view.policy)
    if not form.is_valid():
        return None
    try:
        return form.draft().policy(view.member.team_id)
    except Refused:
        return None


def _chosen_session(request: HttpRequest, view: TeamView) -> AwsSession | None:
    try:
        session = view.sessions.get(UUID(request.POST.get("session", "")))
    except ValueError:
        return None
    return session if session and session.is_chained else None


def _with_chains(view: TeamView) -> list[tuple[AwsSession, list[AwsSession]]]:
    ordered = sorted(view.sessions.values(), key=lambda session: session.alias.casefold())
    return [(session, view.chain_of(session)) for session in ordered]


def _longest_first(view: TeamView) -> list[dict[str, Any]]:
    """The chained sessions to choose from: the one with the most hops shows the most."""
    chains = [(session, chain) for session, chain in _with_chains(view) if session.is_chained]
    chains.sort(key=lambda each: -len(each[1]))
    return [
        {"id": str(session.pk), "label": " › ".join(step.alias for step in chain)}
        for session, chain in chains
    ]
