"""Read out of a line's data what indexes are made of."""

import pytest
from django.db import connection

from sessions.models import Event
from sessions.models.ledger import (
    ACCESS_KEY_ID,
    EXPIRES_AT,
    ORIGIN_ADDRESS,
    REVEALED,
    ROLE_SESSION_NAME,
)

pytestmark = pytest.mark.django_db
TEAM = "0b8e6d1e-6f0e-4a52-9f0c-2f6a3c1d9e10"


def test_what_a_person_holds_is_found_by_its_end():
    taken = Event.objects.filter(REVEALED, team_id=TEAM, actor="ada").alias(until=EXPIRES_AT)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # A table of a few rows is quicker read whole.
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_bitmapscan = off")
    plan = taken.filter(until__gt="2026-11-27T12:00:00+00:00").explain()
    # A partition names its part of the index by itself.
    assert ("team_id_actor_expr_idx" if connection.vendor == "postgresql" else "event_held") in plan


def test_a_text_is_read_at_its_path_and_missing_without_it():
    data = {"access_key_id": "ASIAIOSFODNN7EXAMPLE", "origin": {"address": "192.0.2.1"}}
    Event.objects.create(
        team_id=TEAM, seq=1, at="2026-11-27T12:00:00Z", kind="x", actor="ada", data=data
    )
    read = Event.objects.annotate(key=ACCESS_KEY_ID, address=ORIGIN_ADDRESS, name=ROLE_SESSION_NAME)
    assert list(read.values_list("key", "address", "name")) == [
        ("ASIAIOSFODNN7EXAMPLE", "192.0.2.1", None)
    ]
