"""Checkpoints are made where a head has moved, and sent until they have arrived."""

import re
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from chainweb.celery import sign_checkpoints_at_last
from sessions import tasks
from sessions.db.clock import database_now
from sessions.ledger import outlets, signing
from sessions.ledger.checkpoints import parse
from sessions.models import Checkpoint, Event, Heartbeat
from sessions.monitoring.heartbeats import CHECKPOINTS
from tests.ledger.attacks import TEAM, write

pytestmark = pytest.mark.django_db


def texts(copy):
    return copy.read_text().splitlines()


def test_a_checkpoint_names_the_last_line_and_the_checkpoint_before(copy):
    write(3)
    signing.sign_and_send()
    write(2)
    signing.sign_and_send()
    one, two = map(parse, texts(copy))
    assert (one.team_id, one.seq, one.head) == (TEAM, 3, Event.objects.get(seq=3).hash)
    assert (two.seq, two.head) == (5, Event.objects.get(seq=5).hash)
    assert (one.previous, two.previous) == ("", one.digest)
    assert one.at < two.at
    assert list(Checkpoint.objects.order_by("pk").values_list("text", flat=True)) == texts(copy)


def test_a_head_that_has_not_moved_is_not_signed_again(copy):
    write(3)
    signing.sign_and_send()
    signing.sign_and_send()
    assert len(texts(copy)) == Checkpoint.objects.count() == 1


def test_only_the_lines_since_the_last_checkpoint_are_read(copy, monkeypatch):
    write(3)
    signing.sign_and_send()
    write(2)
    read = []

    def watched(events, before):
        for line in by_product(events, before):
            read.append(line.seq)
            yield line

    by_product = signing.stored_lines
    monkeypatch.setattr(signing, "stored_lines", watched)
    signing.sign_and_send()
    assert read == [4, 5]


def test_without_a_key_nothing_is_made(copy, settings):
    write(3)
    settings.CHAINWEB_CHECKPOINT_KEY = ""
    signing.sign_and_send()
    assert not copy.exists()
    assert not Checkpoint.objects.exists()


def test_the_task_and_the_end_of_a_worker_sign(copy):
    write(3)
    tasks.sign_checkpoints()
    write(1)
    sign_checkpoints_at_last()
    assert [parse(text).seq for text in texts(copy)] == [3, 4]


def test_a_worker_ends_whatever_fails(copy, monkeypatch):
    def fail():
        raise RuntimeError("disk gone")

    monkeypatch.setattr(signing, "sign_and_send", fail)
    with capture_logs() as logs:
        sign_checkpoints_at_last()
    assert [each["error"] for each in logs] == ["RuntimeError"]


def age(seconds):
    """Let the last look at checkpoints be so long ago."""
    at = database_now() - timedelta(seconds=seconds)
    Heartbeat.objects.filter(name=CHECKPOINTS).update(at=at)


def test_each_look_for_work_signs_once_it_is_time_also_without_beat(copy):
    write(3)
    tasks.sweep_now()
    assert [parse(text).seq for text in texts(copy)] == [3]
    write(1)
    age(290)
    tasks.sweep_now()
    assert len(texts(copy)) == 1
    age(301)
    tasks.sweep_now()
    assert [parse(text).seq for text in texts(copy)] == [3, 4]


def test_what_a_place_did_not_take_is_sent_again_soon(copy, settings, client):
    settings.CHAINWEB_CHECKPOINT_FILE = str(copy.parent / "missing" / "file")
    write(1)
    tasks.sweep_now()
    assert not Heartbeat.objects.filter(name="checkpoints file").exists()
    settings.CHAINWEB_CHECKPOINT_FILE = str(copy)
    tasks.sweep_now()
    assert not copy.exists()
    age(31)
    assert client.get("/readyz").json()["checkpoint_age_seconds"] > 30
    tasks.sweep_now()
    assert len(texts(copy)) == 1
    told = client.get("/metrics").content.decode()
    assert re.search(r'heartbeat_age_seconds{part="checkpoints file"} 0\.', told)
    settings.CHAINWEB_CHECKPOINT_FILE = ""
    age(301)
    tasks.sweep_now()
    assert not Heartbeat.objects.filter(name="checkpoints file").exists()


def test_without_a_key_nobody_looks(copy, settings):
    settings.CHAINWEB_CHECKPOINT_KEY = ""
    write(1)
    tasks.sweep_now()
    assert not Heartbeat.objects.filter(name__startswith=CHECKPOINTS).exists()


def test_what_was_not_sent_is_sent_with_the_next(copy, settings, monkeypatch):
    settings.CHAINWEB_CHECKPOINT_WEBHOOK = "https://siem.example/canary"
    posted, status = [], 503

    def post(address, lines):
        assert address == "https://siem.example/canary"
        if status != 200:
            raise outlets.NotTaken(f"status {status}")
        posted.append(lines)

    monkeypatch.setattr(outlets, "post_lines", post)
    with capture_logs() as logs:
        for _ in range(2):
            write(1)
            signing.sign_and_send()
    assert [(each["where"], each["reason"]) for each in logs] == [("webhook", "status 503")] * 2
    assert "canary" not in repr(logs)
    assert len(texts(copy)) == 2
    status = 200
    write(1)
    signing.sign_and_send()
    assert posted == [texts(copy)]
    signing.sign_and_send()
    assert len(posted) == 1


def test_much_that_is_unsent_goes_in_parts(copy, settings, monkeypatch):
    monkeypatch.setattr(signing, "AT_ONCE", 2)
    settings.CHAINWEB_CHECKPOINT_FILE = str(copy.parent / "missing" / "file")
    for _ in range(5):
        write(1)
        signing.sign_and_send()
    settings.CHAINWEB_CHECKPOINT_FILE = str(copy)
    signing.sign_and_send()
    assert [parse(text).seq for text in texts(copy)] == [1, 2, 3, 4, 5]


def test_the_newest_checkpoint_tells_how_far_a_team_is_verified(copy, settings):
    assert signing.latest(TEAM) is None
    write(3)
    signing.sign_and_send()
    assert signing.latest(TEAM) == parse(texts(copy)[0])
    settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY = ""
    assert signing.latest(TEAM) is None


def test_a_stored_checkpoint_that_was_changed_verifies_nothing(copy):
    write(3)
    signing.sign_and_send()
    stored = Checkpoint.objects.get()
    Checkpoint.objects.update(text=stored.text.replace('"seq":3', '"seq":4'))
    assert signing.latest(TEAM) is None
