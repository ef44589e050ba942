"""An upload that waits to be read is sealed: its records may hold session tokens."""

import gzip
import json

import pytest
from django.core.management import call_command

from sessions.actors import Actor
from sessions.ledger.drift import imports
from sessions.models import TrailPart, TrailRecord
from sessions.sealing import SealingError
from tests.aws.cloudtrail.samples import event
from tests.ledger.drift.trails import upload
from tests.platform.canaries import find

pytestmark = pytest.mark.django_db

TOKEN = "FwoGZXIvYXdzEXAMPLEcanary/token+of=a/record"


@pytest.mark.parametrize("packed", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_an_upload_is_stored_sealed_part_by_part(packed, house, monkeypatch):
    monkeypatch.setattr(imports, "PART_BYTES", 40)
    record = {"responseElements": {"credentials": {"sessionToken": TOKEN}}}
    content = packed(json.dumps({"Records": [record]}).encode())
    imports.take_file(Actor(house.ada), "records.json", [content])
    parts = list(TrailPart.objects.order_by("number"))
    assert len(parts) > 1
    assert find([TOKEN], {"parts": b"".join(bytes(each.data) for each in parts)}) == []
    assert b"".join(each.open() for each in parts) == content
    parts[0].data, parts[1].data = parts[1].data, parts[0].data
    with pytest.raises(SealingError):
        parts[0].open()


def test_what_is_kept_of_a_record_has_no_session_token(house):
    made = {"accessKeyId": "ASIAIOSFODNN7EXAMPLE", "sessionToken": TOKEN}
    record = event(
        eventSource="sts.amazonaws.com",
        eventName="AssumeRole",
        responseElements={"credentials": made},
    )
    assert upload(house, json.dumps({"Records": [record]}).encode()).records == 1
    [row] = TrailRecord.objects.values()
    assert row["made_key"] == made["accessKeyId"]
    assert find([TOKEN], {"the row": repr(row).encode()}) == []


def test_new_keys_take_over_what_waits(house, capsys):
    imports.take_file(Actor(house.ada), "records.json", [b'{"Records": []}'])
    before = TrailPart.objects.get()
    call_command("reseal")
    assert TrailPart.objects.get().open() == before.open()
