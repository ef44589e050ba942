"""The table of keys says whose each is, through which chain, and on which device."""

import csv
import json
from dataclasses import asdict
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from sessions import tasks
from sessions.actors import Actor
from sessions.db.clock import database_now
from sessions.delivery.reveal import reveal
from sessions.ledger import origin
from sessions.ledger.origin import Origin
from sessions.ledger.search import EventSearch, Lines
from sessions.ledger.siem import lookup
from sessions.ledger.siem.lookup import COLUMNS, csv_rows, rows

pytestmark = pytest.mark.django_db

LAPTOP = Origin(address="192.0.2.7", client="aws-cli/2.1 laptop", token_id="1", token="laptop")


def used(house):
    """Have ben start a chain of two hops and take its credentials on a laptop."""
    _, two = house.chain(2)
    house.start(two)
    house.work()
    with origin.asked_from(lambda: LAPTOP):
        return reveal(two, Actor(house.ben), form="process", via="token laptop")


def table(house, **search):
    return list(rows(Lines.of(house.team.pk, EventSearch(**search))))


def test_an_issue_has_its_chain_and_its_person(house, sts):
    used(house)
    first, second, _ = table(house)
    assert second.event == "issued"
    assert second.person == "ben"
    assert second.parent_access_key_id == first.access_key_id
    assert second.chain.startswith(f"{first.parent_access_key_id} > ")
    assert second.chain.endswith(" > Hop 2")
    assert second.assumed_role_id.endswith(f":{second.role_session_name}")
    assert second.assumed_role_arn.startswith("arn:aws:sts::111122223333:assumed-role/")
    assert second.account == "111122223333"
    assert second.until > second.issued_at


def test_a_delivery_has_its_device_and_what_the_issue_says(house, sts):
    got = used(house)
    _, issued, taken = table(house)
    assert (taken.event, taken.access_key_id) == ("delivered", got.access_key_id)
    assert (taken.person, taken.device) == ("ben", "aws-cli/2.1 laptop")
    assert (taken.address, taken.token, taken.session) == ("192.0.2.7", "laptop", "Hop 2")
    same = ("assumed_role_id", "assumed_role_arn", "role_session_name", "chain", "until")
    assert [getattr(taken, each) for each in same] == [getattr(issued, each) for each in same]


def test_a_delivery_alone_is_joined_to_its_issue(house, sts):
    used(house)
    taken = table(house)[-1]
    [alone] = table(house, kind="credential.revealed")
    assert alone == taken


def test_no_secret_is_in_it(house, sts):
    got = used(house)
    content = b"".join(csv_rows(table(house))).decode()
    assert got.access_key_id in content
    assert got.secret_access_key.reveal() not in content
    assert got.session_token.reveal() not in content


def test_no_cell_is_a_formula(house, sts):
    evil = house.chained("=cmd()", profile="evil", arn=house.role_arn("Evil"))
    house.start(evil)
    house.work()
    [row] = table(house)
    head, cells = csv.reader(b"".join(csv_rows([row])).decode().splitlines())
    assert tuple(head) == COLUMNS
    assert dict(zip(head, cells, strict=True))["session"] == "'=cmd()"


def test_what_is_remembered_is_bounded_and_changes_nothing(house, sts, monkeypatch):
    used(house)
    whole = table(house)
    monkeypatch.setattr(lookup, "REMEMBERED", 1)
    assert table(house) == whole


@pytest.mark.parametrize("name", ["keys.csv", "keys.jsonl"])
def test_the_file_has_the_keys_that_live(name, house, sts, settings, tmp_path, monkeypatch):
    path = tmp_path / name
    settings.CHAINWEB_SIEM_LOOKUP_FILE = str(path)
    tasks.write_lookup_file()
    before = path.stat().st_ino
    used(house)
    tasks.write_lookup_file()
    text = path.read_text()
    found = (
        list(csv.DictReader(text.splitlines()))
        if path.suffix == ".csv"
        else [json.loads(line) for line in text.splitlines()]
    )
    assert [each["access_key_id"] for each in found] == [r.access_key_id for r in table(house)]
    # A reader has the old file or the new one, and nothing else is left beside it.
    assert path.stat().st_ino != before
    assert list(tmp_path.iterdir()) == [path]
    later = database_now() + timedelta(hours=3)
    monkeypatch.setattr(lookup, "database_now", lambda: later)
    tasks.write_lookup_file()
    assert len(path.read_text().splitlines()) == (path.suffix == ".csv")


def test_a_file_that_cannot_be_written_is_an_error_in_the_log(settings, tmp_path):
    settings.CHAINWEB_SIEM_LOOKUP_FILE = str(tmp_path / "missing" / "keys.csv")
    with capture_logs() as logs:
        tasks.write_lookup_file()
    assert [each["error"] for each in logs] == ["FileNotFoundError"]


def test_without_a_file_nothing_is_written(settings, monkeypatch):
    settings.CHAINWEB_SIEM_LOOKUP_FILE = ""
    monkeypatch.setattr(lookup, "database_now", None)
    tasks.write_lookup_file()


def test_a_row_has_what_its_head_says(house, sts):
    used(house)
    assert tuple(asdict(table(house)[0])) == COLUMNS
