"""Find who asks, and for which object of theirs. Foreign and missing are the same 404."""

import time
from collections.abc import Callable
from functools import update_wrapper
from typing import Concatenate, ParamSpec
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseClientRedirect

from sessions.actors import Actor
from sessions.login.adapters import OIDC, can_confirm_here, is_recently_authenticated
from sessions.login.saml import FORCE_AUTHN, SAML
from sessions.models import AwsSession, User
from sessions.permissions import (
    NO_OWNER,
    Action,
    NotAllowed,
    can,
    is_orphaned,
    memberships_of,
    require_fresh_groups,
    visible_to,
)
from sessions.views.live_parts import htmx_of

Parameters = ParamSpec("Parameters")


def user_of(request: HttpRequest) -> User:
    """Return who is logged in; call it behind `login_required`."""
    assert isinstance(request.user, User)
    return request.user


def member_in(request: HttpRequest, team_slug: str, action: Action | None = None) -> Actor:
    """Return the caller as a member of that team.

    404 if they are not in it, 403 if they may not do that there.

    403, and the way back, also for members whose groups have to be read again.
    """
    member = memberships_of(user_of(request)).filter(team__slug=team_slug).first()
    if member is None:
        require_fresh_groups(user_of(request), team__slug=team_slug)
        raise Http404
    request.membership = member  # type: ignore[attr-defined]  # read by the context processor
    actor = Actor(member, confirmed=is_recently_authenticated(request))
    if action is not None:
        require(actor, action)
    return actor


def session_for(
    request: HttpRequest, session_id: UUID, action: Action = Action.VIEW
) -> tuple[AwsSession, Actor]:
    """Return a session and the caller as a member of its team.

    404 if it is not theirs to see, 403 if not to do.
    """
    session = visible_to(user_of(request)).filter(pk=session_id).first()
    if session is None or session.team is None:
        require_fresh_groups(user_of(request), team__aws_sessions=session_id)
        raise Http404
    actor = member_in(request, session.team.slug)
    require(actor, action, session)
    return session, actor


def session_being_edited(request: HttpRequest, actor: Actor) -> AwsSession | None:
    """Return the session that a posted form edits; None for a new one.

    404 and 403 as for its own page.
    """
    try:
        session_id = UUID(request.POST.get("session", ""))
    except ValueError:
        return None
    session, _ = session_for(request, session_id, Action.EDIT)
    if session.team_id != actor.team_id:
        raise Http404
    return session


def require(actor: Actor, action: Action, session: AwsSession | None = None) -> None:
    if not can(actor, action, session):
        raise NotAllowed(actor, action, session)
    if action is Action.START and session is not None and is_orphaned(session):
        raise PermissionDenied(NO_OWNER)


def back_or_session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Redirect to the page that `next` names, if it is one of ours by its path.

    Else to the session's page.
    """
    back = request.POST.get("next", "")
    hosts = {request.get_host()}
    if back.startswith("/") and url_has_allowed_host_and_scheme(
        back, hosts, require_https=request.is_secure()
    ):
        return HttpResponseRedirect(back)
    return redirect("session", session_id)


# --- sensitive things want a recent login --------------------------------------------------------


GOES_ON_KEY = "chainweb.goes_on"


def confirm_then(request: HttpRequest, session: AwsSession, wanted: str) -> HttpResponse:
    """Ask a person to confirm; the session's page then goes on with what they wanted, once.

    What that is stays with their login, not in an address that somebody else could write.
    """
    request.session[GOES_ON_KEY] = [str(session.pk), wanted, int(time.time())]
    back = reverse("session", args=[session.pk])
    target = _way_to_confirm(request, user_of(request), back)
    return HttpResponseClientRedirect(target) if htmx_of(request) else redirect(target)


def goes_on(request: HttpRequest, session: AwsSession) -> str:
    """Take what a person wanted of a session before they confirmed; empty for nothing."""
    kept = request.session.get(GOES_ON_KEY)
    if kept is None or not is_recently_authenticated(request):
        return ""
    session_id, wanted, at = request.session.pop(GOES_ON_KEY)
    is_fresh = time.time() - at < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
    return str(wanted) if session_id == str(session.pk) and is_fresh else ""


def confirm_first(request: HttpRequest) -> HttpResponse | None:
    """Return None after a confirmation within five minutes; else a way to confirm and back.

    What was posted is not kept for later, because it may hold secrets: the page is filled in again.
    """
    if is_recently_authenticated(request):
        return None
    target = _way_to_confirm(request, user_of(request), _way_back(request))
    return HttpResponseClientRedirect(target) if htmx_of(request) else redirect(target)


def _way_back(request: HttpRequest) -> str:
    if request.method in {"GET", "HEAD"} and not htmx_of(request):
        return request.get_full_path()
    came_from = htmx_of(request).current_url or request.headers.get("Referer") or ""
    hosts = {request.get_host()}
    if came_from and url_has_allowed_host_and_scheme(
        came_from, hosts, require_https=request.is_secure()
    ):
        parts = urlsplit(came_from)
        return parts.path + (f"?{parts.query}" if parts.query else "")
    return reverse("home")


def _way_to_confirm(request: HttpRequest, user: User, back: str) -> str:
    if can_confirm_here(user):
        first = "account_reauthenticate" if user.has_usable_password() else "mfa_reauthenticate"
        return f"{reverse(first)}?{urlencode({'next': back})}"
    account = SocialAccount.objects.filter(user=user).order_by("-last_login").first()
    if account is not None and account.provider == OIDC:
        # The provider asks the person again, and says in its ID token when it did.
        asked = {"process": "login", "next": back, "auth_params": "prompt=login&max_age=300"}
        return f"{reverse('openid_connect_login', args=[OIDC])}?{urlencode(asked)}"
    if account is not None and account.provider == SAML and settings.SAML_IDP_METADATA_URL:
        asked = {"process": "login", "next": back, FORCE_AUTHN: "1"}
        return f"{reverse('saml_login', args=[SAML])}?{urlencode(asked)}"
    messages.error(request, "Log out and in again, or set a password, to confirm your identity.")
    return reverse("mfa_index")


def recently_logged_in(
    view: Callable[Concatenate[HttpRequest, Parameters], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, Parameters], HttpResponseBase]:
    """Require a recent login for sensitive views: root keys, rights, exports, tokens."""

    def confirmed(
        request: HttpRequest, /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> HttpResponseBase:
        return confirm_first(request) or view(request, *args, **kwargs)

    update_wrapper(confirmed, view)
    return login_required(confirmed)
