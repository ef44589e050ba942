"""Print figures as a table and as JSON."""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Figure:
    """Hold one key of the JSON: the median of its samples.

    `goal` in words, `note` what else there is to know.

    `met` says whether the median reaches the goal; None where there is none, or where nothing could
    be measured.
    """

    key: str
    samples: Sequence[float]
    unit: str = ""
    most: float | None = None
    least: float | None = None
    note: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float | None:
        return statistics.median(self.samples) if self.samples else None

    @property
    def goal(self) -> str:
        if self.most is not None:
            return f"≤ {_short(self.most)}"
        return f"≥ {_short(self.least)}" if self.least is not None else ""

    @property
    def met(self) -> bool | None:
        if self.value is None or not self.goal:
            return None
        return (self.most is None or self.value <= self.most) and (
            self.least is None or self.value >= self.least
        )

    def as_detail(self) -> dict[str, Any]:
        return {
            "median": self.value,
            "spread": [min(self.samples), max(self.samples)] if self.samples else None,
            "samples": list(self.samples),
            "unit": self.unit,
            "goal": self.goal,
            "met": self.met,
            "note": self.note,
            **self.more,
        }


def table(figures: Sequence[Figure]) -> str:
    """Write one line a figure: name, median, spread, goal, note."""
    rows = [("figure", "median", "least … most", "goal", "", "")]
    for each in figures:
        several = len(each.samples) > 1
        spread = f"{_short(min(each.samples))} … {_short(max(each.samples))}" if several else ""
        verdict = {True: "reached", False: "MISSED", None: ""}[each.met]
        rows.append((each.key, _with_unit(each), spread, each.goal, verdict, each.note))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)).rstrip()
        for row in rows
    )


def line(figure: Figure) -> str:
    """Write one figure in a line, for who waits for the rest."""
    return f"  {figure.key} = {_with_unit(figure)}{f'  ({figure.note})' if figure.note else ''}"


def as_json(figures: Sequence[Figure], sections: Sequence[str], scale: float, database: str) -> str:
    """Return each figure's median under its key, and the rest in `detail`.

    A missing figure is null.
    """
    content: dict[str, Any] = {each.key: each.value for each in figures}
    content["detail"] = {each.key: each.as_detail() for each in figures}
    content["run"] = {
        "sections": list(sections),
        "scale": scale,
        "database": database,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    return json.dumps(content, indent=2) + "\n"


def _with_unit(figure: Figure) -> str:
    return "–" if figure.value is None else f"{_short(figure.value)} {figure.unit}".strip()


def _short(value: float | None) -> str:
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
