"""Many writers at once leave no gap and no fork."""

import pytest
from django.db import connection

from sessions.ledger import length, verify
from sessions.models import Event
from tests.harness import ledger_writers


@pytest.mark.parametrize("teams", [8, 1], ids=["a ledger each", "one ledger"])
def test_writers_at_once_leave_no_gap_and_no_fork(teams, transactional_db):
    writers = 8 if connection.vendor == "postgresql" else 3
    ids = ledger_writers.begin_teams(teams)
    written = ledger_writers.write(ids, writers=writers, seconds=1.5)
    assert written.problems == []
    for team in ids:
        seqs = sorted(Event.objects.filter(team_id=team).values_list("seq", flat=True))
        assert seqs == list(range(1, written.appends.get(team, 0) + 2))
        assert length(team) == len(seqs)
        assert verify(team) is None
    assert sum(written.appends.values()) >= writers
