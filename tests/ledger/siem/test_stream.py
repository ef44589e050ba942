"""Each destination gets each issue and delivery in order, at least once, whatever fails."""

import base64
import hashlib
import hmac
import json
import time
from datetime import timedelta

import pytest
from django.db import connection
from structlog.testing import capture_logs

from sessions import tasks
from sessions.db.clock import database_now
from sessions.ledger.outlets import NotTaken
from sessions.ledger.siem import destinations, stream
from sessions.models import Event, SiemCursor
from tests.ledger.siem.conftest import KEY

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(places, tmp_path):
    places.CHAINWEB_SIEM_FILE = str(tmp_path / "siem.jsonl")
    return tmp_path / "siem.jsonl"


def numbers(path):
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["metadata"]["sequence"] for line in lines]


def in_ledger(team):
    lines = Event.objects.filter(team_id=str(team.pk), kind__in=destinations_kinds())
    return list(lines.order_by("seq").values_list("seq", flat=True))


def destinations_kinds():
    return list(stream.KINDS)


def issue(house, number=2):
    for session in house.chain(number, prefix=f"Hop {time.monotonic_ns()}"):
        house.start(session)
    house.work()


def try_again_now():
    SiemCursor.objects.update(again_at=None)


def test_every_issue_is_sent_once_and_in_order(house, sts, file):
    issue(house)
    assert stream.is_due()
    assert not stream.work_off(5)
    assert numbers(file) == in_ledger(house.team) != []
    issue(house)
    tasks.send_to_siem()
    assert numbers(file) == in_ledger(house.team)
    assert not stream.is_due()


def test_without_a_destination_nothing_is_due(house, sts, places):
    issue(house)
    assert not stream.is_due()
    stream.work_off(5)
    assert not SiemCursor.objects.exists()


def test_the_clock_sends(house, sts, file):
    issue(house)
    tasks.sweep_now()
    assert numbers(file) == in_ledger(house.team)


def test_a_dead_destination_delays_no_other_and_loses_nothing(house, sts, file, places):
    places.CHAINWEB_SIEM_WEBHOOK = "https://127.0.0.1:1/token-in-a-path"
    issue(house)
    with capture_logs() as logs:
        stream.work_off(5)
    assert numbers(file) == in_ledger(house.team)
    assert [each["destination"] for each in logs] == ["webhook"]
    assert "token-in-a-path" not in str(logs)
    [lag] = [each for each in stream.lags() if each.outlet == "webhook"]
    assert (lag.failures, lag.problem) == (1, "ConnectionRefusedError: Connection refused")
    assert lag.lines == Event.objects.filter(team_id=str(house.team.pk)).count()
    # It is left alone for a while, and tried later and later.
    assert not stream.is_due()
    pauses = []
    for _ in range(9):
        try_again_now()
        stream.work_off(5)
        pauses.append((SiemCursor.objects.get(outlet="webhook").again_at - database_now()).seconds)
    assert pauses[0] < pauses[1] < pauses[2]
    assert pauses[-1] in range(290, 301)


def test_a_webhook_is_signed_and_gets_what_it_missed(house, sts, places, receiver):
    places.CHAINWEB_SIEM_WEBHOOK = f"{receiver.url}/503"
    places.CHAINWEB_SIEM_WEBHOOK_AUTHORIZATION = "Splunk 12345678-token"
    issue(house)
    stream.work_off(5)
    assert SiemCursor.objects.get().problem == "NotTaken: status 503"
    places.CHAINWEB_SIEM_WEBHOOK = f"{receiver.url}/200"
    try_again_now()
    stream.work_off(5)
    (_, refused, _), (_, headers, body) = receiver.taken
    sent = [json.loads(line) for line in body.splitlines()]
    assert [each["metadata"]["sequence"] for each in sent] == in_ledger(house.team)
    uid, at = headers["webhook-id"], headers["webhook-timestamp"]
    assert uid == refused["webhook-id"]
    assert abs(int(at) - time.time()) < 60
    signed = f"{uid}.{at}.".encode() + body
    made = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{made}"
    assert headers["Authorization"] == "Splunk 12345678-token"


def test_each_key_signs_so_that_one_can_be_replaced():
    headers = destinations.signed_headers("id", 1, b"body", [b"a" * 24, b"b" * 24])
    assert len(headers["webhook-signature"].split()) == 2


def test_a_batch_that_is_rejected_holds_its_team_alone(house, sts, file, places, monkeypatch):
    other = type(house)(sts, slug="other")
    issue(house)
    issue(other)

    def send(records):
        if records[0].team_id == str(house.team.pk):
            raise NotTaken("status 413", 413)
        taken.extend(each.seq for each in records)

    taken = []
    places.CHAINWEB_SIEM_WEBHOOK = "https://siem.example"
    monkeypatch.setattr(destinations, "_to_webhook", send)
    stream.work_off(5)
    assert taken == in_ledger(other.team)
    assert not SiemCursor.objects.filter(outlet="webhook", failures=1).exclude(
        team_id=str(house.team.pk)
    )


def test_what_was_taken_before_a_crash_is_sent_again(house, sts, file, monkeypatch):
    issue(house)

    def crash(records):
        send(records)
        raise RuntimeError("killed")

    send = destinations._to_file
    monkeypatch.setattr(destinations, "_to_file", crash)
    with pytest.raises(RuntimeError):
        stream.work_off(5)
    monkeypatch.undo()
    file_before = numbers(file)
    stream.work_off(5)
    # Whoever held it has a lease, until which nobody else sends.
    assert numbers(file) == file_before
    SiemCursor.objects.update(lease_until=database_now() - timedelta(seconds=1))
    stream.work_off(5)
    assert numbers(file) == 2 * in_ledger(house.team)


def test_a_late_worker_moves_no_cursor(house, sts, file, monkeypatch):
    issue(house)

    def late(records):
        SiemCursor.objects.update(fence=None, seq=1, lease_until=None)

    monkeypatch.setattr(destinations, "_to_file", late)
    stream.work_off(0.1)
    assert SiemCursor.objects.get().seq == 1


def test_no_transaction_is_open_while_it_is_sent(house, sts, file, monkeypatch):
    issue(house)
    depth = len(connection.savepoint_ids), connection.in_atomic_block
    seen = []
    monkeypatch.setattr(
        destinations,
        "_to_file",
        lambda records: seen.append((len(connection.savepoint_ids), connection.in_atomic_block)),
    )
    stream.work_off(5)
    assert seen == [depth]


def test_long_ledgers_are_sent_in_batches(house, sts, file, monkeypatch):
    monkeypatch.setattr(stream, "LINES_AT_ONCE", 3)
    monkeypatch.setattr(stream, "RECORDS_AT_ONCE", 2)
    issue(house, 4)
    sizes = []
    send = destinations._to_file
    monkeypatch.setattr(
        destinations, "_to_file", lambda records: (sizes.append(len(records)), send(records))
    )
    stream.work_off(5)
    assert numbers(file) == in_ledger(house.team)
    assert max(sizes) == 2


def test_a_file_may_be_moved_away_at_any_time(house, sts, file):
    issue(house)
    stream.work_off(5)
    file.rename(file.with_suffix(".1"))
    issue(house)
    stream.work_off(5)
    assert numbers(file.with_suffix(".1")) + numbers(file) == in_ledger(house.team)


def test_a_place_that_is_not_named_any_more_keeps_its_position(house, sts, file, places):
    issue(house)
    stream.work_off(5)
    path, places.CHAINWEB_SIEM_FILE = places.CHAINWEB_SIEM_FILE, ""
    issue(house)
    assert stream.is_due()
    stream.work_off(5)
    assert stream.lags() == []
    assert not stream.is_due()
    places.CHAINWEB_SIEM_FILE = path
    stream.work_off(5)
    assert numbers(file) == in_ledger(house.team)


def test_metrics_tell_how_far_behind_it_is(house, sts, places, client):
    places.CHAINWEB_SIEM_WEBHOOK = "https://127.0.0.1:1/"
    issue(house)
    stream.work_off(5)
    text = client.get("/metrics").content.decode()
    behind = Event.objects.filter(team_id=str(house.team.pk)).count()
    assert f'chainweb_siem_waiting_lines{{destination="webhook"}} {behind}.0' in text
    assert 'chainweb_siem_failures{destination="webhook"} 1.0' in text
    assert 'chainweb_siem_lag_seconds{destination="webhook"}' in text


def test_a_batch_that_is_too_large_is_sent_in_parts(house, sts, places, monkeypatch):
    issue(house, 4)

    def send(records):
        if len(records) > 1:
            raise NotTaken("status 413", 413)
        taken.extend(each.seq for each in records)

    taken = []
    places.CHAINWEB_SIEM_WEBHOOK = "https://siem.example"
    monkeypatch.setattr(destinations, "_to_webhook", send)
    monkeypatch.setattr(stream, "RECORDS_AT_ONCE", 4)
    for _ in range(3):
        try_again_now()
        stream.work_off(5)
    assert taken == in_ledger(house.team)


def test_a_team_with_much_to_send_lets_others_have_their_turn(house, sts, file, monkeypatch):
    other = type(house)(sts, slug="other")
    issue(house, 4)
    issue(other)
    monkeypatch.setattr(stream, "RECORDS_AT_ONCE", 1)
    monkeypatch.setattr(stream, "TEAM_SECONDS", 0.0)
    order = []
    send = destinations._to_file
    monkeypatch.setattr(
        destinations, "_to_file", lambda records: (order.append(records[0].team_id), send(records))
    )
    while stream.work_off(5):
        pass
    assert sorted(numbers(file)) == sorted([*in_ledger(house.team), *in_ledger(other.team)])
    turns = [str(house.team.pk), str(other.team.pk)]
    assert set(order[:2]) == set(turns)
    assert set(order[2:4]) == set(turns)
