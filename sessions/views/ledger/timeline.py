"""Lay the timeline out as a picture of bars: what is drawn where."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.urls import reverse

from sessions.ledger.timeline import Bar, Timeline

WIDTH, BASE, TOP = 1180, 84, 12
LABELS = 7


@dataclass(frozen=True)
class Column:
    """Draw one bar's issues and deliveries side by side; the link searches its time."""

    x: float
    width: float
    half: float
    issued_y: float
    issued: float
    delivered_x: float
    delivered_y: float
    delivered: float
    rejected_x: float
    bar: Bar
    until: datetime
    href: str


@dataclass(frozen=True)
class Label:
    """Write a time under the beginning of a bar."""

    x: float
    text_x: float
    text: str


@dataclass(frozen=True)
class Picture:
    """Hold everything that is drawn, and the numbers that are written beside it."""

    columns: tuple[Column, ...]
    labels: tuple[Label, ...]
    timeline: Timeline
    most: Bar

    @property
    def since(self) -> datetime:
        return self.columns[0].bar.since

    @property
    def until(self) -> datetime:
        return self.columns[-1].until


def picture_of(timeline: Timeline, team_slug: str, asked: dict[str, str]) -> Picture:
    """Lay out a timeline. `asked`: the search, which a bar's link narrows to its time."""
    bars, step = timeline.bars, timeline.step
    highest = max(max(bar.issued, bar.delivered) for bar in bars) or 1
    width = WIDTH / len(bars)
    every = -(-len(bars) // LABELS)
    text = "%H:%M" if step < timedelta(hours=12) else "%-d %b"
    is_long = bars[-1].since.date() != bars[0].since.date()
    return Picture(
        tuple(
            _column(number, bar, step, width, highest, team_slug, asked)
            for number, bar in enumerate(bars)
        ),
        tuple(
            Label(
                round(number * width, 1),
                round(number * width + 3, 1),
                f"{bars[number].since:{'%-d %b ' if is_long and '%H' in text else ''}{text}}",
            )
            for number in range(0, len(bars), every)
        ),
        timeline,
        max(bars, key=lambda bar: bar.issued + bar.delivered),
    )


def _column(
    number: int,
    bar: Bar,
    step: timedelta,
    width: float,
    highest: int,
    team_slug: str,
    asked: dict[str, str],
) -> Column:
    half = round(min(0.42 * width, 20), 1)
    x = round(number * width + 0.06 * width, 1)
    issued, delivered = (_height(each, highest) for each in (bar.issued, bar.delivered))
    until = bar.since + step
    times = {"since": f"{bar.since:%Y-%m-%dT%H:%M}", "until": f"{until:%Y-%m-%dT%H:%M}"}
    return Column(
        x=x,
        width=round(width, 1),
        half=half,
        issued_y=round(BASE - issued, 1),
        issued=issued,
        delivered_x=round(x + half, 1),
        delivered_y=round(BASE - delivered, 1),
        delivered=delivered,
        rejected_x=round(x + half, 1),
        bar=bar,
        until=until,
        href=f"{reverse('events', args=[team_slug])}?{urlencode(asked | times)}",
    )


def _height(count: int, highest: int) -> float:
    """Return how high a bar is; whatever is counted is seen."""
    return round(max(2.0, (BASE - TOP) * count / highest), 1) if count else 0.0
