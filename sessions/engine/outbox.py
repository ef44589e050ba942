"""Hold the outcomes of one run until they are committed, in batches."""

import math
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from sessions.aws.credentials import AwsCredentials
from sessions.credentials.outcomes import Minted, Outcome
from sessions.credentials.timing import crash_point
from sessions.engine import scoping, source_identity
from sessions.engine.commit import commit
from sessions.engine.inbox import Inbox, team_of
from sessions.locks.busy_teams import busy_teams, team_by_team
from sessions.models import Credential
from sessions.monitoring import counters

# Results are committed together once they are this many, or the first has waited this long. What
# waits is lost with its worker, so it waits little: in a backlog twice as long as the last commit
# took, and else the least.
MOST_IN_A_COMMIT = 200
# A commit holds the ledgers of its teams, and who asks for a credential of theirs waits for it. So
# it is made as large as fits into this by how long the one before took.
COMMIT_SECONDS = 0.15
LEAST_IN_A_FULL_COMMIT = 25
LONGEST_BEFORE_COMMIT_SECONDS = 0.1
LEAST_BEFORE_COMMIT_SECONDS = 0.02
COMMITS_BEFORE_COMMIT = 2

Result = tuple[Credential, Outcome]


@dataclass(frozen=True)
class Committed:
    """Hold the results of one commit, and the credentials that it stored.

    `is_all`: none was held back for a team's lock.
    """

    results: list[Result]
    minted: dict[str, AwsCredentials]
    is_all: bool


@dataclass
class Outbox:
    """Hold results that wait: `done` for the next commit, `held_back` for a team's lock."""

    inbox: Inbox
    done: list[Result] = field(default_factory=list)
    held_back: list[Result] = field(default_factory=list)
    first_done_at: float = 0.0
    commit_seconds: float = 0.0
    most: int = MOST_IN_A_COMMIT

    def put(self, row: Credential, outcome: Outcome) -> None:
        if not self.done:
            self.first_done_at = time.monotonic()
        self.done.append((row, outcome))

    def is_full(self) -> bool:
        return len(self.done) >= self.most

    def requeue_held_back(self) -> None:
        """Put results back that waited for a team's lock, where that is free by now."""
        if not self.held_back:
            return
        held, waiting = busy_teams(), self.held_back
        self.held_back = [each for each in waiting if team_of(each[0]) in held]
        for row, outcome in waiting:
            if team_of(row) not in held:
                self.put(row, outcome)

    def is_time_to_commit(self, *, waited_for: Collection[str], nothing_else_comes: bool) -> bool:
        """Tell whether the results are to be stored now; `waited_for` are parents of held rows."""
        if not self.done:
            return False
        somebody_waits = self.inbox.asked_only or any(row.pk in waited_for for row, _ in self.done)
        longest = LONGEST_BEFORE_COMMIT_SECONDS / 4 if somebody_waits else math.inf
        return (
            nothing_else_comes
            or self.is_full()
            or time.monotonic() - self.first_done_at >= min(self.patience_seconds(), longest)
        )

    def patience_seconds(self) -> float:
        """Return how long the first result waits for others to be committed with."""
        worth_waiting = (
            COMMITS_BEFORE_COMMIT * self.commit_seconds if self.inbox.has_backlog() else 0.0
        )
        return min(max(LEAST_BEFORE_COMMIT_SECONDS, worth_waiting), LONGEST_BEFORE_COMMIT_SECONDS)

    def commit(self) -> Committed:
        """Store the results of the rows that are still this run's, as one transaction if it can."""
        finished, self.done = self.done, []
        results = [each for each in finished if self.inbox.may_store(each[0])]
        crash_point("assumed")
        begun = time.monotonic()
        stored, left = team_by_team(results, _team_of_result, self._store)
        if left:
            self.held_back += left
            waiting = {row.pk for row, _ in left}
            results = [each for each in results if each[0].pk not in waiting]
            finished = [each for each in finished if each[0].pk not in waiting]
        self.commit_seconds = time.monotonic() - begun
        self.most = most_after(len(results), self.commit_seconds, self.most)
        source_identity.drop_source_identity(
            row
            for row, outcome in results
            if row.pk in stored and source_identity.is_rejected(row, outcome)
        )
        scoping.follow_answers(each for each in results if each[0].pk in stored)
        crash_point("committed")
        if len(finished) > len(stored):
            counters.add("claims_lost", amount=len(finished) - len(stored))
        minted = {
            row.pk: outcome.credentials
            for row, outcome in results
            if isinstance(outcome, Minted) and row.pk in stored
        }
        return Committed(results, minted, is_all=not left)

    def _store(self, results: list[Result]) -> Collection[str]:
        return commit(self.inbox.claim, results, self.inbox.needs)


def most_after(results: int, seconds: float, most: int) -> int:
    """Return how many results make the next commit a full one, after one of so many took `seconds`.

    One of few tells little about many: what it has besides its rows weighs too much. It may only
    make the next one larger.
    """
    fits = int(results * COMMIT_SECONDS / seconds) if seconds > 0 else MOST_IN_A_COMMIT
    if results < LEAST_IN_A_FULL_COMMIT:
        fits = max(fits, most)
    return min(max(fits, LEAST_IN_A_FULL_COMMIT), MOST_IN_A_COMMIT)


def _team_of_result(result: Result) -> str:
    return team_of(result[0])
