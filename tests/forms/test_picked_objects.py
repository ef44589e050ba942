"""An object named in a field is guarded like the object's own page.

Each row: how to ask with that object, for each kind where there are several. Whoever may not ask at
all is in tests/test_rights.py.
"""

import json
import re
import uuid

import pytest
from django.test import Client

from sessions.actors import Actor
from sessions.catalog.access import save_group, set_access
from sessions.catalog.audiences import Access, Audience
from sessions.models import AssumerLink, AwsSession, Probe, SessionGrant, Token
from tests.house import TeamFixture

pytestmark = pytest.mark.django_db

NOBODY = Audience(everyone=False)
ACTORS = ("member", "admin", "auditor", "foreign")
KINDS = ("iam-role-chained", "iam-user", "ambient", "web-identity", "identity-center")
TYPED = {
    "alias": "Trial",
    "profile": "trial",
    "region": "eu-west-1",
    "role_session_name": "{username}",
    "access_key_id": "AKIAIOSFODNN7EXAMPLE",
    "secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
}


class World:
    def __init__(self, sts):
        self.house, self.other = TeamFixture(sts), TeamFixture(sts, "other")
        house = self.house
        self.actors = dict(
            zip(ACTORS, (house.ben, house.ada, house.eve, self.other.ada), strict=True)
        )
        self.closed = house.chained("Closed one", member=house.ada)
        set_access(self.closed, Access(Audience(), NOBODY), Actor(house.ada))
        self.beas = house.chained("Beas own", member=house.bea)
        self.foreign = self.other.chained("Foreign one", member=self.other.ada)
        self.group = save_group(Actor(self.other.ada), "Foreign group", [self.other.ben])
        self.arn = house.role_arn("Any")

    def team(self, tail):
        return f"/teams/{self.house.team.slug}/{tail}"

    def typed(self, **more):
        return {**TYPED, "role_arn": self.arn, "assumer": str(self.house.root.pk), **more}

    def counts(self):
        models = (AwsSession, AssumerLink, Probe, Token, SessionGrant)
        return [model.objects.count() for model in models]


@pytest.fixture
def world(db, sts):
    return World(sts)


CHAIN = "iam-role-chained"
# What names a session: {name: (method, address, field)}.
SESSIONS = {
    "assumer of a new session": ("POST", f"new/aws/{CHAIN}/", "assumer"),
    "assumer in the address of the form": ("GET", f"new/aws/{CHAIN}/", "assumer"),
    "assumer of a test": ("POST", f"test/{CHAIN}/", "assumer"),
    "assumer of a preview": ("POST", "preview/", "assumer"),
    "edited session of a preview": ("POST", "preview/", "session"),
    "edited session of a choice": ("GET", "choices/assumer/", "editing"),
    "chosen assumer": ("GET", "choices/assumer/", "assumer"),
    "chosen session of a token": ("GET", "choices/token/", "session"),
    "session of a token": ("POST", "tokens/", "session"),
    "chosen session of a preview": ("GET", "choices/preview/", "session"),
    "session under a policy": ("POST", "policy/preview/", "session"),
    **{
        f"edited session of a test of {kind}": ("POST", f"test/{kind}/", "session")
        for kind in KINDS
    },
}


def asked(world, actor, row, value):
    method, tail, field = row
    client = world.house.browser(world.actors[actor])
    data = {field: str(value)}
    if tail == "tokens/":
        data |= {"name": "t", "scopes": ["read"], "days": "1"}
    elif method == "POST" and tail != "policy/preview/":
        data = world.typed(**data)
    answer = (
        client.post(world.team(tail), data)
        if method == "POST"
        else client.get(world.team(tail), data)
    )
    text = answer.content.decode().replace(str(value), "")
    text = re.sub(
        r'(csrfmiddlewaretoken" value="|X-CSRFToken": "|server-time" content=")[\w:.+-]+', "", text
    )
    return answer.status_code, text


@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("row", SESSIONS.values(), ids=SESSIONS)
def test_a_foreign_session_in_a_field_is_answered_like_a_missing_one(world, actor, row):
    before = world.counts()
    foreign, missing = (
        asked(world, actor, row, value) for value in (world.foreign.pk, uuid.uuid4())
    )
    assert foreign == missing
    assert "Foreign one" not in foreign[1]
    if actor == "foreign":
        assert foreign[0] == 404
    assert world.counts()[:3] == before[:3]


@pytest.mark.parametrize("actor", ["member", "auditor"])
@pytest.mark.parametrize("row", [row for row in SESSIONS.values() if row[2] == "assumer"])
def test_an_assumer_that_is_closed_to_somebody_is_none_to_them(world, actor, row):
    before = world.counts()
    status, text = asked(world, actor, row, world.closed.pk)
    assert status == (
        403 if actor == "auditor" else 422 if row[1].startswith("new") and row[0] == "POST" else 200
    )
    assert "Closed one" not in text
    assert world.counts() == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("actor", ["member", "auditor"])
def test_naming_somebody_elses_session_tests_nothing(world, actor, kind):
    for session in (world.beas, world.closed, world.house.root):
        assert asked(world, actor, ("POST", f"test/{kind}/", "session"), session.pk)[0] in {
            403,
            404,
        }
    assert not Probe.objects.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_an_admin_tests_by_a_session_of_that_kind_alone(world, kind):
    """And the workers' own identity by none, while the operator does not allow it."""
    for session in (world.beas, world.house.root):
        status, _ = asked(world, "admin", ("POST", f"test/{kind}/", "session"), session.pk)
        assert status == (200 if session.kind == kind else 404)
    for needs_operator in ("ambient", "web-identity"):
        AwsSession.objects.filter(pk=world.house.root.pk).update(kind=needs_operator)
        row = ("POST", f"test/{needs_operator}/", "session")
        assert asked(world, "admin", row, world.house.root.pk)[0] == 403
    assert not Probe.objects.filter(kind__in=["ambient", "web-identity"]).exists()


def test_people_and_groups_of_another_team_are_let_in_nowhere(world):
    ada, url = world.house.browser(world.house.ada), f"/sessions/{world.beas.pk}/access/"
    for field, value in (
        ("start_people", world.other.ben.pk),
        ("assume_people", world.other.ben.pk),
        ("start_groups", world.group.pk),
        ("assume_groups", world.group.pk),
    ):
        answer = ada.post(url, {"start": "named", "assume": "named", field: [value]})
        assert answer.status_code == 422, field
    groups = ada.post(
        world.team("people/groups/new/"), {"name": "G", "members": [world.other.ben.pk]}
    )
    assert groups.status_code == 422
    assert not SessionGrant.objects.filter(session=world.beas).exists()
    assert not world.house.team.groups.exists()


@pytest.mark.parametrize("actor", ["member", "admin"])
def test_one_previews_nobody_whom_one_may_not_see(world, actor):
    client = world.house.browser(world.actors[actor])
    for person, may in ((world.house.bea, actor == "admin"), (world.other.ben, False)):
        data = world.typed(**{"as": person.pk})
        assert client.post(world.team("preview/"), data).status_code == (200 if may else 404)
        asked_for = {"as": person.pk}
        assert client.get(f"/sessions/{world.beas.pk}/names/", asked_for).status_code == (
            200 if may else 404
        )


API_PICKS = ("member", "admin")


@pytest.mark.parametrize("actor", API_PICKS)
def test_the_api_takes_no_foreign_or_closed_assumer(world, actor):
    secret = world.house.token(world.actors[actor]).reveal()
    own = world.house.chained("Own", member=world.actors[actor])
    before = world.counts()

    def call(method, path, body):
        return Client().generic(
            method,
            f"/api/v1/{path}",
            json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {secret}"},
        )

    body = {key: TYPED[key] for key in ("alias", "profile", "region")} | {
        "kind": CHAIN,
        "role_arn": world.arn,
    }
    for method, path, fields in (("POST", "sessions", body), ("PATCH", f"sessions/{own.pk}", {})):
        answers = [
            call(method, path, {**fields, "assumer": str(pk)})
            for pk in (world.foreign.pk, uuid.uuid4())
        ]
        assert {answer.status_code for answer in answers} == {422}
        assert answers[0].json() == answers[1].json()
        if actor == "member":
            assert (
                call(method, path, {**fields, "assumer": str(world.closed.pk)}).status_code == 422
            )
    assert call("POST", "sessions/start", {"ids": [str(world.foreign.pk)]}).status_code in {
        200,
        404,
    }
    assert world.counts() == before
