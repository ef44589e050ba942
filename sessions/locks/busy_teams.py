"""Postpone work for a team whose lock is held, and go on with other teams.

Workers wait for a lock as long as web requests do. A transaction about several teams waits for a
moment only, since it holds the other teams' locks meanwhile; then each team has a transaction of
its own. A team that could not be locked is tried again after twice as long each time, or once its
lock is seen to be free.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import structlog
from django.db import OperationalError, connection, transaction

from sessions.db.limits import is_busy
from sessions.models import LedgerHead, Team

log = structlog.get_logger(__name__)
Each = TypeVar("Each")

# A transaction that holds other teams' locks waits no longer for one more.
SHORT_LOCK_TIMEOUT_SECONDS = 0.3
# For an answer of AWS that cannot be had again and would be lost with the transaction.
LONG_LOCK_TIMEOUT_SECONDS = 20.0
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 30.0
LOOK_EVERY_SECONDS = 0.5


class _BusyTeams:
    """Hold the teams that this process could not lock, and when it tries again; for one thread."""

    def __init__(self) -> None:
        self.pauses: dict[str, float] = {}
        self.again_at: dict[str, float] = {}
        self.look_at: dict[str, float] = {}

    def note(self, team_id: object) -> None:
        key, now = str(team_id), time.monotonic()
        pause = min(2 * self.pauses.get(key, FIRST_PAUSE_SECONDS / 2), LONGEST_PAUSE_SECONDS)
        self.pauses[key], self.again_at[key] = pause, now + pause
        self.look_at[key] = now + LOOK_EVERY_SECONDS
        log.warning(
            "a team's lock is held; its work is left for later", team=key, again_in_seconds=pause
        )

    def forget(self, team_id: object) -> None:
        key = str(team_id)
        if self.pauses.pop(key, None) is not None:
            del self.again_at[key], self.look_at[key]

    def teams(self) -> set[str]:
        if not self.pauses:
            return set()
        now = time.monotonic()
        for key in [key for key, look_at in self.look_at.items() if look_at <= now]:
            self.look_at[key] = now + LOOK_EVERY_SECONDS
            if _is_free(key):
                self.forget(key)
        return {key for key, again_at in self.again_at.items() if again_at > now}


_busy = _BusyTeams()
_together = False


def busy_teams() -> set[str]:
    """Return the teams (ids as text) that this process leaves alone for now."""
    return _busy.teams()


def forget_all() -> None:
    """Forget which teams were busy."""
    _busy.__init__()  # type: ignore[misc]


def team_by_team(
    rows: Sequence[Each],
    team_of: Callable[[Each], object],
    act: Callable[[list[Each]], Collection[str]],
) -> tuple[set[str], list[Each]]:
    """Run `act` for the rows of all teams together, or per team where a lock is held.

    Returns what `act` has returned, in one set, and the rows of busy teams.
    """
    held = busy_teams()
    left = [row for row in rows if str(team_of(row)) in held]
    by_team: dict[str, list[Each]] = {}
    for row in rows:
        if (key := str(team_of(row))) not in held:
            by_team.setdefault(key, []).append(row)
    if len(by_team) > 1:
        try:
            with _all_together():
                return set(act([row for some in by_team.values() for row in some])), left
        except OperationalError as error:
            if not is_busy(error):
                raise
    done: set[str] = set()
    for key, some in by_team.items():
        with skip_if_busy(key) as skipped:
            done |= set(act(some))
        if skipped:
            left += some
        else:
            _busy.forget(key)
    return done, left


@contextmanager
def _all_together() -> Iterator[None]:
    global _together
    _together = True
    try:
        yield
    finally:
        _together = False


def shorten_lock_timeout() -> None:
    """Wait only a moment for this transaction's locks if it is about several teams."""
    if _together:
        set_lock_timeout(SHORT_LOCK_TIMEOUT_SECONDS)


def set_lock_timeout(seconds: float) -> None:
    """Set how long this transaction waits for locks from here on."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {round(1000 * seconds)}")


@contextmanager
def skip_if_busy(team_id: object = None) -> Iterator[list[BaseException]]:
    """Give up the block if a lock is not available: its work stays due.

    Yields a list that is empty unless that was so.
    """
    skipped: list[BaseException] = []
    try:
        yield skipped
    except OperationalError as error:
        if not is_busy(error) or connection.in_atomic_block:
            raise
        skipped.append(error)
        if team_id is None:
            log.warning("a lock is held; what waits for it is left for later")
        else:
            _busy.note(team_id)


def _is_free(team_id: str) -> bool:
    """Tell whether both locks of a team are free now."""
    with transaction.atomic():
        team = Team.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=team_id)
        head = LedgerHead.objects.select_for_update(skip_locked=True).filter(pk=team_id)
        return (
            len(_keys(team)) + len(_keys(head)) == 2 or not Team.objects.filter(pk=team_id).exists()
        )


def _keys(rows: Any) -> list[Any]:
    return list(rows.values_list("pk", flat=True))
