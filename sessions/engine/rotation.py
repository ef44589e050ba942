"""Rotate: claim what is due, assume as calls become possible, commit as answers come in.

Parents that have expired are claimed too. Commits follow as answers come in. Nobody waits for the
slowest: a hop is assumed as soon as what it is assumed from is committed.

No transaction is open while AWS is called. What came in together is one transaction: sealed
credentials, states, events.
"""

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from queue import Empty

import structlog
from django.conf import settings

from sessions.activations.moves import move_first
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError
from sessions.aws.proof import About
from sessions.credentials import outcomes
from sessions.credentials.needs import Need, needs_of
from sessions.credentials.outcomes import Blocked, Deferred, Minted, Outcome, Refusal
from sessions.credentials.timing import DEFERRED_FOR, PARENT_MARGIN, after
from sessions.db.clock import database_now
from sessions.engine import claims, source_identity
from sessions.engine.call_pool import Errands
from sessions.engine.claims import Claim
from sessions.engine.commit import commit
from sessions.engine.lanes import Call, Lane, Lanes
from sessions.engine.parents import Base, base_from, prepare, route_from, route_to, signed_by
from sessions.locks.held_up import team_by_team, teams_held_up
from sessions.models import Credential
from sessions.monitoring import counters
from sessions.roots.scouts import Scouts

log = structlog.get_logger(__name__)

# What came in is committed together once it is this much, or the first of it has waited this long.
# What waits is lost with its worker, so there is little waiting: in a backlog twice what the last
# commit took, and else the least.
MOST_IN_A_COMMIT = 200
LONGEST_BEFORE_COMMIT_SECONDS = 0.1
LEAST_BEFORE_COMMIT_SECONDS = 0.02
COMMITS_BEFORE_COMMIT = 2
# People who wait are looked for this often while a run is under way.
LOOK_AGAIN_SECONDS = 0.05
# What another run is minting is waited for so long before its children are given back.
LONGEST_FOR_PARENTS_SECONDS = 2.0
# So many batches at most are held, most of which wait for other runs or for slow accounts.
MOST_BATCHES_HELD = 4
# Bulk looks again as well, or calls that hang would keep everything else waiting until they time
# out.
LOOK_AGAIN_IN_BULK_SECONDS = 0.5


@dataclass
class Run:
    """Hold one run of rotation.

    `bases` are opened credentials to assume from, and `failed` what the lack of them means for what
    would be assumed from them, both by fingerprint of the parent; `expected` are parents that other
    runs are minting, and since when this one waits for them; `called` is what is on its way to STS,
    by its row.
    """

    asked_only: bool
    claim: Claim = field(default_factory=Claim)
    rows: dict[str, Credential] = field(default_factory=dict)
    needs: dict[str, list[Need]] = field(default_factory=dict)
    parents: dict[str, Credential] = field(default_factory=dict)
    bases: dict[str, AwsCredentials] = field(default_factory=dict)
    failed: dict[str, Outcome] = field(default_factory=dict)
    waiting: dict[str, list[Credential]] = field(default_factory=dict)
    done: list[tuple[Credential, Outcome]] = field(default_factory=list)
    held_back: list[tuple[Credential, Outcome]] = field(default_factory=list)
    expected: dict[str, float] = field(default_factory=dict)
    called: dict[str, Lane] = field(default_factory=dict)
    errands: Errands = field(default_factory=Errands)
    scouts: Scouts = field(default_factory=Scouts)
    held_in_all: int = 0
    first_done_at: float = 0.0
    commit_seconds: float = 0.0
    looked_at: float = float("-inf")
    looked_for_parents_at: float = float("-inf")
    renewed_at: float = field(default_factory=time.monotonic)
    drained: bool = False

    def __post_init__(self) -> None:
        self.lanes = Lanes(asked=self.asked_only)

    # --- the loop ---------------------------------------------------------------------------------

    def work(self, limit: int, until: float) -> int:
        """Work until nothing is due, or until that moment of the monotonic clock.

        Returns how many rows it has held.
        """
        try:
            while True:
                self._claim_more(limit, until)
                self._look_for_parents()
                self._hand_over_calls(until)
                self._take_up_again()
                waits = self.errands.under_way or len(self.lanes) or self.expected or self.held_back
                if not (waits or self.done):
                    break
                if self.errands.under_way == 0 and not self.done and time.monotonic() >= until:
                    break
                self._take_in_answers()
                if self._is_time_to_commit():
                    self._commit()
                self._renew()
        finally:
            self.errands.ended = True
            # What nobody has begun is as due as it was, for whoever comes next, also where this run
            # has failed.
            team_by_team(list(self.rows.values()), team_of, self._release)
            counters.write()
        return self.held_in_all

    def _claim_more(self, limit: int, until: float) -> None:
        now = time.monotonic()
        if now >= until or len(self.rows) > MOST_BATCHES_HELD * limit:
            return
        may_look = now - self.looked_at >= (
            LOOK_AGAIN_SECONDS if self.asked_only else LOOK_AGAIN_IN_BULK_SECONDS
        )
        not_below: set[str] = set()
        # Half a batch to work on is enough. But what waits for other runs, or for an account that
        # is slow or throttled, is to keep nothing else from being done.
        if self._workable_without(self.expected.keys()) > limit // 2:
            if not may_look:
                return
            self.looked_at, held_up = now, self._held_up()
            if self._workable_without({*self.expected, *held_up}) > limit // 2:
                return
            not_below = {*self.expected, *held_up, *self.lanes.parents_held_up()}
        elif self.drained and not may_look:
            return
        self.looked_at = now
        fresh = claims.claim_due(
            self.claim,
            limit,
            asked_only=self.asked_only,
            not_below=not_below,
            not_of=teams_held_up(),
        )
        self.drained = len(fresh) < limit and not not_below
        if fresh:
            after("claimed")
            self._admit(fresh)

    def _held_up(self) -> set[str]:
        """Return the rows that wait long for an answer or for their call."""
        held = {pk for pk, lane in self.called.items() if lane.is_held_up()}
        held |= {call.row.pk for call in self.lanes.held_up()}
        return held | self.scouts.held_by(held)

    def _workable_without(self, idle: Collection[str]) -> int:
        """Count the held rows that are neither these nor wait for them."""
        count, frontier = len(self.rows.keys() & idle), list(idle)
        while frontier:
            frontier = [row.pk for parent_id in frontier for row in self.waiting.get(parent_id, ())]
            count += len(frontier)
        return len(self.rows) - count

    def _hand_over_calls(self, until: float) -> None:
        if time.monotonic() >= until:
            return
        for call, error, left in self.lanes.shut_out():
            problem = outcomes.problem_of(error.told_at(call.row.level))
            self._finish(call.row, Blocked(problem, due_at=database_now() + left))
        # Answers that wait for their commit are lost with this process, so there is a line only
        # where there is a backlog.
        for lane, call in self.lanes.next_calls(self.errands.room(in_line=self._has_backlog())):
            if (
                self.rows.get(call.row.pk) is not call.row
            ):  # stopped, or taken over, since it was claimed
                self.lanes.not_made(lane, call)
                counters.add("claims_lost")
                continue
            if call.base is None:
                base = prepare(call.row)
                outcome = (
                    base.mint(call.region) if isinstance(base, Base) and base.waits() else base
                )
                if not isinstance(outcome, Base):  # nothing to ask AWS
                    self.lanes.not_made(lane, call)
                    self._finish(call.row, outcome)
                    continue
                call = replace(call, base=outcome)
            self.called[call.row.pk] = lane
            self.errands.hand_over(lane, call)

    def _take_in_answers(self) -> None:
        if self.errands.under_way == 0:
            if not self.done and (len(self.lanes) or self.expected or self.held_back):
                time.sleep(min(self.lanes.seconds_until_permit(), LOOK_AGAIN_SECONDS))
            return
        try:
            # Half a commit's patience, so that what is done does not wait for what is slow.
            self._answered(*self.errands.answer(self._patience_seconds() / 2))
            while len(self.done) < MOST_IN_A_COMMIT:
                self._answered(*self.errands.answer(0))
        except Empty:
            return

    def _answered(self, lane: Lane, call: Call, outcome: Outcome | None) -> None:
        self.called.pop(call.row.pk, None)
        if outcome is None:
            self.lanes.not_made(lane, call)
            self._place(call.row)
            return
        error = outcome.error if isinstance(outcome, Refusal) else None
        signed_with = outcome.signed_with if isinstance(outcome, Refusal) else ""
        self.lanes.finished(lane, call, error)
        counters.add("sts_calls", lane.account, error.code if error else "ok")
        if error is not None:
            codes = call.base.codes if isinstance(call.base, Base) else ()
            if codes and self._ask_elsewhere(lane, call, error):
                return
            if not codes and lane.route.goes_elsewhere(call.region, error):
                self._place(call.row)
                return
            error = lane.route.judged(call.region, error)
            outcome = Refusal(
                error, signed_with=signed_with, codes=codes, unanswered=_may_be_used(call, error)
            )
        parent_id = str(call.row.parent_id)
        if call.row.parent_id is None or error is None:
            pass  # a root's own: nothing else is signed with what it was asked with
        elif error.about is About.CALLER:
            if call.row.level == 1:
                # Its first child to find out says so; the root's own row is minted again before
                # anything else is tried.
                outcome = Refusal(error.told_at(0), signed_with=signed_with)
            self._forget_base(parent_id)
        elif error.about is About.KEY:
            # One notice for the root, and no further call with a key that AWS has just rejected.
            error = error.told_at(0)
            problem, home = outcomes.problem_of(error), call.signed.home
            outcome = Refusal(error, self.scouts.reject(parent_id, problem, home), home)
            for other in self.lanes.take_out(parent_id):
                self._finish(other.row, outcomes.blocked_by(outcome))
        self._finish(call.row, outcome)

    def _ask_elsewhere(self, lane: Lane, call: Call, error: AwsError) -> bool:
        """Make a call with a code, which serves for seconds, once more at another region, and at
        once.
        """
        region = lane.route.other_than(call.region)
        if region is None or not outcomes.is_unanswered(error) or call.is_second:
            return False
        assert isinstance(call.base, Base)
        lane.handed_over[region] += 1
        self.called[call.row.pk] = lane
        again = replace(
            call, base=replace(call.base, unanswered=True), region=region, is_second=True
        )
        self.errands.hand_over(lane, again)
        return True

    def _forget_base(self, parent_id: str) -> None:
        """Drop a base that AWS says has ended; what waits looks again once its parent is issued."""
        self.bases.pop(parent_id, None)
        self.failed[parent_id] = Deferred(DEFERRED_FOR)
        for other in self.lanes.take_out(parent_id):
            self._finish(other.row, Deferred(DEFERRED_FOR))

    def _is_time_to_commit(self) -> bool:
        if not self.done:
            return False
        nothing_else_comes = self.errands.under_way == 0
        somebody_waits = self.asked_only or any(row.pk in self.waiting for row, _ in self.done)
        return (
            nothing_else_comes
            or len(self.done) >= MOST_IN_A_COMMIT
            or time.monotonic() - self.first_done_at
            >= min(
                self._patience_seconds(),
                LONGEST_BEFORE_COMMIT_SECONDS / 4 if somebody_waits else math.inf,
            )
        )

    def _patience_seconds(self) -> float:
        worth_waiting = COMMITS_BEFORE_COMMIT * self.commit_seconds if self._has_backlog() else 0.0
        return min(max(LEAST_BEFORE_COMMIT_SECONDS, worth_waiting), LONGEST_BEFORE_COMMIT_SECONDS)

    def _has_backlog(self) -> bool:
        return not (self.asked_only or self.drained)

    def _renew(self) -> None:
        # By this process's clock: whether the lease is over the database decides, when to extend it
        # is only a matter of care.
        if self.rows and time.monotonic() - self.renewed_at > settings.CHAINWEB_LEASE_SECONDS / 3:
            self.renewed_at = time.monotonic()
            held, left = team_by_team(
                list(self.rows.values()), team_of, lambda some: claims.renew(self.claim, keys(some))
            )
            held |= set(keys(left))
            self.rows = {pk: row for pk, row in self.rows.items() if pk in held}

    def _release(self, rows: list[Credential]) -> Collection[str]:
        claims.release(self.claim, keys(rows))
        return ()

    def _release_unneeded(self, rows: list[Credential]) -> Collection[str]:
        claims.release_unneeded(self.claim, keys(rows))
        return ()

    def _take_up_again(self) -> None:
        """Have committed what waits for a team's lock that is free by now."""
        if not self.held_back:
            return
        held, waiting = teams_held_up(), self.held_back
        self.held_back = [each for each in waiting if team_of(each[0]) in held]
        if len(self.held_back) < len(waiting):
            self.first_done_at = self.first_done_at if self.done else time.monotonic()
            self.done += [each for each in waiting if team_of(each[0]) not in held]

    # --- rows on their way ------------------------------------------------------------------------

    def _admit(self, fresh: list[Credential]) -> None:
        """Admit newly claimed rows: who needs them, and whether their parents must be issued
        first.
        """
        self.held_in_all += len(fresh)
        self.rows.update({row.pk: row for row in fresh})
        if left := move_first(fresh):
            self.rows = {pk: row for pk, row in self.rows.items() if pk not in left}
            fresh = [row for row in fresh if row.pk not in left]
        frontier = fresh
        while frontier:
            wanted = {str(row.parent_id) for row in frontier if row.parent_id} - self.rows.keys()
            found = _read(wanted)
            self.parents.update(found)
            now = database_now()
            run_out = [
                pk
                for pk, row in found.items()
                if (row.level > 0 or row.is_kept_base) and not row.is_live(now + PARENT_MARGIN)
            ]
            frontier = claims.claim_these(self.claim, run_out)
            # What was not to be had may have been minted between the look and the grasp.
            self.parents |= _read({*run_out} - {row.pk for row in frontier})
            self.rows.update({row.pk: row for row in frontier})
            fresh = [*fresh, *frontier]
        for row in sorted(fresh, key=lambda row: row.level):
            parent = self.parents.get(str(row.parent_id)) or self.rows.get(str(row.parent_id))
            if parent is not None and parent.root_id == row.root_id:
                row.root = parent.root  # one query for each parent that is read, and none for a row
        needs = needs_of([row.pk for row in fresh])
        self.needs.update(needs)
        team_by_team([row for row in fresh if not needs[row.pk]], team_of, self._release_unneeded)
        for row in fresh:
            if needs[row.pk]:
                self._place(row)
            else:
                self.rows.pop(row.pk, None)

    def _place(self, row: Credential, *, may_wait: bool = True) -> None:
        """Queue a row if its parent is there, let it wait for the parent, or finish it."""
        if row.level == 0:
            self.lanes.add(route_to(row), Call(row, None))
            return
        parent_id = str(row.parent_id)
        if (parent_id in self.rows or parent_id in self.expected) and parent_id not in self.bases:
            self.waiting.setdefault(parent_id, []).append(row)
            return
        if parent_id in self.failed:
            self._finish(row, self.failed[parent_id])
            return
        parent = self.parents.get(parent_id)
        base = self.bases.get(parent_id) or (
            base_from(parent) if parent else Deferred(DEFERRED_FOR)
        )
        if isinstance(base, AwsCredentials) and parent is not None:
            self.bases[parent_id] = base
            match self.scouts.ask(parent, row):
                case Blocked() as blocked:
                    self._finish(row, blocked)
                case True:
                    if parent_id in self.scouts.sent:
                        self.errands.refused.discard((parent_id, base.access_key_id))
                    self.lanes.add(route_from(parent), Call(row, base, signed_by(parent, base)))
                case False:
                    self.waiting.setdefault(parent_id, []).append(row)
            return
        assert not isinstance(base, AwsCredentials)
        if isinstance(base, Refusal):
            self.failed[parent_id] = outcomes.blocked_by(base)
            self._finish(row, self.failed[parent_id])
        elif isinstance(base, Deferred) and parent is not None and may_wait:
            self.expected[parent_id] = time.monotonic()
            self.waiting.setdefault(parent_id, []).append(row)
        else:
            self._finish(row, base)

    def _look_for_parents(self) -> None:
        """Check if the parents that other runs were issuing are there, or will not come."""
        looked_at = time.monotonic()
        if not self.expected or looked_at - self.looked_for_parents_at < LOOK_AGAIN_SECONDS:
            return
        self.looked_for_parents_at = looked_at
        held = Credential.objects.filter(pk__any_of=self.expected, lease_until__gt=database_now())
        being_minted = set(held.values_list("pk", flat=True))
        over = [
            parent_id
            for parent_id, since in self.expected.items()
            if parent_id not in being_minted or looked_at - since > LONGEST_FOR_PARENTS_SECONDS
        ]
        self.parents |= _read(over)
        for parent_id in over:
            del self.expected[parent_id]
            for child in self.waiting.pop(parent_id, []):
                self._place(child, may_wait=False)

    def _finish(self, row: Credential, outcome: Outcome) -> None:
        if not self.done:
            self.first_done_at = time.monotonic()
        self.done.append((row, outcome))
        if self.scouts.returned(row):
            for other in self.waiting.pop(str(row.parent_id), []):
                self._place(other)

    def _commit(self) -> None:
        finished, self.done = self.done, []
        # A row that was stopped and started again meanwhile is another one, though it answers the
        # same request.
        done = [
            each for each in finished if each[0].pk in self.needs and self._is_held_or_lost(each[0])
        ]
        after("assumed")
        begun = time.monotonic()
        committed, left = team_by_team(
            done, lambda each: team_of(each[0]), lambda some: commit(self.claim, some, self.needs)
        )
        if left:
            self.held_back += left
            waiting = {row.pk for row, _ in left}
            done = [each for each in done if each[0].pk not in waiting]
            finished = [each for each in finished if each[0].pk not in waiting]
        else:
            self.scouts.written()
        self.commit_seconds = time.monotonic() - begun
        source_identity.go_on_without(
            row
            for row, outcome in done
            if row.pk in committed and source_identity.is_refused(row, outcome)
        )
        after("committed")
        if len(finished) > len(committed):
            counters.add("claims_lost", amount=len(finished) - len(committed))
        # With their secrets, which a claim does not read: what still lives can still be assumed
        # from.
        unminted = _read(
            [
                row.pk
                for row, outcome in done
                if not (isinstance(outcome, Minted) and row.pk in committed)
            ]
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
                self.failed[row.pk] = outcomes.blocked_by(outcome, unminted.get(row.pk))
            for child in self.waiting.pop(row.pk, []):
                self._place(child)

    def _is_held_or_lost(self, row: Credential) -> bool:
        return self.rows.get(row.pk, row) is row


def _may_be_used(call: Call, error: AwsError) -> bool:
    """Tell whether AWS may have taken the codes of that call, or of the one before it, without
    saying so.
    """
    return isinstance(call.base, Base) and (call.base.unanswered or outcomes.is_unanswered(error))


def team_of(row: Credential) -> str:
    return str(row.team_id)


def keys(rows: Sequence[Credential]) -> list[str]:
    return [row.pk for row in rows]


def run(*, asked_only: bool = False, limit: int | None = None, seconds: float = 60.0) -> int:
    """Issue what is due, parents before children.

    Returns how many credentials it held: 0 means that nothing was due.
    """
    return Run(asked_only).work(limit or settings.CHAINWEB_BATCH_SIZE, time.monotonic() + seconds)


def _read(fingerprints: Collection[str]) -> dict[str, Credential]:
    """Return these rows with all columns, by fingerprint."""
    return (
        Credential.objects.filter(pk__any_of=fingerprints).select_related("root").in_bulk()
        if fingerprints
        else {}
    )
