"""Show a team's policy, which admins change and auditors read."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from sessions import tasks
from sessions.activations.moves import progress
from sessions.actors import Actor
from sessions.catalog.labels import delete_label, labels_in_use, save_label
from sessions.catalog.team_policy import PolicyDraft
from sessions.chains.names import may_be_unnamed, unnamed_sessions
from sessions.exceptions import NotThere, Refused, RightLost
from sessions.forms.conflicts import Stored, status_of
from sessions.forms.labels import LabelForm
from sessions.forms.team_policy import TeamPolicyForm, policy_values, preview_picker
from sessions.ledger.events.sessions import PolicyChanged
from sessions.locks.versions import last_change
from sessions.models import CHAINED, AwsSession, TeamPolicy
from sessions.models.sessions import load_chains
from sessions.monitoring import request_limits
from sessions.permissions import Action, can
from sessions.views.guards import confirm_first, member_in, recently_logged_in, require
from sessions.views.sessions.preview import chosen_person, people_to_preview, preview_context

UNNAMED_SHOWN = 50


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def team_policy(request: HttpRequest, team_slug: str) -> HttpResponse:
    """Read and change it. What is active moves to the new names by itself."""
    actor = member_in(request, team_slug)
    require(actor, Action.EDIT_POLICY if request.method == "POST" else Action.READ_POLICY)
    may_edit = can(actor, Action.EDIT_POLICY)
    # Before the page is filled in: what is posted is not kept over a login.
    if may_edit and (first := confirm_first(request)):
        return first
    policy = TeamPolicy.of(actor.team_id)
    form = TeamPolicyForm(
        request.POST if request.method == "POST" else None, actor=actor, policy=policy
    )
    form.open_at(policy.version, policy_values(PolicyDraft.of(policy)))

    def stored_again() -> Stored:
        fresh = TeamPolicy.of(actor.team_id)
        values = policy_values(PolicyDraft.of(fresh))
        return fresh.version, values, last_change(fresh, PolicyChanged.tag)

    if request.method == "POST":
        request_limits.count(request_limits.POLICY, actor.user_id)
    if request.method == "POST" and form.is_valid():
        saved = form.save_or_show(form.save_seen, stored_again)
        if saved:
            tasks.wake_after_change()
            messages.success(
                request, "Policy saved. Active sessions pick up the change automatically."
            )
            return redirect("team_policy", team_slug)
    if not may_edit:
        for field in form.fields.values():
            field.disabled = True
    context = {
        "form": form,
        "may_edit": may_edit,
        **_unnamed(actor, policy),
        "people": people_to_preview(actor),
        "has_sessions": AwsSession.objects.filter(team=actor.team, kind=CHAINED).exists(),
        "preview_choice": preview_picker(actor).render("session", "", {"id": "preview-session"}),
        "member": actor.member,
        "moving": progress(actor.team_id),
    }
    return render(request, "policy/team_policy.html", context, status=status_of(form))


@login_required
@require_safe
def policy_progress(request: HttpRequest, team_slug: str) -> HttpResponse:
    """Show how far active sessions have followed the last change, as the page's live part."""
    actor = member_in(request, team_slug)
    require(actor, Action.READ_POLICY)
    return render(request, "policy/_moving.html", {"moving": progress(actor.team_id)})


def _unnamed(actor: Actor, policy: TeamPolicy) -> dict[str, Any]:
    """Return the first sessions with shared names, and whether there are more."""
    some = list(may_be_unnamed(actor.team, policy)[: UNNAMED_SHOWN + 1])
    chains = load_chains(some[:UNNAMED_SHOWN], broken=True).values()
    return {
        "unnamed": unnamed_sessions(chains, policy, actor.team),
        "unnamed_more": len(some) > UNNAMED_SHOWN,
    }


@login_required
@require_POST
def preview_policy(request: HttpRequest, team_slug: str) -> HttpResponse:
    """Preview a chain and a person under the policy as typed; nothing is stored."""
    actor = member_in(request, team_slug)
    require(actor, Action.READ_POLICY)
    request_limits.count(request_limits.PREVIEW, actor.user_id)
    person = chosen_person(request, actor)
    session = _chosen_session(request, actor)
    stored = TeamPolicy.of(actor.team_id)
    policy = _typed_policy(request, actor, stored) if can(actor, Action.EDIT_POLICY) else stored
    context: dict[str, Any] = {}
    if session is not None and policy is not None:
        chain = load_chains([session], broken=True)[session.pk]
        context = preview_context(chain, person, policy, actor)
    return render(request, "sessions/create/_preview.html", context)


def _typed_policy(request: HttpRequest, actor: Actor, stored: TeamPolicy) -> TeamPolicy | None:
    """Return the policy that the form would save; None while something in it is invalid."""
    form = TeamPolicyForm(request.POST, actor=actor, policy=stored)
    if not form.is_valid():
        return None
    try:
        return form.draft().policy(actor.team_id)
    except Refused:
        return None


def _chosen_session(request: HttpRequest, actor: Actor) -> AwsSession | None:
    try:
        chosen = UUID(request.POST.get("session", ""))
    except ValueError:
        return None
    found = AwsSession.objects.filter(pk=chosen, team=actor.team, kind=CHAINED)
    return found.select_related("link", "team").first()


# --- labels ---------------------------------------------------------------------------------------


@login_required
@require_safe
def team_labels(request: HttpRequest, team_slug: str) -> HttpResponse:
    """List the team's labels, with a form for each where the person is an admin."""
    actor = member_in(request, team_slug)
    require(actor, Action.READ_POLICY)
    may_edit = can(actor, Action.EDIT_POLICY)
    if may_edit and (first := confirm_first(request)):
        return first
    return _labels_page(request, actor, may_edit=may_edit)


@recently_logged_in
@require_POST
def edit_label(request: HttpRequest, team_slug: str, label_id: int) -> HttpResponse:
    """Save a label's name, colour and mark."""
    actor = member_in(request, team_slug, Action.EDIT_POLICY)
    form = LabelForm(request.POST)
    if form.is_valid():
        try:
            label = save_label(label_id, actor, **form.cleaned_data)
        except (NotThere, RightLost):
            raise
        except Refused as refused:
            form.add_error(refused.field or None, refused.message)
        else:
            messages.success(request, f"Label “{label.name}” saved.")
            return redirect("team_labels", team_slug)
    return _labels_page(request, actor, may_edit=True, broken={label_id: form})


@recently_logged_in
@require_POST
def remove_label(request: HttpRequest, team_slug: str, label_id: int) -> HttpResponse:
    """Delete a label that no session has."""
    actor = member_in(request, team_slug, Action.EDIT_POLICY)
    try:
        delete_label(label_id, actor)
        messages.success(request, "Label deleted.")
    except (NotThere, RightLost):
        raise
    except Refused as refused:
        messages.error(request, refused.message)
    return redirect("team_labels", team_slug)


def _labels_page(
    request: HttpRequest,
    actor: Actor,
    *,
    may_edit: bool,
    broken: Mapping[int, LabelForm] = MappingProxyType({}),
) -> HttpResponse:
    rows = [
        {
            "label": each.label,
            "sessions": each.sessions,
            "form": broken.get(each.label.pk) or LabelForm.of(each.label),
        }
        for each in labels_in_use(actor.team)
    ]
    context = {"rows": rows, "may_edit": may_edit}
    return render(request, "policy/labels.html", context, status=422 if broken else 200)
