"""Serve a team's robots to admins' tokens: what they reach, and whom they trust."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest
from ninja import Status
from pydantic import BaseModel, ConfigDict

from sessions import tasks
from sessions.actors import Actor
from sessions.api.base import ERRORS, ApiError, api, caller_who_may
from sessions.exceptions import ActorGone, Refused
from sessions.forms.robots import RobotForm, TrustForm
from sessions.models import Label, Membership, Robot, Scope, TrustRule
from sessions.people.federation.exchange import create_rule, end_rule
from sessions.people.robots import change_robot, create_robot, live_robots, remove_robot
from sessions.permissions import Action


class TrustOut(BaseModel):
    """Show whose signed tokens a robot's are given for: all `claims` match, * is anything."""

    id: UUID
    name: str
    issuer: str
    audience: str
    claims: dict[str, str]
    scopes: list[str]
    minutes: int


class RobotOut(BaseModel):
    """Show a robot: `username` in the ledger, `aws_name` in CloudTrail, `owner` answers for it.

    `everything`: it reaches whatever is open to members, else its `sessions` and `labels`.
    """

    id: UUID
    name: str
    username: str
    aws_name: str
    owner: str
    everything: bool
    sessions: list[UUID]
    labels: list[str]
    created_at: datetime
    trust: list[TrustOut]


class RobotPatch(BaseModel):
    """Take what of a robot changes; what is left out stays. `owner` is a username."""

    model_config = ConfigDict(extra="forbid")

    owner: str | None = None
    everything: bool | None = None
    sessions: list[str] | None = None
    labels: list[str] | None = None


class RobotIn(RobotPatch):
    """Take a new robot: sessions by id or alias, labels by name; the owner is oneself if unsaid."""

    name: str


class TrustIn(BaseModel):
    """Take a new trust rule."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    issuer: str = ""
    audience: str = ""
    claims: dict[str, str] = {}
    scopes: list[str] = [str(Scope.READ), str(Scope.USE), str(Scope.CREDENTIALS)]
    minutes: int = 60


def _as_json(robot: Robot) -> dict[str, Any]:
    return {
        "id": robot.pk,
        "name": robot.name,
        "username": robot.user.get_username(),
        "aws_name": robot.user.aws_name,
        "owner": robot.owner.get_username() if robot.owner else "",
        "everything": not robot.is_bound,
        "sessions": [each.pk for each in robot.sessions.all() if each.deletion_id is None],
        "labels": [each.name for each in robot.labels.all()],
        "created_at": robot.created_at,
        "trust": [_rule_as_json(each) for each in robot.rules.all()],
    }


def _rule_as_json(rule: TrustRule) -> dict[str, Any]:
    names = ("name", "issuer", "audience", "claims", "scopes", "minutes")
    return {"id": rule.pk, **{name: getattr(rule, name) for name in names}}


def _robot(request: HttpRequest, robot_id: UUID) -> tuple[Actor, Robot]:
    actor = caller_who_may(request, Action.MANAGE_ROBOTS)
    robot = live_robots(actor.team).filter(pk=robot_id).first()
    if robot is None:
        raise Http404
    return actor, robot


@api.get("/robots", response={200: list[RobotOut], **ERRORS}, summary="The team's robots")
def list_robots(request: HttpRequest) -> Any:
    actor = caller_who_may(request, Action.MANAGE_ROBOTS)
    return [_as_json(each) for each in live_robots(actor.team).prefetch_related("rules")]


@api.post("/robots", response={201: RobotOut, **ERRORS}, summary="Create a robot")
def create(request: HttpRequest, payload: RobotIn) -> Any:
    actor = caller_who_may(request, Action.MANAGE_ROBOTS)
    form = _form(actor, payload, {"name": payload.name, "owner": actor.member.pk})
    try:
        robot = create_robot(form.draft(), actor)
    except ActorGone:
        raise
    except Refused as refused:
        raise _refusal(refused) from None
    return api.create_response(request, _as_json(robot), status=201)


@api.get("/robots/{uuid:robot_id}", response={200: RobotOut, **ERRORS}, summary="One robot")
def get_robot(request: HttpRequest, robot_id: UUID) -> Any:
    return _as_json(_robot(request, robot_id)[1])


@api.patch("/robots/{uuid:robot_id}", response={200: RobotOut, **ERRORS}, summary="Change a robot")
def patch_robot(request: HttpRequest, robot_id: UUID, payload: RobotPatch) -> Any:
    """Change who answers for it and what it reaches; its tokens follow at once."""
    actor, robot = _robot(request, robot_id)
    owner = Membership.objects.filter(team=robot.team_id, user=robot.owner_id).first()
    stored = {
        "owner": owner.pk if owner else "",
        "everything": not robot.is_bound,
        "sessions": [str(each.pk) for each in robot.sessions.all() if each.deletion_id is None],
        "labels": [each.pk for each in robot.labels.all()],
    }
    form = _form(actor, payload, stored, robot)
    try:
        change_robot(robot, form.draft(), actor)
    except ActorGone:
        raise
    except Refused as refused:
        raise _refusal(refused) from None
    tasks.wake_after_change()
    return _as_json(_robot(request, robot_id)[1])


@api.delete(
    "/robots/{uuid:robot_id}", response={204: None, **ERRORS}, summary="Remove a robot for good"
)
def delete_robot(request: HttpRequest, robot_id: UUID) -> Any:
    """Remove it: its tokens, trust and sessions end. Its name is never given again."""
    actor, robot = _robot(request, robot_id)
    remove_robot(robot, actor)
    tasks.wake_after_change()
    return Status(204, None)


@api.post(
    "/robots/{uuid:robot_id}/trust",
    response={201: TrustOut, **ERRORS},
    summary="Have a robot trust signed tokens",
)
def create_trust(request: HttpRequest, robot_id: UUID, payload: TrustIn) -> Any:
    actor, robot = _robot(request, robot_id)
    form = TrustForm({f"trust-{name}": value for name, value in payload.model_dump().items()})
    if not form.is_valid():
        raise _invalid(form.errors)
    try:
        rule = create_rule(robot, form.rule(), actor)
    except ActorGone:
        raise
    except Refused as refused:
        raise _refusal(refused) from None
    return api.create_response(request, _rule_as_json(rule), status=201)


@api.delete("/trust/{uuid:rule_id}", response={204: None, **ERRORS}, summary="End a trust rule")
def delete_trust(request: HttpRequest, rule_id: UUID) -> Any:
    """End a rule, and the tokens that it gave."""
    actor = caller_who_may(request, Action.MANAGE_ROBOTS)
    rule = TrustRule.objects.filter(pk=rule_id, robot__in=live_robots(actor.team)).first()
    if rule is None:
        raise Http404
    end_rule(rule, actor)
    return Status(204, None)


def _form(
    actor: Actor, payload: RobotPatch, stored: dict[str, Any], robot: Robot | None = None
) -> RobotForm:
    """Return the page's form with what was sent over what is stored. Raises `ApiError`."""
    sent = payload.model_dump(exclude_unset=True, exclude_none=True)
    if "owner" in sent:
        people = Membership.objects.filter(team=actor.team, user__username=sent["owner"])
        if (member := people.first()) is None:
            raise _invalid({"owner": [f"The team has no member “{sent['owner'][:100]}”."]})
        sent["owner"] = member.pk
    if "labels" in sent:
        known = {each.name.lower(): each.pk for each in Label.objects.filter(team=actor.team)}
        for name in sent["labels"]:
            if name.lower() not in known:
                raise _invalid({"labels": [f"The team has no label “{name[:100]}”."]})
        sent["labels"] = [known[name.lower()] for name in sent["labels"]]
    form = RobotForm(stored | sent, actor=actor, robot=robot)
    if not form.is_valid():
        raise _invalid(form.errors)
    return form


def _invalid(errors: Any) -> ApiError:
    fields = {name: [str(each) for each in said] for name, said in errors.items()}
    return ApiError(422, "invalid", next(iter(fields.values()))[0], fields)


def _refusal(refused: Refused) -> ApiError:
    return _invalid({refused.field or "robot": [refused.message]})
