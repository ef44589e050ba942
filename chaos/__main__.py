"""`python -m chaos [--minutes N] [--sessions N] [--only a,b] [--short] [--json FILE]`."""

import argparse
import json
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import django

from chaos.installation import KEYS, migrate
from chaos.report import Findings, Plan, summed_up
from chaos.scenarios import ALL
from tests.harness.processes import real_environ
from tests.harness.servers import Unavailable, scratch_database

# Below this, workers are killed for too short a time to judge figures in seconds and percent by.
FULL_MINUTES = 10.0


def main() -> int:
    options = _options()
    _prepare_django()
    chosen = [scenario for scenario in ALL if not options.only or scenario.name in options.only]
    short = options.short or (options.minutes or FULL_MINUTES) < FULL_MINUTES
    found: dict[str, Findings] = {}
    left_out: dict[str, str] = {}
    took: dict[str, float] = {}
    result: dict[str, Any] = {}
    others_until = math.inf
    with scratch_database("chaos") as template:
        migrate(template)
        name = template.rpartition("/")[2]
        plan = Plan(options.minutes or FULL_MINUTES, options.sessions, short, name)
        for scenario in chosen:
            begun = time.monotonic()
            if begun > others_until:
                break
            print(f"{scenario.name}: {scenario.says} …", file=sys.stderr, flush=True)
            try:
                found[scenario.name] = scenario.run(plan)
            except Unavailable as reason:
                left_out[scenario.name] = str(reason)
            except Exception as error:  # noqa: BLE001  (the other scenarios still run; it counts as broken)
                traceback.print_exc()
                found[scenario.name] = Findings(broken=[f"{type(error).__name__}: {error}"])
            took[scenario.name] = time.monotonic() - begun
            _print(
                scenario.name,
                found.get(scenario.name),
                left_out.get(scenario.name),
                took[scenario.name],
            )
            if scenario is chosen[0] and options.minutes and not options.only:
                others_until = time.monotonic() + options.minutes * 60
            result = _result(found, took) | {
                "left_out": left_out,
                "not_begun": [each.name for each in chosen if each.name not in took],
            }
            if options.json:  # each time, so that a run that is cut off leaves what it has found
                Path(options.json).write_text(json.dumps(result, indent=1), encoding="utf-8")
    print(json.dumps({key: value for key, value in result.items() if key != "detail"}, indent=1))
    # A short run is made where other things run beside it: its seconds say nothing.
    failed = result["broken"] or (result["missed"] and not short)
    return 1 if failed or (left_out and os.environ.get("CI") == "true") else 0


def _result(found: Mapping[str, Findings], took: Mapping[str, float]) -> dict[str, Any]:
    return summed_up(found) | {
        "broken": {name: findings.broken for name, findings in found.items() if findings.broken},
        "missed": {name: findings.missed for name, findings in found.items() if findings.missed},
        "detail": {
            name: (
                findings.figures
                | {
                    "broken": findings.broken,
                    "missed": findings.missed,
                    "took_seconds": round(took[name], 1),
                }
            )
            for name, findings in found.items()
        },
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m chaos", description="Fault injection; see docs/chaos.md."
    )
    parser.add_argument(
        "--minutes",
        type=float,
        help=(
            "workers are killed for so long, and as long again the others are begun (default: 10,"
            " and all of them); less than 10 makes a short run"
        ),
    )
    parser.add_argument(
        "--sessions", type=int, default=10_000, help="at most so many (default 10,000)"
    )
    parser.add_argument("--only", default="", help="names of scenarios, with commas")
    parser.add_argument(
        "--short", action="store_true", help="outages of a sixth of their length, fewer rounds"
    )
    parser.add_argument("--json", metavar="FILE", help="where the figures are written")
    options = parser.parse_args()
    options.only = [name for name in options.only.split(",") if name]
    known = [scenario.name for scenario in ALL]
    if options.minutes is not None and options.minutes <= 0:
        parser.error("--minutes takes a number above 0.")
    if unknown := sorted(set(options.only) - set(known)):
        parser.error(f"There is no scenario {', '.join(unknown)}. There are: {', '.join(known)}.")
    return options


def _prepare_django() -> None:
    """Set the keys of this run for this process.

    This process itself uses no database through Django.
    """
    os.environ |= real_environ(KEYS) | {
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    django.setup()


def _print(name: str, findings: Any, left_out: str | None, seconds: float) -> None:
    if findings is None:
        print(f"{name:20} left out: {left_out}", flush=True)
        return
    verdict = (
        "BROKEN" if findings.broken else "holds, misses its goals" if findings.missed else "holds"
    )
    print(f"{name:20} {verdict} ({seconds:.0f} s)", flush=True)
    for key, value in findings.figures.items():
        print(f"    {key}: {value}", flush=True)
    for fault in findings.broken:
        print(f"    broken: {fault}", flush=True)
    for fault in findings.missed:
        print(f"    missed: {fault}", flush=True)


def _stop(number: int, _frame: object) -> None:
    # Every `with` ends its part on the way out.
    raise SystemExit(128 + number)


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    sys.exit(main())
