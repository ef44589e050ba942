"""Compare the CPU of one issued hop with a bare call and with boto3's profiles."""

import statistics
import time
from collections.abc import Iterator

from bench import competitors, fixtures
from bench.environment import Environment
from bench.report import Figure
from tests.harness.sts import StsProcess

HOPS = 4000
FLOOR_CALLS = 600
PROFILES = 25
REPETITIONS = 3
LATENCY = 0.02
IDLE_SECONDS = 20.0


def measure(environment: Environment, scale: float) -> Iterator[Figure]:
    leaves = max(int(HOPS * scale), 20)
    environment.fresh()
    seeded = fixtures.build(leaves, per_middle=50)
    fixtures.start_all(seeded)
    environment.quiesce()
    hops: list[float] = []
    database: list[float] = []
    bare: list[float] = []
    waiting: list[float] = []
    profile: dict[int, list[float]] = {1: [], 2: []}
    with (
        StsProcess(latency=LATENCY) as sts,
        environment.workers(sts.url, CALLS_PER_SECOND=0) as workers,
    ):
        # The first round is not counted: each process makes its client, its threads and its
        # connections.
        for round_ in range((REPETITIONS if scale >= 0.1 else 1) + 1):
            before_minted = sts.count()["minted"]
            before, before_database = workers.cpu_seconds(), environment.database_cpu_seconds()
            fixtures.catch_up(seeded.leaves, processes=2)
            minted = sts.count()["minted"] - before_minted
            cost = 1000 * (workers.cpu_seconds() - before) / minted
            after_database = environment.database_cpu_seconds()
            if round_ == 0:
                continue
            hops.append(cost)
            if after_database:
                grown = [cpu - before_database.get(pid, 0) for pid, cpu in after_database.items()]
                database.append(1000 * sum(grown) / minted)
            calls = max(int(FLOOR_CALLS * scale), 10)
            waiting.append(competitors.baseline(sts.url, calls)["cpu_ms"])
            # A loop that never waits has everything in the caches: the least that a call can cost.
            sts.set(latency=0)
            bare.append(competitors.baseline(sts.url, calls)["cpu_ms"])
            sts.set(latency=LATENCY)
            for hops_in_a_chain, costs in profile.items():
                found = competitors.profiles(
                    sts.url, max(int(PROFILES * scale), 1), hops=hops_in_a_chain
                )
                costs.append(1000 * found["cpu_seconds"] / found["hops"])
        idle_seconds = max(IDLE_SECONDS * scale, 2)
        before = workers.cpu_seconds()
        time.sleep(idle_seconds)
        idle = 100 * (workers.cpu_seconds() - before) / idle_seconds
    yield from [
        Figure(
            "cpu_per_hop_ratio",
            [hop / baseline for hop, baseline in zip(hops, waiting, strict=True)],
            most=1.5,
            note=(
                f"{statistics.median(hops):.2f} ms a hop; bare call"
                f" {statistics.median(waiting):.2f} ms at the same latency"
            ),
            more={"hops": leaves + len(seeded.middles), "sts_latency_seconds": LATENCY},
        ),
        Figure(
            "cpu_per_hop_strict_ratio",
            [hop / baseline for hop, baseline in zip(hops, bare, strict=True)],
            note=f"bare call {statistics.median(bare):.2f} ms where it never waits",
        ),
        Figure("cpu_per_hop_ms", hops, "ms"),
        Figure("floor_cpu_per_call_ms", waiting, "ms"),
        Figure(
            "profiles_ratio",
            [theirs / ours for theirs, ours in zip(profile[1], hops, strict=True)],
            least=20,
            note=(
                f"boto3 profiles, a new session for each hop: {statistics.median(profile[1]):.1f}"
                " ms a hop"
            ),
        ),
        Figure(
            "profiles_two_hops_ratio",
            [theirs / ours for theirs, ours in zip(profile[2], hops, strict=True)],
            note=(
                f"a new session for each chain of two hops: {statistics.median(profile[2]):.1f} ms"
                " a hop"
            ),
        ),
        Figure(
            "idle_cpu_percent",
            [idle],
            "%",
            note="of one core: a worker of two processes with nothing due",
        ),
        Figure(
            "database_cpu_per_hop_ms",
            database,
            "ms",
            note="CPU of PostgreSQL's own processes, beside the workers",
        ),
    ]
