"""Measure the import of a large CloudTrail log file, in a process of its own, and its memory."""

import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from bench.environment import Environment, Unmeasurable
from bench.report import Figure
from tests.harness.processes import CHECKOUT

RECORDS = 100_000
GOAL_SECONDS, GOAL_MEGABYTES = 60.0, 20.0
FEW = 200
# Of so many records one is the call that made its session, as of a tool that works for an hour.
A_CALL = 20
# So many of a hundred are of a session that the ledger does not know.
STRANGE = 10
CHUNK = 64 * 1024


def measure(environment: Environment, scale: float) -> Iterator[Figure]:
    from bench import fixtures
    from bench.ledger_lines import issued_by
    from sessions import ledger
    from sessions.actors import WORKER, Actor
    from sessions.ledger import Entry
    from sessions.ledger.drift.imports import take_file
    from sessions.models import TrailImport

    count = max(int(RECORDS * scale), FEW)
    environment.fresh()
    member = fixtures.build(1, 1).member
    issued = issued_by(1, 400)
    _append(member.team_id, [Entry(said, WORKER, session) for session, said in issued])
    assert ledger.length(member.team_id) >= len(issued)
    content = gzip.compress(_file([said for _, said in issued], count), compresslevel=1)
    chunks = (content[at : at + CHUNK] for at in range(0, len(content), CHUNK))
    taken = take_file(Actor(member), "bench.json.gz", chunks)
    environment.quiesce()
    small = _read(_take_small(member, issued))
    large = _read(str(taken.pk))
    read = TrailImport.objects.get(pk=taken.pk)
    if read.state != "done" or read.records != count:
        raise Unmeasurable(f"the import is {read.state} with {read.records} records: {read.reason}")
    note = f"{large[1]:.1f} s of CPU in the worker; {len(content) / 1e6:.1f} MB of gzip"
    yield Figure(
        "drift_import_seconds",
        [large[0]],
        "s",
        most=GOAL_SECONDS,
        note=note,
        more={"records": count},
    )
    note = f"{large[2]:.0f} MB at most, {small[2]:.0f} MB with {FEW} records"
    grown = max(large[2] - small[2], 0.0)
    yield Figure("drift_import_mb", [grown], "MB", most=GOAL_MEGABYTES, note=note)


def _take_small(member: Any, issued: list[Any]) -> str:
    """Upload a file of a few records; return the id of its import."""
    from sessions.actors import Actor
    from sessions.ledger.drift.imports import take_file

    content = _file([said for _, said in issued], FEW, first=10**9)
    return str(take_file(Actor(member), "small.json", [content]).pk)


def _append(team_id: Any, entries: list[Any]) -> None:
    from django.db import transaction

    from sessions import ledger

    with transaction.atomic():
        ledger.append(team_id, entries)


def _file(issued: list[Any], count: int, first: int = 0) -> bytes:
    """Return a log file of calls made with what was issued, and of the calls that made it."""
    records = (_record(issued[number % len(issued)], first + number) for number in range(count))
    return b'{"Records":[' + b",".join(json.dumps(each).encode() for each in records) + b"]}"


def _record(said: Any, number: int) -> dict[str, Any]:
    began_at = said.expires_at - timedelta(hours=1)
    account = said.role_arn.split(":")[4]
    shared = {
        "eventVersion": "1.08",
        "eventID": f"00000000-0000-4000-8000-{number:012d}",
        "eventTime": f"{began_at + timedelta(seconds=number % 3000):%Y-%m-%dT%H:%M:%SZ}",
        "awsRegion": "eu-central-1",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "aws-cli/2.33.2 Python/3.13 Linux/6.8",
        "recipientAccountId": account,
        "eventType": "AwsApiCall",
    }
    if number % A_CALL == 0:
        return shared | {
            "eventSource": "sts.amazonaws.com",
            "eventName": "AssumeRole",
            "userIdentity": {
                "type": "AWSAccount",
                "principalId": "AIDACKCEVSQ6C2EXAMPLE",
                "accountId": account,
                "accessKeyId": said.parent_access_key_id,
            },
            "requestParameters": {
                "roleArn": said.role_arn,
                "roleSessionName": said.role_session_name,
                "sourceIdentity": said.source_identity,
            },
            "responseElements": {
                "credentials": {"accessKeyId": said.access_key_id},
                "assumedRoleUser": {"arn": said.arn, "assumedRoleId": said.principal_id},
            },
        }
    key = f"ASIA{number:016d}" if number % 100 < STRANGE else said.access_key_id
    return shared | {
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": said.principal_id,
            "arn": said.arn,
            "accountId": account,
            "accessKeyId": key,
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "arn": said.role_arn,
                    "userName": said.role_arn.rpartition("/")[2],
                },
                "attributes": {"creationDate": f"{began_at:%Y-%m-%dT%H:%M:%SZ}"},
                "sourceIdentity": said.source_identity,
            },
        },
        "requestParameters": {"bucketName": "reports", "key": f"2026/{number}.csv"},
        "readOnly": True,
    }


def _read(import_id: str) -> tuple[float, float, float]:
    """Read an import in a process of its own: elapsed and CPU seconds, megabytes at its largest."""
    command = [sys.executable, "-m", "bench.drift", import_id]
    begun = time.monotonic()
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    said = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Unmeasurable("the process that reads the import has failed")
    seconds = time.monotonic() - begun
    return seconds, usage.ru_utime + usage.ru_stime, float(said)


def _read_here(import_id: str) -> None:
    import django

    django.setup()
    from sessions.ledger.drift.reading import read_file
    from sessions.models import TrailImport

    held = TrailImport.objects.hold(import_id)
    if held is None:
        raise SystemExit("somebody else holds the import")
    read_file(held)
    print(_megabytes())


def _megabytes() -> float:
    """Return the most that this process has had; what `wait4` says includes what its parent had."""
    with open("/proc/self/status") as file:
        [most] = [line.split()[1] for line in file if line.startswith("VmHWM:")]
    return int(most) / 1024


if __name__ == "__main__":
    _read_here(sys.argv[1])
