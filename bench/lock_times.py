"""Measure for how long at a stretch each bulk change holds its team's lock.

Each change is made as its page makes it, in a team whose sessions all rest on one hub; then the
parts of the workers follow until nothing is left. A second connection asks for the lock all the
time: the longest that it waits is the longest hold.
"""

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psycopg
from django.conf import settings
from django.db import connection, transaction

from bench import bulk_changes, fixtures
from bench.bulk_changes import Scene
from bench.environment import Environment
from bench.report import Figure
from tests.harness.sts import StsProcess

SESSIONS = 3_000
REPETITIONS = 3
GOAL_SECONDS = 0.3
ASK_EVERY_SECONDS = 0.003


def measure(environment: Environment, scale: float) -> Iterator[Figure]:
    if environment.kind != "postgres":
        note = "not measured: all teams share SQLite's one lock"
        yield Figure("lock_seconds", [], "s", most=GOAL_SECONDS, note=note)
        return
    sessions = max(int(SESSIONS * scale), 10)
    environment.fresh()
    scene = bulk_changes.build(sessions)
    environment.quiesce()
    environment.keep()
    worst: dict[str, float] = {}
    for name, change in {**bulk_changes.CHANGES, "rotation": None}.items():
        holds = [
            _hold_of(environment, scene, change) if change else _hold_of_workers(environment, scene)
            for _ in range(REPETITIONS if scale >= 0.1 else 1)
        ]
        figure = _figure(f"lock_{name}_seconds", holds)
        worst[name] = statistics.median(figure.samples)
        yield figure
    name = max(worst, key=lambda each: worst[each])
    yield Figure(
        "lock_seconds",
        [worst[name]],
        "s",
        most=GOAL_SECONDS,
        note=f"the worst of {len(worst)}: {name}",
        more={"sessions": sessions},
    )


def _figure(key: str, holds: list["Hold"]) -> Figure:
    cpu = [each.cpu for each in holds if each.cpu]
    load = max(each.load for each in holds)
    note = f"{statistics.median(cpu):.2f} s of CPU, " if cpu else ""
    return Figure(
        key,
        [each.seconds for each in holds],
        "s",
        note=f"{note}load {load:.1f}",
        more={"cpu_seconds": cpu, "load": load},
    )


@dataclass
class Hold:
    """Hold one measurement: the longest hold, the CPU of the costliest, and the machine's load."""

    seconds: float = 0.0
    cpu: float = 0.0
    load: float = field(default_factory=lambda: os.getloadavg()[0])


def _hold_of(environment: Environment, scene: Scene, change: bulk_changes.Change) -> Hold:
    environment.fresh(kept=True)
    if change.prepare is not None:
        change.prepare(scene)
        environment.quiesce()
    found = Hold()
    with Waiter(scene.team_id) as waiter, _cpu_of_holds(found):
        change.make(scene)
        bulk_changes.follow()
    found.seconds = waiter.longest
    return found


def _hold_of_workers(environment: Environment, scene: Scene) -> Hold:
    """Have real workers rotate everything that the admin has started."""
    environment.fresh(kept=True)
    bulk_changes.stop_all(scene.ben)
    with StsProcess() as sts, environment.workers(sts.url, children=2, CALLS_PER_SECOND=0):
        fixtures.catch_up(scene.seeded.leaves, 2)
        with Waiter(scene.team_id) as waiter:
            fixtures.catch_up(scene.seeded.leaves, 2)
    return Hold(waiter.longest)


class Waiter:
    """Ask for a team's lock all the time in a `with` block; `longest` is the longest wait so far.

    Whoever waits gets the lock between two parts, so two parts are never taken for one.
    """

    def __init__(self, team_id: Any) -> None:
        self.team_id, self.longest = team_id, 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        url = settings.DATABASES["default"]
        with psycopg.connect(
            host=url["HOST"] or None,
            port=url["PORT"] or None,
            dbname=url["NAME"],
            user=url["USER"] or None,
            password=url["PASSWORD"] or None,
            autocommit=True,
        ) as asking:
            while not self._ended.wait(ASK_EVERY_SECONDS):
                begun = time.monotonic()
                asking.execute("SELECT 1 FROM chains_team WHERE id = %s FOR UPDATE", [self.team_id])
                self.longest = max(self.longest, time.monotonic() - begun)


@contextmanager
def _cpu_of_holds(found: Hold) -> Iterator[None]:
    """Note the CPU of this thread and of its database process from each lock to its commit.

    On a busy machine it says how long the hold would be on an idle one.
    """
    connection.ensure_connection()
    scheduled = Path("/proc", str(connection.connection.info.backend_pid), "schedstat")

    def spent() -> float:
        return time.thread_time() + int(scheduled.read_text().split()[0]) / 1e9

    def look(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if 'FROM "chains_team"' in sql and "FOR UPDATE" in sql and not marked:
            before = spent()
            marked.append(before)
            transaction.on_commit(lambda: note(before))
        return result

    def note(before: float) -> None:
        marked.clear()
        found.cpu = max(found.cpu, spent() - before)

    marked: list[float] = []
    with connection.execute_wrapper(look):
        yield
