"""Do without scoping where AWS refuses it and the policy allows that, and try it again daily."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from sessions import ledger
from sessions.activations.deliveries import begin_delivery, end_deliveries
from sessions.activations.moves import follow
from sessions.actors import WORKER
from sessions.aws.names import InvalidName
from sessions.aws.scoped import REFUSALS, SCOPED
from sessions.chains.requests import ensure_credentials, plan
from sessions.credentials.outcomes import Minted, Outcome, Rejection, tries_before
from sessions.credentials.timing import compressed
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.ledger import Entry
from sessions.ledger.events.credentials import ScopingAllowed, ScopingRefused
from sessions.locks.busy_teams import busy_teams, skip_if_busy
from sessions.locks.team_lock import lock_team
from sessions.models import (
    Activation,
    AwsSession,
    Channel,
    Credential,
    Delivery,
    Membership,
    Scoping,
    ScopingRefusal,
    TeamPolicy,
)
from sessions.models.sessions import BrokenChain

TRY_AGAIN_AFTER = compressed(days=1)
# A child that was narrowed before is refused so often in a row before the leaf stands in for it:
# IAM tells its places of a change one after the other.
TRIES = 3
TRIALS_AT_ONCE = 20

Results = Iterable[tuple[Credential, Outcome]]


def is_refused(row: Credential, outcome: Outcome) -> bool:
    """Tell whether AWS does not let the leaf's role be scoped."""
    return (
        isinstance(outcome, Rejection)
        and SCOPED in row.request
        and outcome.error.code in REFUSALS
        and outcome.error.hop == row.level
        and (row.generation == 0 or tries_before(row, outcome.problem) >= TRIES - 1)
    )


def follow_answers(results: Results) -> None:
    """Note which roles AWS lets be scoped and which not; what is active on them follows.

    Call it with no transaction open. Under a policy that requires scoping, a refusal stands as it
    is.
    """
    by_team: dict[Any, list[tuple[Credential, Outcome]]] = {}
    for row, outcome in results:
        if is_refused(row, outcome) or (isinstance(outcome, Minted) and SCOPED in row.request):
            by_team.setdefault(row.team_id, []).append((row, outcome))
    for team_id, some in by_team.items():
        refused: dict[str, Rejection] = {}
        for row, outcome in some:
            if isinstance(outcome, Rejection):
                refused[str(row.request["role_arn"])] = outcome
        scoped = {str(row.request["role_arn"]) for row, each in some if isinstance(each, Minted)}
        noted = ScopingRefusal.objects.filter(team=team_id, role_arn__in=scoped)
        if not refused and not noted.exists():
            continue
        with skip_if_busy(team_id), transaction.atomic():
            lock_team(team_id)
            now = database_now()
            for role_arn, outcome in refused.items():
                _refused(team_id, role_arn, outcome, now)
            for refusal in noted:
                _allowed(refusal, now)


def _refused(team_id: Any, role_arn: str, outcome: Rejection, now: datetime) -> None:
    if TeamPolicy.of(team_id).scoping != Scoping.WHERE_ALLOWED:
        return
    again_at = now + TRY_AGAIN_AFTER
    error = outcome.error
    _, is_new = ScopingRefusal.objects.update_or_create(
        team_id=team_id,
        role_arn=role_arn,
        defaults={
            "code": error.code,
            "message": error.message,
            "at": now,
            "try_again_at": again_at,
        },
    )
    sessions = _sessions_of(team_id, role_arn)
    # None of these is issued: the leaf is delivered in their place.
    ended = Delivery.objects.filter(activation__session__in=sessions)
    end_deliveries(ended.filter(credential__sealed=None))
    if not is_new:
        return
    end_deliveries(ended)
    for session in sessions:
        follow(team_id, now, below=session, asked=True)
    said = ScopingRefused(
        role_arn=role_arn, code=error.code, message=error.message, again_at=again_at
    )
    ledger.append(team_id, [Entry(said, WORKER)])


def _allowed(refusal: ScopingRefusal, now: datetime) -> None:
    refusal.delete()
    sessions = _sessions_of(refusal.team_id, refusal.role_arn)
    for session in sessions:
        follow(refusal.team_id, now, below=session)
    trials = Delivery.objects.filter(activation__session__in=sessions, channel=Channel.TRIAL)
    end_deliveries(trials)
    said = ScopingAllowed(role_arn=refusal.role_arn)
    ledger.append(refusal.team_id, [Entry(said, WORKER)])


def _sessions_of(team_id: Any, role_arn: str) -> QuerySet[AwsSession]:
    return AwsSession.objects.filter(team=team_id, link__role_arn=role_arn).select_related("link")


def try_again() -> int:
    """Try to scope a session of each role whose day is over; return how many. Run by the clock.

    The leaf that is being delivered stays: the trial has a leaf of its own where that one is bound.
    """
    now, tried = database_now(), 0
    due = ScopingRefusal.objects.filter(try_again_at__lte=now).order_by("try_again_at")
    held = busy_teams()
    for refusal in list(due[:TRIALS_AT_ONCE]):
        if str(refusal.team_id) not in held:
            with skip_if_busy(refusal.team_id), transaction.atomic():
                lock_team(refusal.team_id)
                tried += _try(refusal, now)
    return tried


def _try(refusal: ScopingRefusal, now: datetime) -> bool:
    due = ScopingRefusal.objects.filter(pk=refusal.pk, try_again_at__lte=now)
    if not due.update(try_again_at=now + TRY_AGAIN_AFTER):
        return False
    policy = TeamPolicy.of(refusal.team_id)
    if policy.scoping != Scoping.WHERE_ALLOWED:
        due.delete()
        return False
    policy.unscoped_roles = policy.unscoped_roles - {refusal.role_arn}
    sessions = _sessions_of(refusal.team_id, refusal.role_arn)
    started = Activation.objects.filter(
        session__in=sessions, ends_at__gt=now, credential__team=refusal.team_id
    ).select_related("session__link", "session__team", "user", "credential")
    for activation in started[:TRIALS_AT_ONCE]:
        member = (
            Membership.objects.filter(team=refusal.team_id, user=activation.user)
            .select_related("team", "user")
            .first()
        )
        if member is None:
            continue
        try:
            leaf = ensure_credentials(
                plan(activation.session.chain(), member, policy), now, asked=False
            )
        except (BrokenChain, InvalidName, Refused):
            continue
        begin_delivery(activation, Channel.TRIAL, policy, now, leaf=leaf, asked=False)
        return True
    return False
