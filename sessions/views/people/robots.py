"""Show and change a team's robots, their tokens, and whom they trust."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from sessions import tasks
from sessions.actors import Actor
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.forms.conflicts import Stored, status_of
from sessions.forms.robots import RobotForm, RobotTokenForm, TrustForm, robot_values
from sessions.ledger.held import held_by
from sessions.models import Activation, Robot, Scope, Token, TrustRule
from sessions.people.federation.exchange import create_rule, end_rule
from sessions.people.robots import (
    change_robot,
    create_robot,
    create_robot_token,
    live_robots,
    remove_robot,
)
from sessions.permissions import Action, can
from sessions.views.guards import member_in, recently_logged_in

SHOWN = 50


@login_required
@require_safe
def robots(request: HttpRequest, team_slug: str) -> HttpResponse:
    """List the team's robots, and for whom each acts."""
    actor = member_in(request, team_slug, Action.SEE_PEOPLE)
    context = {
        "robots": live_robots(actor.team),
        "may_manage": can(actor, Action.MANAGE_ROBOTS),
    }
    return render(request, "people/robots.html", context)


@recently_logged_in
@require_http_methods(["GET", "HEAD", "POST"])
def new_robot(request: HttpRequest, team_slug: str) -> HttpResponse:
    actor = member_in(request, team_slug, Action.MANAGE_ROBOTS)
    form = RobotForm(request.POST if request.method == "POST" else None, actor=actor)
    if request.method == "POST" and form.is_valid():
        try:
            made = create_robot(form.draft(), actor)
        except Refused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, refused.message)
        else:
            messages.success(request, f"Robot “{made}” created. Now give it a token, or trust.")
            return redirect("robot", team_slug, made.pk)
    context = {"form": form}
    return render(request, "people/new_robot.html", context, status=422 if form.errors else 200)


@recently_logged_in
@require_http_methods(["GET", "HEAD", "POST"])
def robot(request: HttpRequest, team_slug: str, robot_id: UUID) -> HttpResponse:
    """Show a robot; on POST change who answers for it and what it reaches."""
    action = Action.MANAGE_ROBOTS if request.method == "POST" else Action.SEE_PEOPLE
    actor, found = _robot(request, team_slug, robot_id, action)
    if request.method != "POST":
        return _page(request, actor, found)
    form = RobotForm(request.POST, actor=actor, robot=found)
    form.open_at(found.version, robot_values(found))

    def save(seen: int | None) -> bool:
        change_robot(found, form.draft(), actor, seen=seen)
        return True

    def stored_again() -> Stored:
        fresh = get_object_or_404(live_robots(actor.team), pk=robot_id)
        return fresh.version, robot_values(fresh), None

    if form.is_valid() and form.save_or_show(save, stored_again):
        tasks.wake_after_change()
        messages.success(request, f"Robot “{found}” saved.")
        return redirect("robot", team_slug, robot_id)
    return _page(request, actor, found, status_of(form), form=form)


def _robot(
    request: HttpRequest, team_slug: str, robot_id: UUID, action: Action = Action.MANAGE_ROBOTS
) -> tuple[Actor, Robot]:
    actor = member_in(request, team_slug, action)
    return actor, get_object_or_404(live_robots(actor.team), pk=robot_id)


def _page(
    request: HttpRequest, actor: Actor, robot: Robot, status: int = 200, **context: Any
) -> HttpResponse:
    """Render a robot's page; `context` takes the place of what it shows else, such as a form."""
    values = robot_values(robot)
    form = RobotForm(initial=values, actor=actor, robot=robot)
    form.open_at(robot.version, values)
    living = Token.objects.filter(user=robot.user, team=actor.team, revoked_at=None)
    started = Activation.objects.filter(user=robot.user).select_related("session").order_by("pk")
    shown = {
        "robot": robot,
        "form": form,
        "token_form": RobotTokenForm(actor=actor),
        "trust_form": TrustForm(initial={"audience": request.build_absolute_uri("/").rstrip("/")}),
        "issuers": settings.CHAINWEB_OIDC_ISSUERS,
        "rules": robot.rules.all(),
        "tokens": living.filter(expires_at__gt=database_now())
        .prefetch_related("sessions", "labels")
        .order_by("expires_at"),
        "active": started[:SHOWN],
        "held": held_by(actor.team_id, robot.user.get_username(), SHOWN),
        "may_manage": can(actor, Action.MANAGE_ROBOTS),
        "exchange_url": request.build_absolute_uri("/api/v1/tokens/exchange"),
    }
    return render(request, "people/robot.html", shown | context, status=status)


@recently_logged_in
@require_POST
def new_robot_token(request: HttpRequest, team_slug: str, robot_id: UUID) -> HttpResponse:
    """Create a token of a robot's, whose text is shown in the answer alone."""
    actor, found = _robot(request, team_slug, robot_id)
    form = RobotTokenForm(request.POST, actor=actor)
    if form.is_valid():
        wanted = form.cleaned_data
        try:
            _, secret = create_robot_token(
                found,
                wanted["name"],
                actor,
                wanted["days"],
                [Scope(each) for each in wanted["scopes"]],
                networks=wanted["networks"],
                device=wanted["device"],
            )
        except Refused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, refused.message)
        else:
            return _page(request, actor, found, made=secret.reveal())
    return _page(request, actor, found, 422, token_form=form)


@recently_logged_in
@require_POST
def new_trust(request: HttpRequest, team_slug: str, robot_id: UUID) -> HttpResponse:
    """Have a robot trust the signed tokens that a rule describes."""
    actor, found = _robot(request, team_slug, robot_id)
    form = TrustForm(request.POST)
    if form.is_valid():
        try:
            rule = create_rule(found, form.rule(), actor)
        except Refused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, refused.message)
        else:
            messages.success(request, f"Trust rule “{rule}” created.")
            return redirect(f"{reverse('robot', args=[team_slug, robot_id])}#trust")
    return _page(request, actor, found, 422, trust_form=form)


@recently_logged_in
@require_POST
def end_trust(request: HttpRequest, team_slug: str, rule_id: UUID) -> HttpResponse:
    actor = member_in(request, team_slug, Action.MANAGE_ROBOTS)
    rules = TrustRule.objects.filter(robot__in=live_robots(actor.team))
    rule = get_object_or_404(rules, pk=rule_id)
    robot_id = rule.robot_id
    if end_rule(rule, actor):
        messages.success(request, f"Trust rule “{rule}” ended, and the tokens that it gave.")
    return redirect("robot", team_slug, robot_id)


@recently_logged_in
@require_POST
def end_robot(request: HttpRequest, team_slug: str, robot_id: UUID) -> HttpResponse:
    actor, found = _robot(request, team_slug, robot_id)
    try:
        remove_robot(found, actor)
    except Refused as refused:
        messages.error(request, refused.message)
        return redirect("robot", team_slug, robot_id)
    tasks.wake_after_change()
    messages.success(request, f"Robot “{found}” removed: its tokens and sessions ended.")
    return redirect("robots", team_slug)
