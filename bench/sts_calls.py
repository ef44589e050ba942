"""Compare the number of STS calls with the fewest possible."""

import collections
import itertools
import math
import time
from collections.abc import Iterator
from typing import Any

from bench import fixtures
from bench.environment import Environment
from bench.report import Figure
from tests.harness.sts import StsProcess

LEAVES, PER_MIDDLE = 200, 20
HOURS = 3
COMPRESSION = 40
# A leaf is minted again after 40 minutes at the latest, and nothing lives for longer than 60.
LATEST_ROTATION, LIFE = 40 / 60, 1.0
EARLIEST_ROTATION = 35 / 60
LATENCY = 0.02


def measure(environment: Environment, scale: float) -> Iterator[Figure]:
    yield _first_mint(environment, scale)
    if scale >= 1:
        yield from _hours(environment)


def _first_mint(environment: Environment, scale: float) -> Figure:
    """Measure how long it takes until all started sessions are active.

    They are started one after the other, while workers work.
    """
    leaves = max(int(LEAVES * scale), PER_MIDDLE)
    environment.fresh()
    seeded = fixtures.build(leaves, PER_MIDDLE)
    with StsProcess(latency=LATENCY) as sts, environment.workers(sts.url, starter=True, beat=True):
        _start_and_wait(seeded)
        time.sleep(1)  # whatever would come too much has come by now
        calls = sts.count()["by_action"]["AssumeRole"]
    return Figure(
        "sts_calls_ratio",
        [calls / seeded.hops],
        most=1.0,
        note=f"{calls} calls, {seeded.hops} is the least possible",
        more={"calls": calls, "least_possible": seeded.hops},
    )


def _hours(environment: Environment) -> list[Figure]:
    """Three hours, compressed: no hop is minted before it has to be, and none twice."""
    environment.fresh()
    seeded = fixtures.build(LEAVES, PER_MIDDLE)
    hour = 3600 / COMPRESSION
    with (
        StsProcess(latency=LATENCY, life=hour) as sts,
        environment.workers(sts.url, starter=True, beat=True, TIME_COMPRESSION=COMPRESSION),
    ):
        _start_and_wait(seeded)
        begun = time.monotonic()
        least = hour
        while time.monotonic() - begun < HOURS * hour:
            time.sleep(1)
            least = min(least, fixtures.least_life_seconds())
        calls = [call for call in sts.calls() if not call["code"]]
    ratio, twice = _against_the_least(calls, hour)
    return [
        Figure(
            "sts_calls_over_hours_ratio",
            [ratio],
            note=(
                f"{len(calls)} calls in {HOURS} h (compressed {COMPRESSION}:1) against rotating at"
                " minute 40 exactly"
            ),
        ),
        Figure(
            "sts_calls_too_soon", [float(twice)], most=0, note="hops minted again within 35 minutes"
        ),
        Figure(
            "sts_calls_least_life_minutes",
            [least * COMPRESSION / 60],
            "min",
            note="the least life left meanwhile; below 0 something has lapsed",
        ),
    ]


def _start_and_wait(seeded: fixtures.SeededTeam) -> None:
    for leaf in seeded.leaves:
        fixtures.start([leaf], seeded.member)
    fixtures.wait_until_active(seeded.leaves, 120)


def _against_the_least(calls: list[dict[str, Any]], hour: float) -> tuple[float, int]:
    """Return (calls made ÷ calls of the latest schedule, mints that came too soon).

    That schedule mints each hop as late as it may.

    The stand-in gives whole seconds, so a life may be a second shorter than an hour.
    """
    times: dict[tuple[str, str], list[float]] = collections.defaultdict(list)
    for call in calls:
        times[call["role_arn"], call["role_session_name"]].append(call["answered_at"])
    end = max(call["answered_at"] for call in calls)
    least = 0
    too_soon = 0
    for (role, _), minted in times.items():
        longest = hour * (LIFE if "Middle" in role else LATEST_ROTATION)
        least += 1 + math.floor((end - minted[0]) / longest)
        soonest = (hour - 1) * EARLIEST_ROTATION
        too_soon += sum(after - before < soonest for before, after in itertools.pairwise(minted))
    return len(calls) / least, too_soon
