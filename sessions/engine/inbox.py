"""Hold what one run has claimed, who needs it, and when it looks for more."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from django.conf import settings

from sessions.activations.moves import move_first
from sessions.credentials.needs import Need, needs_of
from sessions.credentials.timing import crash_point
from sessions.engine import claims
from sessions.engine.claims import Claim
from sessions.locks.busy_teams import busy_teams, team_by_team
from sessions.models import Credential

# While a run is under way, it looks this often for rows that people wait for.
LOOK_AGAIN_SECONDS = 0.05
# Bulk looks again as well: calls that hang would keep everything else waiting until they time out.
LOOK_AGAIN_IN_BULK_SECONDS = 0.5
# A run holds at most so many batches; most of these rows wait for other runs or slow accounts.
MOST_BATCHES_HELD = 4


@dataclass
class Inbox:
    """Hold the rows that one run has claimed.

    `rows` are those it still works on, by fingerprint; `needs` says who needs them. `held_in_all`
    counts those that were claimed because they were due. `drained`: the last claim found fewer than
    it could take.
    """

    asked_only: bool
    claim: Claim = field(default_factory=Claim)
    rows: dict[str, Credential] = field(default_factory=dict)
    needs: dict[str, list[Need]] = field(default_factory=dict)
    held_in_all: int = 0
    drained: bool = False
    looked_at: float = float("-inf")
    renewed_at: float = field(default_factory=time.monotonic)

    def is_full(self, limit: int) -> bool:
        return len(self.rows) > MOST_BATCHES_HELD * limit

    def has_backlog(self) -> bool:
        return not (self.asked_only or self.drained)

    def may_look_again(self) -> bool:
        pause = LOOK_AGAIN_SECONDS if self.asked_only else LOOK_AGAIN_IN_BULK_SECONDS
        return time.monotonic() - self.looked_at >= pause

    def claim_due(self, limit: int, not_below: Collection[str]) -> list[Credential]:
        """Claim up to `limit` due rows, none of them assumed from the parents `not_below`."""
        self.looked_at = time.monotonic()
        fresh = claims.claim_due(
            self.claim,
            limit,
            asked_only=self.asked_only,
            not_below=not_below,
            not_of=busy_teams(),
        )
        self.drained = len(fresh) < limit and not not_below
        if not fresh:
            return []
        crash_point("claimed")
        self.held_in_all += len(fresh)
        self._hold(fresh)
        for pk in (left := move_first(fresh)):
            self.rows.pop(pk, None)
        return [row for row in fresh if row.pk not in left]

    def claim_expired(self, fingerprints: Collection[str]) -> list[Credential]:
        """Claim these expired parents of held rows, unless another run holds or renewed them."""
        rows = claims.claim_expired(self.claim, fingerprints)
        self._hold(rows)
        return rows

    def keep_needed(self, rows: Sequence[Credential]) -> list[Credential]:
        """Release the rows that nobody needs; return the others."""
        needs = needs_of([row.pk for row in rows])
        self.needs.update(needs)
        unneeded = [row for row in rows if not needs[row.pk]]
        team_by_team(unneeded, team_of, self._release_unneeded)
        for row in unneeded:
            self.rows.pop(row.pk, None)
        return [row for row in rows if needs[row.pk]]

    def holds(self, row: Credential) -> bool:
        """Tell whether a row is still held; stopped and started again, it is another row."""
        return self.rows.get(row.pk) is row

    def may_store(self, row: Credential) -> bool:
        """Tell whether a row's outcome may be stored, as far as this run knows.

        A row whose lease was lost is tried all the same: its fence decides.
        """
        return row.pk in self.needs and self.rows.get(row.pk, row) is row

    def forget(self, row: Credential) -> None:
        """Drop a row that is done with."""
        self.rows.pop(row.pk, None)
        self.needs.pop(row.pk, None)

    def renew(self) -> None:
        """Extend the leases in time, and drop the rows that this run has lost."""
        # By this process's clock, which only chooses when to extend: the database decides whether
        # a lease is over.
        if self.rows and time.monotonic() - self.renewed_at > settings.CHAINWEB_LEASE_SECONDS / 3:
            self.renewed_at = time.monotonic()
            held, left = team_by_team(list(self.rows.values()), team_of, self._renew)
            held |= set(keys(left))
            self.rows = {pk: row for pk, row in self.rows.items() if pk in held}

    def release(self) -> None:
        """Release the rows that are not begun: they are as due as they were."""
        team_by_team(list(self.rows.values()), team_of, self._release)

    def _hold(self, rows: Sequence[Credential]) -> None:
        self.rows.update({row.pk: row for row in rows})

    def _renew(self, rows: list[Credential]) -> Collection[str]:
        return claims.renew(self.claim, keys(rows))

    def _release(self, rows: list[Credential]) -> Collection[str]:
        claims.release(self.claim, keys(rows))
        return ()

    def _release_unneeded(self, rows: list[Credential]) -> Collection[str]:
        claims.release_unneeded(self.claim, keys(rows))
        return ()


def team_of(row: Credential) -> str:
    return str(row.team_id)


def keys(rows: Sequence[Credential]) -> list[str]:
    return [row.pk for row in rows]
