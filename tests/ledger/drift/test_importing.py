"""A file is read as a whole or not at all, in constant memory, whatever happens to its worker."""

import csv
import io
import json
import tracemalloc
import uuid
from datetime import timedelta

import pytest

from sessions.actors import Actor
from sessions.db.clock import database_now
from sessions.engine import trail
from sessions.exceptions import Refused
from sessions.ledger.drift import imports, reading
from sessions.ledger.drift.kinds import Kind
from sessions.ledger.events.trail import (
    TrailDeleted,
    TrailImported,
    TrailImportStarted,
    TrailRefused,
)
from sessions.models import TrailImport, TrailPart, TrailRecord
from tests.aws.cloudtrail.samples import assumed, event, role, user
from tests.house import TeamFixture
from tests.ledger.drift.trails import as_file, number, rows, upload

pytestmark = pytest.mark.django_db


def many(amount):
    return [event(eventID=number()) for _ in range(amount)]


def athena(records):
    out = io.StringIO()
    writer = csv.DictWriter(out, ["eventid", "eventtime", "eventname", "useridentity"])
    writer.writeheader()
    for each in records:
        writer.writerow(
            {
                "eventid": each["eventID"],
                "eventtime": each["eventTime"],
                "eventname": each["eventName"],
                "useridentity": "{type=IAMUser, principalid=AIDAEXAMPLE, username=Alice}",
            }
        )
    return out.getvalue().encode()


FORMS = {
    "gzip": as_file,
    "plain": lambda records: json.dumps({"Records": records}).encode(),
    "lines": lambda records: "\n".join(json.dumps(each) for each in records).encode(),
    "table of Athena": athena,
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_file_is_imported(house, form):
    read = upload(house, FORMS[form](many(3)), name=f"a/b/{form}")
    assert (read.state, read.records, read.known, read.name) == ("done", 3, 0, form)
    assert read.position == read.size
    assert [row.people for row in rows(house)] == [["Alice"]] * 3
    assert not TrailPart.objects.exists()


def test_an_import_begins_and_ends_with_an_event(house):
    read = upload(house, many(2))
    [begun], [ended] = house.events(TrailImportStarted), house.events(TrailImported)
    assert (begun.actor, ended.actor) == ("ada", "worker")
    assert TrailImported.read(ended.data).import_id == str(read.pk)
    assert TrailImported.read(ended.data).records == 2


def test_a_broken_file_is_refused_with_its_line_and_changes_nothing(house, monkeypatch):
    monkeypatch.setattr(reading, "BATCH", 2)
    good = [json.dumps(each) for each in many(5)]
    read = upload(house, "\n".join([*good, '{"eventVersion": "1.1", oops}']).encode())
    assert read.state == "failed"
    assert read.reason.startswith("Line 6, column 2")
    assert not TrailRecord.objects.exists()
    assert not TrailPart.objects.exists()
    [line] = house.events(TrailRefused)
    assert "Line 6" in TrailRefused.read(line.data).reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (as_file(many(2))[:-12], "cut off"),
        (b"PK\x03\x04 something", "ZIP"),
        (b'{"digestStartTime": "x", "logFiles": []}', "digest"),
        (b"nothing like it", "no JSON"),
        (b'{"Records": []}', "no CloudTrail record"),
    ],
)
def test_what_is_no_file_of_records_says_what_it_is(house, content, reason):
    read = upload(house, content)
    assert read.state == "failed"
    assert reason in read.reason


def test_an_empty_file_and_one_too_large_are_refused_at_once(house, monkeypatch):
    with pytest.raises(Refused, match="empty"):
        imports.take_file(Actor(house.ada), "a", [])
    monkeypatch.setattr(imports, "LARGEST_UPLOAD", 10)
    with pytest.raises(Refused, match="too large"):
        imports.take_file(Actor(house.ada), "a", [b"x" * 8, b"y" * 8])
    assert not TrailImport.objects.exists()


def test_a_record_counts_once_however_often_it_comes(house):
    records = many(3)
    upload(house, [*records, records[0]])
    again = upload(house, [*records, event(eventID=number())])
    assert (again.state, again.records, again.known) == ("done", 4, 3)
    assert len(rows(house)) == 4


def test_a_record_without_an_id_counts_once_too(house):
    nameless = event(eventID=None)
    upload(house, [nameless, nameless, nameless | {"eventName": "Other"}])
    upload(house, [nameless])
    assert len(rows(house)) == 2


def test_the_copy_of_another_account_with_the_same_id_is_kept(house):
    caller = assumed(user("maria"), eventID="e-1", sharedEventID="s-1")
    other = assumed({"type": "AWSAccount", "accountId": "999999999999"}, eventID="e-1")
    upload(house, [other])
    upload(house, [caller])
    assert {row.detail["type"] for row in rows(house)} == {"AWSAccount", "IAMUser"}


def test_another_teams_records_are_its_own(house, sts):
    records = many(2)
    upload(house, records)
    second = TeamFixture(sts, "second")
    assert upload(second, records).known == 0
    assert len(rows(second)) == 2


def test_a_worker_that_dies_is_taken_over_and_nothing_is_counted_twice(house, monkeypatch):
    monkeypatch.setattr(reading, "BATCH", 2)
    taken = imports.take_file(Actor(house.ada), "log", [as_file(many(5))])
    stored = reading.store_batch

    def die(row, batch, comparison, position):
        stored(row, batch, comparison, position)
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(reading, "store_batch", die)
        with pytest.raises(SystemExit):
            trail.work_off(60)
    assert TrailRecord.objects.count() == 2
    assert rows(house) == []
    trail.work_off(60)  # its lease has not ended
    assert rows(house) == []
    TrailImport.objects.update(lease_until=database_now() - timedelta(seconds=1))
    trail.work_off(60)
    assert TrailImport.objects.get(pk=taken.pk).state == "done"
    assert len(rows(house)) == 5


def test_a_file_that_ends_its_workers_is_given_up(house):
    taken = imports.take_file(Actor(house.ada), "log", [as_file(many(1))])
    TrailImport.objects.update(attempts=reading.MOST_ATTEMPTS)
    trail.work_off(60)
    assert TrailImport.objects.get(pk=taken.pk).state == "failed"


def test_a_worker_that_was_overtaken_changes_nothing(house, monkeypatch):
    taken = imports.take_file(Actor(house.ada), "log", [as_file(many(3))])
    stored = reading.store_batch

    def overtaken(row, batch, comparison, position):
        TrailImport.objects.update(fence=uuid.uuid4())
        stored(row, batch, comparison, position)

    monkeypatch.setattr(reading, "store_batch", overtaken)
    trail.work_off(60)
    assert not TrailRecord.objects.exists()
    assert TrailImport.objects.get(pk=taken.pk).state == "reading"


def test_one_import_at_a_time_is_worked_on(house):
    for _ in range(2):
        imports.take_file(Actor(house.ada), "log", [as_file(many(1))])
    held = TrailImport.objects.order_by("pk").first()
    TrailImport.objects.hold(held.pk)
    trail.work_off(60)
    assert rows(house) == []


def test_a_deleted_import_takes_its_records_along(house):
    hop = assumed(user("maria"), eventID=number())
    below = event(
        identity=role("aws-sdk-1717171717", accessKeyId="ASIAI44QH8DHBEXAMPLE"), eventID=number()
    )
    upload(house, [below])
    first = upload(house, [hop])
    [row] = rows(house, event_name="ListBuckets")
    assert row.people == ["maria"]
    imports.delete_import(Actor(house.ada), first.pk)
    assert rows(house, event_name="AssumeRole") == []
    trail.work_off(60)
    assert not TrailImport.objects.filter(pk=first.pk).exists()
    [row] = rows(house)
    assert (row.kind, row.people, row.made_by) == (Kind.UNKNOWN, [], None)
    [line] = house.events(TrailDeleted)
    assert TrailDeleted.read(line.data).records == 1


def test_an_import_that_is_being_read_can_be_deleted(house, monkeypatch):
    monkeypatch.setattr(reading, "BATCH", 2)
    taken = imports.take_file(Actor(house.ada), "log", [as_file(many(5))])
    stored = reading.store_batch

    def deleted(row, batch, comparison, position):
        stored(row, batch, comparison, position)
        imports.delete_import(Actor(house.ada), taken.pk)

    monkeypatch.setattr(reading, "store_batch", deleted)
    trail.work_off(60)
    assert not TrailImport.objects.exists()
    assert not TrailRecord.objects.exists()
    assert not TrailPart.objects.exists()


def test_an_upload_that_was_never_finished_is_cleared_away(house):
    def broken():
        yield b"x" * (imports.PART_BYTES + 1)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        imports.take_file(Actor(house.ada), "log", broken())
    assert not TrailImport.objects.exists()
    left = imports.take_file(Actor(house.ada), "log", [b"{}"])
    TrailImport.objects.filter(pk=left.pk).update(state="uploading")
    trail.work_off(60)
    assert not TrailImport.objects.exists()


def test_a_large_file_is_read_in_constant_memory(house, monkeypatch):
    monkeypatch.setattr(reading, "BATCH", 100)

    def peak(amount):
        taken = imports.take_file(Actor(house.ada), "log", [as_file(many(amount))])
        tracemalloc.start()
        trail.work_off(600)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert TrailImport.objects.get(pk=taken.pk).records == amount
        return most

    peak(200)
    small, large = peak(1_000), peak(3_000)
    assert large < 1.3 * small
