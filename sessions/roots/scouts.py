"""Let one call at a time find out if a rejected root key still is, for all sessions on it."""

import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sessions.credentials.outcomes import Blocked
from sessions.credentials.timing import compressed
from sessions.db.clock import database_now
from sessions.models import Credential, Problem

# So long a rejection is taken for granted, unless a person asks.
REST = compressed(minutes=1)


@dataclass
class KeyRejection:
    """Hold what AWS said of a root's key, when it was tried and at which STS region.

    `is_written`: the root's row says so, unless somebody has cleared it since.
    """

    problem: Problem
    is_written: bool


@dataclass
class Scouts:
    """Hold what one run knows of roots in doubt.

    `sent` is {root: the row whose call finds out}; `found_out` were rejected meanwhile,
    `works` are cleared of doubt."""

    rejected: dict[str, KeyRejection] = field(default_factory=dict)
    sent: dict[str, str] = field(default_factory=dict)
    works: set[str] = field(default_factory=set)
    found_out: set[str] = field(default_factory=set)
    _now: datetime | None = None
    _now_at: float = 0.0

    def ask(self, root: Credential, row: Credential) -> bool | Blocked:
        """Decide about a call from that root, read when this row was claimed.

        Make it (True), wait for the one
        that finds out, or be told what it found."""
        rejected = self._known(root)
        if rejected is None or root.pk in self.works or self.sent.get(root.pk) == row.pk:
            return True
        if root.pk in self.sent:
            return False
        problem = rejected.problem
        if root.root.sts_home == problem.home and self._is_settled(problem, row):
            return Blocked(problem, due_at=None, finds_out=True)
        self.sent[root.pk] = row.pk
        return True

    def _known(self, root: Credential) -> KeyRejection | None:
        found = self.rejected.get(root.pk)
        if found is None or found.is_written:
            # Another worker may know better by now: that the key works, or that it was rejected
            # again.
            return _noted(root)
        return found

    def _is_settled(self, problem: Problem, row: Credential) -> bool:
        if problem.tried is None or (row.asked_at and row.asked_at > problem.tried):
            return False
        return self._clock() - problem.tried < REST

    def reject(self, root_id: str, problem: Problem, home: str, seconds_ago: float) -> datetime:
        """Note that AWS has rejected the root's key in a call of then; return when that was.

        The answer may have waited in this process while the key worked for another worker.
        """
        tried = self._clock() - timedelta(seconds=seconds_ago)
        problem = replace(problem, tried=tried, home=home)
        self.rejected[root_id] = KeyRejection(problem, is_written=False)
        self.works.discard(root_id)
        self.found_out.add(root_id)
        return tried

    def written(self) -> None:
        """Note that all rejections up to now are committed."""
        for rejected in self.rejected.values():
            rejected.is_written = True

    def returned(self, row: Credential) -> bool:
        """Tell if that row's call was the scout: then what waits for it goes on."""
        root_id = str(row.parent_id)
        if self.sent.get(root_id) != row.pk:
            return False
        del self.sent[root_id]
        if root_id in self.found_out:
            self.found_out.discard(root_id)
        else:
            self.works.add(root_id)
        return True

    def held_by(self, rows: set[str]) -> set[str]:
        """The roots of which these rows are to find out."""
        return {root_id for root_id, pk in self.sent.items() if pk in rows}

    def _clock(self) -> datetime:
        """The database's time, to about a second: one question for a thousand rows."""
        if self._now is None or time.monotonic() - self._now_at > 1:
            self._now, self._now_at = database_now(), time.monotonic()
        return self._now + timedelta(seconds=time.monotonic() - self._now_at)


def _noted(root: Credential) -> KeyRejection | None:
    """Return the problem in the root's row, if it is about a key used as it is."""
    if root.level > 0 or root.is_kept_base or root.problem is None:
        return None
    return KeyRejection(root.problem, is_written=True)
