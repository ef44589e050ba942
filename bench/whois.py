"""Measure what auditors ask of a large ledger, and what the index of terms costs each append."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import connection, transaction

from bench.ledger_lines import LargeLedger, issued_by, root_key
from bench.report import Figure
from sessions import ledger
from sessions.actors import WORKER
from sessions.ledger import Entry
from sessions.ledger.held import held_between, held_by
from sessions.ledger.search import EventSearch, Lines
from sessions.ledger.whois.asking import ask
from tests.harness import proc

GOAL_MS = 100.0
TIMES, LISTED = 20, 51
APPENDS, AT_ONCE = 300, 100


def measure(large: LargeLedger) -> Iterator[Figure]:
    """Ask each question some times; the figure is the slowest question's median."""
    yield _slowest("whois_ms", large, _questions(large))
    yield _slowest("ledger_reverse_ms", large, _reverse(large))
    if connection.vendor == "postgresql":
        yield from _appends(large)


def _slowest(key: str, large: LargeLedger, asked: dict[str, Callable[[], object]]) -> Figure:
    found = {name: _timed(ask_it) for name, ask_it in asked.items()}
    slowest = max(found, key=lambda name: found[name]["median"])
    return Figure(
        key,
        found[slowest].pop("samples"),
        "ms",
        most=GOAL_MS,
        note=f"{slowest}; best {found[slowest]['best']:.1f}, p95 {found[slowest]['p95']:.1f}",
        more={
            "events": large.lines,
            "questions": {
                name: {part: each[part] for part in ("best", "median", "p95", "cpu")}
                for name, each in found.items()
            },
        },
    )


def _timed(ask_it: Callable[[], object]) -> dict[str, Any]:
    """Return milliseconds: best, median, 95th percentile, and this process's own CPU, at best."""
    ask_it()
    samples, cpu = [], []
    for _ in range(TIMES):
        begun, used = time.perf_counter(), time.process_time()
        ask_it()
        samples.append((time.perf_counter() - begun) * 1000)
        cpu.append((time.process_time() - used) * 1000)
    ordered = sorted(samples)
    return {
        "samples": samples,
        "best": ordered[0],
        "median": ordered[len(ordered) // 2],
        "p95": ordered[int(len(ordered) * 0.95)],
        "cpu": min(cpu),
    }


def _questions(large: LargeLedger) -> dict[str, Callable[[], object]]:
    leaf = large.leaf
    texts = {
        "key": leaf.access_key_id,
        "hop's key": large.hub.access_key_id,
        "root's key": root_key(0),
        "unknown key": "ASIAQNEVERSEENEXAMPLE",
        "ARN": leaf.arn,
        "principal id": leaf.principal_id,
        "name": leaf.role_session_name,
        "shared name": "deploy",
        "unknown name": "nobody-here",
        "source identity": leaf.source_identity,
        "address": large.address,
        "record": _record(large, leaf.access_key_id),
        "record of a console": _record(large, "ASIACONSOLEKEYEXAMPLE"),
    }
    return {name: partial(ask, large.team, text) for name, text in texts.items()}


def _record(large: LargeLedger, key: str) -> str:
    """Return what CloudTrail writes of a call, twenty minutes after the session began."""
    leaf = large.leaf
    identity = {
        "type": "AssumedRole",
        "principalId": leaf.principal_id,
        "arn": leaf.arn,
        "accountId": leaf.arn.split(":")[4],
        "accessKeyId": key,
        "sessionContext": {"attributes": {"creationDate": f"{large.at:%Y-%m-%dT%H:%M:%SZ}"}},
    }
    record = {
        "eventTime": f"{large.at + timedelta(minutes=20):%Y-%m-%dT%H:%M:%SZ}",
        "eventName": "GetObject",
        "eventSource": "s3.amazonaws.com",
        "sourceIPAddress": large.address,
        "userIdentity": identity,
    }
    return json.dumps(record)


def _reverse(large: LargeLedger) -> dict[str, Callable[[], object]]:
    hour = {"since": large.at - timedelta(minutes=30), "until": large.at + timedelta(minutes=30)}

    def newest(**search: Any) -> Callable[[], object]:
        return lambda: Lines.of(large.team, EventSearch(**search)).newest(LISTED)

    return {
        "held in an hour": newest(held=large.person, **hour),
        "held at a moment": lambda: held_between(large.team, large.person, large.at, large.at, 20),
        "live credentials": lambda: held_by(large.team, large.last_person, LISTED),
        "through a root": newest(root=large.root),
        "through a root in an hour": newest(root=large.root, **hour),
    }


def _appends(large: LargeLedger) -> Iterator[Figure]:
    """Append lines of workers one by one and a hundred at a time, with the index and without."""
    yield _append("append_ms", large, 1, "one line a transaction, all indexes")
    yield _append("append_100_ms", large, AT_ONCE, "a hundred a transaction, for each line")
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX event_terms")
    yield _append("append_without_terms_ms", large, 1, "without the index of terms")
    yield _append("append_100_without_terms_ms", large, AT_ONCE, "a hundred, without that index")


def _append(key: str, large: LargeLedger, at_once: int, note: str) -> Figure:
    """Measure milliseconds for each line; the note has the CPU, here and in the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = cursor.fetchone()[0]
    samples = []
    rounds = APPENDS // min(at_once, 10)
    lines = [issued_by(number, at_once) for number in range(rounds)]
    ours, theirs = time.process_time(), proc.cpu_seconds(backend)
    for some in lines:
        entries = [Entry(said, WORKER, session) for session, said in some]
        begun = time.perf_counter()
        with transaction.atomic():
            ledger.append(large.team, entries)
        samples.append((time.perf_counter() - begun) * 1000 / at_once)
    count = rounds * at_once / 1000
    here, there = time.process_time() - ours, proc.cpu_seconds(backend) - theirs
    cpu = {"cpu_ms": here / count, "database_cpu_ms": there / count}
    note = f"{note}; CPU {cpu['cpu_ms']:.2f} and the database's {cpu['database_cpu_ms']:.2f}"
    return Figure(key, samples, "ms", note=note, more=dict(cpu))
