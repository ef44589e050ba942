"""A transaction's waits for locks end together when `lock_timeout` says."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.db import OperationalError, connection, connections, transaction

from sessions.db.row_locks import LEAST_MILLISECONDS, lock_first
from sessions.models import Team
from tests.races import held, row_of

LOCK_MILLISECONDS = 1_000
STATEMENT_MILLISECONDS = 60_000

on_postgresql = pytest.mark.skipif(
    "postgresql" not in settings.DATABASES["default"]["ENGINE"],
    reason="SQLite has one lock, not one a row",
)


@pytest.fixture
def team(transactional_db):
    return Team.objects.create(slug="acme", name="Acme")


def bound_waits():
    with connection.cursor() as cursor:
        cursor.execute(
            f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS};"
            f"SET LOCAL statement_timeout = {STATEMENT_MILLISECONDS}"
        )


def timeouts():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, setting::int FROM pg_settings"
            " WHERE name IN ('lock_timeout', 'statement_timeout')"
        )
        return dict(cursor.fetchall())


def state_of_wait(team):
    """Wait in vain, and return the state that PostgreSQL ended the wait with."""
    try:
        with transaction.atomic():
            bound_waits()
            with pytest.raises(OperationalError) as failed:
                lock_first(Team.objects.filter(pk=team.pk))
            transaction.set_rollback(True)
        return failed.value.__cause__.sqlstate
    finally:
        connections.close_all()


def test_the_row_is_returned_or_nothing(team):
    with transaction.atomic():
        assert lock_first(Team.objects.filter(pk=team.pk)) == team
        assert lock_first(Team.objects.filter(slug="nobody")) is None


@on_postgresql
def test_who_stands_second_in_line_waits_no_longer_than_the_first(team):
    with held(*row_of(Team, team.pk)), ThreadPoolExecutor(2) as pool:
        first = pool.submit(state_of_wait, team)
        # The second takes over from the first after half of its time, and has no more than the rest
        # of it: a `lock_timeout` alone would begin again, and end it with 55P03.
        time.sleep(LOCK_MILLISECONDS / 2000)
        second = pool.submit(state_of_wait, team)
        assert first.result() in {"55P03", "57014"}
        assert second.result() == "57014"


@on_postgresql
def test_a_later_wait_of_a_transaction_has_only_the_rest(team):
    with held(*row_of(Team, team.pk)) as let_go, transaction.atomic():
        bound_waits()
        threading.Timer(LOCK_MILLISECONDS / 2000, let_go).start()
        assert lock_first(Team.objects.filter(pk=team.pk)) == team
        left = timeouts()
    assert LEAST_MILLISECONDS <= left["lock_timeout"] < 0.9 * LOCK_MILLISECONDS
    assert left["statement_timeout"] == STATEMENT_MILLISECONDS


@on_postgresql
def test_without_a_wait_no_limit_changes(team):
    with transaction.atomic():
        bound_waits()
        lock_first(Team.objects.filter(pk=team.pk))
        assert timeouts() == {
            "lock_timeout": LOCK_MILLISECONDS,
            "statement_timeout": STATEMENT_MILLISECONDS,
        }


@on_postgresql
def test_without_a_limit_there_is_none_afterwards(team):
    with held(*row_of(Team, team.pk)) as let_go, transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0")
        threading.Timer(0.2, let_go).start()
        assert lock_first(Team.objects.filter(pk=team.pk)) == team
        assert timeouts() == {"lock_timeout": 0, "statement_timeout": 0}
