"""Show and revoke a person's tokens; admins also others', without creating any."""

from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from sessions.actors import Actor
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.forms.picking import is_searching
from sessions.forms.tokens import TokenForm
from sessions.models import Robot, Scope, Token
from sessions.people.tokens import create_token, revoke_token
from sessions.permissions import Action, can
from sessions.views.guards import member_in, recently_logged_in, require


def _tokens_for(actor: Actor) -> QuerySet[Token]:
    """Return the tokens an actor may see and revoke.

    Their own, or with that right all of the team's.
    """
    tokens = (
        Token.objects.filter(team=actor.team)
        .select_related("user")
        .prefetch_related("sessions", "labels")
    )
    return tokens if can(actor, Action.MANAGE_PEOPLE) else tokens.filter(user=actor.user)


@recently_logged_in
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest, team_slug: str) -> HttpResponse:
    """List tokens, with a form for a new one, whose text is shown in the answer alone."""
    actor = member_in(request, team_slug, Action.HOLD_TOKENS)
    form = TokenForm(request.POST if request.method == "POST" else None, actor=actor)
    made = None
    if request.method == "POST" and not is_searching(form) and form.is_valid():
        wanted = form.cleaned_data
        scopes = [Scope(each) for each in wanted["scopes"]]
        try:
            made = create_token(
                actor.member, wanted["name"], actor, wanted["days"], scopes, limits=form.limits()
            )
        except Refused as refused:
            if refused.field not in form.fields:
                raise Http404 from None  # what a member removed a moment ago gets everywhere
            form.add_error(refused.field, refused.message)
        else:
            form = TokenForm(actor=actor)
    living = _tokens_for(actor).filter(revoked_at=None, expires_at__gt=database_now())
    context = {
        "form": form,
        "made": made.reveal() if made else "",
        "mine": living.filter(user=actor.user).order_by("expires_at"),
        "others": living.exclude(user=actor.user)
        .filter(user__robot=None)
        .order_by("user__username", "expires_at"),
    }
    return render(request, "people/tokens.html", context, status=422 if form.errors else 200)


@recently_logged_in
@require_POST
def end_token(request: HttpRequest, team_slug: str, token_id: UUID) -> HttpResponse:
    actor = member_in(request, team_slug)
    token = _tokens_for(actor).filter(pk=token_id).first()
    if token is None:
        raise Http404
    if token.user_id == actor.user_id:
        require(actor, Action.HOLD_TOKENS)
    if revoke_token(token, actor):
        messages.success(request, f"Token “{token.name}” revoked.")
    robot = Robot.objects.filter(user=token.user_id).first()
    if robot is not None:
        return redirect("robot", team_slug, robot.pk)
    if token.user_id != actor.user_id:
        return redirect("person", team_slug, token.user_id)
    return redirect("tokens", team_slug)
