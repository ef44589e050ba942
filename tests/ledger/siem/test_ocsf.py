"""An event of OCSF says who got which key, when, through what, and nothing secret."""

import json

import pytest

from sessions.ledger.siem.ocsf import KINDS, record_of
from sessions.models import Event
from tests.api.tool import Api

pytestmark = pytest.mark.django_db


def sent(kind):
    lines = Event.objects.filter(kind=kind).order_by("seq")
    return [json.loads(record_of(line).text) for line in lines]


def used(house):
    """Have ben start a chain of two hops and fetch its credentials."""
    one, two = house.chain(2)
    house.start(two)
    house.work()
    api = Api(house.token(house.ben))
    headers = {"User-Agent": "aws-cli/2.1 laptop-7"}
    assert api("GET", f"/sessions/{two.pk}/credentials", **headers).status_code == 200
    return one, two


def test_an_issue_is_an_authentication(house, sts):
    _, two = used(house)
    first, second = sent("credential.minted")
    line = Event.objects.filter(kind="credential.minted").order_by("seq")[1]
    assert (second["class_uid"], second["activity_id"], second["type_uid"]) == (3002, 1, 300201)
    assert second["metadata"]["version"] == "1.5.0"
    assert second["metadata"]["uid"] == f"{house.team.pk}:{line.seq}"
    assert second["time"] == round(line.at.timestamp() * 1000)
    assert second["user"]["credential_uid"] == line.data["access_key_id"]
    assert second["user"]["uid"] == line.data["arn"]
    assert second["user"]["uid_alt"].endswith(f":{line.data['role_session_name']}")
    assert second["actor"]["user"]["name"] == "ben"
    # By the parent's key a SIEM joins the hops of a chain.
    assert second["actor"]["session"]["credential_uid"] == first["user"]["credential_uid"]
    ours = second["unmapped"]["chainweb"]
    assert (ours["session"], ours["hop"], ours["people"]) == (two.alias, 2, ["ben"])
    assert ours["hash"] == line.hash


def test_a_delivery_is_a_read_by_a_person_from_a_device(house, sts):
    used(house)
    [event] = sent("credential.revealed")
    assert (event["class_uid"], event["activity_id"], event["type_uid"]) == (6003, 2, 600302)
    assert event["actor"]["user"]["name"] == "ben"
    assert event["src_endpoint"]["ip"] == "127.0.0.1"
    assert event["http_request"]["user_agent"] == "aws-cli/2.1 laptop-7"
    [resource] = event["resources"]
    assert resource["uid"] == sent("credential.minted")[1]["user"]["credential_uid"]
    assert event["unmapped"]["chainweb"]["token"]


def test_a_rejection_is_a_failure(house, sts):
    closed = house.chained("Closed", arn=house.role_arn("Closed", trusts=[]))
    house.start(closed)
    house.work()
    [event] = sent("credential.refused")
    assert (event["class_uid"], event["status_id"], event["status_code"]) == (
        3002,
        2,
        "AccessDenied",
    )
    assert record_of(Event.objects.get(kind="credential.refused")).has_failed


def test_every_kind_has_what_its_class_demands(house, sts):
    used(house)
    found = [event for kind in KINDS for event in sent(kind)]
    always = {"activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time"}
    for event in found:
        assert always | {"type_uid", "cloud", "status_id"} <= event.keys()
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
        assert event["category_uid"] == event["class_uid"] // 1000
        if event["class_uid"] == 3002:
            assert {"user", "service"} <= event.keys()
        else:
            assert {"actor", "api", "src_endpoint"} <= event.keys()
        assert event["actor"].keys() & {"user", "session", "app_name"}


def test_a_text_is_one_line_of_ascii_whatever_was_typed(house, sts):
    evil = house.chained('Évil "line" =cmd', profile="evil", arn=house.role_arn("Evil"))
    house.start(evil)
    house.work()
    record = record_of(Event.objects.get(kind="credential.minted"))
    assert record.text.isascii()
    assert record.text.isprintable()
    assert json.loads(record.text)["unmapped"]["chainweb"]["session"] == evil.alias
