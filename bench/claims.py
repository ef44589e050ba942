"""Measure the claim of the next batch out of a million rows, and a vain claim. PostgreSQL."""

import time
from collections import deque
from collections.abc import Iterator
from datetime import timedelta

from django.db import connection, transaction

from bench import fixtures
from bench.environment import Environment
from bench.report import Figure
from sessions.db.clock import database_now
from sessions.engine.claims import Claim, claim_due
from sessions.models import Credential

ROWS = 1_000_000
DUE_PART = 0.1
BATCH = 500
REPETITIONS = 20
# Batches that others hold meanwhile: two workers of two processes.
HELD = 4
# A row like that of a leaf, many times over; every tenth is due, since up to ten minutes.
COPY = """
INSERT INTO chains_credential (fingerprint, team_id, root_id, parent_id, level, request, sealed,
    generation, access_key_id, minted_at, expires_at, due_at, asked_at,
    lease_until, fence, attempts, problem)
SELECT encode(sha256(n::text::bytea), 'hex'), team_id, root_id, parent_id, level, request, sealed,
    generation,
    'ASIA' || lpad(to_hex(n), 16, '0'), minted_at, expires_at,
    %s::timestamptz
        + (CASE WHEN random() < %s THEN -random() ELSE 1 + random() END) * interval '10 minutes',
    NULL, NULL, NULL,
    0, NULL
FROM chains_credential, generate_series(1, %s) AS n WHERE fingerprint = %s
"""


def measure(environment: Environment, scale: float) -> Iterator[Figure]:
    rows = max(int(ROWS * scale), 2 * BATCH * (REPETITIONS + HELD))
    environment.fresh()
    seeded = fixtures.build(1, 1)
    fixtures.start_all(seeded)
    template = seeded.leaves[0].activations.get().credential_id
    part = max(DUE_PART, 1.2 * BATCH * (REPETITIONS + HELD) / rows)
    with connection.cursor() as cursor:
        cursor.execute(COPY, [database_now(), part, rows, template])
    environment.quiesce()
    due = _claims(REPETITIONS + HELD)[HELD:]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE chains_credential SET due_at = due_at + interval '1 hour', lease_until = NULL"
            " WHERE due_at <= %s",
            [database_now()],
        )
    environment.quiesce()
    nothing = [_claim(0)[0] for _ in range(REPETITIONS + 1)][1:]
    yield from [
        Figure(
            "claim_due_ms",
            due,
            "ms",
            most=25,
            note=f"{BATCH} of {rows:,} rows, commit and row objects included",
        ),
        Figure("claim_nothing_due_ms", nothing, "ms", most=1, note=f"of {rows:,} rows"),
    ]


def _claims(number: int) -> list[float]:
    """Return the milliseconds of that many claims.

    Claimed rows stay claimed until other workers would hold as many; then they count as done.
    """
    held: deque[list[str]] = deque()
    taken = []
    for _ in range(number):
        milliseconds, batch = _claim(BATCH)
        taken.append(milliseconds)
        held.append(batch)
        if len(held) > HELD:
            Credential.objects.filter(pk__in=held.popleft()).update(
                due_at=database_now() + timedelta(minutes=37), lease_until=None
            )
    return taken


def _claim(expected: int) -> tuple[float, list[str]]:
    """Time one claim: milliseconds, and what it has claimed."""
    begun = time.perf_counter()
    with transaction.atomic():
        found = claim_due(Claim(), BATCH)
    taken = 1000 * (time.perf_counter() - begun)
    if len(found) != expected:
        raise AssertionError(f"{len(found)} rows were claimed, not {expected}")
    return taken, [row.pk for row in found]
