"""Create, change and remove the robots of a team, and make their tokens.

A robot has a user and a membership like a member's, so that what it starts, what CloudTrail shows
of it and what the ledger says of it are a person's. It never logs in: it has no password, no
address and no identity at a provider, and the login refuses it whatever it shows. It acts by tokens
alone, which are bound as it is.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from sessions import ledger
from sessions.activations.ending import end_activations
from sessions.actors import Actor
from sessions.db.clock import database_now
from sessions.exceptions import NotThere, Refused
from sessions.ledger import Entry
from sessions.ledger.events.robots import RobotChanged, RobotCreated, RobotRemoved
from sessions.locks.team_lock import begin
from sessions.locks.versions import expect
from sessions.models import (
    Activation,
    AwsSession,
    Label,
    Membership,
    Robot,
    Role,
    Scope,
    Team,
    TeamPolicy,
    Token,
    User,
    token_text,
)
from sessions.people.log_ins import revoke_tokens
from sessions.people.memberships import after_loss
from sessions.people.people import register_person
from sessions.people.tokens import TOKEN_DAYS, Limits, check_token, require_labels, save_token
from sessions.permissions import Action, working_members
from sessions.secret import Secret

LONGEST_ROBOT_NAME = 32
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
REMOVED = "robot removed"


@dataclass(frozen=True)
class RobotDraft:
    """Hold what a form or the API wants a robot to be; `everything`: as far as a member."""

    name: str
    owner: Membership
    everything: bool = False
    sessions: Sequence[AwsSession] = ()
    labels: Sequence[Label] = ()


def validate_robot_name(name: str) -> str:
    """Return the name of a robot, which is part of a username. Raises ValueError."""
    if not 2 <= len(name) <= LONGEST_ROBOT_NAME or not _NAME.fullmatch(name):
        raise ValueError(
            f"2 to {LONGEST_ROBOT_NAME} of a-z, 0-9 and -, a letter or digit first and last."
        )
    return name


def live_robots(team: Team) -> QuerySet[Robot]:
    """Select a team's robots, without those that were removed."""
    return (
        Robot.objects.filter(team=team, ended_at=None)
        .select_related("user", "owner", "team")
        .prefetch_related("sessions", "labels")
    )


@transaction.atomic(durable=True)
def create_robot(draft: RobotDraft, actor: Actor) -> Robot:
    """Create a robot. Raises `Refused` for a name that one has, or had before it was removed."""
    actor = begin(actor, Action.MANAGE_ROBOTS)
    team = actor.team
    try:
        validate_robot_name(draft.name)
    except ValueError as error:
        raise Refused("name", str(error)) from None
    there = Robot.objects.filter(team=team, name__iexact=draft.name).first()
    if there is not None:
        raise Refused(
            "name",
            f"There was a robot “{there}”, whose name the ledger keeps. Choose another."
            if there.ended_at
            else f"There is a robot “{there}” already.",
        )
    owner, sessions, labels = _checked(draft, team)
    user = User(username=f"{draft.name}@{team.slug}")
    user.set_unusable_password()
    try:
        register_person(user)
    except Refused as refused:
        raise Refused("name", refused.message) from None
    Membership.objects.create(team=team, user=user, role=Role.MEMBER)
    robot = Robot.objects.create(
        team=team, user=user, name=draft.name, owner=owner, is_bound=not draft.everything
    )
    robot.sessions.set(sessions)
    robot.labels.set(labels)
    told = RobotCreated(**_said(robot, sessions, labels), aws_name=user.aws_name)
    ledger.append(team.pk, [Entry(told, actor)])
    return robot


@transaction.atomic(durable=True)
def change_robot(robot: Robot, draft: RobotDraft, actor: Actor, *, seen: int | None = None) -> None:
    """Change who answers for a robot and what it reaches. Its tokens follow at once.

    What it has started and reaches no longer ends.
    """
    actor = begin(actor, Action.MANAGE_ROBOTS)
    robot = _again(robot)
    expect(robot.version, seen)
    was = _said(robot, list(robot.sessions.all()), list(robot.labels.all()))
    owner, sessions, labels = _checked(draft, actor.team)
    robot.owner, robot.is_bound = owner, not draft.everything
    robot.sessions.set(sessions)
    robot.labels.set(labels)
    told = RobotChanged(**_said(robot, sessions, labels)).from_what_was(was)
    if not told.before:
        return
    robot.version += 1
    robot.save(update_fields=["owner", "is_bound", "version"])
    for token in Token.objects.filter(user=robot.user, revoked_at=None):
        token.is_bound = robot.is_bound
        token.save(update_fields=["is_bound"])
        token.sessions.set(sessions)
        token.labels.set(labels)
    ended = end_activations(_out_of_reach(robot, sessions, labels), actor)
    ledger.append(robot.team_id, [Entry(told, actor), *ended])


def _out_of_reach(
    robot: Robot, sessions: Sequence[AwsSession], labels: Sequence[Label]
) -> QuerySet[Activation]:
    started = Activation.objects.filter(user=robot.user)
    if not robot.is_bound:
        return started.none()
    labelled = AwsSession.objects.filter(labelled__label__in=[each.pk for each in labels])
    named = [each.pk for each in sessions]
    return started.exclude(session_id__in=named).exclude(session__in=labelled.values("pk"))


@transaction.atomic(durable=True)
def remove_robot(robot: Robot, actor: Actor) -> bool:
    """Remove a robot for good: its tokens and what it has started end. False if it is gone.

    Chains that it built pass to the admin, as a person's do.
    """
    actor = begin(actor, Action.MANAGE_ROBOTS)
    fresh = Robot.objects.select_related("user").filter(pk=robot.pk, ended_at=None).first()
    if fresh is None:
        return False
    team, user = actor.team, fresh.user
    member = Membership.objects.select_related("user").get(team=team, user=user)
    entries = revoke_tokens(team, user, actor, reason=REMOVED)
    Robot.objects.filter(pk=fresh.pk).update(ended_at=database_now())
    User.objects.filter(pk=user.pk).update(is_active=False)
    member.delete()
    after_loss(team, member, RobotRemoved, actor, actor.user, entries)
    return True


@ledger.committed()
def create_robot_token(
    robot: Robot,
    name: str,
    actor: Actor,
    days: int | None,
    scopes: Collection[Scope],
    *,
    networks: Sequence[str] = (),
    device: str = "",
) -> tuple[Token, Secret]:
    """Create a token of a robot's, bound as it is; return it and its text, which exists only there.

    One that was made by a token ends with that at the latest, so that a stolen one outlasts itself
    in nothing.
    """
    actor = begin(actor, Action.MANAGE_ROBOTS)
    robot, now = _again(robot), database_now()
    most = TeamPolicy.of(robot.team_id).token_days
    days = min(TOKEN_DAYS, most) if days is None else days
    limits = limits_of(robot, networks=networks, device=device)
    check_token(robot.user, robot.team_id, name, days, most, limits, now)
    ends_at = now + timedelta(days=days)
    if actor.token is not None:
        ends_at = min(ends_at, actor.token.expires_at)
    secret = token_text.new_text(token_text.ROBOT)
    token = Token(
        team=robot.team,
        user=robot.user,
        name=name,
        device=device,
        digest=Token.digest_of(secret),
        networks=list(limits.networks),
        expires_at=ends_at,
        scopes=sorted(str(scope) for scope in scopes),
    )
    entry = save_token(token, limits, actor, is_bound=robot.is_bound)
    ledger.append(robot.team_id, [entry])
    return token, secret


def limits_of(robot: Robot, *, networks: Sequence[str] = (), device: str = "") -> Limits:
    """Return where a robot's tokens are good."""
    return Limits(list(robot.sessions.all()), list(robot.labels.all()), tuple(networks), device)


def _again(robot: Robot) -> Robot:
    """Read a robot again under the team's lock. Raises `NotThere` for one that was removed."""
    there = Robot.objects.select_related("user", "owner", "team").filter(ended_at=None)
    fresh = there.filter(pk=robot.pk).first()
    if fresh is None:
        raise NotThere("", f"The robot “{robot}” was removed meanwhile.")
    return fresh


def _checked(draft: RobotDraft, team: Team) -> tuple[User, list[AwsSession], list[Label]]:
    """Read what a draft names again under the team's lock."""
    working = working_members(team=team, user__robot=None).select_related("user")
    owner = working.filter(pk=draft.owner.pk).first()
    if owner is None:
        raise Refused("owner", "Only a member or an admin of the team answers for a robot.")
    if draft.everything:
        return owner.user, [], []
    ids = [each.pk for each in draft.sessions]
    sessions = list(AwsSession.objects.filter(team=team, pk__any_of=ids).order_by("alias"))
    if len(sessions) < len(set(ids)):
        raise NotThere("sessions", "A session was deleted meanwhile.")
    labels = require_labels(team.pk, draft.labels)
    if not sessions and not labels:
        raise Refused("sessions", "Name a session or a label, or let it reach everything.")
    return owner.user, sessions, labels


def _said(robot: Robot, sessions: Sequence[AwsSession], labels: Sequence[Label]) -> dict[str, Any]:
    return {
        "member": robot.user.get_username(),
        "owner": robot.owner.get_username() if robot.owner else "",
        "everything": not robot.is_bound,
        "sessions": tuple(sorted(each.alias for each in sessions)),
        "labels": tuple(sorted(each.name for each in labels)),
    }
