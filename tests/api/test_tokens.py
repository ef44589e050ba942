"""Tokens and robots by the API: one's own to read and end, robots' to make, none for people."""

import pytest

from sessions.actors import Actor, NamedActor
from sessions.ledger.events.robots import RobotCreated
from sessions.ledger.events.tokens import TokenCreated, TokenRevoked
from sessions.models import Label, Robot, Scope, TeamPolicy, Token, TrustRule
from sessions.people.robots import RobotDraft, create_robot
from sessions.people.tokens import Limits, create_token
from sessions.secret import Secret
from tests.api.tool import Api

pytestmark = pytest.mark.django_db


def token_of(house, member, name, **options):
    return Api(create_token(member, name, NamedActor("tests"), **options))


@pytest.fixture
def ada(house):
    return token_of(house, house.ada, "admin")


@pytest.fixture
def robot(house):
    draft = RobotDraft("deploy", house.ada, sessions=[house.chained("Leaf")])
    return create_robot(draft, Actor(house.ada))


def test_a_token_lists_its_persons_live_tokens_without_their_text(house):
    limits = Limits(networks=["127.0.0.0/8"], device="laptop")
    ben = token_of(house, house.ben, "one", scopes=[Scope.READ], limits=limits)
    token_of(house, house.bea, "theirs")
    [listed] = ben("GET", "/tokens").json()
    assert (listed["name"], listed["of"], listed["device"]) == ("one", "ben", "laptop")
    assert (listed["networks"], listed["scopes"]) == (["127.0.0.0/8"], ["read"])
    assert ben("GET", "/tokens").json()[0]["last_used_address"] == "127.0.0.1"
    assert "digest" not in listed


def test_a_token_for_one_session_sees_itself_alone(house):
    token_of(house, house.ben, "other")
    bound = token_of(house, house.ben, "bound", sessions=[house.chained("Leaf")])
    assert [each["name"] for each in bound("GET", "/tokens").json()] == ["bound"]


def test_a_token_ends_itself_whatever_it_may(house):
    reader = token_of(house, house.ben, "reader", scopes=[Scope.READ])
    token = Token.objects.get()
    assert reader("DELETE", f"/tokens/{token.pk}").status_code == 204
    assert reader("GET", "/tokens").status_code == 401
    [event] = house.events(TokenRevoked)
    assert (event.actor, event.data["origin"]["token"]) == ("ben", "reader")


def test_a_token_that_may_manage_ends_its_persons_others_alone(house, ada):
    reader = token_of(house, house.ben, "reader", scopes=[Scope.READ])
    manager = token_of(house, house.ben, "manager")
    ids = {each.name: each.pk for each in Token.objects.all()}
    answer = reader("DELETE", f"/tokens/{ids['manager']}")
    assert (answer.status_code, answer.json()["fields"]) == (403, {"scope": ["manage"]})
    assert ada("DELETE", f"/tokens/{ids['manager']}").status_code == 404
    assert manager("DELETE", f"/tokens/{ids['reader']}").status_code == 204


def test_no_token_makes_one_for_a_person(house, ada, robot):
    for body in ({"name": "mine"}, {"name": "mine", "robot": str(house.ada.user_id)}):
        assert ada("POST", "/tokens", body).status_code == 422
    assert Token.objects.count() == 1


def test_an_admins_token_makes_a_robots_which_ends_with_it(house, ada, robot):
    made = ada(
        "POST", "/tokens", {"robot": str(robot.pk), "name": "ci", "networks": ["10.0.0.0/8"]}
    )
    assert made.status_code == 201, made.content
    body = made.json()
    assert body["token"].startswith("cwr_")
    assert body["is_bound"]
    assert body["expires_at"] == ada("GET", "/tokens").json()[0]["expires_at"]
    assert body["token"] not in ada("GET", "/tokens").content.decode()
    assert house.events(TokenCreated)[-1].actor == "ada"
    assert Api(Secret(body["token"]))("GET", "/sessions").json()["code"] == "wrong_network"
    again = ada("POST", "/tokens", {"robot": str(robot.pk), "name": "CI"})
    assert (again.status_code, list(again.json()["fields"])) == (422, ["name"])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"days": 8}, "days"),
        ({"days": 0}, "days"),
        ({"scopes": ["root"]}, "scopes"),
        ({"networks": ["office"]}, "networks"),
        ({"name": ""}, "name"),
    ],
)
def test_what_a_robots_token_may_not_be_is_said_on_its_field(house, ada, robot, changes, field):
    TeamPolicy.objects.create(team=house.team, token_days=7)
    answer = ada("POST", "/tokens", {"robot": str(robot.pk), "name": "ci", **changes})
    assert answer.status_code == 422
    assert list(answer.json()["fields"]) == [field]


def test_a_bound_token_and_a_robots_own_manage_no_robots(house, ada, robot):
    bound = token_of(house, house.ada, "bound", sessions=[house.root])
    body = ada("POST", "/tokens", {"robot": str(robot.pk), "name": "ci", "scopes": ["manage"]})
    own = Api(Secret(body.json()["token"]))
    for api in (bound, own):
        assert api("GET", "/robots").status_code == 403
        assert api("POST", "/tokens", {"robot": str(robot.pk), "name": "x"}).status_code == 403
        assert api("POST", "/robots", {"name": "new", "everything": True}).status_code == 403


def test_a_robot_is_made_changed_and_removed(house, ada):
    leaf = house.chained("Leaf")
    Label.objects.create(team=house.team, name="ci")
    made = ada("POST", "/robots", {"name": "deploy", "sessions": ["leaf"], "owner": "ben"})
    assert made.status_code == 201, made.content
    robot = made.json()
    assert (robot["username"], robot["aws_name"], robot["owner"]) == (
        "deploy@platform",
        "deploy",
        "ben",
    )
    assert robot["sessions"] == [str(leaf.pk)]
    changed = ada("PATCH", f"/robots/{robot['id']}", {"labels": ["CI"]}).json()
    assert (changed["labels"], changed["sessions"], changed["owner"]) == (
        ["ci"],
        [str(leaf.pk)],
        "ben",
    )
    assert ada("GET", "/robots").json() == [changed]
    assert house.events(RobotCreated)[0].actor == "ada"
    assert ada("DELETE", f"/robots/{robot['id']}").status_code == 204
    assert ada("GET", f"/robots/{robot['id']}").status_code == 404
    assert Robot.objects.get().ended_at


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "Deploy!", "everything": True}, "name"),
        ({"name": "deploy"}, "sessions"),
        ({"name": "deploy", "sessions": ["Nowhere"]}, "sessions"),
        ({"name": "deploy", "labels": ["nowhere"]}, "labels"),
        ({"name": "deploy", "everything": True, "owner": "nobody"}, "owner"),
        ({"name": "deploy", "everything": True, "owner": "eve"}, "owner"),
    ],
)
def test_what_a_robot_may_not_be_is_said_on_its_field(house, ada, body, field):
    answer = ada("POST", "/robots", body)
    assert (answer.status_code, list(answer.json()["fields"])) == (422, [field])
    assert not Robot.objects.exists()


def test_trust_is_made_and_ended(house, ada, robot, settings):
    settings.CHAINWEB_OIDC_ISSUERS = ("https://issuer.example",)
    rule = {
        "name": "main",
        "issuer": "https://issuer.example",
        "audience": "chainweb",
        "claims": {"repository": "acme/app"},
    }
    path = f"/robots/{robot.pk}/trust"
    bad = ada("POST", path, rule | {"claims": {"sub": "*"}})
    assert (bad.status_code, list(bad.json()["fields"])) == (422, ["claims"])
    made = ada("POST", path, rule)
    assert made.status_code == 201, made.content
    assert ada("GET", f"/robots/{robot.pk}").json()["trust"] == [made.json()]
    assert ada("DELETE", f"/trust/{made.json()['id']}").status_code == 204
    assert not TrustRule.objects.exists()
