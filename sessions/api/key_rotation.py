"""Rotate the long-lived key of a root."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest
from ninja import Status as Answer
from pydantic import BaseModel

from sessions import tasks
from sessions.actors import Actor
from sessions.api.base import ERRORS, api, caller, session_for
from sessions.api.forms import do
from sessions.api.schemas import ProblemOut
from sessions.models import AwsSession, KeyRotation
from sessions.monitoring import request_limits
from sessions.permissions import Action
from sessions.roots.key_rotation import ask_again, ask_rotation, can_be_rotated, rotation_of


class KeyRotationOut(BaseModel):
    """Show a key rotation: the last step that was taken, and what stands in the way of the next.

    It is over at `ended_at`. `waits_for_person`: a POST lets it go on. `withdrawn`: the new key is
    deleted, and the root keeps the old one.
    """

    old_key_id: str
    new_key_id: str
    step: str
    asked_by: str
    asked_at: datetime
    ended_at: datetime | None
    withdrawn: bool
    waits_for_person: bool
    problem: ProblemOut | None

    @classmethod
    def of(cls, row: KeyRotation) -> dict[str, Any]:
        own = {name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)}
        waits = row.ended_at is None and row.due_at is None
        return own | {"waits_for_person": waits, "problem": ProblemOut.of(row.problem)}


def _root(request: HttpRequest, session_id: UUID) -> tuple[AwsSession, Actor]:
    root = session_for(request, session_id, Action.EDIT)
    if not can_be_rotated(root):
        raise Http404
    return root, caller(request)


@api.get(
    "/sessions/{uuid:session_id}/key-rotation",
    response={200: KeyRotationOut, **ERRORS},
    summary="Read how far the rotation of a root's key has come",
)
def get_key_rotation(request: HttpRequest, session_id: UUID) -> Any:
    """Read the rotation under way, else the last one; 404 where there was none."""
    root, _ = _root(request, session_id)
    rotation = rotation_of(root)
    if rotation is None:
        raise Http404
    return KeyRotationOut.of(rotation)


@api.post(
    "/sessions/{uuid:session_id}/key-rotation",
    response={202: KeyRotationOut, **ERRORS},
    summary="Rotate a root's key, or let a rotation that stopped go on",
)
def rotate_key(request: HttpRequest, session_id: UUID) -> Any:
    """Have workers make a second key, verify it, switch to it, and delete the old one."""
    root, actor = _root(request, session_id)
    request_limits.count(request_limits.KEY, actor.user_id, root.pk)
    rotation = rotation_of(root)
    if rotation is not None and rotation.ended_at is None:
        under_way = rotation
        do(lambda: ask_again(under_way, actor))
    else:
        do(lambda: ask_rotation(root, actor))
    return _asked(root)


@api.delete(
    "/sessions/{uuid:session_id}/key-rotation",
    response={202: KeyRotationOut, **ERRORS},
    summary="Withdraw a rotation of a root's key",
)
def withdraw_key_rotation(request: HttpRequest, session_id: UUID) -> Any:
    """Withdraw it before the root uses the new key (else 409): the new key is deleted."""
    root, actor = _root(request, session_id)
    request_limits.count(request_limits.KEY, actor.user_id, root.pk)
    rotation = rotation_of(root)
    if rotation is None:
        raise Http404
    do(lambda: ask_again(rotation, actor, withdraw=True))
    return _asked(root)


def _asked(root: AwsSession) -> Answer[dict[str, Any]]:
    tasks.wake_for_key_rotation()
    rotation = rotation_of(root)
    assert rotation is not None
    return Answer(202, KeyRotationOut.of(rotation))
