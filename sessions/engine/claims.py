"""Claim credentials to work on, many at once: each run has one fence (see `models.leased`)."""

import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from sessions.credentials.bulk_write import stored
from sessions.credentials.needs import needs_of
from sessions.credentials.timing import PARENT_MARGIN
from sessions.db.clock import database_now
from sessions.locks.busy_teams import shorten_lock_timeout
from sessions.models import Credential, Problem, Team
from sessions.models.leased import lease_from


@dataclass
class Claim:
    """Identify one run's claims by their fence."""

    fence: uuid.UUID = field(default_factory=uuid.uuid4)


# PostgreSQL locks row by row and skips what another worker is just claiming; SQLite has one writer
# at a time. The CTE is materialized so that the planner reads the few due rows by their index and
# joins nothing else. The commit does not wait for the disk: a claim that a crash of the server
# forgets is one that the fence no longer covers. Joining on ctid is three times faster than on the
# key; a row that was changed between the read and the lock is left for the next claim.
_CLAIM_POSTGRES = """
WITH wanted AS MATERIALIZED (
    SELECT ctid FROM chains_credential
    WHERE {condition} AND (lease_until IS NULL OR lease_until < %s)
    ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED
), hurried AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
UPDATE chains_credential AS c SET fence = %s, lease_until = %s
FROM wanted, hurried WHERE c.ctid = wanted.ctid RETURNING {columns}
"""
_CLAIM_SQLITE = """
UPDATE chains_credential SET fence = %s, lease_until = %s
WHERE fingerprint IN (
    SELECT fingerprint FROM chains_credential
    WHERE {condition} AND (lease_until IS NULL OR lease_until < %s)
    ORDER BY due_at LIMIT %s
) RETURNING {columns}
"""
# The columns that a run needs of what it mints; the others are read on demand.
_COLUMN_SET = frozenset(
    {"fingerprint", "team_id", "root_id", "parent_id", "level", "request"}
    | {"generation", "expires_at", "due_at", "asked_at", "attempts", "problem"}
)
_COLUMNS = [
    field.column for field in Credential._meta.concrete_fields if field.column in _COLUMN_SET
]
_REQUEST, _PROBLEM = _COLUMNS.index("request"), _COLUMNS.index("problem")


def _claim(
    claim: Claim, condition: str, values: list[object], limit: int, now: datetime
) -> list[Credential]:
    free = [*values, stored("lease_until", now), limit]
    lease = [stored("fence", claim.fence), stored("lease_until", lease_from(now))]
    if connection.vendor == "sqlite":
        statement = _CLAIM_SQLITE.format(condition=condition, columns=", ".join(_COLUMNS))
        return list(Credential.objects.raw(statement, [*lease, *free]))
    columns = ", ".join(f"c.{column}" for column in _COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(
            _CLAIM_POSTGRES.format(condition=condition, columns=columns), [*free, *lease]
        )
        return [_read(row) for row in cursor.fetchall()]


def _read(row: Sequence[Any]) -> Credential:
    """Build a credential as `objects.raw` would, in half the time: only JSON needs conversion."""
    values = list(row)
    values[_REQUEST] = json.loads(row[_REQUEST])
    if row[_PROBLEM]:
        values[_PROBLEM] = Problem.from_json(json.loads(row[_PROBLEM]))
    return Credential.from_db(connection.alias, _COLUMN_SET, values)


def claim_due(
    claim: Claim,
    limit: int,
    *,
    asked_only: bool = False,
    not_below: Collection[str] = (),
    not_of: Collection[str] = (),
) -> list[Credential]:
    """Claim up to `limit` due credentials, the longest overdue first.

    `asked_only`: only those that a person waits for. `not_below`: none that is assumed from these
    parents. `not_of`: none of these teams.
    """
    now = database_now()
    condition = "asked_at IS NOT NULL AND due_at <= %s" if asked_only else "due_at <= %s"
    values = [stored("due_at", now)]
    is_sqlite = connection.vendor == "sqlite"
    if not_below:
        those = "IN (SELECT value FROM json_each(%s))" if is_sqlite else "= ANY(%s)"
        condition += f" AND (parent_id IS NULL OR NOT parent_id {those})"
        values.append(json.dumps(list(not_below)) if is_sqlite else list(not_below))
    if not_of:
        teams = [stored("team", team) for team in not_of]
        condition += f" AND team_id NOT IN ({', '.join(['%s'] * len(teams))})"
        values += teams
    return _claim(claim, condition, values, limit, now)


def claim_expired(claim: Claim, fingerprints: Collection[str]) -> list[Credential]:
    """Claim these expired credentials unless another worker holds or renewed them.

    A parent that AWS rejected is claimed only once it is due; its `due_at` is null until a person
    asks.
    """
    if not fingerprints:
        return []
    now = database_now()
    marks = ", ".join(["%s"] * len(fingerprints))
    condition = (
        f"fingerprint IN ({marks}) AND (problem IS NULL OR due_at <= %s) "
        "AND (sealed IS NULL OR expires_at IS NULL OR expires_at <= %s)"
    )
    values = [*fingerprints, stored("due_at", now), stored("expires_at", now + PARENT_MARGIN)]
    return _claim(claim, condition, values, len(fingerprints), now)


def lock_teams(fingerprints: Collection[str]) -> None:
    """Lock these credentials' teams before any row, as starting and stopping do.

    Starting locks a chain's rows from the root down, stopping from the leaf up: no order of rows
    would keep both from a deadlock.
    """
    shorten_lock_timeout()
    teams = Credential.objects.filter(pk__any_of=fingerprints).values("team")
    list(
        Team.objects.select_for_update(no_key=True)
        .filter(pk__in=teams)
        .order_by("pk")
        .values_list("pk")
    )


@transaction.atomic
def renew(claim: Claim, fingerprints: Collection[str]) -> set[str]:
    """Extend the leases of these rows; return those that are still held."""
    lock_teams(fingerprints)
    rows = Credential.objects.filter(pk__any_of=fingerprints)
    rows.write(claim.fence)
    return set(rows.held(claim.fence).values_list("pk", flat=True))


@transaction.atomic
def release(claim: Claim, fingerprints: Collection[str]) -> None:
    """Give back rows that were not worked on: they are as due as they were."""
    if fingerprints:
        lock_teams(fingerprints)
        Credential.objects.filter(pk__any_of=fingerprints).release(claim.fence)


@transaction.atomic
def release_unneeded(claim: Claim, fingerprints: Collection[str]) -> None:
    """Release credentials that nobody needs; those needed again by now stay due."""
    if fingerprints:
        lock_teams(fingerprints)
        unneeded = [pk for pk, needs in needs_of(fingerprints).items() if not needs]
        rows = Credential.objects.filter(pk__any_of=fingerprints)
        rows.filter(pk__any_of=unneeded).release(claim.fence, due_at=None, asked_at=None)
        rows.release(claim.fence)


def next_due_at(*, asked_only: bool = False) -> datetime | None:
    """Return when the next claimable credential falls due. None: nothing is scheduled."""
    rows = Credential.objects.free(database_now()).filter(due_at__isnull=False)
    if asked_only:
        rows = rows.filter(asked_at__isnull=False)
    return rows.order_by("due_at").values_list("due_at", flat=True).first()
