"""Page and filter lists by one convention, at the cost of a page."""

import re
from datetime import timedelta
from itertools import product
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sessions.activations.status import Status, state_of
from sessions.actors import Actor, NamedActor
from sessions.api import api
from sessions.catalog.finding import SessionSearch
from sessions.db.clock import database_now
from sessions.models import Activation, AwsSession, Credential, Problem
from sessions.people.tokens import create_token
from tests.api.tool import Api
from tests.harness.seeding import Link, chained_in_bulk

pytestmark = pytest.mark.django_db


@pytest.fixture
def ben(house):
    return Api(house.token(house.ben))


def aliases(answer):
    assert answer.status_code == 200, answer.content
    return [each["alias"] for each in answer.json()]


def walk(ask, path):
    """Follow `Link` from part to part; return all aliases in order."""
    found = []
    while path:
        answer = ask("GET", path)
        found += aliases(answer)
        link = re.fullmatch(r'<(.+)>; rel="next"', answer.headers.get("Link", ""))
        path = link[1].split("/api/v1", 1)[1] if link else None
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_the_parts_of_a_list_are_the_list_in_order(house, ben, limit):
    for alias in ("b", "A", "ä", "C", "_", "a b"):
        house.chained(alias, profile=f"p{len(alias)}{ord(alias[0])}", arn=house.role_arn("Role"))
    whole = aliases(ben("GET", "/sessions"))
    assert len(whole) == 7
    assert walk(ben, f"/sessions?limit={limit}") == whole


def test_what_is_deleted_between_two_parts_hides_nothing(house, ben):
    house.chain(4)
    first = ben("GET", "/sessions?limit=2")
    AwsSession.objects.filter(alias="Hop 2").update(alias="Hop 2 renamed")
    link = first.headers["Link"].split(">")[0][1:].split("/api/v1", 1)[1]
    assert aliases(first) == ["Hop 1", "Hop 2"]
    assert aliases(ben("GET", link)) == ["Hop 2 renamed", "Hop 3"]


def test_a_part_costs_the_same_in_a_large_team(house, ben):
    house.chain(2)

    def cost():
        with CaptureQueriesContext(connection) as captured:
            assert len(ben("GET", "/sessions?limit=2&q=Hop").json()) == 2
        return len(captured)

    cost()  # the first request of a token notes that it is used
    before = cost()
    chained_in_bulk(house.ada, [Link(f"Hop x{n}", f"x{n}", ROLE, house.root) for n in range(300)])
    assert cost() == before


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=x",
        "cursor=W10",
        "cursor=WyJhIiwieCJd",
        "status=on",
        "kind=gcp",
        "account=1",
        "q=%00",
        "nonsense=1",
        "Status=active",
    ],
)
def test_what_a_list_cannot_be_asked_is_refused_by_name(ben, query):
    answer = ben("GET", f"/sessions?{query}")
    assert answer.status_code == 422
    assert list(answer.json()["fields"]) == [query.partition("=")[0]]


def test_every_operation_refuses_parameters_that_it_lacks(house, ben):
    for path, operations in api.get_openapi_schema()["paths"].items():
        sample = path.removeprefix("/api/v1")
        for name in re.findall(r"{(\w+)}", sample):
            is_id = name.endswith("_id") and name != "person_id"
            value = str(house.root.pk) if is_id else "1"
            sample = sample.replace(f"{{{name}}}", value)
        for method, operation in operations.items():
            # What has a body is read first; without one it is refused for that.
            if "requestBody" in operation or "record_id" in path:
                continue
            answer = ben(method.upper(), f"{sample}?no-such=1")
            assert answer.status_code == 422, (method, path, answer.content)
            assert answer.json()["fields"] == {"no-such": ["Unknown parameter."]}


def test_every_list_has_a_cursor_and_a_limit():
    for path, operations in api.get_openapi_schema()["paths"].items():
        names = {each["name"]: each for each in operations.get("get", {}).get("parameters", [])}
        if "cursor" in names:
            schema = names["limit"]["schema"]
            assert (schema["minimum"], schema["maximum"]) == (1, 200), path
            assert "Link" in operations["get"]["responses"][200]["headers"], path


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=hop", ["Hop 1", "Hop 2"]),
        ("q=hop%20hop2", ["Hop 2"]),
        ("q=ROOT", ["Hop 1", "Root key"]),
        ("q=chained", ["Hop 1", "Hop 2", "Other"]),
        ("q=444455556666", ["Other"]),
        ("q=nothing", []),
        ("kind=iam-user", ["Root key"]),
        ("kind=iam-role-chained&q=other", ["Other"]),
        ("account=444455556666", ["Other"]),
        ("account=111122223333", ["Hop 1", "Hop 2"]),
        ("account=999999999999", []),
    ],
)
def test_sessions_are_found_by_what_they_show(house, ben, query, found):
    house.chain(2)
    house.chained("Other", house.chained("Between"), arn="arn:aws:iam::444455556666:role/a/Other")
    AwsSession.objects.filter(alias="Between").update(alias="zz", profile="zz")
    assert [each for each in aliases(ben("GET", f"/sessions?{query}")) if each != "zz"] == found


def test_sessions_are_found_by_their_label_in_whatever_letters(house, ben):
    house.chain(2)
    [leaf] = AwsSession.objects.filter(alias="Hop 2")
    ada = Api(house.token(house.ada))
    assert ada("PATCH", f"/sessions/{leaf.pk}", {"labels": ["Billing"]}).status_code == 200
    assert aliases(ben("GET", "/sessions?label=billing")) == ["Hop 2"]
    assert aliases(ben("GET", "/sessions?label=bill")) == []


def test_a_root_is_found_by_the_account_it_said_it_is_of(house, ben):
    AwsSession.objects.filter(pk=house.root.pk).update(
        identity_arn="arn:aws:iam::123456789012:user/u"
    )
    assert aliases(ben("GET", "/sessions?account=123456789012")) == ["Root key"]


def problem(**how):
    return Problem("Denied", 1, "No.", "Look.", **how)


ROLE = "arn:aws:iam::111122223333:role/Role"
LIFE_MINUTES = (-1, 5, 50)


def test_a_status_is_asked_for_as_it_is_answered(house):
    """Ask in every state that an activation and its credential can be in."""
    [leaf] = house.chain(1)
    activation = house.start(leaf)
    actor, now, seen = Actor(house.ben), database_now(), set()
    for sealed, life, minted, trouble, started in product(
        (b"x", None),
        (*LIFE_MINUTES, None),
        (-60, 0, None),
        (None, problem(), problem(retrying=True), problem(waiting=True)),
        (now, now - timedelta(hours=1)),
    ):
        Activation.objects.update(started_at=started)
        Credential.objects.filter(level=1).update(
            sealed=sealed,
            expires_at=life and now + timedelta(minutes=life),
            minted_at=None if minted is None else started + timedelta(seconds=minted),
            problem=trouble,
        )
        activation = Activation.objects.select_related("credential").get()
        status = state_of(activation, now).status
        seen.add(status)
        for asked in Status:
            found = SessionSearch(status=asked).find(actor, now).filter(pk=leaf.pk).exists()
            assert found is (asked == status), (sealed, life, minted, trouble, started)
    assert seen == {Status.PENDING, Status.ACTIVE, Status.FAILED}


def test_a_status_is_ones_own_and_ends_by_the_clock(house, ben):
    [leaf] = house.chain(1)
    house.start(leaf, house.bea)
    assert aliases(ben("GET", "/sessions?status=pending")) == []
    activation = house.start(leaf)
    assert aliases(ben("GET", "/sessions?status=pending")) == ["Hop 1"]
    type(activation).objects.update(ends_at=database_now())
    assert aliases(ben("GET", "/sessions?status=pending")) == []
    assert aliases(ben("GET", "/sessions?status=inactive")) == ["Hop 1", "Root key"]


def test_a_bound_token_lists_its_sessions_alone(house):
    first, _ = house.chain(2)
    token = create_token(house.ben, "bound", NamedActor("tests"), sessions=[first])
    bound = Api(token)
    assert aliases(bound("GET", "/sessions")) == ["Hop 1"]
    assert bound("GET", "/sessions/by-alias/Hop%201").status_code == 200
    assert bound("GET", "/sessions/by-alias/Hop%202").status_code == 404


def test_an_alias_finds_its_session_in_whatever_letters(house, ben):
    house.chained("Team / Prod ö?", profile="prod", arn=house.role_arn("Role"))
    for alias in ("Team / Prod ö?", "team / PROD ö?"):
        answer = ben("GET", f"/sessions/by-alias/{quote(alias, safe='')}")
        assert answer.json()["alias"] == "Team / Prod ö?"
    assert ben("GET", "/sessions/by-alias/Team").status_code == 404
    assert Actor(house.ben).limited_to is None
