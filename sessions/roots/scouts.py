"""Let one call at a time find out if a rejected root key still is, for all sessions on it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sessions.credentials.outcomes import Blocked
from sessions.credentials.timing import compressed
from sessions.db.clock import database_now
from sessions.models import Credential

# So long a rejection is taken for granted, unless a person asks.
REST = compressed(minutes=1)


@dataclass
class Rejected:
    """Hold what AWS said of a root's key, when, and at which STS region.

    `is_written`: the root's row says so, unless somebody has
    cleared it since."""

    problem: dict[str, Any]
    at: datetime | None
    home: str
    is_written: bool


@dataclass
class Scouts:
    """Hold what one run knows of roots in doubt.

    `sent` is {root: the row whose call finds out}; `found_out` were rejected meanwhile,
    `works` are cleared of doubt."""

    rejected: dict[str, Rejected] = field(default_factory=dict)
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
        if root.root.sts_home == rejected.home and self._is_settled(rejected, row):
            return Blocked(
                told(rejected.problem, rejected.at, rejected.home), due_at=None, finds_out=True
            )
        self.sent[root.pk] = row.pk
        return True

    def _known(self, root: Credential) -> Rejected | None:
        found = self.rejected.get(root.pk)
        if found is None or found.is_written:
            # Another worker may know better by now: that the key works, or that it was rejected
            # again.
            return _noted(root)
        return found

    def _is_settled(self, rejected: Rejected, row: Credential) -> bool:
        if rejected.at is None or (row.asked_at and row.asked_at > rejected.at):
            return False
        return self._clock() - rejected.at < REST

    def reject(self, root_id: str, problem: dict[str, Any], home: str) -> datetime:
        """Take down that AWS has rejected the root's key just now; returns when that is."""
        now = self._clock()
        self.rejected[root_id] = Rejected(problem, now, home, is_written=False)
        self.works.discard(root_id)
        self.found_out.add(root_id)
        return now

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


def told(problem: Mapping[str, Any], tried: datetime | None, home: str) -> dict[str, Any]:
    """A root's problem with the moment at which AWS last said so, and the root's STS region of
    then.
    """
    return {**problem, "tried": tried.isoformat() if tried else None, "home": home}


def plain(problem: Mapping[str, Any]) -> dict[str, Any]:
    """A root's problem without these, nor what is noted of its codes."""
    return {
        name: value
        for name, value in problem.items()
        if name not in {"tried", "home", "unanswered"}
    }


def _noted(root: Credential) -> Rejected | None:
    """Return the problem in the root's row, if it is about a key used as it is."""
    if root.level > 0 or root.is_kept_base or root.problem is None:
        return None
    tried = root.problem.get("tried")
    at, home = datetime.fromisoformat(tried) if tried else None, str(root.problem.get("home", ""))
    return Rejected(plain(root.problem), at, home, is_written=True)
