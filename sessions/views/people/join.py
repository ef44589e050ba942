"""Join a team by an invitation, as a new person or a known one."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from sessions.exceptions import Refused
from sessions.forms.people import JoinForm
from sessions.login.adapters import INVITATION_KEY, invitation_in_hand
from sessions.middleware.too_often import network_of
from sessions.models import User
from sessions.monitoring import request_limits
from sessions.people.invitations import GONE, accept_invitation, invitation_by_code
from sessions.secret import Secret


@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def join(request: HttpRequest) -> HttpResponse:
    """Take the code that a script read from behind the # and show its invitation.

    Nothing is used up yet.
    """
    form = JoinForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        invitation = invitation_by_code(Secret(form.cleaned_data["code"]))
        if invitation is not None:
            request.session[INVITATION_KEY] = str(invitation.pk)
            return redirect("join")
        request_limits.count(request_limits.BAD_SECRET, network_of(request))
        form.add_error("code", GONE)
    invitation = invitation_in_hand(request)
    context = {"form": form, "invitation": invitation}
    return render(request, "people/join.html", context, status=422 if form.errors else 200)


@require_POST
def accept(request: HttpRequest) -> HttpResponse:
    """Make the person who is logged in a member, which uses the invitation up."""
    invitation = invitation_in_hand(request)
    if invitation is None or not isinstance(request.user, User):
        return redirect("join")
    try:
        accept_invitation(invitation, request.user)
    except Refused as refused:
        messages.error(request, refused.message)
        return redirect("join")
    request.session.pop(INVITATION_KEY, None)
    messages.success(request, f"You joined {invitation.team.name}.")
    return redirect("session_list", invitation.team.slug)
