"""Old periods go as a whole, signed and archived, and what is left says so."""

import json
from datetime import UTC, date, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import Error, connection, transaction

from sessions import ledger
from sessions.actors import NamedActor
from sessions.db.partitions import partitions_of
from sessions.ledger import Entry, periods, signing, triggers, verify
from sessions.ledger.events.ledger import LedgerRemoved
from sessions.ledger.events.people import TeamCreated
from sessions.ledger.removed import removed_of
from sessions.ledger.standing import standing_of
from sessions.models import (
    Checkpoint,
    Event,
    LedgerHead,
    RepeatedData,
    SiemCursor,
    Tombstone,
)
from tests.ledger.attacks import TEAM, hash_again, lines, verify_ledger
from tests.ledger.checkpoint_keys import PUBLIC

OTHER = "0b8e6d1e-6f0e-4a52-9f0c-2f6a3c1d9e11"
MONTHS = (3, 4, 5)
KEPT = ["in its partition", "in the rest"] if connection.vendor == "postgresql" else ["in a table"]


def write_at(at, number=3, team=TEAM):
    with transaction.atomic():
        LedgerHead.objects.bulk_create(
            [LedgerHead(team_id=team, seq=0, hash=ledger.START)], ignore_conflicts=True
        )
        head = ledger.hold(team)
        head.read_at = at
        said = [TeamCreated(slug=f"t-{each}", name="é") for each in range(number)]
        ledger.append(head, [Entry(each, NamedActor("ada")) for each in said])


@pytest.fixture(params=KEPT)
def old(transactional_db, copy, request):
    """Write three lines in each of three months, and sign at the end of each."""
    if request.param == "in its partition":
        for month in MONTHS:
            with connection.cursor() as cursor:
                cursor.execute("SELECT chains_event_partition(%s)", [f"2026-{month:02d}-01"])
    for month in MONTHS:
        write_at(datetime(2026, month, 1, tzinfo=UTC))
        if month > MONTHS[0]:
            write_at(datetime(2026, month, 2, tzinfo=UTC), team=OTHER)
        signing.sign_and_send()
    return copy


def remove(folder, *args, before="2026-05"):
    said = StringIO()
    options = ("--before", before, "--archive", str(folder), "--by", "olga")
    call_command("remove_events", *options, *args, stdout=said)
    return said.getvalue()


def test_what_is_left_holds_and_says_what_was_removed(old, tmp_path):
    said = remove(tmp_path)
    assert f"{TEAM}: lines 1 to 6 removed: {tmp_path}" in said
    assert [each.seq for each in lines().order_by("seq")] == [7, 8, 9, 10]
    line = lines(seq=10).get()
    told = LedgerRemoved.read(line.data)
    assert (line.kind, line.actor, told.first, told.upto) == ("ledger.removed", "manage.py", 1, 6)
    assert told.summary() == "removed the events 1 to 6, by olga"
    removed = removed_of(TEAM)
    assert (removed.seq, removed.by, removed.event, removed.head) == (6, "olga", 10, told.head)
    holds = f"{TEAM}: 4 lines from 7 to 10, after those that olga removed on"
    assert holds in verify_ledger()
    assert holds in verify_ledger("--checkpoints", old)
    assert "signed up to line 10" in verify_ledger("--checkpoints", old)
    assert standing_of(TEAM).problem == ""
    assert not {"chains_event_202603", "chains_event_202604"} & set(
        partitions_of(connection, periods.TABLE)
    )


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite stores lines as they are")
def test_what_removed_lines_said_alike_goes_with_them(old, tmp_path):
    for month, team in ((4, OTHER), (5, TEAM), (4, TEAM)):
        RepeatedData.objects.create(
            id=month * 10 + (team == TEAM), month=date(2026, month, 1), team_id=team, data={}
        )
    remove(tmp_path)
    assert set(RepeatedData.objects.values_list("pk", flat=True)) == {51}
    with pytest.raises(Error, match="append-only"), transaction.atomic():
        RepeatedData.objects.all().delete()


def test_the_archive_verifies_by_itself_and_what_is_left_after_it(old, tmp_path):
    remove(tmp_path)
    [archive] = tmp_path.glob(f"{TEAM}-1-6.jsonl")
    assert f"{TEAM}: 6 lines hold, from 1 to 6" in verify_ledger(
        "--export", archive, "--public-key", PUBLIC
    )
    assert archive.stat().st_mode & 0o777 == 0o600
    rest = tmp_path / "rest.jsonl"
    call_command("export_ledger", "--team", TEAM, "--output", str(rest))
    said = verify_ledger("--export", rest, "--public-key", PUBLIC)
    assert f"{TEAM}: 4 lines hold, from 7 to 10; signed up to line 10" in said
    without = tmp_path / "without.jsonl"
    without.write_text("".join(rest.read_text().splitlines(keepends=True)[1:]))
    said = verify_ledger("--export", without, "--public-key", PUBLIC)
    assert said.startswith(f"FAILED {TEAM}: line 1: the line is missing")


def test_periods_go_one_after_the_other(old, tmp_path):
    remove(tmp_path, before="2026-04")
    write_at(datetime(2026, 6, 1, tzinfo=UTC))
    signing.sign_and_send()
    assert f"{TEAM}: lines 4 to 6 removed" in remove(tmp_path)
    [second] = tmp_path.glob(f"{TEAM}-4-6.jsonl")
    assert "3 lines hold, from 4 to 6" in verify_ledger("--export", second, "--public-key", PUBLIC)
    assert "lines from 7 to 14" in verify_ledger("--checkpoints", old)
    assert [each.seq for each in Tombstone.objects.filter(team_id=TEAM).order_by("pk")] == [3, 6]
    assert "There is nothing to remove." in remove(tmp_path)


def test_the_ledger_goes_on_append_only_and_indexed(old, tmp_path):
    remove(tmp_path)
    for statement in ("UPDATE chains_event SET actor = 'eve'", "DELETE FROM chains_event"):
        with pytest.raises(Error, match="append-only"), transaction.atomic():
            connection.cursor().execute(statement)
    write_at(datetime.now(UTC))
    assert verify(TEAM, removed=removed_of(TEAM)) is None
    assert Event.objects.filter(team_id=TEAM).order_by("-seq")[0].seq == 13
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM sqlite_master WHERE tbl_name = 'chains_event'")
            assert cursor.fetchone()[0] > 10


def test_a_line_that_a_clock_wrote_too_early_stays(old, tmp_path):
    write_at(datetime(2026, 4, 30, tzinfo=UTC), number=1)
    signing.sign_and_send()
    remove(tmp_path)
    assert [each.seq for each in lines().order_by("seq")] == [7, 8, 9, 10, 11]
    assert "5 lines from 7 to 11" in verify_ledger("--checkpoints", old)


def test_checkpoints_of_what_is_removed_go_once_they_are_outside(old, tmp_path):
    before = Checkpoint.objects.filter(team_id=TEAM).count()
    remove(tmp_path)
    assert [each.seq for each in Checkpoint.objects.filter(team_id=TEAM).order_by("pk")] == [
        *(6, 9, 10)
    ]
    assert before == 3
    outside = [json.loads(line) for line in old.read_text().splitlines()]
    assert [each["seq"] for each in outside if each["team_id"] == TEAM] == [3, 6, 9, 6, 10]


# --- what is refused ---


def refused(folder, *args, **options):
    with pytest.raises(CommandError) as error:
        remove(folder, *args, **options)
    assert str(error.value).startswith("Nothing was removed")
    assert lines().count() >= 9
    assert not Tombstone.objects.exists()
    return str(error.value)


def test_what_no_checkpoint_confirms_stays(old, tmp_path):
    Checkpoint.objects.filter(team_id=TEAM, seq__gte=6).delete()
    assert f"{TEAM}: no checkpoint confirms line 6 yet" in refused(tmp_path)


def test_a_ledger_that_does_not_hold_keeps_all(old, tmp_path):
    triggers.remove(connection)
    lines(seq=2).update(actor="eve")
    assert f"{TEAM}: line 2: its content is not what was written" in refused(tmp_path)
    hash_again(2)
    assert f"{TEAM}: line 1: it or a later line up to" in refused(tmp_path)
    triggers.install(connection)


def test_an_archive_of_something_else_is_not_taken(old, tmp_path):
    assert f"{TEAM}: lines 1 to 6 archived" in remove(tmp_path, "--dry-run")
    path = tmp_path / f"{TEAM}-1-6.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-2]))
    assert "it does not hold these lines" in refused(tmp_path)
    assert lines().count() == 9


def test_a_period_that_is_not_over_and_lines_that_others_read_stay(old, tmp_path):
    assert "a month that is over" in refused(tmp_path, before="2999-01")
    SiemCursor.objects.create(outlet="webhook", team_id=TEAM, seq=2)
    assert "webhook has taken the lines up to 2 only" in refused(tmp_path)


def test_a_folder_that_takes_nothing_keeps_all(old, tmp_path):
    refused(tmp_path / "missing")


# --- attacks on what is left ---


def forge(**said):
    row = Tombstone.objects.get(team_id=TEAM)
    text = json.dumps({**json.loads(row.text), **said}, separators=(",", ":"))
    Tombstone.objects.filter(pk=row.pk).update(text=text)


def cut_more():
    lines(seq__lte=8).delete()


def cut_more_and_forge_the_tombstone():
    forge(seq=8, head=lines(seq=8).get().hash)
    lines(seq__lte=8).delete()


def take_the_tombstone_away():
    Tombstone.objects.all().delete()


def edit_the_record_of_it():
    lines(seq=10).update(data={"first": 1, "upto": 6})
    hash_again(10)


def put_a_line_back():
    line = lines(seq=7).get()
    line.pk, line.seq = None, 6
    line.save(force_insert=True)


ATTACKS = {
    cut_more: 7,
    cut_more_and_forge_the_tombstone: 1,
    take_the_tombstone_away: 1,
    edit_the_record_of_it: 10,
    put_a_line_back: 7,
}


@pytest.mark.parametrize(("attack", "line"), ATTACKS.items())
def test_what_is_done_to_the_rest_is_found(attack, line, old, tmp_path):
    remove(tmp_path)
    Checkpoint.objects.filter(seq=10).delete()
    triggers.remove(connection)
    attack()
    said = verify_ledger()
    triggers.install(connection)
    assert said.startswith("FAILED ")
    assert f"{TEAM}: line {line}: " in said


def test_a_copy_outside_knows_the_tombstone_too(old, tmp_path):
    remove(tmp_path)
    take_the_tombstone_away()
    assert "4 lines from 7 to 10" in verify_ledger("--checkpoints", old)
