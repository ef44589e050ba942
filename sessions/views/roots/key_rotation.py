"""Rotate a root's long-lived key.

Ask for it, watch it, continue after a rejection, cancel it.
"""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from sessions import tasks
from sessions.actors import Actor
from sessions.aws.key_rotation import Step
from sessions.exceptions import Refused
from sessions.models import AwsSession
from sessions.monitoring import request_limits
from sessions.permissions import Action
from sessions.roots.key_rotation import ask_again, ask_rotation, can_be_rotated, rotation_of
from sessions.views.guards import recently_logged_in, session_for
from sessions.views.live_parts import asks_for_part

STEPS = {
    Step.CREATE: "Create a second key",
    Step.VERIFY: "Verify it with AWS",
    Step.SWITCH: "Switch the root to it",
    Step.DEACTIVATE: "Deactivate the old key",
    Step.DELETE: "Delete the old key",
}


def _root_for(request: HttpRequest, session_id: UUID) -> tuple[AwsSession, Actor]:
    root, actor = session_for(request, session_id, Action.EDIT)
    if not can_be_rotated(root):
        raise Http404
    return root, actor


@login_required
@require_safe
def key_rotation_page(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Show what a key rotation does and the progress of the last one.

    The live part follows it.
    """
    root, _ = _root_for(request, session_id)
    rotation = rotation_of(root)
    taken = list(STEPS)[: _taken(rotation.step) if rotation else 0]
    is_open = rotation is not None and rotation.ended_at is None
    is_switched = rotation is not None and Step.SWITCH in taken
    context = {
        "root": root,
        "rotation": rotation,
        "is_open": is_open,
        "is_over": rotation is not None and not is_open,
        "has_failed": rotation is not None and not is_open and rotation.problem is not None,
        "is_withdrawn": rotation is not None and rotation.withdrawn,
        "may_withdraw": is_open
        and not is_switched
        and rotation is not None
        and not rotation.withdrawn,
        "waits_for_person": is_open and rotation is not None and rotation.due_at is None,
        "problem": rotation.problem if rotation else None,
        "steps": [
            {
                "label": label,
                "state": "ok" if step in taken else "pending" if is_open else "waiting",
            }
            for step, label in STEPS.items()
        ],
        "poll_seconds": 1 if is_open and rotation is not None and rotation.due_at else 5,
    }
    partial = asks_for_part(request)
    return render(
        request, "roots/_key_rotation.html" if partial else "roots/key_rotation.html", context
    )


def _taken(step: str) -> int:
    if step == Step.DONE:
        return len(STEPS)
    names = [str(each) for each in STEPS]
    return names.index(step) + 1 if step in names else 0


@recently_logged_in
@require_POST
def rotate_key_now(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Begin a key rotation, or continue the one that stopped."""
    root, actor = _root_for(request, session_id)
    request_limits.count(request_limits.KEY, actor.user_id, root.pk)
    rotation = rotation_of(root)
    try:
        if rotation is not None and rotation.ended_at is None:
            ask_again(rotation, actor)
        else:
            ask_rotation(root, actor)
        tasks.wake_for_key_rotation()
    except Refused as refused:
        messages.error(request, refused.message)
    return redirect("key_rotation", root.pk)


@recently_logged_in
@require_POST
def withdraw_key_rotation(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Cancel before the switch: the new key is deleted and the root keeps the old one."""
    root, actor = _root_for(request, session_id)
    rotation = rotation_of(root)
    if rotation is None:
        raise Http404
    try:
        ask_again(rotation, actor, withdraw=True)
        tasks.wake_for_key_rotation()
    except Refused as refused:
        messages.error(request, refused.message)
    return redirect("key_rotation", root.pk)
