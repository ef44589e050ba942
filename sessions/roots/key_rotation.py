"""Replace a root's long-lived key in the background, in the steps of `aws.key_rotation`.

The row says what has been done; a worker that dies is followed by another that goes on. Whoever
works on it holds it by a lease and a fence, and writes with the fence: what a late worker has made
at AWS is found there and removed by the next one.
"""

import structlog
from django.db import IntegrityError, transaction

from sessions import ledger
from sessions.actors import Actor
from sessions.aws.roots import ROOT_KINDS
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.ledger import Entry
from sessions.ledger.events.roots import KeyRotationAsked
from sessions.locks.team_lock import begin
from sessions.models import AwsSession, KeyRotation
from sessions.permissions import Action

log = structlog.get_logger(__name__)


def can_be_rotated(root: AwsSession) -> bool:
    return not root.is_chained and ROOT_KINDS[root.kind].long_lived_key is not None


def rotation_of(root: AwsSession) -> KeyRotation | None:
    """Return the key rotation that is under way, else the last one."""
    return root.key_rotations.order_by("-asked_at").first()


def ask_rotation(root: AwsSession, actor: Actor) -> KeyRotation:
    """Ask for the root's key to be replaced.

    Raises `Refused`. The caller wakes a worker.
    """
    kind = ROOT_KINDS[root.kind]
    if kind.long_lived_key is None:
        raise Refused("", "This kind of root has no long-lived key.")
    try:
        with transaction.atomic():
            actor = begin(actor, Action.EDIT, root)
            now = database_now()
            old_key_id = root.settings.get(kind.long_lived_key[0], "")
            rotation = KeyRotation.objects.create(
                root=root,
                team=actor.team,
                asked_by=actor.username,
                asked_at=now,
                old_key_id=old_key_id,
                due_at=now,
            )
            asked = KeyRotationAsked(old_key_id=old_key_id)
            ledger.append(root.team_id, [Entry(asked, actor, root)])
            return rotation
    except IntegrityError:
        raise Refused("", "The key is being rotated already.") from None


@transaction.atomic
def ask_again(rotation: KeyRotation, actor: Actor, *, withdraw: bool = False) -> None:
    """Go on after a rejection, or give up.

    Before the switch the new key is deleted; afterwards there is nothing to withdraw.

    Raises `Refused`. The caller wakes a worker.
    """
    begin(actor, Action.EDIT, rotation.root)
    rotation = KeyRotation.objects.select_for_update().select_related("root").get(pk=rotation.pk)
    if rotation.ended_at is not None:
        raise Refused("", "This rotation has ended.")
    if withdraw and _current_id(rotation.root) != rotation.old_key_id:
        raise Refused(
            "",
            ("The root already uses the new key. Only the old key remains to be deleted."),
        )
    rotation.withdrawn = rotation.withdrawn or withdraw
    rotation.due_at, rotation.attempts = database_now(), 0
    rotation.save(update_fields=["withdrawn", "due_at", "attempts"])
    asked = KeyRotationAsked(old_key_id=rotation.old_key_id, withdraw=withdraw, again=True)
    ledger.append(rotation.team_id, [Entry(asked, actor, rotation.root)])


def _names(root: AwsSession) -> tuple[str, str]:
    names = ROOT_KINDS[root.kind].long_lived_key
    assert names is not None
    return names


def _current_id(root: AwsSession) -> str:
    return str(root.settings.get(_names(root)[0], ""))
