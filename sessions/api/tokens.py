"""Serve tokens: one's own to read and end, robots' to make, and the exchange for robots.

No token makes one for a person: whoever steals a token would make another that outlasts it. For a
robot an admin's token with the scope `people`, bound to no session, makes one, which ends with it
at the latest.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from ninja import Status
from pydantic import BaseModel, ConfigDict, Field

from sessions.actors import Actor
from sessions.api.base import ERRORS, ApiError, api, caller, caller_who_may
from sessions.api.idempotency import shown_once
from sessions.db.clock import database_now
from sessions.exceptions import ActorGone, Refused
from sessions.forms.robots import RobotTokenForm
from sessions.middleware.too_often import network_of
from sessions.models import Scope, Token
from sessions.monitoring import request_limits
from sessions.people.federation.claims import NotTrusted
from sessions.people.federation.exchange import exchange
from sessions.people.federation.keys import IssuerAway
from sessions.people.robots import create_robot_token, live_robots
from sessions.people.tokens import revoke_token
from sessions.permissions import Action, NotAllowed, can
from sessions.secret import Secret

MOST = 200


class TokenOut(BaseModel):
    """Show a token, without its text, which nobody has but its holder.

    `of` is its person's or robot's username; `sessions` and `labels` what it is for, none meaning
    all that its owner may use unless `is_bound`; `networks` from where it is good.
    """

    id: UUID
    of: str
    name: str
    device: str
    scopes: list[str]
    is_bound: bool
    sessions: list[UUID]
    labels: list[str]
    networks: list[str]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = None
    last_used_address: str = ""
    last_used_client: str = ""


class NewTokenOut(TokenOut):
    """Show a new token with its text, which is sent this once."""

    token: str


class RobotTokenIn(BaseModel):
    """Take a new token of a robot's. It reaches what the robot reaches."""

    model_config = ConfigDict(extra="forbid")

    robot: UUID
    name: str
    scopes: list[str] = Field(default=[str(Scope.READ), str(Scope.USE), str(Scope.CREDENTIALS)])
    days: int | None = None
    networks: list[str] = []
    device: str = ""


class ExchangeIn(BaseModel):
    """Take the signed token (JWT) of a robot's pipeline or pod, as RFC 8693 names it."""

    model_config = ConfigDict(extra="forbid")

    robot: UUID
    subject_token: str
    subject_token_type: str = "urn:ietf:params:oauth:token-type:jwt"  # noqa: S105  (a name of a type)
    grant_type: str = "urn:ietf:params:oauth:grant-type:token-exchange"


class ExchangeOut(BaseModel):
    """Show the token that was given, as RFC 8693 names it."""

    access_token: str
    issued_token_type: str = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  (a name)
    token_type: str = "Bearer"  # noqa: S105  (a name)
    expires_in: int
    scope: str


def _readable(actor: Actor) -> QuerySet[Token]:
    """Select the tokens that a caller may see: their person's, and an admin's robots'."""
    living = Token.objects.filter(
        team=actor.team, revoked_at=None, expires_at__gt=database_now()
    ).select_related("user")
    mine = living.filter(user=actor.user)
    if can(actor, Action.MANAGE_ROBOTS):
        mine |= living.filter(user__robot__isnull=False)
    return mine.prefetch_related("sessions", "labels").order_by("expires_at", "pk")


def _as_json(token: Token) -> dict[str, Any]:
    return {
        "id": token.pk,
        "of": token.user.get_username(),
        "name": token.name,
        "device": token.device,
        "scopes": token.scopes,
        "is_bound": token.is_bound,
        "sessions": [each.pk for each in token.sessions.all() if each.deletion_id is None],
        "labels": [each.name for each in token.labels.all()],
        "networks": token.networks,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
        "last_used_address": token.last_used_address,
        "last_used_client": token.last_used_client,
    }


@api.get(
    "/tokens",
    response={200: list[TokenOut], **ERRORS},
    summary="Your live tokens, and to an admin's token the robots'",
)
def list_tokens(request: HttpRequest) -> Any:
    """List them, the next to expire first. A token for some sessions alone sees itself alone."""
    actor = caller(request)
    found = _readable(actor)
    if actor.token is not None and actor.token.is_bound:
        found = found.filter(pk=actor.token.pk)
    return [_as_json(each) for each in found[:MOST]]


@api.post("/tokens", response={201: NewTokenOut, **ERRORS}, summary="Create a token of a robot's")
@shown_once
def create(request: HttpRequest, payload: RobotTokenIn) -> Any:
    """Create it by an admin's token with `people`; it ends with that one at the latest.

    Tokens of people are made on the pages alone.
    """
    actor = caller_who_may(request, Action.MANAGE_ROBOTS)
    robot = live_robots(actor.team).filter(pk=payload.robot).first()
    if robot is None:
        raise Http404
    sent = payload.model_dump(exclude={"robot"})
    form = RobotTokenForm(
        {f"token-{name}": value for name, value in sent.items() if value is not None}, actor=actor
    )
    if payload.days is None:
        del form.fields["days"]
    if not form.is_valid():
        fields = {name: [str(each) for each in said] for name, said in form.errors.items()}
        raise ApiError(422, "invalid", next(iter(fields.values()))[0], fields)
    wanted = form.cleaned_data
    try:
        token, secret = create_robot_token(
            robot,
            wanted["name"],
            actor,
            wanted.get("days"),
            [Scope(each) for each in wanted["scopes"]],
            networks=wanted["networks"],
            device=wanted["device"],
        )
    except ActorGone:
        raise
    except Refused as refused:
        raise _refusal(refused) from None
    return api.create_response(request, {**_as_json(token), "token": secret.reveal()}, status=201)


def _refusal(refused: Refused) -> ApiError:
    fields = {refused.field: [refused.message]} if refused.field else None
    return ApiError(422, "invalid", refused.message, fields)


@api.delete(
    "/tokens/{uuid:token_id}", response={204: None, **ERRORS}, summary="Revoke a token at once"
)
def delete(request: HttpRequest, token_id: UUID) -> Any:
    """Revoke it: itself by any token, its person's others by one that may manage.

    A robot's by an admin's with `people`. What it has started goes on, and ends as ever.
    """
    actor = caller(request)
    token = _readable(actor).filter(pk=token_id).first()
    if token is None:
        raise Http404
    if actor.token is None or actor.token.pk != token.pk:
        action = Action.END_TOKENS if token.user_id == actor.user_id else Action.MANAGE_ROBOTS
        if not can(actor, action):
            raise NotAllowed(actor, action)
    revoke_token(token, actor)
    return Status(204, None)


@api.post(
    "/tokens/exchange",
    auth=None,
    response={200: ExchangeOut, **ERRORS},
    summary="Exchange a signed OIDC token for a robot's",
)
@shown_once
def exchange_token(request: HttpRequest, payload: ExchangeIn) -> Any:
    """Give a robot's token, of an hour at most, for the JWT of an issuer that it trusts.

    401 for one that no trust rule of the robot's takes; 503 while the issuer's keys are not to be
    had.
    """
    request_limits.count(request_limits.EXCHANGE, network_of(request))
    try:
        token, secret = exchange(payload.robot, Secret(payload.subject_token))
    except NotTrusted as refused:
        request_limits.count(request_limits.BAD_SECRET, network_of(request))
        raise ApiError(401, "not_trusted", refused.reason) from None
    except IssuerAway as away:
        raise ApiError(503, "issuer_away", str(away)) from None
    left = token.expires_at - database_now()
    return {
        "access_token": secret.reveal(),
        "expires_in": max(int(left.total_seconds()), 0),
        "scope": " ".join(token.scopes),
    }
