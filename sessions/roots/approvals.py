"""Get approvals in the browser: a worker gets the page, the person approves, a worker finds out.

The state that the root's kind keeps of it is sealed to the workers. Whoever advances it holds the
row, since what AWS gives for a state is often good once; what comes of it is stored before it is
used.
"""

import hashlib
import json
import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef

from sessions import ledger, sealing
from sessions.aws.errors import AwsError
from sessions.aws.roots import ROOT_KINDS, ApprovalStatus
from sessions.credentials.outcomes import Deferred, cannot_open, problem_of
from sessions.credentials.timing import DEFERRED_FOR, backoff
from sessions.db.clock import database_now
from sessions.ledger import Entry
from sessions.ledger.events.roots import ApprovalAsked, ApprovalEnded, ApprovalGiven
from sessions.locks.authority import begin_answer, lock_team
from sessions.locks.held_up import PATIENT_SECONDS, passed_over, wait_for
from sessions.models import (
    Approval,
    ApprovalStage,
    AwsSession,
    Credential,
    Membership,
    Problem,
    User,
)
from sessions.models.leased import LeasedQuerySet
from sessions.permissions import working_members
from sessions.roots import choices, codes
from sessions.sealing import SealingError
from sessions.secret import Secret

log = structlog.get_logger(__name__)

# What is over, or was never approved, is forgotten after this long; what works is kept for as long
# as its person is there.
FORGOTTEN_AFTER = timedelta(days=1)
MOST_AT_ONCE = 50


def scope_of(root: AwsSession) -> str:
    """The roots of a kind with the same scope share a person's approval."""
    return ROOT_KINDS[root.kind].approval_scope(root.settings) or f"root {root.pk}"


def key_of(root: AwsSession, person: str) -> str:
    """`person` is the id of whoever approves, or empty where one approval is everybody's."""
    parts = json.dumps([str(root.team_id), root.kind, scope_of(root), person], ensure_ascii=True)
    return hashlib.sha256(parts.encode()).hexdigest()


def asks_for_approval(root: AwsSession) -> bool:
    return any(ask.approval for ask in ROOT_KINDS[root.kind].asks(root.settings))


def person_for(root: AwsSession, user: User) -> str:
    return str(user.pk) if ROOT_KINDS[root.kind].per_person else ""


def approval_of(root: AwsSession, member: Membership) -> Approval | None:
    """The member's approval for that root, in whatever stage."""
    return Approval.objects.filter(pk=key_of(root, person_for(root, member.user))).first()


@transaction.atomic
def ask_approval(root: AwsSession, member: Membership) -> Approval:
    """Ask a worker for the page where the member approves.

    What was approved before works on meanwhile. The caller wakes a worker.
    """
    begin_answer(member, root)
    now, actor = database_now(), member.user.get_username()
    person = person_for(root, member.user)
    asked = {
        "settings": dict(root.settings),
        "region": root.region,
        "stage": ApprovalStage.ASKED,
        "asked_by": actor,
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
        pk=key_of(root, person),
        defaults=asked,
        create_defaults={
            **asked,
            "team_id": member.team_id,
            "user": member.user if person else None,
            "kind": root.kind,
            "scope": scope_of(root),
        },
    )
    ledger.append(root.team_id, [Entry(ApprovalAsked(kind=root.kind), actor, root)])
    return approval


@transaction.atomic
def end_approval(root: AwsSession, member: Membership) -> bool:
    """Forget the member's approval.

    Credentials issued with it live on to their end, but are not renewed.
    """
    lock_team(root.team_id)
    gone, _ = Approval.objects.filter(pk=key_of(root, person_for(root, member.user))).delete()
    if gone:
        ended = ApprovalEnded(kind=root.kind, why="forgotten on request")
        ledger.append(root.team_id, [Entry(ended, member.user.get_username(), root)])
    return bool(gone)


# --- in a worker ----------------------------------------------------------------------------------


def work_due() -> int:
    """Get the pages asked for, check the open ones, fetch lists. Returns how many it held."""
    held = 0
    for approval in _with_people().hold_due(MOST_AT_ONCE):
        held += 1
        with passed_over(approval.team_id):
            _work_on(approval)
    return held


def usable_state(root: AwsSession, person: str) -> Secret | Deferred | None:
    """The state to make base credentials with, brought up to date; None if there is none yet.

    `Deferred` if another worker is just advancing it. Raises `AwsError` or `SealingError`.
    """
    key = key_of(root, person)
    approval = Approval.objects.filter(pk=key).first()
    if approval is None or approval.sealed_state is None:
        return None
    now = database_now()
    is_open = approval.stage in {ApprovalStage.ASKED, ApprovalStage.OPEN}
    if (approval.good_until and approval.good_until > now) or is_open:
        return _state(approval)
    held = _with_people().hold(key)
    if held is None:
        return Deferred(DEFERRED_FOR)
    try:
        advanced = _advance(held)
    except SealingError:
        held.release()
        raise
    except AwsError as error:
        held.release(**({"problem": problem_of(error, since=now)} if error.retryable else {}))
        raise
    return advanced.state if _store(held, advanced, now) else Deferred(DEFERRED_FOR)


def _with_people() -> LeasedQuerySet[Approval]:
    return Approval.objects.select_related("team", "user")


def _state(approval: Approval) -> Secret:
    assert approval.sealed_state is not None
    return sealing.open_as_worker(approval.sealed_state, approval.place(approval.version))


def _advance(approval: Approval) -> ApprovalStatus:
    return ROOT_KINDS[approval.kind].advance(approval.settings, _state(approval), approval.region)


def _work_on(approval: Approval) -> None:
    try:
        match approval.stage:
            case ApprovalStage.ASKED:
                _begin(approval)
            case ApprovalStage.OPEN:
                _store(approval, _advance(approval), database_now())
            case _:
                approval.release(due_at=None, **_listed(approval))
    except AwsError as error:
        _put_off(approval, error)
    except SealingError as error:
        log.error("an approval's state does not open", approval=approval.pk, reason=str(error))
        _put_off(approval, cannot_open(0, str(error)))


def _listed(approval: Approval) -> dict[str, Any]:
    """Fetch the lists that somebody waits for; a state that has expired is advanced first."""
    if approval.sealed_state is None:
        return {"wanted": {}}
    if not (approval.good_until and approval.good_until > database_now()):
        advanced = _advance(approval)
        version = approval.version + 1
        sealed = sealing.seal_to_workers(advanced.state, approval.place(version))
        if not approval.write(sealed_state=sealed, version=version, good_until=advanced.good_until):
            return {}
        approval.sealed_state, approval.version = sealed, version
    return choices.fetch(approval, _state(approval))


def _begin(approval: Approval) -> None:
    state = _state(approval) if approval.sealed_state else None
    page = ROOT_KINDS[approval.kind].begin(approval.settings, state, approval.region)
    version = approval.version + 1
    approval.release(
        stage=ApprovalStage.OPEN,
        url=page.url,
        user_code=page.user_code,
        page_ends_at=page.expires_at,
        sealed_state=sealing.seal_to_workers(page.state, approval.place(version)),
        version=version,
        problem=None,
        due_at=database_now() + timedelta(seconds=page.interval_seconds),
    )


def _store(approval: Approval, advanced: ApprovalStatus, now: datetime) -> bool:
    """Store an approval's new stage.

    Once it is given, what waited for it is tried; if it failed, its problem is shown.
    """
    again = advanced.ask_again_seconds
    version = approval.version + 1
    if again is not None:
        stage = ApprovalStage(approval.stage)
    else:
        stage = ApprovalStage.OVER if advanced.problem else ApprovalStage.GIVEN
    changes: dict[str, Any] = {
        "stage": stage,
        "sealed_state": sealing.seal_to_workers(advanced.state, approval.place(version)),
        "version": version,
        "good_until": advanced.good_until,
        "problem": _problem(approval, advanced, now),
        "due_at": now + timedelta(seconds=again) if again is not None else None,
    }
    if again is None:
        changes |= {"url": "", "user_code": "", "page_ends_at": None}
    with transaction.atomic(durable=True):
        wait_for(PATIENT_SECONDS)  # what a person has approved is not to be had again
        lock_team(approval.team_id)
        if not approval.release(**changes):
            return False
        if stage != approval.stage:
            if stage == ApprovalStage.GIVEN:
                codes.retry_now(_waiting_roots(approval))
            _tell(approval, stage, advanced)
    return True


def _problem(approval: Approval, advanced: ApprovalStatus, now: datetime) -> Problem | None:
    """Describe what stands in the way of an approval.

    Also a lost answer: AWS often gives it only once for a state.
    """
    if advanced.problem is None:
        return None
    problem = problem_of(advanced.problem, since=now)
    had_no_answer = approval.problem is not None and approval.problem.retrying
    if (
        had_no_answer
        and advanced.ask_again_seconds is None
        and advanced.problem.code == "ApprovalNeeded"
    ):
        return replace(
            problem,
            message="You approved access, but AWS's answer was lost, and AWS sends it only once.",
        )
    return problem


def _tell(approval: Approval, stage: ApprovalStage, advanced: ApprovalStatus) -> None:
    who = approval.user.get_username() if approval.user else approval.asked_by
    kind, scope, people = approval.kind, approval.scope[:500], (who,)
    if stage == ApprovalStage.GIVEN:
        given = ApprovalGiven(people=people, kind=kind, scope=scope)
        ledger.append(approval.team_id, [Entry(given, who)])
    elif advanced.problem:
        why = advanced.problem.code
        ended = ApprovalEnded(people=people, kind=kind, scope=scope, why=why)
        ledger.append(approval.team_id, [Entry(ended, who)])


def _waiting_roots(approval: Approval) -> list[Credential]:
    """The base credentials that this approval is for, as far as they are needed and not there."""
    person = str(approval.user_id) if approval.user_id else ""
    rows = Credential.objects.filter(team=approval.team_id, level=0, root__kind=approval.kind)
    now = database_now()
    return [
        row
        for row in rows.select_related("root")
        if row.is_kept_base
        and row.request.get("person", "") == person
        and scope_of(row.root) == approval.scope
        and not row.is_live(now)
    ]


def _put_off(approval: Approval, error: AwsError) -> None:
    """AWS could not say, or refuses: it is asked again where that can help."""
    now = database_now()
    problem = problem_of(error, since=now)
    ends = approval.page_ends_at or approval.asked_at + timedelta(minutes=10)
    if error.retryable and now < ends:
        approval.release(problem=problem, due_at=now + max(backoff(3), timedelta(seconds=1)))
    elif approval.stage == ApprovalStage.GIVEN:
        approval.release(due_at=None, **choices.refused(approval, problem))
    else:
        approval.release(problem=problem, due_at=None, stage=ApprovalStage.OVER)


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
        if approval.scope not in {scope_of(root) for root in roots}:
            gone.append(approval.pk)
    return Approval.objects.filter(pk__in=gone).delete()[0] if gone else 0
