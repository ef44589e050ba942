"""One batch of rotation: claim what is due, take in parents that have run out, assume level by level, commit per level.

No transaction is open while AWS is called. Each level's results are one transaction: sealed credentials, states, events.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

import structlog
from django.conf import settings

from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError
from sessions.aws.hop import Hop
from sessions.aws.sts import AssumedRole, assume_role
from sessions.clock import database_now
from sessions.lifecycle import claims, outcomes
from sessions.lifecycle.blobs import open_credentials, root_credentials
from sessions.lifecycle.claims import Claim
from sessions.lifecycle.needs import Need, needs_of
from sessions.lifecycle.outcomes import Blocked, Deferred, Minted, Outcome, Refusal
from sessions.lifecycle.plan import PARENT_MARGIN
from sessions.models import Credential
from sessions.sealing import SealingError

log = structlog.get_logger(__name__)

# How long a child waits for a parent that another worker is minting, before it is looked at again.
DEFERRED_FOR = timedelta(seconds=0.2)


@dataclass
class Batch:
    """The state of one run. `bases` are the opened credentials to assume from, by fingerprint."""

    claim: Claim
    now: datetime
    rows: dict[str, Credential]
    parents: dict[str, Credential] = field(default_factory=dict)
    bases: dict[str, AwsCredentials] = field(default_factory=dict)
    failed: dict[str, Outcome] = field(default_factory=dict)
    needs: dict[str, list[Need]] = field(default_factory=dict)


def run_batch(limit: int | None = None) -> int:
    """Claims and mints one batch. Returns how many credentials it held: 0 means that nothing was due."""
    claim = claims.claim_due(limit or settings.CHAINWEB_BATCH_SIZE)
    if not claim.rows:
        return 0
    batch = Batch(claim, database_now(), dict(claim.rows))
    _take_in_parents(batch)
    batch.needs = needs_of(batch.rows)
    outcomes.release_unneeded(batch.claim, [pk for pk in batch.rows if not batch.needs[pk]])
    batch.rows = {pk: row for pk, row in batch.rows.items() if batch.needs[pk]}
    while batch.rows:
        level = min(row.level for row in batch.rows.values())
        rows = [batch.rows.pop(pk) for pk, row in list(batch.rows.items()) if row.level == level]
        _mint_level(batch, rows)
        if batch.rows:
            held = claims.renew(claim, list(batch.rows))
            batch.rows = {pk: row for pk, row in batch.rows.items() if pk in held}
    return len(claim.rows)


def _take_in_parents(batch: Batch) -> None:
    """Loads the parents of what is claimed, and claims those that have run out, up to the roots."""
    frontier = list(batch.rows.values())
    while frontier:
        wanted = {str(row.parent_id) for row in frontier} - batch.rows.keys() - batch.parents.keys()
        parents = Credential.objects.select_related("root", "root__team").in_bulk(list(wanted))
        batch.parents.update(parents)
        run_out = [
            pk for pk, row in parents.items() if row.level > 0 and not row.is_live(batch.now + PARENT_MARGIN)
        ]
        taken = claims.claim_these(run_out, batch.claim.fence) if run_out else {}
        batch.rows.update(taken)
        frontier = list(taken.values())


def _mint_level(batch: Batch, rows: list[Credential]) -> None:
    """Assumes all roles of one level side by side and commits the results as one transaction."""
    calls: list[tuple[Credential, AwsCredentials]] = []
    results: list[tuple[Credential, Outcome]] = []
    for row in rows:
        base = _base_for(batch, row)
        if isinstance(base, AwsCredentials):
            calls.append((row, base))
        else:
            results.append((row, base))
    results += zip((row for row, _ in calls), _pool().map(_assume, calls), strict=True)
    committed = outcomes.commit_level(batch.claim, results, batch.needs)
    for row, outcome in results:
        if isinstance(outcome, Minted) and row.pk in committed:
            batch.bases[row.pk] = outcome.credentials
        else:
            batch.failed[row.pk] = outcome


def _base_for(batch: Batch, row: Credential) -> AwsCredentials | Outcome:
    """What to assume that row's role from, or why that cannot be done now."""
    parent_id = str(row.parent_id)
    if parent_id in batch.bases:
        return batch.bases[parent_id]
    if parent_id in batch.failed:
        return _blocked_by(batch.failed[parent_id])
    parent = batch.parents.get(parent_id)
    if parent is None:
        return Deferred(DEFERRED_FOR)
    try:
        if parent.level == 0:
            base = root_credentials(parent.root, row.region)
        elif parent.is_live(batch.now + PARENT_MARGIN):
            base = open_credentials(parent)
        elif parent.problem and parent.due_at is None:
            return Blocked(parent.problem, due_at=None)
        elif parent.problem and parent.due_at and parent.due_at > batch.now:
            return Blocked(parent.problem, due_at=parent.due_at)
        else:
            return Deferred(DEFERRED_FOR)
    except AwsError as error:
        return Refusal(error)
    except SealingError as error:
        log.error("a stored credential does not open", credential=parent.pk, reason=str(error))
        return Refusal(outcomes.cannot_open(parent.level, str(error)))
    batch.bases[parent_id] = base
    return base


def _blocked_by(outcome: Outcome) -> Outcome:
    """What the failure of a parent means for the row below it."""
    match outcome:
        case Refusal(error):
            return Blocked(outcomes.problem_of(error), due_at=None, follows=error.retryable)
        case Blocked() | Deferred():
            return outcome
        case _:
            return Deferred(DEFERRED_FOR)


def _assume(call: tuple[Credential, AwsCredentials]) -> Outcome:
    row, base = call
    try:
        answer: AssumedRole = assume_role(Hop.from_json(row.request), base, row.region, row.level)
    except AwsError as error:
        return Refusal(error)
    return Minted(answer.credentials, parent_access_key_id=base.access_key_id, arn=answer.arn)


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    """The threads that wait for STS, made once per process and after the fork."""
    return ThreadPoolExecutor(max_workers=settings.CHAINWEB_STS_THREADS, thread_name_prefix="sts")
