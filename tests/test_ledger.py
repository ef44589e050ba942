"""The ledger is append-only, and says so when somebody made it otherwise."""

import hashlib
import threading

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from sessions import ledger, triggers
from sessions.ledger import Entry, verify
from sessions.lifecycle.people import create_team
from sessions.models import Event, EventKind, LedgerHead

TEAM = "0b8e6d1e-6f0e-4a52-9f0c-2f6a3c1d9e10"


def write(number: int) -> None:
    with transaction.atomic():
        ledger.append(
            TEAM,
            [Entry(EventKind.TEAM_CREATED, "ada", data={"n": n, "name": "é\u2028"}) for n in range(number)],
        )


@pytest.fixture
def tampered(transactional_db):
    """The database of somebody who can take the triggers off."""
    write(3)
    write(4)
    triggers.remove(connection)
    yield
    triggers.install(connection)


@pytest.mark.django_db
def test_an_untouched_ledger_holds():
    write(5)
    write(1)
    assert verify(TEAM) is None
    assert LedgerHead.objects.get(pk=TEAM).seq == 6


@pytest.mark.django_db(transaction=True)
def test_an_event_without_a_transaction_is_refused():
    with pytest.raises(RuntimeError):
        ledger.append(TEAM, [Entry(EventKind.TEAM_CREATED, "ada")])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE chains_event SET actor = 'eve' WHERE seq = 2",
        "DELETE FROM chains_event WHERE seq = 2",
        "DELETE FROM chains_event",
        "DELETE FROM chains_ledgerhead",
        "UPDATE chains_ledgerhead SET seq = 1",
        "UPDATE chains_ledgerhead SET team_id = 'x', seq = 99",
    ],
)
def test_the_database_itself_refuses_to_change_the_ledger(statement):
    write(3)
    with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(statement)
    assert verify(TEAM) is None


@pytest.mark.django_db(transaction=True)
def test_replacing_a_line_is_refused_too():
    if connection.vendor == "postgresql":
        statement, error = "TRUNCATE chains_event", "append-only"
    else:
        columns = "id, team_id, seq, at, kind, actor, session_id, session_alias, data, prev, hash"
        statement = f"INSERT OR REPLACE INTO chains_event ({columns}) SELECT {columns} FROM chains_event WHERE seq = 2"
        error = "append-only"
    write(3)
    with pytest.raises(DatabaseError, match=error), connection.cursor() as cursor:
        cursor.execute(statement)


def test_an_edited_line_is_named(tampered):
    Event.objects.filter(team_id=TEAM, seq=4).update(actor="eve")
    assert verify(TEAM).seq == 4


def test_edited_data_is_named(tampered):
    Event.objects.filter(team_id=TEAM, seq=5).update(data={"n": 99})
    assert verify(TEAM).seq == 5


def test_a_deleted_line_is_named(tampered):
    Event.objects.filter(team_id=TEAM, seq=3).delete()
    assert verify(TEAM).seq == 3


def test_a_cut_off_end_is_named(tampered):
    Event.objects.filter(team_id=TEAM, seq__gte=6).delete()
    assert verify(TEAM).seq == 6


def test_a_deleted_ledger_is_named(tampered):
    Event.objects.all().delete()
    assert verify(TEAM).seq == 1


def test_a_team_whose_whole_ledger_is_gone_with_its_head_is_named(tampered):
    team = create_team("platform", "Platform", actor="setup")
    call_command("verify_ledger")
    Event.objects.filter(team_id=str(team.pk)).delete()
    LedgerHead.objects.filter(pk=str(team.pk)).delete()
    with pytest.raises(CommandError, match="platform: line 1: the ledger is gone"):
        call_command("verify_ledger")


def test_two_swapped_lines_are_named(tampered):
    Event.objects.filter(team_id=TEAM, seq=2).update(seq=100)
    Event.objects.filter(team_id=TEAM, seq=3).update(seq=2)
    Event.objects.filter(team_id=TEAM, seq=100).update(seq=3)
    assert verify(TEAM).seq == 2


def test_a_line_hashed_again_after_the_edit_is_named_at_its_successor(tampered):
    line = Event.objects.get(team_id=TEAM, seq=4)
    line.actor = "eve"
    line.hash = hashlib.sha256(ledger.canonical(line)).hexdigest()
    line.save()
    assert verify(TEAM).seq == 5


def test_a_line_added_behind_the_head_is_named(tampered):
    last = Event.objects.get(team_id=TEAM, seq=7)
    forged = Event(team_id=TEAM, seq=8, at=last.at, kind=last.kind, actor="eve", data={}, prev=last.hash)
    forged.hash = hashlib.sha256(ledger.canonical(forged)).hexdigest()
    forged.save()
    assert verify(TEAM).seq == 8


@pytest.mark.django_db(transaction=True)
def test_many_writers_make_one_unbroken_ledger():
    def work() -> None:
        try:
            for _ in range(5):
                write(2)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Event.objects.filter(team_id=TEAM).count() == 80
    assert verify(TEAM) is None


@pytest.mark.django_db
def test_teams_have_ledgers_of_their_own():
    write(2)
    other = "another"
    with transaction.atomic():
        ledger.append(other, [Entry(EventKind.TEAM_CREATED, "ben")])
    assert ledger.teams_with_a_ledger() == sorted([TEAM, other])
    assert Event.objects.get(team_id=other).prev == ledger.START
