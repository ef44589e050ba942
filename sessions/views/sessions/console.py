"""Open the console with a session: choose where, wait for a worker's token, and go there."""

from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Value
from django.db.models.functions import Lower
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HttpResponseClientRedirect

from sessions import tasks
from sessions.activations.status import Status
from sessions.aws.console import federation_url, login_query
from sessions.catalog.switch_roles import switch_roles_of
from sessions.catalog.team_view import view_of_sessions
from sessions.db.clock import database_now
from sessions.delivery.console import ask_sign_in, sign_in_of, take_token
from sessions.delivery.reveal import NotReady, Preparing
from sessions.forms.console import ConsoleForm
from sessions.models import CHAINED, AwsSession, ConsoleSignIn
from sessions.monitoring import request_limits
from sessions.permissions import Action, Sensitive, can, visible_to
from sessions.views.guards import confirm_first, member_in, session_for, user_of
from sessions.views.live_parts import asks_for_part, htmx_of
from sessions.views.sessions.rows import EAGER_SECONDS, row_of

POLL_SECONDS = EAGER_SECONDS


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def console(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Choose service and region, or confirm a runbook's page; POST writes the event and asks."""
    session, actor = session_for(request, session_id, Action.TAKE_CREDENTIALS)
    # Before the page is filled in: what is posted is not kept over a confirmation.
    if session.is_sensitive and (first := confirm_first(request)):
        return first
    if request.method != "POST":
        return _page(request, session, ConsoleForm(None, session=session))
    form = ConsoleForm(request.POST, session=session)
    if not form.is_valid():
        return _page(request, session, form, status=422)
    if form.cleaned_data["delivery"] is None:
        request_limits.count(request_limits.FETCH, actor.user_id)
    delivery = form.cleaned_data["delivery"]
    try:
        asked = ask_sign_in(
            session, actor, destination=form.destination, region=form.where, delivery=delivery
        )
    except Preparing as preparing:
        tasks.wake_for_start()
        return _page(request, session, form, preparing=preparing.delivery)
    except Sensitive:
        return confirm_first(request) or redirect("console", session.pk)
    except NotReady as not_ready:
        state = not_ready.state
        said = state.problem.message if state.problem else f"The session is {state.status}."
        form.add_error(None, f"{said} Start it and wait until it is active.")
        return _page(request, session, form, status=409)
    tasks.wake_for_console()
    url = reverse("console_sign_in", args=[asked.pk])
    return HttpResponseClientRedirect(url) if htmx_of(request) else redirect(url)


def _page(
    request: HttpRequest,
    session: AwsSession,
    form: ConsoleForm,
    status: int = 200,
    preparing: UUID | None = None,
) -> HttpResponse:
    """Show what can be chosen, or that the credentials are narrowed: then it asks again itself."""
    context = {
        "session": session,
        "form": form,
        "preparing": preparing,
        "poll_seconds": POLL_SECONDS,
        "simulated": bool(settings.CONSOLE_FEDERATION_URL),
    }
    if htmx_of(request):
        # What asks again is a form: what else has come of it is for a page.
        if preparing is None:
            return HttpResponseClientRedirect(reverse("console", args=[session.pk]))
        return render(request, "sessions/console/_preparing.html", context)
    return render(request, "sessions/console/choose.html", context, status=status)


@login_required
@never_cache
@require_safe
def console_sign_in(request: HttpRequest, sign_in_id: UUID) -> HttpResponse:
    """Show how far a sign-in is, as a page and as its live part, which then goes on."""
    sign_in = _own(request, sign_in_id)
    partial = asks_for_part(request)
    if sign_in is not None and sign_in.sealed is not None and partial:
        return HttpResponseClientRedirect(reverse("console_launch", args=[sign_in.pk]))
    if sign_in is None and not partial:
        return _is_over(request)
    context = {"sign_in": sign_in, "poll_seconds": POLL_SECONDS}
    template = "sessions/console/_sign_in.html" if partial else "sessions/console/sign_in.html"
    return render(request, template, context)


@login_required
@never_cache
@require_safe
def console_launch(request: HttpRequest, sign_in_id: UUID) -> HttpResponse:
    """Go to the console: the token is read, once, into the address that the person is sent to."""
    sign_in = _own(request, sign_in_id)
    token = take_token(sign_in) if sign_in is not None else None
    if sign_in is None or token is None:
        return _is_over(request)
    url = federation_url(sign_in.region, settings.CONSOLE_FEDERATION_URL)
    if settings.CONSOLE_FEDERATION_URL:
        # The simulated one is a page of ours, wherever this person's browser reaches us.
        url = request.build_absolute_uri(urlsplit(url).path)
    query = login_query(request.build_absolute_uri("/"), sign_in.destination, token.reveal())
    response = HttpResponseRedirect(f"{url}?{query}")
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _is_over(request: HttpRequest) -> HttpResponse:
    messages.info(request, "This sign-in was used, or is over. Open the console again.")
    return redirect("home")


def _own(request: HttpRequest, sign_in_id: UUID) -> ConsoleSignIn | None:
    """Find the person's own sign-in, if they may still have the session's credentials."""
    sign_in = sign_in_of(sign_in_id, user_of(request))
    if sign_in is not None:
        actor = member_in(request, sign_in.team.slug)
        if not can(actor, Action.TAKE_CREDENTIALS, sign_in.session):
            raise Http404
    return sign_in


@login_required
@require_safe
def go(request: HttpRequest, alias: str) -> HttpResponse:
    """Open a runbook's link: `/go/<alias>?to=<console path>`; `team` where several have the alias.

    Nothing is done yet: the page names account, role and destination, and asks.
    """
    named = visible_to(user_of(request)).annotate(lower=Lower("alias"))
    found = named.filter(lower=Lower(Value(alias)), kind=CHAINED)
    if team := request.GET.get("team"):
        found = found.filter(team__slug=team)
    sessions = list(found.order_by("team__name")[:20])
    if not sessions:
        raise Http404
    if len(sessions) > 1:
        return render(request, "sessions/console/which_team.html", {"sessions": sessions})
    session, actor = session_for(request, sessions[0].pk, Action.TAKE_CREDENTIALS)
    if session.is_sensitive and (first := confirm_first(request)):
        return first
    view = view_of_sessions(actor, database_now(), [session])
    row = row_of(view.describe(view.sessions[session.pk]), view)
    context = {
        "row": row,
        "session": session,
        "to": request.GET.get("to", ""),
        "is_active": row.status == Status.ACTIVE,
        "is_pending": row.status == Status.PENDING,
        "poll_seconds": POLL_SECONDS,
        "next_url": request.get_full_path(),
        **_destination(request, session),
    }
    partial = asks_for_part(request)
    return render(
        request, "sessions/console/_go.html" if partial else "sessions/console/go.html", context
    )


def _destination(request: HttpRequest, session: AwsSession) -> dict[str, str]:
    """Return the address that a link asks for, or what is wrong with it."""
    to = request.GET.get("to", "")
    if not to:
        form = ConsoleForm({"region": session.region}, session=session)
    else:
        form = ConsoleForm({"to": to}, session=session)
    if form.is_valid():
        return {"destination": form.destination}
    return {"refused": str(next(iter(form.errors.values()))[0])}


@login_required
@require_safe
def switch_roles(request: HttpRequest, team_slug: str) -> HttpResponse:
    """Show the INI of the extension AWS Extend Switch Roles, with the person's sessions of now."""
    actor = member_in(request, team_slug, Action.START)
    context = {"text": switch_roles_of(actor)}
    return render(request, "sessions/console/switch_roles.html", context)
