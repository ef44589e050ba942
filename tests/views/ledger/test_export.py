"""An export holds what its reader may read, can be verified, and is an event before that."""

import hashlib
import json
import types

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sessions.ledger import downloads, lines, previous, search
from sessions.ledger.chain import LedgerError
from sessions.ledger.checkpoints import Book
from sessions.ledger.events.ledger import LedgerExported
from sessions.ledger.offline import verify_export
from sessions.models import Event, LedgerHead
from tests.ledger.checkpoint_keys import pair

pytestmark = pytest.mark.django_db


def ask(house, member=None, minutes_ago=0, **asked):
    browser = house.browser(member or house.eve, minutes_ago=minutes_ago)
    return browser.post(
        reverse("export_events", args=[house.team.slug]), {"format": "jsonl"} | asked
    )


def lines_in(answer):
    assert answer.status_code == 200
    return [json.loads(each) for each in b"".join(answer.streaming_content).splitlines()]


@pytest.fixture
def used(house):
    [session] = house.chain(1)
    house.start(session, house.ben)
    house.work()
    return session


def test_json_lines_are_those_of_the_ledger_up_to_the_export(house, used):
    stored = house.events()
    answer = ask(house)
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="events-platform')
    found = lines_in(answer)
    assert [each["seq"] for each in found] == [each.seq for each in stored]
    prev = found[0]["prev"]
    for each in found:
        claimed = each.pop("hash")
        content = json.dumps(each, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert hashlib.sha256(content.encode()).hexdigest() == claimed
        assert each["prev"] == prev
        prev = claimed
    [told] = house.events(LedgerExported)
    assert told.actor == "eve"
    assert (told.data["form"], told.data["upto"], told.data["search"]) == (
        "jsonl",
        stored[-1].seq,
        {},
    )


@pytest.mark.parametrize(
    ("asked", "part"), [({}, False), ({"since": "24h"}, True), ({"person": "ben"}, True)], ids=str
)
def test_an_export_is_verified_without_the_database(house, used, asked, part):
    rows = b"".join(ask(house, **asked).streaming_content).splitlines(keepends=True)
    report, fault = verify_export(rows, Book(pair()[1]), part=part)
    assert fault is None
    assert report.count == len(rows)
    changed = [rows[0].replace(b'"actor":"', b'"actor":"x', 1), *rows[1:]]
    assert verify_export(changed, Book(pair()[1]), part=part)[1].seq == json.loads(rows[0])["seq"]


def test_a_search_is_exported_as_it_was_found(house, used):
    found = lines_in(ask(house, kind="session.started", person="ben"))
    assert [each["kind"] for each in found] == ["session.started"]
    [told] = house.events(LedgerExported)
    assert told.data["search"] == {"kind": "session.started", "person": "ben"}


def test_a_member_exports_their_own_events_alone(house, used):
    house.start(used, house.bea)
    found = lines_in(ask(house, house.ben))
    assert found
    assert all(each["actor"] == "ben" or "ben" in each["data"]["for"] for each in found)


def test_csv_has_a_line_for_each_event(house, used):
    answer = ask(house, format="csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(answer.streaming_content).decode()
    assert text.count("\r\n") == len(house.events())  # the head, and all but the export itself


def test_an_export_wants_a_recent_log_in_and_a_form_that_makes_sense(house, used):
    assert "reauthenticate" in ask(house, minutes_ago=6).headers["Location"]
    for asked in ({"format": "exe"}, {"since": "soon"}):
        answer = ask(house, **asked)
        assert answer.headers["Location"] == reverse("events", args=[house.team.slug])
    assert house.events(LedgerExported) == []


def test_nothing_is_exported_if_the_ledger_does_not_take_the_event(house, used, monkeypatch):
    def refuse(team, entries):
        raise LedgerError("disk full")

    monkeypatch.setattr(downloads, "append", refuse)
    with pytest.raises(LedgerError):
        ask(house)


@pytest.mark.parametrize("asked", [{}, {"person": "ada"}])
def test_a_long_ledger_is_read_a_part_at_a_time(house, monkeypatch, asked):
    for module in (search, lines, previous):
        monkeypatch.setattr(module, "BATCH", 100)
    head = LedgerHead.objects.get(pk=str(house.team.pk))
    first = house.events()[0]
    Event.objects.bulk_create(
        Event(
            team_id=head.pk,
            seq=head.seq + number,
            at=first.at,
            kind="session.stopped",
            actor="ada",
            data={},
            prev=f"{head.seq + number - 1:064x}",
            hash=f"{head.seq + number:064x}",
        )
        for number in range(1, 1001)
    )
    LedgerHead.objects.filter(pk=head.pk).update(seq=head.seq + 1000)
    answer = ask(house, **asked)
    assert isinstance(answer.streaming_content, map | types.GeneratorType)
    with CaptureQueriesContext(connection) as captured:
        content = iter(answer.streaming_content)
        next(content)
        few = len(captured)
        assert sum(1 for _ in content) >= 1000
    assert few <= 3
    assert len(captured) >= (10 if asked and connection.vendor == "postgresql" else 1)
