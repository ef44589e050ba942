"""One run of rotation: claim what is due, take in parents that have run out, assume as calls become possible, commit as
answers come in. Nobody waits for the slowest: a hop is assumed as soon as what it is assumed from is committed.

No transaction is open while AWS is called. What came in together is one transaction: sealed credentials, states, events.
"""

import math
import os
import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache
from queue import Empty, SimpleQueue

import structlog
from django.conf import settings

from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError, CredentialsExpired
from sessions.aws.hop import Hop
from sessions.aws.sts import assume_role
from sessions.clock import database_now
from sessions.lifecycle import claims, outcomes, source_identity, tallies
from sessions.lifecycle.bases import Base, base_from, calling_account, prepare
from sessions.lifecycle.claims import Claim
from sessions.lifecycle.commit import commit
from sessions.lifecycle.lanes import Call, Lane, Lanes
from sessions.lifecycle.needs import Need, needs_of
from sessions.lifecycle.outcomes import Blocked, Deferred, Minted, Outcome, Refusal
from sessions.lifecycle.times import DEFERRED_FOR, PARENT_MARGIN, after
from sessions.models import Credential

log = structlog.get_logger(__name__)

# What came in is committed together once it is this much, or the first of it has waited this long. What waits is lost with
# its worker, so where commits are quick there is little waiting: three times what the last one took.
MOST_IN_A_COMMIT = 200
LONGEST_BEFORE_COMMIT_SECONDS = 0.1
LEAST_BEFORE_COMMIT_SECONDS = 0.02
COMMITS_BEFORE_COMMIT = 3
# People who wait are looked for this often while a run is under way.
LOOK_AGAIN_SECONDS = 0.05
# Bulk looks again as well, or calls that hang would keep everything else waiting until they time out.
LOOK_AGAIN_IN_BULK_SECONDS = 0.5


@dataclass
class Run:
    """What one run holds. `bases` are opened credentials to assume from, by fingerprint of the parent."""

    asked_only: bool
    claim: Claim = field(default_factory=Claim)
    rows: dict[str, Credential] = field(default_factory=dict)
    needs: dict[str, list[Need]] = field(default_factory=dict)
    parents: dict[str, Credential] = field(default_factory=dict)
    bases: dict[str, AwsCredentials] = field(default_factory=dict)
    failed: dict[str, Outcome] = field(default_factory=dict)
    waiting: dict[str, list[Credential]] = field(default_factory=dict)
    done: list[tuple[Credential, Outcome]] = field(default_factory=list)
    results: "SimpleQueue[tuple[Lane, Call, Outcome]]" = field(default_factory=SimpleQueue)
    in_flight: int = 0
    held_in_all: int = 0
    first_done_at: float = 0.0
    commit_seconds: float = 0.0
    looked_at: float = float("-inf")
    renewed_at: float = field(default_factory=time.monotonic)
    drained: bool = False

    def __post_init__(self) -> None:
        self.lanes = Lanes(asked=self.asked_only)

    # --- the loop ---------------------------------------------------------------------------------

    def work(self, limit: int, until: float) -> int:
        """Works until nothing is due any more, or until that moment of the monotonic clock. How many rows it has held."""
        try:
            while True:
                self._claim_more(limit, until)
                self._make_calls()
                if not (self.in_flight or self.done or len(self.lanes)):
                    break
                if self.in_flight == 0 and not self.done and time.monotonic() >= until:
                    break
                self._take_in_answers()
                if self._is_time_to_commit():
                    self._commit()
                self._renew()
        finally:
            # What nobody has begun is as due as it was, for whoever comes next, also where this run has failed.
            claims.release(self.claim, list(self.rows))
            tallies.write()
        return self.held_in_all

    def _claim_more(self, limit: int, until: float) -> None:
        now = time.monotonic()
        if now >= until or len(self.rows) > limit // 2:
            return
        again_after = LOOK_AGAIN_SECONDS if self.asked_only else LOOK_AGAIN_IN_BULK_SECONDS
        if self.drained and now - self.looked_at < again_after:
            return
        self.looked_at = now
        fresh = claims.claim_due(self.claim, limit, asked_only=self.asked_only)
        self.drained = len(fresh) < limit
        if fresh:
            after("claimed")
            self._admit(fresh)

    def _make_calls(self) -> None:
        for call, error, left in self.lanes.shut_out():
            self._finish(call.row, Blocked(outcomes.problem_of(error), due_at=database_now() + left))
        for lane, call in self.lanes.next_calls(settings.CHAINWEB_STS_THREADS - self.in_flight):
            if call.row.pk not in self.rows:  # stopped, or taken over, since it was claimed
                self.lanes.finished(lane, None)
                continue
            if call.base is None:
                base = prepare(call.row)
                outcome = base.mint() if isinstance(base, Base) and base.waits() else base
                if not isinstance(outcome, Base):  # nothing to ask AWS
                    self.lanes.finished(lane, None)
                    self._finish(call.row, outcome)
                    continue
                call = Call(call.row, outcome)
            self.in_flight += 1
            _threads().put((self, lane, call))

    def _take_in_answers(self) -> None:
        if self.in_flight == 0:
            if not self.done and len(self.lanes):
                time.sleep(min(self.lanes.seconds_until_permit(), LOOK_AGAIN_SECONDS))
            return
        try:
            # Half a commit's patience, so that what is done does not wait for what is slow.
            self._answered(*self.results.get(timeout=self._patience_seconds() / 2))
            while len(self.done) < MOST_IN_A_COMMIT:
                self._answered(*self.results.get_nowait())
        except Empty:
            return

    def _answered(self, lane: Lane, call: Call, outcome: Outcome) -> None:
        self.in_flight -= 1
        error = outcome.error if isinstance(outcome, Refusal) else None
        self.lanes.finished(lane, error)
        tallies.add("sts_calls", lane.account, error.code if error else "ok")
        parent_id = str(call.row.parent_id)
        if error and outcomes.has_ended(error, call.row, self.parents.get(parent_id)):
            # Its first child to find out says so; then the root's own row is made anew before anything else is tried.
            outcome = Refusal(CredentialsExpired(error.code, 0, error.message, error.check))
            self._forget_base(parent_id)
        elif isinstance(error, CredentialsExpired):
            self._forget_base(parent_id)
        elif error and outcomes.is_about_the_root(error, call.row):
            # One notice for the root, and no further call with a key that AWS has just refused.
            outcome = Refusal(outcomes.as_the_roots(error))
            self.failed[parent_id] = outcome
            for other in self.lanes.take_out(parent_id):
                self._finish(other.row, outcomes.blocked_by(outcome))
        self._finish(call.row, outcome)

    def _forget_base(self, parent_id: str) -> None:
        """AWS says that it has ended: nothing more is signed with it, and what waits looks again once the parent is minted anew."""
        self.bases.pop(parent_id, None)
        self.failed[parent_id] = Deferred(DEFERRED_FOR)
        for other in self.lanes.take_out(parent_id):
            self._finish(other.row, Deferred(DEFERRED_FOR))

    def _is_time_to_commit(self) -> bool:
        if not self.done:
            return False
        nothing_else_comes = self.in_flight == 0
        somebody_waits = self.asked_only or any(row.pk in self.waiting for row, _ in self.done)
        return (
            nothing_else_comes
            or len(self.done) >= MOST_IN_A_COMMIT
            or time.monotonic() - self.first_done_at
            >= min(
                self._patience_seconds(), LONGEST_BEFORE_COMMIT_SECONDS / 4 if somebody_waits else math.inf
            )
        )

    def _patience_seconds(self) -> float:
        quick = max(LEAST_BEFORE_COMMIT_SECONDS, COMMITS_BEFORE_COMMIT * self.commit_seconds)
        return min(quick, LONGEST_BEFORE_COMMIT_SECONDS)

    def _renew(self) -> None:
        # By this process's clock: whether the lease is over the database decides, when to extend it is only a matter of care.
        if self.rows and time.monotonic() - self.renewed_at > settings.CHAINWEB_LEASE_SECONDS / 3:
            self.renewed_at = time.monotonic()
            held = claims.renew(self.claim, list(self.rows))
            self.rows = {pk: row for pk, row in self.rows.items() if pk in held}

    # --- rows on their way ------------------------------------------------------------------------

    def _admit(self, fresh: list[Credential]) -> None:
        """Takes newly claimed rows in: who needs them, what they are assumed from, and whether that has to be minted first."""
        self.held_in_all += len(fresh)
        self.rows.update({row.pk: row for row in fresh})
        frontier = fresh
        while frontier:
            wanted = {str(row.parent_id) for row in frontier if row.parent_id} - self.rows.keys()
            found = Credential.objects.in_bulk(list(wanted))
            self.parents.update(found)
            now = database_now()
            run_out = [
                pk
                for pk, row in found.items()
                if (row.level > 0 or row.is_kept_base) and not row.is_live(now + PARENT_MARGIN)
            ]
            frontier = claims.claim_these(self.claim, run_out)
            # What was not to be had may have been minted between the look and the grasp.
            self.parents |= Credential.objects.in_bulk(list({*run_out} - {row.pk for row in frontier}))
            self.rows.update({row.pk: row for row in frontier})
            fresh = [*fresh, *frontier]
        needs = needs_of([row.pk for row in fresh])
        self.needs.update(needs)
        claims.release_unneeded(self.claim, [pk for pk, who in needs.items() if not who])
        for row in fresh:
            if needs[row.pk]:
                self._place(row)
            else:
                self.rows.pop(row.pk, None)

    def _place(self, row: Credential) -> None:
        """Into a lane if its parent is there, into waiting if this run mints the parent, to its end if it cannot be."""
        if row.level == 0:
            self.lanes.add(f"root {row.root_id}", Call(row, None))
            return
        parent_id = str(row.parent_id)
        if parent_id in self.rows and parent_id not in self.bases:
            self.waiting.setdefault(parent_id, []).append(row)
            return
        if parent_id in self.failed:
            self._finish(row, outcomes.blocked_by(self.failed[parent_id]))
            return
        parent = self.parents.get(parent_id)
        base = self.bases.get(parent_id) or (
            base_from(parent, row.region) if parent else Deferred(DEFERRED_FOR)
        )
        if isinstance(base, AwsCredentials) and parent is not None:
            self.bases[parent_id] = base
            self.lanes.add(calling_account(parent), Call(row, base))
            return
        assert not isinstance(base, AwsCredentials)
        if isinstance(base, Refusal):
            self.failed[parent_id] = base
            self._finish(row, outcomes.blocked_by(base))
        else:
            self._finish(row, base)

    def _finish(self, row: Credential, outcome: Outcome) -> None:
        if not self.done:
            self.first_done_at = time.monotonic()
        self.done.append((row, outcome))

    def _commit(self) -> None:
        done, self.done = self.done, []
        after("assumed")
        begun = time.monotonic()
        committed = commit(self.claim, done, self.needs)
        self.commit_seconds = time.monotonic() - begun
        source_identity.go_on_without(
            row for row, outcome in done if row.pk in committed and source_identity.is_refused(outcome)
        )
        after("committed")
        if len(done) > len(committed):
            tallies.add("claims_lost", amount=len(done) - len(committed))
        # With their secrets, which a claim does not read: what still lives can still be assumed from.
        unminted = Credential.objects.in_bulk(
            [row.pk for row, outcome in done if not (isinstance(outcome, Minted) and row.pk in committed)]
        )
        long_enough = database_now() + PARENT_MARGIN
        for row, outcome in done:
            self.rows.pop(row.pk, None)
            self.needs.pop(row.pk, None)
            self.parents[row.pk] = unminted.get(row.pk, row)
            if isinstance(outcome, Minted) and row.pk in committed:
                self.bases[row.pk] = outcome.credentials
                self.failed.pop(row.pk, None)
            elif row.pk not in unminted or not unminted[row.pk].is_live(long_enough):
                self.failed[row.pk] = outcome
            for child in self.waiting.pop(row.pk, []):
                self._place(child)


def run(*, asked_only: bool = False, limit: int | None = None, seconds: float = 60.0) -> int:
    """Mints what is due, parents before children. Returns how many credentials it held: 0 means that nothing was due."""
    return Run(asked_only).work(limit or settings.CHAINWEB_BATCH_SIZE, time.monotonic() + seconds)


# --- the threads that wait for STS ----------------------------------------------------------------


def assume(call: Call) -> Outcome:
    """Makes one call; whatever it leads to is an outcome."""
    row = call.row
    if isinstance(call.base, Base):
        return call.base.mint()
    assert call.base is not None
    try:
        answer = assume_role(Hop.from_json(row.request), call.base, row.region, row.level)
    except AwsError as error:
        return Refusal(error)
    return Minted(
        answer.credentials,
        parent_access_key_id=call.base.access_key_id,
        arn=answer.arn,
        packed_policy_size=answer.packed_policy_size,
    )


def _serve(calls: "SimpleQueue[tuple[Run, Lane, Call]]") -> None:
    while True:
        run, lane, call = calls.get()
        run.results.put((lane, call, assume(call)))
        del run, lane, call  # nothing secret stays in an idle thread


def _threads() -> "SimpleQueue[tuple[Run, Lane, Call]]":
    return _pool(os.getpid())


@lru_cache(maxsize=1)
def _pool(process_id: int) -> "SimpleQueue[tuple[Run, Lane, Call]]":
    """Made once per process, and after the fork. Plain threads and queues cost a fifth of an executor's futures."""
    calls: SimpleQueue[tuple[Run, Lane, Call]] = SimpleQueue()
    for number in range(settings.CHAINWEB_STS_THREADS):
        threading.Thread(target=_serve, args=(calls,), name=f"sts-{number}", daemon=True).start()
    return calls
