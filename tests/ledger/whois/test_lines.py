"""Each question reads the ledger by an index, whatever else is in it."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sessions.ledger.search import EventSearch, Lines
from sessions.ledger.whois import lines
from sessions.ledger.whois.clues import Clues
from sessions.models import Event
from tests.ledger.stored import TEAM, line, store

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
QUESTIONS = {
    "issue": (lambda: lines.issue_of(TEAM, "ASIAX"), {"event_key"}),
    "deliveries": (lambda: lines.deliveries_of(TEAM, "ASIAX", 5), {"event_key"}),
    "issued under": (lambda: lines.issued_under(TEAM, ["ASIAX", "ASIAY"], 5), {"event_parent_key"}),
    "named": (
        lambda: lines.named(TEAM, "ada", Clues(what="name"), 5),
        {"event_name", "event_source_identity"},
    ),
    "root": (lambda: Lines.of(TEAM, EventSearch(root="r")).newest(5), {"event_root"}),
    "address": (lambda: lines.from_address(TEAM, "192.0.2.1", 5), {"event_address"}),
}


def plan_of(sql):
    """Return how the database runs a statement."""
    explain = "EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
    with connection.cursor() as cursor:
        cursor.execute(explain + sql.replace("%", "%%"), [])
        return "\n".join(str(row) for row in cursor.fetchall())


@pytest.mark.parametrize("question", QUESTIONS)
def test_each_question_has_its_index(question):
    store(line(1))
    ask, indexes = QUESTIONS[question]
    with CaptureQueriesContext(connection) as queries:
        ask()
    if connection.vendor == "postgresql":
        indexes = {"event_terms"}
        with connection.cursor() as cursor:
            # A table of a few rows is quicker read whole.
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_indexscan = off")
    reads = [each["sql"] for each in queries if "data" in each["sql"]]
    plan = "\n".join(map(plan_of, reads))
    assert all(index in plan for index in indexes), plan


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no index of terms")
def test_postgresql_has_no_index_of_a_single_value():
    with connection.cursor() as cursor:
        found = set(connection.introspection.get_constraints(cursor, Event._meta.db_table))
    assert "event_terms" in found
    assert not found & {name for _, names in QUESTIONS.values() for name in names}
