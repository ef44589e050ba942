"""Events are kept by month on PostgreSQL, also those of an installation that had none of it."""

import hashlib
import os
from datetime import UTC, date, datetime

import pytest
from django.db import Error, connection, transaction
from psycopg.types.json import Jsonb

from sessions.db.partitions import partitions_of
from sessions.ledger import START, lines, periods, verify
from sessions.models import Event, LedgerHead
from tests.harness import servers
from tests.harness.keys import new_keys
from tests.harness.processes import clean_environ, manage
from tests.ledger.attacks import TEAM, write
from tests.ledger.samples import STORED

pytestmark = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has no partitions"
)
COLUMNS = "team_id, seq, at, kind, actor, session_id, session_alias, data, prev, hash"


def old_rows():
    """Yield a ledger of three months as it was stored before."""
    prev = START
    for seq, each in enumerate(STORED, start=1):
        at = datetime(2026, 7 + seq * 3 // (len(STORED) + 1), 1, tzinfo=UTC)
        said = (
            each["kind"],
            each["actor"],
            each["session_id"],
            each["session_alias"],
            each["data"],
        )
        line_hash = hashlib.sha256(lines.canonical(TEAM, seq, at, *said, prev)).hexdigest()
        yield (TEAM, seq, at, *said[:-1], Jsonb(said[-1]), prev, line_hash)
        prev = line_hash


def made(database):
    found = database.execute(
        "SELECT tableoid::regclass::text, count(*) FROM chains_event GROUP BY 1 ORDER BY 1"
    )
    return dict(found.fetchall())


@pytest.mark.processes
def test_what_was_written_before_is_moved_into_its_months_and_holds():
    with servers.scratch_database("chainweb_months") as url:
        environ = {**clean_environ(), **new_keys(), "DATABASE_URL": url, "DEBUG": "true"}
        environ |= {"PATH": os.environ["PATH"]}
        manage("migrate", "chains", "0032", "--verbosity=0", environ=environ)
        with servers.connect(url) as old:
            rows = list(old_rows())
            marks = ", ".join(["%s"] * len(rows[0]))
            for row in rows:
                old.execute(f"INSERT INTO chains_event ({COLUMNS}) VALUES ({marks})", row)
            old.execute(
                "INSERT INTO chains_ledgerhead VALUES (%s, %s, %s)", (TEAM, len(rows), rows[-1][-1])
            )
        manage("migrate", "--verbosity=0", environ=environ)
        said = manage("verify_ledger", environ=environ)
        assert said.strip().endswith(f"{TEAM}: {len(STORED)} lines hold.")
        with servers.connect(url) as new:
            assert made(new) == {f"chains_event_20260{month}": 24 for month in (7, 8, 9)}
            [last] = new.execute("SELECT max(id) FROM chains_event").fetchone()
            [after] = new.execute("SELECT nextval('chains_event_id_seq')").fetchone()
            assert after == last + 1


@pytest.mark.django_db
def test_this_month_and_the_next_have_a_partition():
    periods.make_next()
    today = datetime.now(UTC).date()
    after = periods.first_of_next(today)
    there = partitions_of(connection, periods.TABLE)
    assert {f"chains_event_{day:%Y%m}" for day in (today, after)} <= set(there)
    assert periods.first_of_next(date(2026, 12, 31)) == date(2027, 1, 1)


@pytest.mark.django_db
def test_a_line_of_another_month_has_a_place_and_its_number_stays():
    write(2)
    last = Event.objects.get(seq=2)
    Event.objects.create(
        team_id=TEAM,
        seq=3,
        at="2031-01-31T23:59:59Z",
        kind="x",
        actor="ada",
        prev=last.hash,
        hash="",
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM chains_event_rest")
        assert cursor.fetchone() == (1,)
        cursor.execute("SELECT chains_event_partition('2031-01-01')")
        assert cursor.fetchone() == (False,)
    assert verify(TEAM).seq == 3


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET actor = 'eve'", "DELETE FROM {}", "TRUNCATE {}"]
)
def test_no_partition_can_be_changed_by_its_own_name(statement):
    write(1)
    for part in partitions_of(connection, periods.TABLE):
        with pytest.raises(Error, match="append-only"), transaction.atomic():
            connection.cursor().execute(statement.format(part))
    assert LedgerHead.objects.get().seq == Event.objects.count() == 1
