"""A team whose lock somebody holds keeps workers from nothing that they do for other teams."""

import time

import pytest
from django.conf import settings
from django.db import connection, connections

from sessions import ledger, tasks
from sessions.activations import moves
from sessions.activations.start_stop import start_sessions
from sessions.actors import Actor
from sessions.db.clock import database_now
from sessions.db.limits import limit_waits
from sessions.engine import outbox, rotation
from sessions.ledger.events.sessions import SessionEnded
from sessions.locks import busy_teams
from sessions.models import Activation, Credential, Event, LedgerHead, Move, Team
from tests.house import TeamFixture, crowd
from tests.races import held, row_of

pytestmark = pytest.mark.skipif(
    "postgresql" not in settings.DATABASES["default"]["ENGINE"],
    reason="SQLite has one lock, not one a row",
)
LOCKS = {"team": Team, "ledger head": LedgerHead}


@pytest.fixture
def teams(lasting_house, sts, monkeypatch):
    """Two teams, and this process bounded as a worker's is."""
    database = connections["default"].settings_dict
    before = {**database["OPTIONS"]}
    limit_waits(database, lock_seconds=1.0)
    connection.close()
    busy_teams.forget_all()
    monkeypatch.setattr(busy_teams, "LOOK_EVERY_SECONDS", 0.05)
    yield lasting_house, TeamFixture(sts, slug="other")
    busy_teams.forget_all()
    connection.close()
    database["OPTIONS"] = before


def both_start(teams):
    leaves = [house.chained("Leaf") for house in teams]
    for house, leaf in zip(teams, leaves, strict=True):
        house.start(leaf)
    return leaves


def statuses(teams, leaves):
    return [house.state(leaf).status.value for house, leaf in zip(teams, leaves, strict=True)]


@pytest.mark.parametrize("lock", LOCKS)
def test_other_teams_are_minted_while_one_is_held(teams, sts, lock):
    leaves = both_start(teams)
    with held(*row_of(LOCKS[lock], teams[0].team.pk)):
        begun = time.monotonic()
        rotation.run(seconds=3)
        assert statuses(teams, leaves) == ["pending", "active"]
        assert time.monotonic() - begun < 30
        # Nothing more of it is asked of AWS meanwhile, and nothing of others waits for it.
        calls = len(sts.calls)
        teams[1].start(second := teams[1].chained("Second"))
        rotation.run(seconds=1)
        assert teams[1].state(second).status.value == "active"
        assert len(sts.calls) == calls + 1
    Credential.objects.update(lease_until=None)
    busy_teams.forget_all()
    teams[0].work()
    assert statuses(teams, leaves) == ["active", "active"]
    for house in teams:
        assert ledger.verify(str(house.team.pk)) is None


def test_what_a_run_has_minted_is_stored_when_the_lock_is_free_again(teams, sts, monkeypatch):
    leaves = both_start(teams)
    commit, holding = outbox.commit, held(*row_of(Team, teams[0].team.pk))
    tried = []

    def committed(claim, results, needs):
        """Take the lock before the first commit.

        It is given back after it could not be had twice.
        """
        tried.append({str(row.team_id) for row, _ in results})
        if len(tried) == 1:
            holding.__enter__()
        try:
            return commit(claim, results, needs)
        finally:
            if tried.count({str(teams[0].team.pk)}) == 1 and len(tried) > 1 and not given_back:
                given_back.append(holding.__exit__(None, None, None))

    given_back = []
    monkeypatch.setattr(outbox, "commit", committed)
    monkeypatch.setattr(outbox, "LONGEST_BEFORE_COMMIT_SECONDS", 1.0)
    monkeypatch.setattr(outbox, "LEAST_BEFORE_COMMIT_SECONDS", 1.0)
    rotation.run(seconds=20)
    assert given_back
    assert statuses(teams, leaves) == ["active", "active"]
    # Each was called for once: the answer was kept.
    assert len(sts.calls) == Credential.objects.filter(level__gt=0).count()


def test_the_clock_ends_what_is_over_in_other_teams(teams):
    both_start(teams)
    Activation.objects.update(ends_at=database_now())
    with held(*row_of(Team, teams[0].team.pk)):
        tasks.sweep_now()
        assert list(Activation.objects.values_list("session__team", flat=True)) == [
            teams[0].team.pk
        ]
    busy_teams.forget_all()
    tasks.sweep_now()
    assert not Activation.objects.exists()
    assert Event.objects.filter(kind=SessionEnded.tag).count() == 2


def test_changes_of_other_teams_are_followed(teams, monkeypatch):
    monkeypatch.setattr(moves, "AT_ONCE", 2)
    for house in teams:
        sessions = crowd(house, 4, prefix=f"{house.team.slug} crowd")
        start_sessions(
            type(sessions[0]).objects.filter(pk__in=[each.pk for each in sessions]),
            Actor(house.ben),
        )
        moves.follow(house.team.pk, database_now())
    with held(*row_of(Team, teams[0].team.pk)):
        assert moves.work_off(5) == 4
        assert list(Move.objects.values_list("team", flat=True)) == [teams[0].team.pk]
    Move.objects.update(lease_until=None)
    busy_teams.forget_all()
    assert moves.work_off(5) == 4
    assert not Move.objects.exists()


def test_a_team_is_asked_again_ever_less_often_until_its_lock_is_free(teams, monkeypatch):
    known = busy_teams._busy
    with held(*row_of(Team, teams[0].team.pk)):
        for pause in (2, 4, 8, 16, 30, 30):
            known.note(teams[0].team.pk)
            assert known.pauses[str(teams[0].team.pk)] == pause
        time.sleep(0.1)
        assert busy_teams.busy_teams() == {str(teams[0].team.pk)}
    time.sleep(0.1)
    assert busy_teams.busy_teams() == set()
