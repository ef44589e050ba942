"""Measure the time until many sessions started together are all active, here and elsewhere."""

import time
from collections.abc import Iterator

from bench import competitors, fixtures
from bench.environment import Environment
from bench.report import Figure
from tests.harness.sts import StsProcess

SIZES = (10, 100, 500)
PER_MIDDLE = 50
LATENCY = 0.08
REPETITIONS = 3
# More threads make boto3 slower here, fewer leave it waiting.
PROFILE_THREADS = 16
GOAL_SECONDS = 6.0


def measure(environment: Environment, scale: float) -> Iterator[Figure]:
    repetitions = REPETITIONS if scale >= 0.1 else 1
    sizes = sorted({max(int(size * scale), 2) for size in SIZES})
    for size in sizes:
        largest = size == sizes[-1]
        yield Figure(
            "start_together_seconds" if largest else f"start_together_{size}_seconds",
            _ours(environment, size, steps=1, repetitions=repetitions),
            "s",
            most=GOAL_SECONDS if largest else None,
            note=f"all {size} active, started in one step",
            more={"sessions": size, "sts_latency_seconds": LATENCY},
        )
    yield Figure(
        "start_one_by_one_seconds",
        _ours(environment, sizes[-1], steps=sizes[-1], repetitions=repetitions),
        "s",
        note=f"all {sizes[-1]} active, each started by a step of its own, one after the other",
    )
    with StsProcess(latency=LATENCY) as sts:
        for size in sizes:
            found = competitors.profiles(sts.url, size, PROFILE_THREADS)
            yield Figure(
                f"profiles_together_{size}_seconds",
                [found["wall_seconds"]],
                "s",
                note=(
                    f"{found['active']} of {size} active; boto3, one process, {PROFILE_THREADS}"
                    " threads"
                ),
            )
        yield from _leapp(environment, sts, sizes)


def _ours(environment: Environment, size: int, steps: int, repetitions: int) -> list[float]:
    """Measure the seconds from before the first start until all are active, in so many steps."""
    taken = []
    for _ in range(repetitions):
        environment.fresh()
        seeded = fixtures.build(size, PER_MIDDLE)
        # One more, whose start is not measured, so that the starter has made its client.
        warm = fixtures.build(1, 1, slug="warm")
        with (
            StsProcess(latency=LATENCY) as sts,
            environment.workers(sts.url, starter=True, beat=True),
        ):
            fixtures.start(warm.leaves, warm.member)
            fixtures.wait_until_active(warm.leaves, 60)
            begun = time.monotonic()
            for step in range(steps):
                fixtures.start(seeded.leaves[step::steps], seeded.member)
            fixtures.wait_until_active(seeded.leaves, 120, every=0.02)
            taken.append(time.monotonic() - begun)
    return taken


def _leapp(environment: Environment, sts: StsProcess, sizes: list[int]) -> list[Figure]:
    try:
        if not environment.npm:
            raise competitors.NotThere("--no-npm")
        folder = competitors.install_leapp(environment.folder / "leapp")
    except competitors.NotThere as error:
        return [
            Figure(f"leapp_together_{size}_seconds", [], "s", note=f"not measured: {error}")
            for size in sizes
        ]
    figures = []
    for size in sizes:
        found = competitors.leapp(folder, sts.url, size)
        figures.append(
            Figure(
                f"leapp_together_{size}_seconds",
                [found["seconds"]],
                "s",
                note=(
                    f"{found['active']} of {size} active; leapp-core {competitors.LEAPP},"
                    " no desktop"
                ),
                more={"errors": found["errors"]},
            )
        )
    return figures
