"""Find what the ledger is searched by through an index, whatever else is in it."""

import pytest
from django.db import connection

from sessions.models import Event
from sessions.models.ledger import (
    ACCESS_KEY_ID,
    ADDRESS,
    BY_A_PERSON,
    EXPIRES_AT,
    LATEST,
    MINTED,
    PARENT_KEY_ID,
    REVEALED,
    ROLE_SESSION_NAME,
    SOURCE_IDENTITY,
    WITH_A_KEY,
)

pytestmark = pytest.mark.django_db

SEARCHES = {
    "event_key": (ACCESS_KEY_ID, WITH_A_KEY),
    "event_parent_key": (PARENT_KEY_ID, MINTED),
    "event_name": (ROLE_SESSION_NAME, MINTED),
    "event_source_identity": (SOURCE_IDENTITY, MINTED),
    "event_address": (ADDRESS, BY_A_PERSON),
}


def plan_of(rows):
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # A table of a few rows is quicker read whole.
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_bitmapscan = off")
    return rows.explain()


@pytest.mark.parametrize("index", SEARCHES)
def test_each_search_has_its_index(index):
    by, condition = SEARCHES[index]
    plan = plan_of(Event.objects.filter(condition).alias(by=by).filter(by="x").order_by(LATEST)[:5])
    assert index in plan


def test_what_a_person_holds_is_found_by_its_end():
    taken = Event.objects.filter(REVEALED, team_id="t", actor="ada").alias(until=EXPIRES_AT)
    assert "event_held" in plan_of(taken.filter(until__gt="2026-11-27T12:00:00+00:00"))


def test_a_text_is_read_at_its_path_and_missing_without_it():
    data = {"access_key_id": "ASIAIOSFODNN7EXAMPLE", "origin": {"address": "192.0.2.1"}}
    Event.objects.create(
        team_id="t", seq=1, at="2026-11-27T12:00:00Z", kind="x", actor="ada", data=data
    )
    read = Event.objects.annotate(key=ACCESS_KEY_ID, address=ADDRESS, name=ROLE_SESSION_NAME)
    assert list(read.values_list("key", "address", "name")) == [
        ("ASIAIOSFODNN7EXAMPLE", "192.0.2.1", None)
    ]
