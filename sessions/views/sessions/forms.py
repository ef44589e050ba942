"""Create, edit, delete, and test before saving."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from sessions import tasks
from sessions.actors import Actor
from sessions.aws.roots import ROOT_KINDS
from sessions.catalog.deletions import delete_session, mark_of
from sessions.catalog.probes import report_on, start_probe
from sessions.catalog.team_view import view_of_sessions
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.forms.conflicts import Stored, status_of
from sessions.forms.picking import is_searching
from sessions.forms.sessions import ChainedSessionForm, SessionForm, form_for, stored_values
from sessions.ledger.events.roots import KeyRotationStep
from sessions.ledger.events.sessions import SessionEdited, SourceIdentityDropped
from sessions.locks.versions import Changed, last_change
from sessions.models import (
    CHAINED,
    Activation,
    AwsSession,
    Probe,
    ProbeState,
    User,
)
from sessions.models.sessions import CHAINED_LABEL
from sessions.monitoring import request_limits
from sessions.permissions import Action, why_not_create
from sessions.views.guards import (
    confirm_first,
    member_in,
    require,
    session_being_edited,
    session_for,
)
from sessions.views.sessions.preview import people_to_preview
from sessions.views.sessions.rows import CHAINED_ICON, row_of

# A page lists so many of what goes with a session, and says how many more there are.
DEPENDANTS_SHOWN = 100
PROVIDERS = {"aws": "Amazon AWS"}


def kind_described(kind: str) -> dict[str, str]:
    """Return {kind, label, help, icon} of a kind for the pages. 404 for an unknown one."""
    if kind == CHAINED:
        help_text = (
            "A role assumed from another session: an IAM user, the workers' own identity, or"
            " another role."
        )
        return {"kind": kind, "label": CHAINED_LABEL, "help": help_text, "icon": CHAINED_ICON}
    if kind not in ROOT_KINDS:
        raise Http404
    root = ROOT_KINDS[kind]
    return {"kind": kind, "label": root.label, "help": root.help, "icon": root.icon}


@login_required
@require_safe
def new_session(request: HttpRequest, team_slug: str) -> HttpResponse:
    """First step: the cloud provider."""
    actor = member_in(request, team_slug)
    require(actor, Action.CREATE_CHAINED)
    url = reverse("new_session_method", args=[team_slug, "aws"])
    provider = {
        "key": "aws",
        "label": PROVIDERS["aws"],
        "help": "IAM roles and users in any AWS partition.",
        "url": url,
        "icon": "cloud",
    }
    return render(request, "sessions/create/provider.html", {"providers": [provider]})


@login_required
@require_safe
def new_session_method(request: HttpRequest, team_slug: str, provider: str) -> HttpResponse:
    """Second step: the access method."""
    actor = member_in(request, team_slug)
    require(actor, Action.CREATE_CHAINED)
    if provider not in PROVIDERS:
        raise Http404
    methods = [
        kind_described(kind)
        | {
            "url": reverse("new_session_form", args=[team_slug, provider, kind]),
            "recommended": kind == CHAINED,
            "disabled_reason": why_not_create(kind, actor),
        }
        for kind in (CHAINED, *ROOT_KINDS)
    ]
    return render(
        request,
        "sessions/create/method.html",
        {"methods": methods, "provider": PROVIDERS[provider]},
    )


@login_required
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def new_session_form(
    request: HttpRequest, team_slug: str, provider: str, kind: str
) -> HttpResponse:
    """Third step: the fields. `?assumer=<id>` fills in the session it is created from."""
    actor = member_in(request, team_slug)
    described = kind_described(kind)
    if provider not in PROVIDERS:
        raise Http404
    if why_not_create(kind, actor):
        raise PermissionDenied
    if kind != CHAINED and (first := confirm_first(request)):
        return first
    view = view_of_sessions(actor, database_now())
    if request.method == "POST":
        form = form_for(kind, request.POST, view=view)
        if not is_searching(form) and form.is_valid() and (session := form.save()):
            messages.success(request, f"Session “{session.alias}” created.")
            return redirect("session", session.pk)
    else:
        initial: dict[str, Any] = {"region": actor.team.default_region}
        if kind == CHAINED:
            assumer = _assumer_asked_for(request, actor)
            if assumer is not None:
                initial |= {"assumer": assumer.pk, "region": assumer.region}
        form = form_for(kind, None, view=view, initial=initial)
    return _form_page(request, form, described, None)


def _assumer_asked_for(request: HttpRequest, actor: Actor) -> AwsSession | None:
    try:
        asked = UUID(request.GET.get("assumer", ""))
    except ValueError:
        return None
    return AwsSession.objects.filter(pk=asked, team=actor.team).first()


def _form_page(
    request: HttpRequest, form: SessionForm, kind: dict[str, str], session: AwsSession | None
) -> HttpResponse:
    context = {
        "form": form,
        "member": form.actor.member,
        "people": people_to_preview(form.actor),
        "kind": kind,
        "session": session,
        "is_chained": isinstance(form, ChainedSessionForm),
    }
    return render(request, "sessions/create/form.html", context, status=status_of(form))


@login_required
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def edit_session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Edit a session.

    Active chains follow automatically; if the identity changes, only the editor's own do.
    """
    session, actor = session_for(request, session_id, Action.EDIT)
    # Whoever saves a chain answers for it from then on: to take it over is a change of rights.
    takes_over = not session.is_chained or session.link.author_id != actor.user_id
    if (takes_over or session.is_sensitive) and (first := confirm_first(request)):
        return first
    view = view_of_sessions(actor, database_now())
    form = form_for(
        session.kind, request.POST if request.method == "POST" else None, view=view, session=session
    )
    form.open_at(session.version, stored_values(session))
    if request.method == "POST" and not is_searching(form) and form.is_valid():
        saved = form.save_or_show(form.save_seen, lambda: _stored_again(session))
        if saved:
            tasks.wake_after_change()
            messages.success(request, f"Session “{saved.alias}” saved.")
            return redirect("session", saved.pk)
    return _form_page(request, form, kind_described(session.kind), session)


def _stored_again(session: AwsSession) -> Stored:
    """Return what is stored of a session read again under the lock, and who changed it last."""
    tags = (SessionEdited.tag, SourceIdentityDropped.tag, KeyRotationStep.tag)
    return session.version, stored_values(session), last_change(session, *tags)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def delete_session_page(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """List what a deletion takes along, at all levels; on POST, delete it all in one step."""
    session, actor = session_for(request, session_id, Action.DELETE)
    if not session.is_chained and (first := confirm_first(request)):
        return first
    if request.method == "POST":
        try:
            gone = delete_session(session, actor, below_seen=request.POST.get("below"))
        except Changed as changed:
            messages.error(
                request, f"{changed.message} Nothing is deleted yet: look at the list again."
            )
            return redirect("delete_session", session.pk)
        except Refused as refused:
            messages.error(request, refused.message)
            return redirect("session", session.pk)
        tasks.wake_after_deletion()
        count = f"{gone} sessions" if gone > 1 else f"Session “{session.alias}”"
        messages.success(request, f"{count} deleted.")
        return redirect("session_list", actor.team.slug)
    below_ids = (
        session.with_dependants().exclude(pk=session.pk).order_by().values_list("pk", flat=True)
    )
    ids, shown = list(below_ids), session.dependants(DEPENDANTS_SHOWN)
    view = view_of_sessions(actor, database_now(), [session])
    session = view.sessions[session.pk]
    started = Activation.objects.filter(session__in=[session.pk, *(below.pk for below, _ in shown)])
    people = dict(started.values_list("session").annotate(Count("pk")))
    context = {
        "row": row_of(view.describe(session), view),
        "dependants_count": len(ids),
        "below": mark_of(ids),
        "dependants_more": len(ids) - len(shown),
        "active_people": people.get(session.pk, 0),
        "dependants": [
            {
                "alias": below.alias,
                "kind_label": below.get_kind_display(),
                "depth": level,
                "id": str(below.pk),
                "active_people": people.get(below.pk, 0),
            }
            for below, level in shown
        ],
    }
    return render(request, "sessions/delete.html", context)


@login_required
@sensitive_post_parameters()
@require_POST
def test_session(request: HttpRequest, team_slug: str, kind: str) -> HttpResponse:
    """Let a worker test the form's values.

    The answer is the probe's panel, which polls until the test is over.
    """
    actor = member_in(request, team_slug)
    request_limits.count(request_limits.TEST, actor.user_id)
    kind_described(kind)
    session = session_being_edited(request, actor)
    if session is not None and session.kind != kind:
        raise Http404
    if (session is None or not session.is_chained) and why_not_create(kind, actor):
        raise PermissionDenied
    if kind != CHAINED and (first := confirm_first(request)):
        return first
    form = form_for(
        kind, request.POST, view=view_of_sessions(actor, database_now()), session=session
    )
    if form.is_valid():
        try:
            probe = start_probe(form.draft(), actor, session)
            if probe.credential_id:
                tasks.wake_for_start()
            else:
                tasks.wake_for_probe(str(probe.pk))
            return render(
                request, "sessions/create/_probe.html", {"probe": report_on(probe), "form": form}
            )
        except Refused as refused:
            form.refuse(refused)
    return render(request, "sessions/create/_probe.html", {"probe": None, "form": form}, status=200)


@login_required
@require_safe
def probe_page(request: HttpRequest, probe_id: UUID) -> HttpResponse:
    """Show the state of a person's own probe."""
    assert isinstance(request.user, User)
    probe = (
        Probe.objects.filter(pk=probe_id, user=request.user)
        .select_related("credential", "team")
        .first()
    )
    if probe is None:
        return render(
            request, "sessions/create/_probe.html", {"probe": None, "gone": True}, status=200
        )
    member_in(request, probe.team.slug)
    return render(
        request,
        "sessions/create/_probe.html",
        {"probe": report_on(probe), "pending": probe.state == ProbeState.PENDING},
    )
