"""One statement writes what single writes would, on both databases."""

import uuid
from datetime import UTC, datetime

import pytest

from sessions.credentials import bulk_write
from sessions.engine.commit import MINTED_COLUMNS
from sessions.models import Credential, Problem

pytestmark = pytest.mark.django_db
FENCE = uuid.uuid4()
MOMENT = datetime(2026, 11, 25, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.fixture
def row(house):
    [leaf] = house.chain(1)
    house.start(leaf)
    Credential.objects.filter(level=1).update(
        fence=FENCE, lease_until=datetime(2026, 1, 1, tzinfo=UTC)
    )
    return Credential.objects.get(level=1)


@pytest.mark.parametrize(
    "problem",
    [
        None,
        Problem("AccessDenied", 2, "Rollen \u2013 \U0001f512 \" \\ 'x' %s", ""),
        Problem(
            "Throttling", 0, "", "[null, {}]", MOMENT.replace(microsecond=0), tried=MOMENT, home="x"
        ),
    ],
)
def test_every_column_is_stored_to_the_last_bit(row, problem):
    written = {
        "sealed": bytes(range(256)),
        "generation": 2_000_000_000,
        "access_key_id": "ASIAIOSFODNN7EXAMPLE",
        "packed_policy_size": 100,
        "minted_at": MOMENT,
        "expires_at": None,
        "due_at": MOMENT,
        "asked_at": None,
        "attempts": 1000,
        "problem": problem,
    }
    bulk_write.write(FENCE, MINTED_COLUMNS, {row.pk: written})
    stored = Credential.objects.get(pk=row.pk)
    assert {name: getattr(stored, name) for name in written} == {**written, "sealed": stored.sealed}
    assert bytes(stored.sealed) == written["sealed"]
    assert stored.lease_until is None
    assert Credential.objects.filter(pk=row.pk, problem__isnull=problem is None).exists()


def test_nothing_is_written_without_the_fence(row):
    written = {"problem": None, "attempts": 7, "due_at": None, "asked_at": None}
    bulk_write.write(uuid.uuid4(), tuple(written), {row.pk: written})
    bulk_write.write(FENCE, tuple(written), {})
    assert Credential.objects.get(pk=row.pk).attempts == row.attempts != 7
