"""Measure how long verifying a large ledger takes: of the database, and of its export."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from django.db import connection, transaction

from bench.environment import Environment, Unmeasurable
from bench.report import Figure
from sessions import ledger
from sessions.actors import OPERATOR, WORKER
from sessions.ledger import Entry
from sessions.ledger.events.credentials import CredentialMinted
from sessions.ledger.events.people import TeamCreated
from sessions.ledger.export import export_lines
from sessions.models import Event
from tests.harness.processes import CHECKOUT

EVENTS = 1_000_000
GOAL_SECONDS, GOAL_MEGABYTES = 30.0, 200.0
AT_ONCE = 10_000


@dataclass(frozen=True)
class Run:
    """Hold what one process has taken: elapsed and CPU seconds, and megabytes at its largest."""

    seconds: float
    cpu_seconds: float
    megabytes: float


def measure(environment: Environment, scale: float) -> Iterator[Figure]:
    count = max(int(EVENTS * scale), 100)
    environment.fresh()
    team = _fill(count)
    environment.quiesce()
    of_database = _verify(f"{count} lines hold")
    with tempfile.TemporaryDirectory() as folder:
        export = Path(folder) / "export.jsonl"
        begun = time.monotonic()
        with export.open("wb") as file:
            file.writelines(export_lines(team, Event.objects.all()))
        written = time.monotonic() - begun
        of_export = _verify(f"{count} lines hold", "--export", str(export))
    more = {"events": count}
    yield _seconds("verify_ledger_seconds", of_database, more)
    yield _megabytes("verify_ledger_megabytes", of_database)
    yield _seconds("verify_export_seconds", of_export, more)
    yield _megabytes("verify_export_megabytes", of_export)
    yield Figure("export_ledger_seconds", [written], "s", note="to a file", more=more)


def _seconds(key: str, run: Run, more: dict[str, int]) -> Figure:
    note = f"{run.cpu_seconds:.1f} s of CPU in the command itself"
    return Figure(key, [run.seconds], "s", most=GOAL_SECONDS, note=note, more=dict(more))


def _megabytes(key: str, run: Run) -> Figure:
    return Figure(key, [run.megabytes], "MB", most=GOAL_MEGABYTES)


def _fill(count: int) -> str:
    """Write a team's ledger of so many lines, most of them issued credentials, through append."""
    team = str(uuid4())
    with transaction.atomic():
        ledger.append(team, [Entry(TeamCreated(slug="large", name="Large"), OPERATOR)])
    subject = ledger.Subject(uuid4(), "Deploy to production")
    for first in range(1, count, AT_ONCE):
        with transaction.atomic():
            lines = range(first, min(first + AT_ONCE, count))
            ledger.append(team, [Entry(_minted(number), WORKER, subject) for number in lines])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE chains_event")
    return team


def _minted(number: int) -> CredentialMinted:
    role = f"arn:aws:iam::{444455556666 + number % 50}:role/Deploy"
    return CredentialMinted.read(
        {
            "for": ["ada", "ben"],
            "credential": str(uuid4()),
            "hop": 1 + number % 2,
            "role_arn": role,
            "role_session_name": f"ada-{number % 300}",
            "access_key_id": f"ASIA{number:016d}",
            "parent_access_key_id": f"ASIA{number // 2:016d}",
            "arn": f"{role.replace('iam', 'sts').replace(':role', ':assumed-role')}/ada",
            "sts_region": "eu-central-1",
            "expires_at": "2026-11-27T20:44:03+00:00",
        }
    )


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
