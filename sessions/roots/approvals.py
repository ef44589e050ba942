"""Ask for approvals in the browser: a worker gets the page (`engine.approval_steps`)."""

import hashlib
import json
import uuid
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef

from sessions import ledger
from sessions.actors import Actor
from sessions.aws.roots import ROOT_KINDS
from sessions.db.clock import database_now
from sessions.ledger import Entry
from sessions.ledger.events.roots import ApprovalAsked, ApprovalEnded
from sessions.locks.team_lock import begin_answer, lock_team
from sessions.models import (
    Approval,
    ApprovalStage,
    AwsSession,
    Membership,
    User,
)
from sessions.permissions import working_members

# What is over, or was never approved, is forgotten after this long; what works is kept for as long
# as its person is there.
FORGOTTEN_AFTER = timedelta(days=1)


def approval_scope(root: AwsSession) -> str:
    """Name what an approval is good for: roots of a kind with one scope share a person's."""
    return ROOT_KINDS[root.kind].approval_scope(root.settings) or f"root {root.pk}"


def approval_key(root: AwsSession, person: str) -> str:
    """Return the key of an approval; `person` is a user's id, empty where it is everybody's."""
    parts = json.dumps(
        [str(root.team_id), root.kind, approval_scope(root), person], ensure_ascii=True
    )
    return hashlib.sha256(parts.encode()).hexdigest()


def asks_for_approval(root: AwsSession) -> bool:
    return any(challenge.approval for challenge in ROOT_KINDS[root.kind].challenges(root.settings))


def person_for(root: AwsSession, user: User) -> str:
    return str(user.pk) if ROOT_KINDS[root.kind].per_person else ""


def approval_of(root: AwsSession, member: Membership) -> Approval | None:
    """Return the member's approval for a root, whatever its stage."""
    return Approval.objects.filter(pk=approval_key(root, person_for(root, member.user))).first()


@transaction.atomic
def ask_approval(root: AwsSession, actor: Actor) -> Approval:
    """Ask a worker for the page where the member approves.

    What was approved before works on meanwhile. The caller wakes a worker.
    """
    begin_answer(actor, root)
    now = database_now()
    person = person_for(root, actor.user)
    asked = {
        "settings": dict(root.settings),
        "region": root.region,
        "stage": ApprovalStage.ASKED,
        "asked_by": actor.username,
        "asked_at": now,
        "url": "",
        "user_code": "",
        "page_ends_at": None,
        "problem": None,
        "due_at": now,
        # Whoever is just advancing it loses it: there is a new page to wait for.
        "lease_until": None,
        "fence": uuid.uuid4(),
    }
    approval, _ = Approval.objects.update_or_create(
        pk=approval_key(root, person),
        defaults=asked,
        create_defaults={
            **asked,
            "team_id": actor.team_id,
            "user": actor.user if person else None,
            "kind": root.kind,
            "scope": approval_scope(root),
        },
    )
    ledger.append(root.team_id, [Entry(ApprovalAsked(kind=root.kind), actor, root)])
    return approval


@transaction.atomic
def end_approval(root: AwsSession, actor: Actor) -> bool:
    """Forget the member's approval.

    Credentials issued with it live on to their end, but are not renewed.
    """
    lock_team(root.team_id)
    gone, _ = Approval.objects.filter(pk=approval_key(root, person_for(root, actor.user))).delete()
    if gone:
        ended = ApprovalEnded(kind=root.kind, why="forgotten on request")
        ledger.append(root.team_id, [Entry(ended, actor, root)])
    return bool(gone)


def delete_unneeded() -> int:
    """Delete approvals of people or roots that are gone, and old ones. Run by the clock."""
    members = working_members(user=OuterRef("user"), team=OuterRef("team"))
    of_nobody = Approval.objects.filter(user__isnull=False).exclude(Exists(members))
    over = Approval.objects.filter(
        stage=ApprovalStage.OVER, asked_at__lt=database_now() - FORGOTTEN_AFTER
    )
    gone = [*of_nobody.values_list("pk", flat=True), *over.values_list("pk", flat=True)]
    for approval in Approval.objects.exclude(pk__in=gone).only("pk", "team", "kind", "scope"):
        roots = AwsSession.objects.filter(team=approval.team_id, kind=approval.kind)
        if approval.scope not in {approval_scope(root) for root in roots}:
            gone.append(approval.pk)
    return Approval.objects.filter(pk__in=gone).delete()[0] if gone else 0
