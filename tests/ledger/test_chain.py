"""The ledger is append-only, and says so when somebody made it otherwise."""

import contextlib
import hashlib
import threading

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from sessions import ledger
from sessions.actors import NamedActor
from sessions.ledger import Entry, LedgerError, triggers, verification, verify
from sessions.ledger.events.people import MemberAdded, TeamCreated
from sessions.ledger.lines import stored_lines
from sessions.ledger.previous import prev_of
from sessions.models import Event, LedgerHead, Team
from sessions.people.people import create_team

TEAM = "0b8e6d1e-6f0e-4a52-9f0c-2f6a3c1d9e10"
CREATED = TeamCreated(slug="team", name="Team")
ADDED = MemberAdded(member="eve", role="admin", aws_name="eve")


def write(number: int) -> None:
    with transaction.atomic():
        ledger.append(
            TEAM,
            [
                Entry(TeamCreated(slug=f"team-{n}", name="é\u2028"), NamedActor("ada"))
                for n in range(number)
            ],
        )


@pytest.fixture
def tampered(transactional_db):
    """Make the database of somebody who can take the triggers off."""
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


@pytest.mark.django_db
def test_lines_that_are_appended_during_a_walk_are_no_fault(monkeypatch):
    write(5)

    def walk_while_others_write(events, before):
        yield from stored_lines(events, before)
        write(2)

    monkeypatch.setattr(verification, "stored_lines", walk_while_others_write)
    assert verify(TEAM) is None
    monkeypatch.undo()
    assert verify(TEAM) is None


@pytest.mark.django_db(transaction=True)
def test_an_event_without_a_transaction_is_refused():
    with pytest.raises(RuntimeError):
        ledger.append(TEAM, [Entry(CREATED, NamedActor("ada"))])


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
        statement = (
            f"INSERT OR REPLACE INTO chains_event ({columns}) SELECT {columns} FROM chains_event"
            " WHERE seq = 2"
        )
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
    team = create_team("platform", "Platform", actor=NamedActor("setup"))
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
    forged = Event(
        team_id=TEAM, seq=8, at=last.at, kind=last.kind, actor="eve", data={}, prev=last.hash
    )
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


SWALLOWED = {
    "sqlite": [
        "CREATE TRIGGER swallow BEFORE UPDATE ON chains_ledgerhead BEGIN SELECT RAISE(IGNORE); END",
        "DROP TRIGGER swallow",
    ],
    "postgresql": [
        "CREATE RULE swallow AS ON UPDATE TO chains_ledgerhead DO INSTEAD NOTHING",
        "DROP RULE swallow ON chains_ledgerhead",
    ],
}


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def head_that_does_not_move(transactional_db):
    write(3)
    begin, end = SWALLOWED[connection.vendor]
    execute(begin)
    yield
    execute(end)


def test_a_head_that_does_not_move_fails_the_transaction(head_that_does_not_move):
    with pytest.raises(LedgerError, match="0 heads moved"):
        write(1)
    assert Event.objects.filter(team_id=TEAM).count() == 3


def test_whoever_catches_the_ledgers_error_commits_nothing_all_the_same(head_that_does_not_move):
    with transaction.atomic():
        Team.objects.create(slug="quiet", name="Quiet")
        with contextlib.suppress(LedgerError):
            ledger.append(TEAM, [Entry(ADDED, NamedActor("ada"))])
    assert not Team.objects.filter(slug="quiet").exists()


def test_a_line_that_is_swallowed_fails_the_transaction(transactional_db):
    write(1)
    if connection.vendor == "sqlite":
        begin = (
            "CREATE TRIGGER swallow BEFORE INSERT ON chains_event BEGIN SELECT RAISE(IGNORE); END"
        )
        end = "DROP TRIGGER swallow"
    else:
        execute(
            "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL;"
            " END $$"
        )
        begin = (
            "CREATE TRIGGER swallow BEFORE INSERT ON chains_event FOR EACH ROW EXECUTE FUNCTION"
            " swallow()"
        )
        end = "DROP FUNCTION swallow CASCADE"
    execute(begin)
    try:
        with pytest.raises((LedgerError, AssertionError, TypeError)):
            write(1)
    finally:
        execute(end)
    assert LedgerHead.objects.get(pk=TEAM).seq == 1


def test_a_head_moved_by_somebody_else_meanwhile_fails_the_transaction(tampered):
    stale = LedgerHead.objects.get(pk=TEAM)
    write(1)
    Event.objects.filter(seq=8).delete()  # else the line's number would be refused before
    with pytest.raises(LedgerError, match="0 heads moved"), transaction.atomic():
        ledger.append(stale, [Entry(ADDED, NamedActor("eve"))])
    assert LedgerHead.objects.get(pk=TEAM).seq == 8


def test_a_team_whose_head_is_gone_gets_no_second_ledger(tampered):
    Event.objects.all().delete()
    LedgerHead.objects.all().delete()
    with pytest.raises(LedgerError, match="head is gone"), transaction.atomic():
        ledger.append(TEAM, [Entry(ADDED, NamedActor("eve"))])
    assert not LedgerHead.objects.exists()


@pytest.mark.django_db
def test_teams_have_ledgers_of_their_own():
    write(2)
    other = "0b8e6d1e-6f0e-4a52-9f0c-2f6a3c1d9e11"
    with transaction.atomic():
        ledger.append(other, [Entry(CREATED, NamedActor("ben"))])
    assert ledger.teams_with_a_ledger() == sorted([TEAM, other])
    assert prev_of(Event.objects.get(team_id=other)) == ledger.START
