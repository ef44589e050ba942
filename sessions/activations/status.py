"""Describe the status of a person's activation."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sessions.credentials.timing import LEAST_LIFE, SETTLING
from sessions.models import Activation, Credential, Ended, Membership, Problem


class Status(StrEnum):
    """Say whether what a member started can be delivered to them now."""

    INACTIVE = "inactive"
    PENDING = "pending"
    ACTIVE = "active"
    FAILED = "failed"


@dataclass(frozen=True)
class State:
    """Describe a member's activation: its status and what belongs to it. Times are aware, UTC.

    `minted_at` is the last success of its current request, whatever has become of that credential.
    """

    status: Status = Status.INACTIVE
    problem: Problem | None = None
    expires_at: datetime | None = None
    minted_at: datetime | None = None
    next_rotation_at: datetime | None = None
    ends_at: datetime | None = None


INACTIVE = State()


def ended_state(notice: Ended | None) -> State:
    """Return the state of a session that is not started, with the notice if an edit ended it."""
    if notice is None:
        return INACTIVE
    return State(problem=replace(notice.problem, since=notice.at, is_ended=True))


def state_of(activation: Activation | None, now: datetime) -> State:
    """Return the state of a member's activation; None is inactive."""
    if activation is None or activation.ends_at <= now:
        return INACTIVE
    credential = activation.credential
    problem = credential.problem_at(now)
    if credential.is_live(now) and not _is_settling(activation, credential, now):
        status = Status.ACTIVE
    elif problem and problem.is_final:
        status = Status.FAILED
    else:
        status = Status.PENDING
    return State(
        status=status,
        problem=problem,
        expires_at=credential.expires_at if status is Status.ACTIVE else None,
        minted_at=credential.minted_at,
        next_rotation_at=credential.due_at,
        ends_at=activation.ends_at,
    )


def _is_settling(activation: Activation, credential: Credential, now: datetime) -> bool:
    """Tell whether an activation has just begun on a shared credential that is being renewed."""
    return (
        not credential.is_live(now + LEAST_LIFE)
        and credential.problem is None
        and now - activation.started_at < SETTLING
        and (credential.minted_at is None or credential.minted_at < activation.started_at)
    )


def notices_of(member: Membership, session_ids: Iterable[Any] | None = None) -> dict[Any, Ended]:
    """Return {session: notice of an edit that ended it} for a member, of these sessions or all."""
    notices = Ended.objects.filter(user=member.user, session__team=member.team_id)
    if session_ids is not None:
        notices = notices.filter(session_id__any_of=session_ids)
    return {notice.session_id: notice for notice in notices}
