"""An export carries each line exactly as it was hashed."""

import hashlib
import json

import pytest
from django.db import transaction

from sessions import ledger
from sessions.actors import NamedActor
from sessions.ledger import Entry, lines
from sessions.ledger.events.people import TeamCreated
from sessions.ledger.export import export_lines
from sessions.models import Event

TEAM = "0b8e6d1e-6f0e-4a52-9f0c-2f6a3c1d9e10"
pytestmark = pytest.mark.django_db


def write(team, *names):
    with transaction.atomic():
        ledger.append(
            team, [Entry(TeamCreated(slug="ops", name=name), NamedActor("ada")) for name in names]
        )


def test_each_line_is_what_was_hashed_with_its_hash_behind_it():
    write(TEAM, 'é\u2028"\\\n\x7f', "plain")
    for line, event in zip(
        export_lines(TEAM, Event.objects.all()), Event.objects.order_by("seq"), strict=True
    ):
        content, hash_and_end = line.split(b',"hash":"')
        assert hash_and_end == event.hash.encode() + b'"}\n'
        assert hashlib.sha256(content + b"}").hexdigest() == event.hash
        assert content + b"}" == ledger.canonical(event)
        assert json.loads(line)["hash"] == event.hash


def test_a_name_with_line_breaks_stays_on_one_line():
    write(TEAM, "a\nb\r\u2028\u0085c")
    [line] = export_lines(TEAM, Event.objects.all())
    assert line.count(b"\n") == 1
    assert json.loads(line)["data"]["name"] == "a\nb\r\u2028\u0085c"


def test_lines_come_by_their_numbers_and_are_of_one_team():
    write(TEAM, "one", "two", "three")
    write("0b8e6d1e-6f0e-4a52-9f0c-2f6a3c1d9e11", "four")
    events = Event.objects.exclude(seq=2).order_by("-at", "-seq")
    assert [json.loads(line)["seq"] for line in export_lines(TEAM, events)] == [1, 3]


def test_a_batch_is_all_that_is_in_memory(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(lines, "BATCH", 2)
    write(TEAM, "one", "two", "three", "four", "five")
    with django_assert_num_queries(5):  # three of lines, one of checkpoints and of tombstones
        exported = [json.loads(line)["seq"] for line in export_lines(TEAM, Event.objects.all())]
    assert exported == [1, 2, 3, 4, 5]
