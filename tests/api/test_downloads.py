"""The ledger is taken away by API: verifiable, formula-safe, as a table of keys, in parts."""

import csv
import io

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sessions.ledger import downloads, lines, search
from sessions.ledger.chain import LedgerError
from sessions.ledger.checkpoints import Book
from sessions.ledger.events.ledger import LedgerExported, LedgerSearched
from sessions.ledger.offline import verify_export
from tests.api.tool import Api
from tests.ledger.checkpoint_keys import pair

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(house):
    return Api(house.token(house.ada))


@pytest.fixture
def ben(house):
    return Api(house.token(house.ben))


@pytest.fixture
def used(house, ben):
    _, leaf = house.chain(2)
    house.start(leaf)
    house.work()
    assert ben("GET", f"/sessions/{leaf.pk}/credentials").status_code == 200
    return leaf


def content(answer):
    assert answer.status_code == 200
    return b"".join(answer.streaming_content)


def test_an_export_is_verified_without_the_database(house, ada, used):
    rows = content(ada("GET", "/events/export")).splitlines(keepends=True)
    report, fault = verify_export(rows, Book(pair()[1]), part=False)
    assert (report.count, fault) == (len(rows), None)
    [told] = house.events(LedgerExported)
    assert (told.actor, told.data["form"], told.data["upto"]) == ("ada", "jsonl", len(rows))
    assert told.data["origin"]["token"] == "tests"


def test_a_spreadsheet_gets_what_the_search_finds(house, ada, used):
    answer = ada("GET", "/events/export?format=csv&kind=credential.minted")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(content(answer).decode(), newline="")))
    assert [each["kind"] for each in rows] == ["credential.minted"] * 2


def test_a_member_takes_away_their_own_events(house, ben, used):
    rows = list(
        csv.DictReader(io.StringIO(content(ben("GET", "/events/export?format=csv")).decode()))
    )
    assert rows
    assert all("ben" in (each["actor"], *each["for"].split(", ")) for each in rows)


def test_keys_are_taken_away_as_a_table(house, ada, used):
    text = content(ada("GET", "/events/export?format=keys-csv")).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [each["event"] for each in rows] == ["issued", "issued", "delivered"]
    assert {each["person"] for each in rows} == {"ben"}
    lines = content(ada("GET", "/events/export?format=keys-jsonl")).splitlines()
    assert len(lines) == 3


def test_keys_are_followed_by_their_cursor(house, ada, used):
    first = ada("GET", "/keys?limit=2").json()
    assert (len(first["keys"]), first["more"]) == (2, True)
    second = ada("GET", f"/keys?limit=2&cursor={first['cursor']}").json()
    assert [each["event"] for each in second["keys"]] == ["delivered"]
    assert not second["more"]
    nothing = ada("GET", f"/keys?cursor={second['cursor']}").json()
    assert nothing == {"keys": [], "cursor": second["cursor"], "more": False}
    [leaf] = house.chain(1, prefix="Later")
    house.start(leaf)
    house.work()
    later = ada("GET", f"/keys?cursor={nothing['cursor']}").json()
    assert [each["session"] for each in later["keys"]] == ["Later 1"]
    # That somebody follows is one event, and not one a minute.
    assert len(house.events(LedgerSearched)) == 1


def test_keys_are_for_those_who_read_the_whole_ledger(ben):
    assert ben("GET", "/keys").status_code == 403


@pytest.mark.parametrize(
    "query", ["format=pdf", "since=never", "cursor=1", "unknown=1", "account=1", "kind=none"]
)
def test_a_request_that_makes_no_sense_is_refused(query, house, ada):
    before = len(house.events())
    assert ada("GET", f"/events/export?{query}").status_code == 422
    assert len(house.events(LedgerExported)) == 0
    assert len(house.events()) == before


def test_without_its_event_nothing_is_exported(ada, used, monkeypatch):
    def refuse(team, entries):
        raise LedgerError("disk full")

    monkeypatch.setattr(downloads, "append", refuse)
    with pytest.raises(LedgerError):
        ada("GET", "/events/export")


def test_who_exports_in_a_loop_is_held_up(ada):
    statuses = [ada("GET", "/events/export?since=2030-01-01").status_code for _ in range(12)]
    assert statuses[0] == 200
    assert statuses[-1] == 429


@pytest.mark.parametrize("form", ["jsonl", "csv", "keys-csv"])
def test_an_export_holds_a_part_at_a_time(form, ada, used, monkeypatch):
    monkeypatch.setattr(lines, "BATCH", 2)
    monkeypatch.setattr(search, "BATCH", 2)
    answer = ada("GET", f"/events/export?format={form}")
    with CaptureQueriesContext(connection) as queries:
        parts = iter(answer.streaming_content)
        next(parts)
        few = len(queries)
        assert sum(1 for _ in parts) >= 3
    assert few < len(queries)
