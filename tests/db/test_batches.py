"""Many rows are read in batches, and nothing of a read is left over for a later transaction."""

import gc
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from sessions.catalog.team_policy import PolicyDraft, check_all
from sessions.db.batches import in_batches
from sessions.exceptions import Refused
from sessions.ledger.events.people import TeamCreated
from sessions.models import AwsSession, Event, Team, TeamPolicy
from tests.house import crowd


@pytest.mark.django_db
@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 7])
@pytest.mark.parametrize("descending", [False, True])
def test_every_row_comes_once_and_in_order(house, number, descending):
    made = sorted((each.pk for each in crowd(house, number)), reverse=descending)
    rows = AwsSession.objects.filter(kind="iam-role-chained")
    assert [each.pk for each in in_batches(rows, size=2, descending=descending)] == made


@pytest.mark.django_db
def test_rows_come_in_the_order_of_the_key_that_is_named(house):
    crowd(house, 5)
    lines = Event.objects.filter(team_id=str(house.team.pk))
    numbers = [each.seq for each in in_batches(lines, "seq", size=2, descending=True)]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) == lines.count() > 2


@pytest.mark.django_db
def test_no_more_than_two_batches_are_ever_in_memory(house):
    crowd(house, 60)
    gc.freeze()  # or each collection would look at all that other tests have left
    alive: weakref.WeakSet[AwsSession] = weakref.WeakSet()
    most = 0
    with CaptureQueriesContext(connection) as asked:
        for each in in_batches(AwsSession.objects.filter(kind="iam-role-chained"), size=10):
            alive.add(each)
            gc.collect()
            most = max(most, len(alive))
    assert most <= 20
    assert all("LIMIT 10" in query["sql"] for query in asked)
    assert len(asked) == 7


@pytest.mark.django_db(transaction=True)
def test_a_loop_that_an_exception_ends_harms_no_later_transaction(lasting_house):
    for number in range(3):
        lasting_house.chained(f"Chained {number}")
    before = PolicyDraft.of(TeamPolicy.of(lasting_house.team.pk))
    # Refused at the first of them; what is kept of the error keeps the loop as it stood.
    with pytest.raises(Refused) as kept, transaction.atomic():
        check_all(
            lasting_house.team.pk,
            before,
            replace(before, role_session_name="ben", names_locked=True),
        )
    assert kept.value.field == "role_session_name"
    with transaction.atomic():
        assert Team.objects.count() == 1  # with its first statement the next transaction has begun
        del kept
        gc.collect()
        Team.objects.update(name="Still writable")
    assert Team.objects.get().name == "Still writable"


@pytest.mark.django_db(transaction=True)
def test_no_read_of_rows_opens_a_cursor_in_the_database(lasting_house):
    """Django's own forms read their choices with `iterator()`."""
    if connection.vendor != "postgresql":
        pytest.skip("a cursor of SQLite lives in this process")
    with transaction.atomic():
        rows = Event.objects.order_by("seq").iterator(chunk_size=1)
        assert next(rows).kind == TeamCreated.tag
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_cursors")
            assert cursor.fetchone() == (0,)


def test_nothing_reads_with_djangos_iterator():
    found = [
        f"{path}:{number}"
        for folder in ("sessions", "chainweb")
        for path in Path(folder).rglob("*.py")
        if "migrations" not in path.parts
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if ".iterator(" in line
    ]
    assert not found
