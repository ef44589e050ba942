"""Compare the number of STS calls with the fewest possible."""

import collections
import itertools
import math
import time
from collections.abc import Iterator
from typing import Any

from bench import people
from bench.ground import Ground
from bench.report import Figure
from bench.stand_in import StandIn

LEAVES, PER_MIDDLE = 200, 20
HOURS = 3
COMPRESSION = 40
# A leaf is minted anew after 40 minutes at the latest, and nothing lives for longer than 60.
LATEST_ROTATION, LIFE = 40 / 60, 1.0
EARLIEST_ROTATION = 35 / 60
LATENCY = 0.02


def measure(ground: Ground, scale: float) -> Iterator[Figure]:
    yield _first_mint(ground, scale)
    if scale >= 1:
        yield from _hours(ground)


def _first_mint(ground: Ground, scale: float) -> Figure:
    """Measure how long it takes until all started sessions are active.

    They are started one after the other, while workers work.
    """
    leaves = max(int(LEAVES * scale), PER_MIDDLE)
    ground.fresh()
    house = people.build(leaves, PER_MIDDLE)
    with StandIn(latency=LATENCY) as sts, ground.workers(sts.url, starter=True, beat=True):
        _start_and_wait(house)
        time.sleep(1)  # whatever would come too much has come by now
        calls = sts.count()["by_action"]["AssumeRole"]
    return Figure(
        "sts_calls_ratio",
        [calls / house.hops],
        most=1.0,
        note=f"{calls} calls, {house.hops} is the least possible",
        more={"calls": calls, "least_possible": house.hops},
    )


def _hours(ground: Ground) -> list[Figure]:
    """Three hours, compressed: no hop is minted before it has to be, and none twice."""
    ground.fresh()
    house = people.build(LEAVES, PER_MIDDLE)
    hour = 3600 / COMPRESSION
    with (
        StandIn(latency=LATENCY, life=hour) as sts,
        ground.workers(sts.url, starter=True, beat=True, TIME_COMPRESSION=COMPRESSION),
    ):
        _start_and_wait(house)
        begun = time.monotonic()
        least = hour
        while time.monotonic() - begun < HOURS * hour:
            time.sleep(1)
            least = min(least, people.least_life_seconds())
        calls = [call for call in sts.calls() if call["outcome"] == "ok"]
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


def _start_and_wait(house: people.House) -> None:
    for leaf in house.leaves:
        people.start([leaf], house.member)
    people.wait_until_active(house.leaves, 120)


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
