"""Measure 10,000 sessions: the catch-up, the steady hour, starts meanwhile, and growth."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection

from bench import claims, competitors, fixtures
from bench.environment import Environment, Processes
from bench.report import Figure
from sessions.models import AwsSession
from tests.harness.sts import StsProcess
from tests.harness.waiting import wait_for

SESSIONS = 10_000
PER_MIDDLE = 50
LATENCY = 0.05
REPETITIONS = 3
THREADS_TO_TRY = (8, 16, 32, 48)
# A credential is rotated 37½ minutes after it was minted, on average.
ROTATION_MINUTES = 37.5
WATCHED_SECONDS = 120.0
STARTS = 60
COMPRESSION = 20
GROWTH = (1_000, 10_000, 100_000)
GROWTH_DUE = 1_000


def measure(environment: Environment, scale: float) -> Iterator[Figure]:
    sessions = max(int(SESSIONS * scale), 100)
    yield from _catch_up(environment, sessions, scale)
    yield from _with_starts(environment, sessions, scale)
    if scale >= 0.05:
        yield from _hour(environment, sessions)
    yield from _growth(environment, scale)
    if environment.kind == "postgres":
        yield from claims.measure(environment, scale)


# --- catch-up -------------------------------------------------------------------------------------


def _catch_up(environment: Environment, sessions: int, scale: float) -> list[Figure]:
    environment.fresh()
    seeded = fixtures.build(sessions, PER_MIDDLE)
    fixtures.start_all(seeded)
    environment.quiesce()
    with StsProcess(latency=LATENCY) as sts:
        trial = max(int(1500 * scale), 100)
        best = min(
            THREADS_TO_TRY,
            key=lambda threads: _baseline_seconds(sts, trial, threads),
        )
        taken, baseline = [], []
        with environment.workers(sts.url, CALLS_PER_SECOND=0):
            fixtures.catch_up(seeded.leaves, processes=2)
            # Before and after each, since a machine that is shared has fast minutes and slow ones.
            for _ in range(REPETITIONS if scale >= 0.1 else 1):
                baseline.append(_baseline_seconds(sts, seeded.hops, best))
                taken.append(fixtures.catch_up(seeded.leaves, processes=2))
            baseline.append(_baseline_seconds(sts, seeded.hops, best))
    return [
        Figure(
            "catch_up_ratio",
            [
                2 * ours / sum(beside)
                for ours, *beside in zip(taken, baseline, baseline[1:], strict=False)
            ],
            most=1.6,
            note=(
                f"{seeded.hops} hops in {statistics.median(taken):.1f} s; two processes of {best}"
                f" threads make as many bare calls in {statistics.median(baseline):.1f} s"
            ),
            more={"sessions": sessions, "sts_latency_seconds": LATENCY, "best_floor_threads": best},
        ),
        Figure("catch_up_seconds", taken, "s", more={"floor_seconds": baseline}),
    ]


def _baseline_seconds(sts: StsProcess, calls: int, threads: int) -> float:
    return competitors.baseline(sts.url, calls, threads, processes=2)["wall_seconds"]


# --- steady, in real time, with starts ------------------------------------------------------------


@dataclass
class Watched:
    """Take samples while something else goes on."""

    lag: list[float]
    life: list[float]


@contextmanager
def _watching(every: float = 0.5) -> Iterator[Watched]:
    found = Watched([], [])
    stop = threading.Event()

    def watch() -> None:
        try:
            while not stop.wait(every):
                found.lag.append(fixtures.lag_seconds())
                found.life.append(fixtures.least_life_seconds())
        finally:
            connection.close()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


def _with_starts(environment: Environment, sessions: int, scale: float) -> list[Figure]:
    """Measure two minutes of an hour's load, then single starts in it.

    Then starts during a catch-up.

    Times are real.
    """
    starts = max(int(STARTS * scale), 5)
    watched_seconds = max(WATCHED_SECONDS * min(scale, 1), 2)
    chain = 2 * LATENCY
    environment.fresh()
    seeded = fixtures.build(sessions, PER_MIDDLE)
    fixtures.start_all(seeded)
    # Chains of two hops of which nothing is minted yet, each with a middle role of its own.
    fresh = fixtures.build(2 * starts + 1, 1, slug="fresh")
    environment.quiesce()
    with (
        StsProcess(latency=LATENCY) as sts,
        environment.workers(sts.url, starter=True, beat=True) as workers,
    ):
        fixtures.catch_up(seeded.leaves, processes=2)
        fixtures.spread_out(ROTATION_MINUTES)
        _started(fresh, [fresh.leaves.pop()])
        time.sleep(2)
        minted, cpu = sts.count()["minted"], workers.cpu_seconds()
        with _watching() as watched:
            time.sleep(watched_seconds)
        minted, cpu = sts.count()["minted"] - minted, workers.cpu_seconds() - cpu
        steady = _started(fresh, fresh.leaves[:starts], pause=0.5)
        moment = fixtures.make_overdue(seeded.leaves)
        fixtures.kick(2)
        time.sleep(0.5)
        hurried = _started(
            fresh,
            fresh.leaves[starts:],
            pause=0.1,
            until=lambda: not fixtures.something_due(moment),
        )
        wait_for(lambda: not fixtures.something_due(moment), "all to be renewed", 600)
    per_hour = 3600 / watched_seconds
    goals = {"start_p95_ms": 1000 * chain + 300, "start_p95_catch_up_ms": 1000 * chain + 1000}
    return [
        Figure(
            "cpu_per_hour_seconds",
            [cpu * per_hour],
            "s",
            note=(
                f"{sessions} sessions, all processes; {minted * per_hour:,.0f} hops an hour;"
                f" watched for {watched_seconds:.0f} s"
            ),
        ),
        Figure(
            "lag_seconds",
            watched.lag,
            "s",
            note=f"due until minted; worst {max(watched.lag):.2f} s",
        ),
        *(
            Figure(
                key,
                [_p95(taken)],
                "ms",
                most=goals[key],
                note=(
                    f"{len(taken)} starts, median {statistics.median(taken):.0f} ms, of which STS"
                    f" {1000 * chain:.0f} ms"
                ),
                more={"starts_ms": taken},
            )
            for key, taken in (("start_p95_ms", steady), ("start_p95_catch_up_ms", hurried))
            if taken
        ),
    ]


def _started(
    seeded: fixtures.SeededTeam,
    leaves: Sequence[AwsSession],
    pause: float = 0.0,
    until: Callable[[], bool] = lambda: False,
) -> list[float]:
    """Measure milliseconds from before each start to active, one after the other.

    Ends early at `until`.
    """
    taken = []
    for leaf in leaves:
        if until():
            break
        begun = time.monotonic()
        fixtures.start([leaf], seeded.member)
        fixtures.wait_until_active([leaf], 60, every=0.01)
        taken.append(1000 * (time.monotonic() - begun))
        time.sleep(pause)
    return taken


def _p95(samples: Sequence[float]) -> float:
    return sorted(samples)[max(-(-len(samples) * 95 // 100) - 1, 0)]


# --- an hour, compressed --------------------------------------------------------------------------


def _hour(environment: Environment, sessions: int) -> list[Figure]:
    """Measure more than one cycle, each session rotated at its own time.

    Figures are uncompressed.
    """
    environment.fresh()
    seeded = fixtures.build(sessions, PER_MIDDLE)
    fixtures.start_all(seeded)
    environment.quiesce()
    hour = 3600 / COMPRESSION
    with (
        StsProcess(latency=LATENCY, life=hour) as sts,
        environment.workers(
            sts.url, starter=True, beat=True, TIME_COMPRESSION=COMPRESSION, CALLS_PER_SECOND=0
        ),
    ):
        fixtures.catch_up(seeded.leaves, processes=2)
        fixtures.spread_out(ROTATION_MINUTES / COMPRESSION)
        minted = sts.count()["minted"]
        with _watching() as watched:
            time.sleep(hour)
        minted = sts.count()["minted"] - minted
    least = min(watched.life) * COMPRESSION / 60
    return [
        Figure(
            "least_life_minutes",
            [least],
            "min",
            least=15,
            note=(
                f"of {sessions} sessions over an hour, compressed {COMPRESSION}:1; below 0"
                " something has lapsed"
            ),
        ),
        Figure(
            "calls_per_session_hour",
            [minted / sessions],
            note="1.6 is one every 37½ minutes, 0.02 a shared middle role",
        ),
        Figure(
            "lag_compressed_seconds",
            [COMPRESSION * lag for lag in watched.lag],
            "s",
            note=(
                f"uncompressed; at {minted / hour:.0f} hops a second, {COMPRESSION} times what it"
                " would be"
            ),
        ),
    ]


# --- growth ---------------------------------------------------------------------------------------


def _growth(environment: Environment, scale: float) -> list[Figure]:
    """Measure a thousand due leaves of twenty middle roles with more and more rows beside them."""
    due = max(int(GROWTH_DUE * scale), 50)
    costs: dict[int, list[float]] = {}
    with StsProcess(latency=LATENCY) as sts:
        for size in GROWTH if scale >= 0.01 else GROWTH[::2]:
            sessions = max(int(size * scale), due)
            environment.fresh()
            seeded = fixtures.build(sessions, PER_MIDDLE)
            fixtures.start_all(seeded)
            environment.quiesce()
            with environment.workers(sts.url, CALLS_PER_SECOND=0) as workers:
                costs[sessions] = [
                    _cost(sts, workers, seeded.leaves[:due])
                    for _ in range((REPETITIONS if scale >= 0.1 else 1) + 2)
                ][2:]
    smallest, largest = min(costs), max(costs)
    base = statistics.median(costs[smallest])
    return [
        Figure(
            "growth_ratio",
            [cost / base for cost in costs[largest]],
            most=1.2,
            note=", ".join(
                f"{size:,}: {statistics.median(cost):.2f} ms a hop" for size, cost in costs.items()
            ),
            more={"cpu_per_hop_ms": costs},
        )
    ]


def _cost(sts: StsProcess, workers: Processes, leaves: Sequence[AwsSession]) -> float:
    minted, cpu = sts.count()["minted"], workers.cpu_seconds()
    fixtures.catch_up(leaves, processes=2, middles_too=False)
    return 1000 * (workers.cpu_seconds() - cpu) / int(sts.count()["minted"] - minted)
