"""Take the steps of approvals: get the page, find out what the person did on it, renew.

asked -> open: the page is there (`_begin`).
open -> open, given, over: what AWS says of it (`_store`).
given -> given, over: the state is renewed, and lists are fetched (`usable_state`, `_fetch_lists`).
asked, open -> over: rejected, or no answer for as long as the page is open (`_postpone`).

The state that the root's kind keeps of it is sealed to the workers. Whoever advances it holds the
row, since what AWS gives for a state is often good once; what comes of it is stored before it is
used.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction

from sessions import ledger, sealing
from sessions.actors import NamedActor
from sessions.aws.errors import AwsError
from sessions.aws.roots import ROOT_KINDS, ApprovalStatus
from sessions.credentials.outcomes import Deferred, cannot_open, problem_of
from sessions.credentials.timing import DEFERRED_FOR, backoff
from sessions.db.clock import database_now
from sessions.ledger import Entry
from sessions.ledger.events.roots import ApprovalEnded, ApprovalGiven
from sessions.locks.busy_teams import LONG_LOCK_TIMEOUT_SECONDS, set_lock_timeout, skip_if_busy
from sessions.locks.team_lock import lock_team
from sessions.models import Approval, ApprovalStage, AwsSession, Credential, Problem
from sessions.models.leased import LeasedQuerySet
from sessions.roots import choices, codes
from sessions.roots.approvals import approval_key, approval_scope
from sessions.sealing import SealingError
from sessions.secret import Secret

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 50


def work_due() -> int:
    """Get the pages asked for, check the open ones, fetch lists. Returns how many it held."""
    held = 0
    for approval in _with_people().hold_due(MOST_AT_ONCE):
        held += 1
        with skip_if_busy(approval.team_id):
            _work_on(approval)
    return held


def usable_state(root: AwsSession, person: str) -> Secret | Deferred | None:
    """Return the state to get root credentials with, brought up to date; None if there is none.

    `Deferred` if another worker is just advancing it. Raises `AwsError` or `SealingError`.
    """
    key = approval_key(root, person)
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
        status = _advance(held)
    except SealingError:
        held.release()
        raise
    except AwsError as error:
        held.release(**({"problem": problem_of(error, since=now)} if error.retryable else {}))
        raise
    return status.state if _store(held, status, now) else Deferred(DEFERRED_FOR)


def _with_people() -> LeasedQuerySet[Approval]:
    return Approval.objects.select_related("team", "user")


def _state(approval: Approval) -> Secret:
    assert approval.sealed_state is not None
    return sealing.open_as_worker(approval.sealed_state, approval.seal_context(approval.version))


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
                approval.release(due_at=None, **_fetch_lists(approval))
    except AwsError as error:
        _postpone(approval, error)
    except SealingError as error:
        log.error("an approval's state does not open", approval=approval.pk, reason=str(error))
        _postpone(approval, cannot_open(0, str(error)))


def _fetch_lists(approval: Approval) -> dict[str, Any]:
    """Fetch the lists that somebody waits for; a state that has expired is advanced first."""
    if approval.sealed_state is None:
        return {"wanted": {}}
    if not (approval.good_until and approval.good_until > database_now()):
        status = _advance(approval)
        version = approval.version + 1
        sealed = sealing.seal_to_workers(status.state, approval.seal_context(version))
        if not approval.write(sealed_state=sealed, version=version, good_until=status.good_until):
            return {}
        approval.sealed_state, approval.version = sealed, version
    return choices.fetch_lists(approval, _state(approval))


def _begin(approval: Approval) -> None:
    state = _state(approval) if approval.sealed_state else None
    page = ROOT_KINDS[approval.kind].begin(approval.settings, state, approval.region)
    version = approval.version + 1
    approval.release(
        stage=ApprovalStage.OPEN,
        url=page.url,
        user_code=page.user_code,
        page_ends_at=page.expires_at,
        sealed_state=sealing.seal_to_workers(page.state, approval.seal_context(version)),
        version=version,
        problem=None,
        due_at=database_now() + timedelta(seconds=page.interval_seconds),
    )


def _store(approval: Approval, status: ApprovalStatus, now: datetime) -> bool:
    """Store an approval's new stage.

    Once it is given, what waited for it is tried; if it failed, its problem is shown.
    """
    again = status.ask_again_seconds
    version = approval.version + 1
    if again is not None:
        stage = ApprovalStage(approval.stage)
    else:
        stage = ApprovalStage.OVER if status.problem else ApprovalStage.GIVEN
    changes: dict[str, Any] = {
        "stage": stage,
        "sealed_state": sealing.seal_to_workers(status.state, approval.seal_context(version)),
        "version": version,
        "good_until": status.good_until,
        "problem": _problem(approval, status, now),
        "due_at": now + timedelta(seconds=again) if again is not None else None,
    }
    if again is None:
        changes |= {"url": "", "user_code": "", "page_ends_at": None}
    with transaction.atomic(durable=True):
        set_lock_timeout(
            LONG_LOCK_TIMEOUT_SECONDS
        )  # what a person has approved is not to be had again
        lock_team(approval.team_id)
        if not approval.release(**changes):
            return False
        if stage != approval.stage:
            if stage == ApprovalStage.GIVEN:
                codes.retry_now(_waiting_roots(approval))
            _append_event(approval, stage, status)
    return True


def _problem(approval: Approval, status: ApprovalStatus, now: datetime) -> Problem | None:
    """Describe what stands in the way of an approval.

    Also a lost answer: AWS often gives it only once for a state.
    """
    if status.problem is None:
        return None
    problem = problem_of(status.problem, since=now)
    had_no_answer = approval.problem is not None and approval.problem.retrying
    if (
        had_no_answer
        and status.ask_again_seconds is None
        and status.problem.code == "ApprovalNeeded"
    ):
        return replace(
            problem,
            message="You approved access, but AWS's answer was lost, and AWS sends it only once.",
        )
    return problem


def _append_event(approval: Approval, stage: ApprovalStage, status: ApprovalStatus) -> None:
    who = approval.user.get_username() if approval.user else approval.asked_by
    actor = NamedActor(who)
    kind, scope, people = approval.kind, approval.scope[:500], (who,)
    if stage == ApprovalStage.GIVEN:
        given = ApprovalGiven(people=people, kind=kind, scope=scope)
        ledger.append(approval.team_id, [Entry(given, actor)])
    elif status.problem:
        why = status.problem.code
        ended = ApprovalEnded(people=people, kind=kind, scope=scope, why=why)
        ledger.append(approval.team_id, [Entry(ended, actor)])


def _waiting_roots(approval: Approval) -> list[Credential]:
    """Return the root credentials that wait for this approval."""
    person = str(approval.user_id) if approval.user_id else ""
    rows = Credential.objects.filter(team=approval.team_id, level=0, root__kind=approval.kind)
    now = database_now()
    return [
        row
        for row in rows.select_related("root")
        if row.is_cached_root
        and row.request.get("person", "") == person
        and approval_scope(row.root) == approval.scope
        and not row.is_live(now)
    ]


def _postpone(approval: Approval, error: AwsError) -> None:
    """Retry later where that can help; else end the approval with the problem."""
    now = database_now()
    problem = problem_of(error, since=now)
    ends = approval.page_ends_at or approval.asked_at + timedelta(minutes=10)
    if error.retryable and now < ends:
        approval.release(problem=problem, due_at=now + max(backoff(3), timedelta(seconds=1)))
    elif approval.stage == ApprovalStage.GIVEN:
        approval.release(due_at=None, **choices.failed_lists(approval, problem))
    else:
        approval.release(problem=problem, due_at=None, stage=ApprovalStage.OVER)
