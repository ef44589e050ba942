"""Rotate: claim due rows, assume roles as calls become possible, commit answers as they come in.

No hop waits for the slowest one: it is assumed as soon as its parent is committed. No transaction
is open while AWS is called.
"""

import time
from dataclasses import replace
from queue import Empty

from django.conf import settings

from sessions.aws.errors import AwsError
from sessions.credentials import outcomes
from sessions.credentials.outcomes import Blocked, Outcome, Rejection
from sessions.db.clock import database_now
from sessions.engine.account_queues import AccountQueue, AccountQueues, Call
from sessions.engine.call_pool import CallPool
from sessions.engine.inbox import LOOK_AGAIN_SECONDS, Inbox
from sessions.engine.outbox import Outbox
from sessions.engine.parents import RootRequest, prepare_root_request
from sessions.engine.tree import Tree
from sessions.monitoring import counters


def run(*, asked_only: bool = False, limit: int | None = None, seconds: float = 60.0) -> int:
    """Issue what is due, parents before children.

    Returns how many credentials it held: 0 means that nothing was due.
    """
    limit = limit or settings.CHAINWEB_BATCH_SIZE
    return Run(asked_only=asked_only).work(limit, time.monotonic() + seconds)


class Run:
    """Move rows from the inbox through the tree and the call pool into the outbox."""

    def __init__(self, *, asked_only: bool) -> None:
        self.inbox = Inbox(asked_only)
        self.outbox = Outbox(self.inbox)
        self.queues = AccountQueues(asked=asked_only)
        self.pool = CallPool()
        self.tree = Tree(self.inbox, self.outbox, self.queues, self.pool)

    def work(self, limit: int, until: float) -> int:
        """Work until nothing is due, or until that moment of the monotonic clock.

        Returns how many rows it has held.
        """
        try:
            while True:
                self._take_in(limit, until)
                self._look_for_what_is_ready()
                self._call(until)
                if self._is_over(until):
                    break
                self._take_answers()
                if self._is_time_to_commit():
                    self._commit()
        finally:
            # Rows that are not begun go back to whoever comes next, also where this run has failed.
            self.pool.ended = True
            self.inbox.release()
            counters.write()
        return self.inbox.held_in_all

    def _is_over(self, until: float) -> bool:
        if self.pool.in_flight or self.outbox.done:
            return False
        return not self._has_waiting() or time.monotonic() >= until

    def _has_waiting(self) -> bool:
        return bool(len(self.queues) or self.tree.expected or self.outbox.held_back)

    # --- take in ----------------------------------------------------------------------------------

    def _take_in(self, limit: int, until: float) -> None:
        """Claim more rows if less than half a batch can be worked on.

        Rows that wait for other runs, or for a slow or throttled account, keep no others from being
        claimed.
        """
        self.inbox.renew()
        if time.monotonic() >= until or self.inbox.is_full(limit):
            return
        has_plenty = self.tree.workable() > limit // 2
        if (has_plenty or self.inbox.drained) and not self.inbox.may_look_again():
            return
        not_below: set[str] = set()
        if has_plenty:
            self.inbox.looked_at = time.monotonic()
            stalled = self.tree.stalled()
            if self.tree.workable(stalled) > limit // 2:
                return
            not_below = {*self.tree.expected, *stalled, *self.queues.stalled_parents()}
        if claimed := self.inbox.claim_due(limit, not_below):
            self.tree.admit(claimed)

    # --- look for what is ready -------------------------------------------------------------------

    def _look_for_what_is_ready(self) -> None:
        self.tree.look_for_parents()
        self.outbox.requeue_held_back()

    # --- call -------------------------------------------------------------------------------------

    def _call(self, until: float) -> None:
        if time.monotonic() >= until:
            return
        for call, error, left in self.queues.take_unavailable():
            problem = outcomes.problem_of(error.at_hop(call.row.level))
            self.tree.finish(call.row, Blocked(problem, due_at=database_now() + left))
        # Answers that wait for their commit are lost with this process, so calls are queued for
        # threads only where there is a backlog.
        free_slots = self.pool.free_slots(with_queue=self.inbox.has_backlog())
        for queue, call in self.queues.next_calls(free_slots):
            if not self.inbox.holds(call.row):  # stopped, or taken over, since it was claimed
                self.queues.cancelled(queue, call)
                counters.add("claims_lost")
                continue
            prepared = _prepared(call)
            if isinstance(prepared, Call):
                self.pool.submit(queue, prepared)
            else:  # nothing to ask AWS
                self.queues.cancelled(queue, call)
                self.tree.finish(call.row, prepared)

    # --- take answers -----------------------------------------------------------------------------

    def _take_answers(self) -> None:
        if self.pool.in_flight == 0:
            if not self.outbox.done and self._has_waiting():
                time.sleep(min(self.queues.seconds_until_permit(), LOOK_AGAIN_SECONDS))
            return
        try:
            # Half a commit's patience, so that what is done does not wait for what is slow.
            self._answered(*self.pool.next_result(self.outbox.patience_seconds() / 2))
            while not self.outbox.is_full():
                self._answered(*self.pool.next_result(0))
        except Empty:
            return

    def _answered(self, queue: AccountQueue, call: Call, outcome: Outcome | None) -> None:
        if outcome is None:
            self.queues.cancelled(queue, call)
            self.tree.place(call.row)
            return
        error = outcome.error if isinstance(outcome, Rejection) else None
        self.queues.finished(queue, call, error)
        counters.add("sts_calls", queue.account, error.code if error else "ok")
        if not isinstance(outcome, Rejection):
            self.tree.finish(call.row, outcome)
        elif not self._is_called_again(queue, call, outcome.error):
            self.tree.conclude(call, _judged(queue, call, outcome))

    def _is_called_again(self, queue: AccountQueue, call: Call, error: AwsError) -> bool:
        """Have another region called if this one gives no answer; tell whether it is.

        A call with a code, which is good for seconds, is repeated at once, and only once. Others
        are queued again.
        """
        if not _codes(call):
            if goes_elsewhere := queue.route.goes_elsewhere(call.region, error):
                self.tree.place(call.row)
            return goes_elsewhere
        region = queue.route.another_region(call.region)
        if region is None or not outcomes.is_unanswered(error) or call.is_second:
            return False
        assert isinstance(call.source, RootRequest)
        queue.in_flight[region] += 1
        source = replace(call.source, unanswered=True)
        self.pool.submit(queue, replace(call, source=source, region=region, is_second=True))
        return True

    # --- commit -----------------------------------------------------------------------------------

    def _is_time_to_commit(self) -> bool:
        nothing_else_comes = self.pool.in_flight == 0
        return self.outbox.is_time_to_commit(
            waited_for=self.tree.waiting, nothing_else_comes=nothing_else_comes
        )

    def _commit(self) -> None:
        self.tree.resume_after(self.outbox.commit())


def _prepared(call: Call) -> Call | Outcome:
    """Add to a root's call its request, at the last moment; or return why it cannot be made."""
    if call.source is not None:
        return call
    request = prepare_root_request(call.row)
    if not isinstance(request, RootRequest):
        return request
    return request.mint(call.region) if request.lacks_answer() else replace(call, source=request)


def _judged(queue: AccountQueue, call: Call, rejection: Rejection) -> Rejection:
    """Limit a rejection to what it proves, given what its region has answered to other calls."""
    error = queue.route.judged(call.region, rejection.error)
    # AWS may have taken the codes of this call, or of the one before it, without saying so.
    unanswered = isinstance(call.source, RootRequest) and (
        call.source.unanswered or outcomes.is_unanswered(error)
    )
    return Rejection(
        error, signed_with=rejection.signed_with, codes=_codes(call), unanswered=unanswered
    )


def _codes(call: Call) -> tuple[outcomes.TypedCode, ...]:
    return call.source.codes if isinstance(call.source, RootRequest) else ()
