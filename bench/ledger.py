"""Measure a large ledger: verifying it and its export, and what auditors ask of it."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

from bench import whois
from bench.environment import Environment, Unmeasurable
from bench.ledger_lines import fill
from bench.report import Figure
from sessions import ledger
from sessions.ledger.export import export_lines
from sessions.models import Event
from tests.harness import ledger_writers
from tests.harness.processes import CHECKOUT

EVENTS = 1_000_000
GOAL_SECONDS, GOAL_MEGABYTES = 30.0, 200.0
GOAL_APPENDS, GOAL_BYTES = 500.0, 400.0
WRITERS = 32


@dataclass(frozen=True)
class Run:
    """Hold what one process has taken: elapsed and CPU seconds, and megabytes at its largest."""

    seconds: float
    cpu_seconds: float
    megabytes: float


def measure(environment: Environment, scale: float) -> Iterator[Figure]:
    count = max(int(EVENTS * scale), 100)
    environment.fresh()
    large = fill(count)
    environment.quiesce()
    of_database = _verify(f"{large.lines} lines hold")
    with tempfile.TemporaryDirectory() as folder:
        export = Path(folder) / "export.jsonl"
        begun = time.monotonic()
        with export.open("wb") as file:
            file.writelines(export_lines(large.team, Event.objects.all()))
        written = time.monotonic() - begun
        of_export = _verify(f"{large.lines} lines hold", "--export", str(export))
    more = {"events": large.lines}
    yield _seconds("verify_ledger_seconds", of_database, more)
    yield _megabytes("verify_ledger_megabytes", of_database)
    yield _seconds("verify_export_seconds", of_export, more)
    yield _megabytes("verify_export_megabytes", of_export)
    yield Figure("export_ledger_seconds", [written], "s", note="to a file", more=more)
    if connection.vendor == "postgresql":
        yield _bytes_on_disk(more)
    yield from whois.measure(large)
    if connection.vendor != "postgresql":
        return
    for teams, key in ((WRITERS, "appends_per_second"), (1, "appends_one_team_per_second")):
        yield _appends(key, teams, max(60 * scale, 1.0))


def _appends(key: str, teams: int, seconds: float) -> Figure:
    """Let the writers append to so many ledgers; each has to hold and to have every line."""
    ids = ledger_writers.begin_teams(teams)
    cpu = time.process_time()
    written = ledger_writers.write(ids, writers=WRITERS, seconds=seconds)
    cpu = time.process_time() - cpu
    count = sum(written.appends.values())
    if written.problems:
        raise Unmeasurable(f"a writer failed: {written.problems[0]}")
    for team in ids:
        if (fault := ledger.verify(team)) or ledger.length(team) != 1 + written.appends[team]:
            raise Unmeasurable(f"the ledger does not hold: {fault}")
    note = f"{1000 * cpu / max(count, 1):.2f} ms of CPU each in the writers' one process"
    return Figure(key, [written.per_second], "/s", least=GOAL_APPENDS, note=note)


def _bytes_on_disk(more: dict[str, int]) -> Figure:
    """Return what an event takes in all: in its table, its indexes, and of what many say alike."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_relation_size(inhrelid)), sum(pg_indexes_size(inhrelid)),"
            " pg_total_relation_size('chains_repeateddata')"
            " FROM pg_inherits WHERE inhparent = 'chains_event'::regclass"
        )
        row, indexes, parts = (int(size) / more["events"] for size in cursor.fetchone())
    note = f"{row:.0f} B the row, {indexes:.0f} B indexes, {parts:.0f} B of what many say alike"
    whole = [row + indexes + parts]
    return Figure("event_bytes", whole, "B", most=GOAL_BYTES, note=note, more=dict(more))


def _seconds(key: str, run: Run, more: dict[str, int]) -> Figure:
    note = f"{run.cpu_seconds:.1f} s of CPU in the command itself"
    return Figure(key, [run.seconds], "s", most=GOAL_SECONDS, note=note, more=dict(more))


def _megabytes(key: str, run: Run) -> Figure:
    return Figure(key, [run.megabytes], "MB", most=GOAL_MEGABYTES)


def _verify(expected: str, *options: str) -> Run:
    """Run the command by itself; its memory is what the kernel has counted at most."""
    command = [sys.executable, "manage.py", "verify_ledger", *options]
    begun = time.monotonic()
    process = subprocess.Popen(
        command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or not re.search(expected, said):
        raise Unmeasurable(f"verify_ledger said: {said[-500:]}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
