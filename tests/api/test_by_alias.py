"""Create or change a session by its alias: the second time changes nothing."""

import pytest

from sessions.ledger.events.sessions import SessionCreated, SessionEdited
from sessions.models import AwsSession
from sessions.permissions import NO_OWNER
from tests.api.tool import Api, chained

pytestmark = pytest.mark.django_db
PATH = "/sessions/by-alias/Deploy"


@pytest.fixture
def ada(house):
    return Api(house.token(house.ada))


@pytest.fixture
def ben(house):
    return Api(house.token(house.ben))


def counts(house):
    return len(house.events(SessionCreated)), len(house.events(SessionEdited))


def test_a_session_is_created_then_left_then_changed(house, ben):
    body = chained(house, external_id="some-id")
    del body["alias"]
    before = counts(house)
    created = ben("PUT", PATH, body)
    assert created.status_code == 201, created.content
    assert created.headers["ETag"] == '"1"'
    again = ben("PUT", PATH, body)
    assert (again.status_code, again.json()) == (200, created.json())
    assert counts(house) == (before[0] + 1, before[1])
    body["region"] = "eu-central-1"
    del body["external_id"]
    changed = ben("PUT", PATH, body)
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
    assert (changed.json()["region"], changed.json()["external_id"]) == ("eu-central-1", "")
    assert counts(house) == (before[0] + 1, before[1] + 1)


def test_secrets_that_are_left_out_stay(house, ada):
    key = house.root.settings["access_key_id"]
    body = {"kind": "iam-user", "profile": "root-key", "region": "eu-west-1", "access_key_id": key}
    before = bytes(AwsSession.objects.get(pk=house.root.pk).sealed_secrets)
    path = "/sessions/by-alias/Root%20key"
    answer = ada("PUT", path, body)
    assert (answer.status_code, answer.json().get("version")) == (200, 1), answer.content
    assert ada("PUT", path, body | {"region": "eu-west-3"}).json()["version"] == 2
    assert bytes(AwsSession.objects.get(pk=house.root.pk).sealed_secrets) == before


def test_another_kind_or_another_alias_is_refused_on_its_field(house, ada):
    ada("PUT", PATH, chained(house))
    answer = ada("PUT", PATH, {"kind": "ambient", "profile": "x", "region": "eu-west-1"})
    assert (answer.status_code, [*answer.json()["fields"]]) == (422, ["kind"])
    answer = ada("PUT", PATH, chained(house, alias="Another"))
    assert (answer.status_code, [*answer.json()["fields"]]) == (422, ["alias"])


def test_conditions_say_whether_it_may_be_there(house, ben):
    body = chained(house)
    assert ben("PUT", PATH, body, **{"If-Match": '"1"'}).status_code == 412
    assert ben("PUT", PATH, body, **{"If-None-Match": "*"}).status_code == 201
    assert ben("PUT", PATH, body, **{"If-None-Match": "*"}).status_code == 412
    other = body | {"region": "eu-west-3"}
    assert ben("PUT", PATH, other, **{"If-Match": '"7"'}).status_code == 412
    assert ben("PUT", PATH, other, **{"If-Match": '"1"'}).status_code == 200


def test_it_takes_the_rights_of_creating_and_editing(house, ben):
    house.chained("Deploy", profile="deploy")
    assert ben("PUT", PATH, chained(house)).status_code == 403
    body = {"kind": "ambient", "profile": "x", "region": "eu-west-1"}
    assert ben("PUT", "/sessions/by-alias/Root", body).status_code == 403


def test_sent_unchanged_it_takes_over_orphaned_chains_alone(house, ada):
    mine = house.chained("Deploy", member=house.ben, profile="deploy", arn=house.role_arn("Deploy"))
    assert ada("PUT", PATH, chained(house)).json()["version"] == 1
    AwsSession.objects.filter(pk=house.root.pk).update(open_to_assume=False)
    assert ada("POST", f"/sessions/{mine.pk}/start").json()["message"] == NO_OWNER
    assert ada("PUT", PATH, chained(house)).json()["version"] == 2
    assert ada("POST", f"/sessions/{mine.pk}/start").status_code == 200
