"""How long it takes until many sessions that were started together are all active, here and elsewhere."""

import time

from bench import others, people
from bench.ground import Ground, wait_until
from bench.report import Figure
from bench.stand_in import StandIn
from sessions.tasks import wake_for_start

SIZES = (10, 100, 500)
PER_MIDDLE = 50
LATENCY = 0.08
REPETITIONS = 3
# More threads make boto3 slower here, fewer leave it waiting.
PROFILE_THREADS = 16
GOAL_SECONDS = 6.0


def measure(ground: Ground, scale: float) -> list[Figure]:
    sizes = sorted({max(int(size * scale), 2) for size in SIZES})
    figures = []
    for size in sizes:
        taken, started = _ours(ground, size)
        largest = size == sizes[-1]
        note = f"all {size} active; the last start was committed after {max(started):.2f} s"
        figure = Figure(
            "start_together_seconds" if largest else f"start_together_{size}_seconds",
            taken,
            "s",
            most=GOAL_SECONDS if largest else None,
            note=note,
            more={"sessions": size, "started_seconds": started, "sts_latency_seconds": LATENCY},
        )
        figures.append(figure)
    with StandIn(latency=LATENCY) as sts:
        for size in sizes:
            found = others.profiles(sts.url, size, PROFILE_THREADS)
            figures.append(
                Figure(
                    f"profiles_together_{size}_seconds",
                    [found["wall_seconds"]],
                    "s",
                    note=f"{found['active']} of {size} active; boto3, one process, {PROFILE_THREADS} threads",
                )
            )
        figures += _leapp(ground, sts, sizes)
    return figures


def _ours(ground: Ground, size: int) -> tuple[list[float], list[float]]:
    """(seconds until all are active, seconds until the last start was committed), each from the first start on."""
    taken, started = [], []
    for round_ in range(REPETITIONS + 1):
        ground.fresh()
        house = people.build(size, PER_MIDDLE)
        # One more, whose start is not measured, so that the starter has made its client.
        warm = people.build(1, 1, slug="warm")
        with StandIn(latency=LATENCY) as sts, ground.workers(sts.url, starter=True, beat=True):
            people.start(warm.leaves[0], warm.member, wake_for_start)
            wait_until(lambda: people.active_among(warm.leaves) == 1, 60, "The first session was not active")  # noqa: B023
            begun = time.monotonic()
            for leaf in house.leaves:
                people.start(leaf, house.member, wake_for_start)
            committed = time.monotonic() - begun
            wait_until(
                lambda: people.active_among(house.leaves) == size,  # noqa: B023
                120,
                "The sessions were not active",
                every=0.02,
            )
            if round_:
                taken.append(time.monotonic() - begun)
                started.append(committed)
    return taken, started


def _leapp(ground: Ground, sts: StandIn, sizes: list[int]) -> list[Figure]:
    try:
        folder = others.install_leapp(ground.folder / "leapp")
    except others.NotThere as error:
        return [
            Figure(f"leapp_together_{size}_seconds", [], "s", note=f"not measured: {error}") for size in sizes
        ]
    figures = []
    for size in sizes:
        found = others.leapp(folder, sts.url, size)
        figures.append(
            Figure(
                f"leapp_together_{size}_seconds",
                [found["seconds"]],
                "s",
                note=f"{found['active']} of {size} active; leapp-core {others.LEAPP}, no desktop",
                more={"errors": found["errors"]},
            )
        )
    return figures
