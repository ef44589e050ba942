"""Manage people, groups and invitations by a token with the scope for it."""

import pytest

from sessions.actors import NamedActor
from sessions.ledger.events.people import MemberRoleChanged
from sessions.models import Membership, Scope, TeamGroup
from sessions.people.memberships import disable_member
from sessions.people.tokens import create_token
from tests.api.tool import Api

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(house):
    return Api(house.token(house.ada))


def person(member):
    return f"/people/{member.user_id}"


def test_people_are_listed_in_parts_by_username(house, ada):
    first = ada("GET", "/people?limit=3")
    assert [each["username"] for each in first.json()["people"]] == ["ada", "bea", "ben"]
    rest = ada("GET", f"/people?limit=3&cursor={first.json()['cursor']}")
    assert [each["username"] for each in rest.json()["people"]] == ["eve"]
    assert rest.json()["cursor"] is None
    assert "Link" not in rest.headers


def test_without_the_scope_a_token_reads_people_and_changes_none(house):
    scopes = [each for each in Scope if each != Scope.PEOPLE]
    token = Api(create_token(house.ada, "t", NamedActor("tests"), scopes=scopes))
    assert token("GET", "/people").status_code == 200
    for method, path in (
        ("PATCH", person(house.ben)),
        ("DELETE", person(house.ben)),
        ("POST", f"{person(house.ben)}/suspend"),
        ("POST", "/groups"),
        ("POST", "/invitations"),
    ):
        body = {"name": "x", "role": "admin"}
        body = {"role": body} if method == "PATCH" else body
        answer = token(method, path, {"role": "member"} if "groups" not in path else {"name": "x"})
        assert (answer.status_code, answer.json()["fields"]) == (403, {"scope": ["people"]})


def test_a_role_and_a_name_are_changed_with_the_version_that_was_seen(house, ada):
    seen = ada("GET", person(house.ben)).headers["ETag"]
    body = {"role": "auditor", "aws_name": "Benny"}
    answer = ada("PATCH", person(house.ben), body, **{"If-Match": seen})
    assert (answer.json()["role"], answer.json()["aws_name"]) == ("auditor", "Benny")
    assert ada("PATCH", person(house.ben), body, **{"If-Match": seen}).status_code == 412
    assert len(house.events(MemberRoleChanged)) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [({"role": "king"}, "role"), ({"aws_name": "a b"}, "aws_name"), ({"x": 1}, "x")],
)
def test_what_nobody_can_be_is_refused_on_its_field(house, ada, body, field):
    answer = ada("PATCH", person(house.ben), body)
    assert (answer.status_code, [*answer.json()["fields"]]) == (422, [field])


def test_the_last_admin_stays(house, ada):
    answer = ada("PATCH", person(house.ada), {"role": "member"})
    assert (answer.status_code, answer.json()["code"]) == (409, "refused")


def test_a_person_is_suspended_reinstated_removed_and_readmitted(house, ada):
    ben = Api(house.token(house.ben))
    assert ada("POST", f"{person(house.ben)}/suspend").json()["suspended_at"]
    assert ben("GET", "/sessions").status_code == 401
    assert ada("POST", f"{person(house.ben)}/reinstate").json()["suspended_at"] is None
    assert ada("DELETE", person(house.ben)).status_code == 204
    page = ada("GET", person(house.ben)).json()
    assert (page["username"], page["member"]) == ("ben", None)
    assert page["removed_at"]
    assert ada("POST", f"{person(house.ben)}/readmit").status_code == 204
    assert ada("POST", f"{person(house.ben)}/readmit").status_code == 404


def test_a_group_is_created_changed_and_deleted(house, ada):
    created = ada("POST", "/groups", {"name": "On call", "people": ["ben"]})
    assert created.status_code == 201, created.content
    path = f"/groups/{created.json()['id']}"
    assert ada("GET", path).json() == created.json()
    assert ada("GET", "/groups").json()["groups"] == [created.json()]
    changed = ada("PATCH", path, {"people": ["bea"]}, **{"If-Match": created.headers["ETag"]})
    assert (changed.json()["people"], changed.json()["name"]) == (["bea"], "On call")
    assert ada("PATCH", path, {"name": "x", "version": 1}).status_code == 409
    assert ada("POST", "/groups", {"name": "on call"}).status_code == 422
    assert ada("POST", "/groups", {"name": "y", "people": ["nobody"]}).status_code == 422
    assert ada("DELETE", path).status_code == 204
    assert not TeamGroup.objects.exists()


def test_an_invitation_is_shown_once_and_withdrawn(house, ada):
    key = {"Idempotency-Key": "invite"}
    created = ada("POST", "/invitations", {"role": "member", "note": "Carl"}, **key)
    assert created.status_code == 201, created.content
    assert "#" in created.json()["link"]
    again = ada("POST", "/invitations", {"role": "member", "note": "Carl"}, **key)
    assert (again.status_code, again.json()["code"]) == (409, "shown_once")
    [listed] = ada("GET", "/invitations").json()["invitations"]
    assert listed == {k: v for k, v in created.json().items() if k != "link"}
    assert ada("DELETE", f"/invitations/{listed['id']}").status_code == 204
    assert ada("GET", "/invitations").json()["invitations"] == []


def test_suspended_people_are_listed_too(house, ada):
    disable_member(house.ben, NamedActor("tests"))
    listed = ada("GET", "/people").json()["people"]
    assert [each["username"] for each in listed if each["suspended_at"]] == ["ben"]
    assert Membership.objects.filter(team=house.team).count() == len(listed)
