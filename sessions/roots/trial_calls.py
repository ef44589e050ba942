"""Let one trial call at a time find out whether a root's rejected key works again."""

import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sessions.credentials.outcomes import Blocked
from sessions.credentials.timing import compressed
from sessions.db.clock import database_now
from sessions.models import Credential, Problem

# A rejection is taken for granted for so long, unless a person asks.
REST = compressed(minutes=1)


@dataclass
class KeyRejection:
    """Hold AWS's rejection of a root's key: when it was tried and at which STS region.

    `is_written`: it is committed to the root's row, which somebody may have cleared since.
    """

    problem: Problem
    is_written: bool


@dataclass
class TrialCalls:
    """Hold what one run knows of roots whose key AWS has rejected.

    `under_trial` is {root: the row whose call finds out}; `failed` are roots that such a call found
    rejected again, `works` those whose key it found to work.
    """

    rejected: dict[str, KeyRejection] = field(default_factory=dict)
    under_trial: dict[str, str] = field(default_factory=dict)
    works: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    _now: datetime | None = None
    _now_at: float = 0.0

    def admit(self, root: Credential, row: Credential) -> bool | Blocked:
        """Decide about a row's call that is signed by a root, which was read with the claim.

        Returns True to make the call, False to wait for the trial call, or what that has found.
        """
        rejected = self._known(root)
        if rejected is None or root.pk in self.works or self.under_trial.get(root.pk) == row.pk:
            return True
        if root.pk in self.under_trial:
            return False
        problem = rejected.problem
        if root.root.sts_home == problem.home and self._is_settled(problem, row):
            return Blocked(problem, due_at=None, finds_out=True)
        self.under_trial[root.pk] = row.pk
        return True

    def _known(self, root: Credential) -> KeyRejection | None:
        found = self.rejected.get(root.pk)
        if found is None or found.is_written:
            # Another worker may have found by now that the key works, or was rejected again.
            return _noted(root)
        return found

    def _is_settled(self, problem: Problem, row: Credential) -> bool:
        if problem.tried is None or (row.asked_at and row.asked_at > problem.tried):
            return False
        return self._clock() - problem.tried < REST

    def reject(self, root_id: str, problem: Problem, home: str, seconds_ago: float) -> datetime:
        """Note that AWS rejected the root's key in a call made so long ago; return when that was.

        The answer may have waited in this process while the key worked for another worker.
        """
        tried = self._clock() - timedelta(seconds=seconds_ago)
        problem = replace(problem, tried=tried, home=home)
        self.rejected[root_id] = KeyRejection(problem, is_written=False)
        self.works.discard(root_id)
        self.failed.add(root_id)
        return tried

    def mark_written(self) -> None:
        """Mark all rejections up to now as committed."""
        for rejected in self.rejected.values():
            rejected.is_written = True

    def finish(self, row: Credential) -> bool:
        """Tell whether that row's call was a trial, which has ended: what waits for it goes on."""
        root_id = str(row.parent_id)
        if self.under_trial.get(root_id) != row.pk:
            return False
        del self.under_trial[root_id]
        if root_id in self.failed:
            self.failed.discard(root_id)
        else:
            self.works.add(root_id)
        return True

    def roots_of(self, rows: set[str]) -> set[str]:
        """Return the roots that are under trial by a call of these rows."""
        return {root_id for root_id, pk in self.under_trial.items() if pk in rows}

    def _clock(self) -> datetime:
        """Return the database's time, read once a second: one query for a thousand rows."""
        if self._now is None or time.monotonic() - self._now_at > 1:
            self._now, self._now_at = database_now(), time.monotonic()
        return self._now + timedelta(seconds=time.monotonic() - self._now_at)


def _noted(root: Credential) -> KeyRejection | None:
    """Return the rejection in a root's row, if its key signs calls as it is."""
    if root.level > 0 or root.is_cached_root or root.problem is None:
        return None
    return KeyRejection(root.problem, is_written=True)
