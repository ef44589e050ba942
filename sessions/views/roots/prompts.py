"""Answer what a root asks a person for: a code, an approval, a choice from AWS's lists."""

from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from sessions import tasks
from sessions.actors import Actor
from sessions.catalog.team_view import view_of_sessions
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.forms.sessions import form_for, stored_values
from sessions.locks.versions import Changed
from sessions.models import Approval, ApprovalStage, AwsSession
from sessions.monitoring import request_limits
from sessions.permissions import Action, can, may_answer
from sessions.roots import approvals, choices, prompts
from sessions.roots.codes import code_challenges, submit_codes
from sessions.views.guards import back_or_session, recently_logged_in, session_for
from sessions.views.live_parts import asks_for_part

POLL_SECONDS = 2


def root_for(request: HttpRequest, session_id: UUID) -> tuple[AwsSession, Actor]:
    """Return the root of a session's chain, for a person who may answer it."""
    session, actor = session_for(request, session_id)
    if not may_answer(actor, session):
        raise PermissionDenied
    return session.chain()[0], actor


@login_required
@sensitive_post_parameters()
@require_POST
def give_code(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Submit a code for the root of a session's chain; a worker uses it at once."""
    root, actor = root_for(request, session_id)
    request_limits.count(request_limits.CODE, actor.user_id, root.pk)
    try:
        names = [each.name for each in code_challenges(root)]
        submit_codes(root, actor, {name: request.POST.get(name, "") for name in names})
    except Refused as refused:
        messages.error(request, refused.message)
    else:
        tasks.wake_for_start()
        messages.success(request, f"Code for “{root.alias}” submitted. A worker is using it now.")
    return back_or_session(request, session_id)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def approval_page(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Let a member approve for themselves.

    POST asks for a page to approve on; the live part follows until it is over.
    """
    root, actor = root_for(request, session_id)
    if not approvals.asks_for_approval(root):
        raise Http404
    if request.method == "POST":
        request_limits.count(request_limits.APPROVAL, actor.user_id, root.pk)
        approvals.ask_approval(root, actor)
        tasks.wake_for_approvals()
        return redirect("approval", root.pk)
    now = database_now()
    found = prompts.at_root(root, actor.member, now)
    assert found is not None
    if found.approval and found.approval.due_at and found.approval.due_at <= now:
        tasks.wake_for_approvals()
    context = {
        "waiting": found,
        "root": root,
        "poll_seconds": POLL_SECONDS,
        "may_edit": can(actor, Action.EDIT, root),
    }
    partial = asks_for_part(request)
    return render(request, "roots/_approval.html" if partial else "roots/approval.html", context)


@login_required
@require_POST
def forget_approval(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Forget what the member has approved for a root, and for those that share it."""
    root, actor = root_for(request, session_id)
    if not approvals.asks_for_approval(root):
        raise Http404
    if approvals.end_approval(root, actor):
        messages.success(
            request,
            "Your approval was deleted. Credentials issued with it work until they expire.",
        )
    return redirect("approval", root.pk)


@recently_logged_in
@require_http_methods(["GET", "HEAD", "POST"])
def choose(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Offer one list of AWS after the other to the member who approved.

    The last choice saves all.
    """
    root, actor = session_for(request, session_id, Action.EDIT)
    fields = [] if root.is_chained else choices.picked_fields(root)
    if not fields:
        raise Http404
    approval = approvals.approval_of(root, actor.member)
    if approval is None or approval.stage != ApprovalStage.GIVEN:
        return redirect("approval", root.pk)
    is_posted = request.method == "POST"
    picks = choices.Picks.of(fields, request.POST if is_posted else request.GET)
    if not is_posted:
        return _choose_page(request, root, approval, picks)
    if picks.next is None:
        return _save_choice(request, root, actor, picks.chosen)
    return redirect(f"{reverse('choose', args=[root.pk])}?{urlencode(picks.chosen)}")


def _choose_page(
    request: HttpRequest, root: AwsSession, approval: Approval, picks: choices.Picks
) -> HttpResponse:
    field = picks.next
    if field is None:  # saving needs a POST
        raise Http404
    listed = choices.request_list(approval, field.name, picks.chosen)
    if listed is None:
        tasks.wake_for_approvals()
    context = {
        "root": root,
        "field": field,
        "chosen": picks.chosen,
        "listed": listed,
        "is_last": field is picks.fields[-1],
        "poll_seconds": POLL_SECONDS,
    }
    partial = asks_for_part(request)
    return render(request, "roots/_choose.html" if partial else "roots/choose.html", context)


def _save_choice(
    request: HttpRequest, root: AwsSession, actor: Actor, chosen: dict[str, str]
) -> HttpResponse:
    stored = stored_values(root).items()
    data = {name: str(value) if isinstance(value, UUID) else value for name, value in stored}
    data |= chosen
    form = form_for(root.kind, data, view=view_of_sessions(actor, database_now()), session=root)
    form.seen = root.version
    try:
        if form.is_valid() and form.save():
            tasks.wake_after_change()
            messages.success(request, f"Session “{root.alias}” saved.")
            return redirect("session", root.pk)
    except Changed as changed:
        messages.error(request, f"{changed.message} Choose again.")
    for problems in form.errors.values():
        for problem in problems:
            messages.error(request, str(problem))
    return redirect("choose", root.pk)
