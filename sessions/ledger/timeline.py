"""Count what was issued, delivered and rejected over the searched time, at a bounded cost."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Count
from django.db.models.functions import Trunc

from sessions.ledger.events.credentials import (
    CredentialMinted,
    CredentialRejected,
    CredentialRevealed,
)
from sessions.ledger.events.roots import RootOpened, RootRejected
from sessions.ledger.search import Lines
from sessions.ledger.terms import choice_of_kinds
from sessions.models import Event

ISSUED = (CredentialMinted.tag, RootOpened.tag)
DELIVERED = (CredentialRevealed.tag,)
REJECTED = (CredentialRejected.tag, RootRejected.tag)
# So many lines are looked at, the newest: of all lines; of those that a search finds. There are so
# many bars at most.
WALKED = 10_000
FOUND = 2000
BARS = 48
# What a bar may stand for, in minutes, and into what the database cuts time for it.
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10_080, 20_160, 43_200, 129_600)
_EPOCH = datetime(1970, 1, 5, tzinfo=UTC)  # a Monday


@dataclass(frozen=True)
class Bar:
    """Count the events of one stretch of time."""

    since: datetime
    issued: int
    delivered: int
    rejected: int


@dataclass(frozen=True)
class Timeline:
    """Hold the bars of a stretch of time without gaps, each of `step`.

    `is_cut`: there was more before, which is not counted.
    """

    bars: tuple[Bar, ...]
    step: timedelta
    is_cut: bool

    @property
    def issued(self) -> int:
        return sum(bar.issued for bar in self.bars)

    @property
    def delivered(self) -> int:
        return sum(bar.delivered for bar in self.bars)

    @property
    def rejected(self) -> int:
        return sum(bar.rejected for bar in self.bars)


def timeline_of(lines: Lines) -> Timeline | None:
    """Count the newest of these lines that are an issue, a delivery or a rejection; None for none.

    The bars stand for the whole searched time, or for the time of the lines where it has no bounds.
    """
    kinds = (*ISSUED, *DELIVERED, *REJECTED)
    every = Event.objects.filter(team_id=lines.team_id)
    counted = lines.without_terms()
    if counted is None:
        seqs = lines.having(choice_of_kinds(*kinds)).seqs(FOUND)
        is_cut, ends = len(seqs) == FOUND, [*seqs[-1:], *seqs[:1]]
        counted = every.filter(seq__in=seqs)
    else:
        is_cut = lines.end - WALKED >= lines.begin
        counted = counted.filter(seq__gt=lines.end - WALKED, kind__in=kinds)
        seqs_only = counted.values_list("seq", flat=True)
        ends = [*seqs_only.order_by("seq")[:1], *seqs_only.order_by("-seq")[:1]]
    if not ends:
        return None
    # By their numbers: for the first and last time PostgreSQL would walk along all times.
    times = dict(every.filter(seq__in=ends).values_list("seq", "at"))
    first, last = times[ends[0]], times[ends[-1]]
    since = first if is_cut or lines.since is None else lines.since
    until = last if lines.until is None else max(last, lines.until - timedelta(microseconds=1))
    step = _step(until - since)
    unit = "minute" if step < timedelta(hours=1) else "hour" if step < timedelta(days=1) else "day"
    groups = (
        counted.order_by().annotate(unit=Trunc("at", unit, tzinfo=UTC)).values("unit", "kind")
    ).annotate(count=Count("pk"))
    return Timeline(
        _bars([(row["unit"], row["kind"], row["count"]) for row in groups], since, until, step),
        step,
        is_cut,
    )


def _step(span: timedelta) -> timedelta:
    """Return for how long one bar stands, so that there are not too many."""
    minutes = next((each for each in _STEPS if span <= timedelta(minutes=each) * (BARS - 1)), None)
    if minutes is None:
        minutes = 1440 * math.ceil(span / timedelta(days=1) / (BARS - 1))
    return timedelta(minutes=minutes)


def _bars(
    groups: Sequence[tuple[datetime, str, int]],
    since: datetime,
    until: datetime,
    step: timedelta,
) -> tuple[Bar, ...]:
    counts: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    for at, kind, count in groups:
        place = 0 if kind in ISSUED else 1 if kind in DELIVERED else 2
        counts[(at - _EPOCH) // step][place] += count
    # A clock that was set back may have written lines out of the time of the first and the last.
    first = min((since - _EPOCH) // step, *counts)
    last = max((until - _EPOCH) // step, *counts)
    if last - first >= 2 * BARS:
        first = max(first, min(counts))
    return tuple(
        Bar(_EPOCH + number * step, *counts.get(number, (0, 0, 0)))
        for number in range(max(first, last - 2 * BARS), last + 1)
    )
