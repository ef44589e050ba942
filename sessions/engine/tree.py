"""Hold which credential rests on which: what is ready to be called, and what waits for what."""

import time
from collections.abc import Collection
from dataclasses import dataclass, field

from sessions.aws.credentials import AwsCredentials
from sessions.aws.proof import About
from sessions.credentials import outcomes
from sessions.credentials.endpoints import Route
from sessions.credentials.outcomes import Blocked, Deferred, Outcome, Rejection
from sessions.credentials.timing import DEFERRED_FOR, PARENT_MARGIN
from sessions.db.clock import database_now
from sessions.engine.account_queues import AccountQueues, Call
from sessions.engine.call_pool import CallPool
from sessions.engine.inbox import LOOK_AGAIN_SECONDS, Inbox
from sessions.engine.outbox import Committed, Outbox
from sessions.engine.parents import parent_credentials, route_from, route_to, signed_by
from sessions.models import Credential
from sessions.roots.trial_calls import TrialCalls

# What another run is minting is waited for so long before its children are given back.
LONGEST_FOR_PARENTS_SECONDS = 2.0


@dataclass(frozen=True)
class Ready:
    """Say that a row can be called for now, and where."""

    route: Route
    call: Call


@dataclass(frozen=True)
class WaitFor:
    """Say that a row waits for its parent; `elsewhere`: another run is minting that parent."""

    parent_id: str
    elsewhere: bool = False


@dataclass
class Tree:
    """Hold where each row of one run stands.

    A row is `waiting` for its parent, in an account's queue, in the call pool, or in the outbox. By
    fingerprint of the parent: `parents` as they were read, `opened` their opened credentials,
    `failed` what the lack of them means for what would be assumed from them, `expected` since when
    this run waits for another run to mint them.
    """

    inbox: Inbox
    outbox: Outbox
    queues: AccountQueues
    pool: CallPool
    parents: dict[str, Credential] = field(default_factory=dict)
    opened: dict[str, AwsCredentials] = field(default_factory=dict)
    failed: dict[str, Outcome] = field(default_factory=dict)
    waiting: dict[str, list[Credential]] = field(default_factory=dict)
    expected: dict[str, float] = field(default_factory=dict)
    trials: TrialCalls = field(default_factory=TrialCalls)
    looked_for_parents_at: float = float("-inf")

    # --- rows that come in ------------------------------------------------------------------------

    def admit(self, claimed: list[Credential]) -> None:
        """Place newly claimed rows, together with the expired parents that they rest on."""
        rows = [*claimed, *self._claim_expired_above(claimed)]
        for row in sorted(rows, key=lambda row: row.level):
            parent = self.parents.get(str(row.parent_id)) or self.inbox.rows.get(str(row.parent_id))
            if parent is not None and parent.root_id == row.root_id:
                row.root = parent.root  # one query for each parent that is read, and none for a row
        for row in self.inbox.keep_needed(rows):
            self.place(row)

    def _claim_expired_above(self, claimed: list[Credential]) -> list[Credential]:
        """Read the parents of these rows, level by level, and claim those that have expired."""
        rows: list[Credential] = []
        frontier = claimed
        while frontier:
            held = self.inbox.rows.keys()
            found = _read({str(row.parent_id) for row in frontier if row.parent_id} - held)
            self.parents.update(found)
            now = database_now()
            expired = [
                pk
                for pk, row in found.items()
                if (row.level > 0 or row.is_cached_root) and not row.is_live(now + PARENT_MARGIN)
            ]
            frontier = self.inbox.claim_expired(expired)
            # A parent that was not to be claimed may have been minted since it was read.
            self.parents |= _read({*expired} - {row.pk for row in frontier})
            rows += frontier
        return rows

    # --- where a row stands -----------------------------------------------------------------------

    def place(self, row: Credential, *, may_wait: bool = True) -> None:
        """Queue a row if its parent is there, let it wait for the parent, or finish it."""
        match self._standing(row, may_wait=may_wait):
            case Ready(route, call):
                self.queues.add(route, call)
            case WaitFor(parent_id, elsewhere):
                if elsewhere:
                    self.expected[parent_id] = time.monotonic()
                self.waiting.setdefault(parent_id, []).append(row)
            case outcome:
                self.finish(row, outcome)

    def _standing(self, row: Credential, *, may_wait: bool) -> Ready | WaitFor | Outcome:
        if row.level == 0:
            return Ready(route_to(row), Call(row, None))
        parent_id = str(row.parent_id)
        is_on_its_way = parent_id in self.inbox.rows or parent_id in self.expected
        if is_on_its_way and parent_id not in self.opened:
            return WaitFor(parent_id)
        if parent_id in self.failed:
            return self.failed[parent_id]
        parent = self.parents.get(parent_id)
        if parent is None:
            return Deferred(DEFERRED_FOR)
        found = self.opened.get(parent_id) or parent_credentials(parent)
        match found:
            case AwsCredentials():
                self.opened[parent_id] = found
                return self._unless_key_is_rejected(parent, row, found)
            case Rejection():
                self.failed[parent_id] = outcomes.blocked_by_parent(found)
                return self.failed[parent_id]
            case Deferred() if may_wait:
                return WaitFor(parent_id, elsewhere=True)
            case _:
                return found

    def _unless_key_is_rejected(
        self, parent: Credential, row: Credential, found: AwsCredentials
    ) -> Ready | WaitFor | Blocked:
        """Let one row at a time try a root whose key AWS has rejected."""
        match self.trials.admit(parent, row):
            case Blocked() as blocked:
                return blocked
            case True:
                if parent.pk in self.trials.under_trial:
                    self.pool.rejected_keys.discard((parent.pk, found.access_key_id))
                return Ready(route_from(parent), Call(row, found, signed_by(parent, found)))
            case _:
                return WaitFor(str(parent.pk))

    def finish(self, row: Credential, outcome: Outcome) -> None:
        """Put a row's outcome into the outbox, and place what waited for its trial call."""
        self.outbox.put(row, outcome)
        if self.trials.finish(row):
            self._place_waiting(str(row.parent_id))

    def _place_waiting(self, parent_id: str, *, may_wait: bool = True) -> None:
        for child in self.waiting.pop(parent_id, []):
            self.place(child, may_wait=may_wait)

    # --- what changes it --------------------------------------------------------------------------

    def look_for_parents(self) -> None:
        """Check if the parents that other runs were issuing are there, or will not come."""
        now = time.monotonic()
        if not self.expected or now - self.looked_for_parents_at < LOOK_AGAIN_SECONDS:
            return
        self.looked_for_parents_at = now
        held = Credential.objects.filter(pk__any_of=self.expected, lease_until__gt=database_now())
        being_minted = set(held.values_list("pk", flat=True))
        over = [
            parent_id
            for parent_id, since in self.expected.items()
            if parent_id not in being_minted or now - since > LONGEST_FOR_PARENTS_SECONDS
        ]
        self.parents |= _read(over)
        for parent_id in over:
            del self.expected[parent_id]
            self._place_waiting(parent_id, may_wait=False)

    def conclude(self, call: Call, rejection: Rejection) -> None:
        """Finish a rejected call's row, and whatever else the rejection proves pointless."""
        row, error = call.row, rejection.error
        parent_id = str(row.parent_id)
        if row.parent_id is None:
            pass  # a root's own: nothing else is signed with what it was asked with
        elif error.about is About.CALLER:
            if row.level == 1:
                # Its first child to find out says so; the root's own row is minted again before
                # anything else is tried.
                rejection = Rejection(error.at_hop(0), signed_with=rejection.signed_with)
            # What waits looks again once its parent is issued.
            self.opened.pop(parent_id, None)
            self.failed[parent_id] = Deferred(DEFERRED_FOR)
            self._finish_queued_below(parent_id, Deferred(DEFERRED_FOR))
        elif error.about is About.KEY:
            # One notice for the root, and no further call with a key that AWS has just rejected.
            error, home = error.at_hop(0), call.signed.home
            seconds_ago = time.monotonic() - call.submitted_at
            problem = outcomes.problem_of(error)
            tried = self.trials.reject(parent_id, problem, home, seconds_ago)
            rejection = Rejection(error, tried, home)
            self._finish_queued_below(parent_id, outcomes.blocked_by_parent(rejection))
        self.finish(row, rejection)

    def _finish_queued_below(self, parent_id: str, outcome: Outcome) -> None:
        for call in self.queues.take_children_of(parent_id):
            self.finish(call.row, outcome)

    def resume_after(self, committed: Committed) -> None:
        """Place what waited for these rows, now that their outcomes are stored."""
        if committed.is_all:
            self.trials.mark_written()
        # Read with their secrets, which a claim does not read: a live one still signs calls.
        unminted = _read([row.pk for row, _ in committed.results if row.pk not in committed.minted])
        long_enough = database_now() + PARENT_MARGIN
        for row, outcome in committed.results:
            pk = row.pk
            self.inbox.forget(row)
            self.parents[pk] = unminted.get(pk, row)
            if pk in committed.minted:
                self.opened[pk] = committed.minted[pk]
                self.failed.pop(pk, None)
            elif pk not in unminted or not unminted[pk].is_live(long_enough):
                self.failed[pk] = outcomes.blocked_by_parent(outcome, unminted.get(pk))
            self._place_waiting(pk)

    # --- how much there is to do ------------------------------------------------------------------

    def workable(self, besides: Collection[str] = ()) -> int:
        """Count the held rows that wait for no other run, and for none of `besides`."""
        idle = {*self.expected, *besides}
        count, frontier = len(self.inbox.rows.keys() & idle), list(idle)
        while frontier:
            frontier = [row.pk for parent_id in frontier for row in self.waiting.get(parent_id, ())]
            count += len(frontier)
        return len(self.inbox.rows) - count

    def stalled(self) -> set[str]:
        """Return the rows whose call is late or stalled."""
        held = self.pool.stalled() | {call.row.pk for call in self.queues.stalled()}
        return held | self.trials.roots_of(held)


def _read(fingerprints: Collection[str]) -> dict[str, Credential]:
    """Return these rows with all columns, by fingerprint."""
    return (
        Credential.objects.filter(pk__any_of=fingerprints).select_related("root").in_bulk()
        if fingerprints
        else {}
    )
