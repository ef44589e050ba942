"""Hold a scenario's findings and sum up a run's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaos.monitor import Seen
from chaos.verifier import Facts

# Sixtieths of a credential's life: what "minutes" means in all figures, whatever the compression.
MINUTES = 60


@dataclass(frozen=True)
class Plan:
    """Hold the command line's choices. `template`: a migrated database to copy."""

    minutes: float
    sessions: int
    short: bool
    template: str

    def few(self, most: int) -> int:
        """Return settings for scenarios that need not be large."""
        return min(self.sessions, most)

    def compressed(self, minutes: float, compression: float) -> float:
        """So many of the product's minutes, in real seconds; a sixth of them in a short run."""
        return minutes * 60 / compression / (6 if self.short else 1)


@dataclass
class Findings:
    """Hold figures and failures in words.

    `broken` is what must hold on any machine, `missed` are the goals in seconds and percent that a
    slow or busy one may miss. `must_not_lapse`: whether its lapses count against the product.
    """

    figures: dict[str, Any] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    must_not_lapse: bool = True
    must_keep_life: bool = True

    def expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.broken.append(otherwise)

    def aim(self, reached: bool, otherwise: str) -> None:
        if not reached:
            self.missed.append(otherwise)

    def take(self, facts: Facts, seen: Seen, life_seconds: float) -> None:
        """Hold the verifier's and the monitor's figures, and what is expected of all scenarios."""
        least = seen.least_life_seconds / life_seconds * MINUTES if seen.looks else None
        self.figures |= facts.figures() | {
            "lapses": len(seen.lapsed),
            "least_life_minutes": None if least in (None, float("inf")) else round(least, 1),
            "web_reads": sum(seen.answers.values()),
            "web_answers": {str(status): count for status, count in sorted(seen.answers.items())},
            "slowest_read_seconds": round(seen.slowest_seconds, 2),
        }
        faults = list(dict.fromkeys(facts.faults))
        self.broken += faults[:10]
        if len(faults) > 10:
            self.broken.append(f"… and {len(faults) - 10} more of that kind")
        if self.must_not_lapse:
            self.expect(not seen.lapsed, f"{len(seen.lapsed)} lapses")
        if self.must_keep_life and least is not None:
            self.aim(least >= 15, f"only {least:.1f} of 60 minutes left at the least")


@dataclass(frozen=True)
class Scenario:
    """`run` sets up its own installation. `says`: what it is about, in a line."""

    name: str
    says: str
    run: Callable[[Plan], Findings]


def summed_up(found: Mapping[str, Findings]) -> dict[str, Any]:
    """Return the keys that others build on; null where no scenario of the run measures it."""

    def over(
        name: str, choose: Callable[[Sequence[float]], float], among: Sequence[str] = ()
    ) -> float | None:
        values = [
            findings.figures[name]
            for key, findings in found.items()
            if findings.figures.get(name) is not None and (not among or key in among)
        ]
        return choose(values) if values else None

    blameless = [key for key, findings in found.items() if findings.must_not_lapse]
    lively = [key for key, findings in found.items() if findings.must_keep_life]
    return {
        "lapses": over("lapses", sum, blameless) if blameless else None,
        "double_issue_percent": over("double_issue_percent", max, ["kills"]),
        "least_life_minutes": over("least_life_minutes", min, lively) if lively else None,
        "takeover_seconds": over("takeover_seconds", max),
        "kills": over("kills", sum),
        "secrets_after_removal": over("secrets_after_removal", sum),
    }


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value at that share of the sorted values; 0 without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
