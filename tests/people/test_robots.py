"""Robots of a team: under their own name, by tokens alone, within their reach, gone for good."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from sessions.actors import Actor, NamedActor
from sessions.catalog.labels import write_labels
from sessions.db.clock import database_now
from sessions.exceptions import ActorGone, Refused, RightLost
from sessions.ledger.events.credentials import CredentialMinted
from sessions.ledger.events.robots import RobotChanged, RobotCreated, RobotRemoved
from sessions.ledger.events.sessions import SessionStarted
from sessions.ledger.events.tokens import TokenCreated, TokenRevoked
from sessions.models import Activation, Label, Membership, Robot, Role, Scope, Token, User
from sessions.people.invitations import accept_invitation, invite
from sessions.people.memberships import change_role, remove_member
from sessions.people.people import add_member
from sessions.people.robots import (
    RobotDraft,
    change_robot,
    create_robot,
    create_robot_token,
    remove_robot,
)
from sessions.people.tokens import Limits, create_token
from tests.api.tool import Api

pytestmark = pytest.mark.django_db
USE = [Scope.READ, Scope.USE, Scope.CREDENTIALS]


def robot_of(house, *sessions, name="deploy", **options):
    draft = RobotDraft(name, options.pop("owner", house.ada), sessions=sessions, **options)
    return create_robot(draft, Actor(house.ada))


def api_of(house, robot, name="ci", scopes=USE, **options):
    _, secret = create_robot_token(robot, name, Actor(house.ada), 30, scopes, **options)
    return Api(secret)


def labelled(house, session, name):
    label, _ = Label.objects.get_or_create(team=house.team, name=name)
    write_labels(session, [label])
    return label


# --- a name of its own ----------------------------------------------------------------------------


def test_what_a_robot_starts_carries_its_name_everywhere(house):
    leaf = house.chained("Leaf")
    robot = robot_of(house, leaf)
    assert (robot.user.get_username(), robot.user.aws_name) == ("deploy@platform", "deploy")
    assert api_of(house, robot)("POST", f"/sessions/{leaf.pk}/start").status_code == 200
    house.work()
    [started] = house.events(SessionStarted)
    assert (started.actor, started.data["origin"]["token"]) == ("deploy@platform", "ci")
    [minted] = house.events(CredentialMinted)[-1:]
    assert minted.data["role_session_name"] == "deploy"
    assert minted.data["for"] == ["deploy@platform"]


def test_the_ledger_tells_of_a_robots_beginning_change_and_end(house):
    one, two = house.chained("One"), house.chained("Two")
    robot = robot_of(house, one)
    change_robot(robot, RobotDraft("deploy", house.ben, sessions=[two]), Actor(house.ada))
    assert remove_robot(Robot.objects.get(), Actor(house.ada))
    assert not remove_robot(Robot.objects.get(), Actor(house.ada))
    created, changed, removed = (
        house.events(each)[0].data for each in (RobotCreated, RobotChanged, RobotRemoved)
    )
    assert (created["member"], created["owner"], created["sessions"]) == (
        "deploy@platform",
        "ada",
        ["One"],
    )
    assert (changed["owner"], changed["before"]) == ("ben", {"owner": "ada", "sessions": ["One"]})
    assert (removed["member"], removed["aws_name"]) == ("deploy@platform", "deploy")


def test_a_robots_name_is_never_given_again(house):
    leaf = house.chained("Leaf")
    robot = robot_of(house, leaf)
    with pytest.raises(Refused, match="There is a robot “deploy” already"):
        robot_of(house, leaf)
    remove_robot(robot, Actor(house.ada))
    with pytest.raises(Refused, match="whose name the ledger keeps"):
        robot_of(house, leaf)
    # Nor does CloudTrail's come to mean a person.
    assert house.person("deploy", Role.MEMBER).user.aws_name == "deploy-2"


@pytest.mark.parametrize("name", ["", "x", "Deploy", "-x", "x-", "a b", "a@b", "x" * 33])
def test_a_robots_name_is_plain(house, name):
    with pytest.raises(Refused) as refused:
        robot_of(house, house.chained("Leaf"), name=name)
    assert refused.value.field == "name"


# --- no person ------------------------------------------------------------------------------------


def test_a_robot_cannot_log_in_even_with_a_password(house):
    robot = robot_of(house, house.chained("Leaf"))
    assert not robot.user.has_usable_password()
    user = User.objects.get(pk=robot.user_id)
    user.set_password("correct horse battery staple")
    user.save()
    client = Client()
    answer = client.post(
        reverse("account_login"),
        {"login": "deploy@platform", "password": "correct horse battery staple"},
    )
    assert answer.status_code == 302
    assert answer.headers["Location"] == reverse("account_inactive")
    assert client.get("/teams/platform/").status_code == 302


def test_a_robot_is_listed_with_the_robots_and_not_with_the_people(house):
    robot = robot_of(house, house.chained("Leaf"))
    ada = house.browser(house.ada)
    assert "deploy@platform" not in ada.get(reverse("people", args=["platform"])).content.decode()
    assert "deploy" in ada.get(reverse("robots", args=["platform"])).content.decode()
    person = reverse("person", args=["platform", robot.user_id])
    assert "Change role" not in ada.get(person).content.decode()
    assert ada.post(reverse("person_role", args=["platform", robot.user_id])).status_code == 404


def test_a_robot_has_no_other_role_or_team_and_is_not_invited(house, sts):
    robot = robot_of(house, house.chained("Leaf"))
    member = Membership.objects.get(user=robot.user)
    with pytest.raises(Refused, match="is a robot"):
        change_role(member, Role.ADMIN, Actor(house.ada))
    with pytest.raises(Refused, match="is a robot"):
        remove_member(member, Actor(house.ada))
    with pytest.raises(Refused, match="is a robot"):
        add_member(house.team, robot.user, Role.ADMIN, NamedActor("manage.py"))
    invitation, _ = invite(Actor(house.ada), Role.ADMIN)
    with pytest.raises(Refused):
        accept_invitation(invitation, robot.user)


# --- its reach ------------------------------------------------------------------------------------


def test_a_robot_reaches_its_sessions_and_no_others(house):
    mine, other = house.chained("Mine"), house.chained("Other")
    api = api_of(house, robot_of(house, mine))
    assert [each["alias"] for each in api("GET", "/sessions").json()] == ["Mine"]
    assert api("POST", f"/sessions/{other.pk}/start").status_code == 403
    assert api("POST", "/sessions", {"kind": "iam-role-chained"}).status_code == 403


def test_a_session_that_gets_the_label_later_is_reached(house):
    one, two = house.chained("One"), house.chained("Two")
    label = labelled(house, one, "ci")
    api = api_of(house, robot_of(house, labels=[label]))
    assert api("GET", f"/sessions/{two.pk}").status_code == 403
    labelled(house, two, "ci")
    assert api("GET", f"/sessions/{two.pk}").status_code == 200
    write_labels(one, [])
    answer = api("GET", f"/sessions/{one.pk}")
    assert answer.status_code == 403
    assert answer.json()["message"] == "This token is only for sessions with the label “ci”."
    write_labels(two, [])
    assert api("GET", "/sessions").json() == []  # still good: a session may get the label again
    label.delete()
    assert api("GET", "/sessions").status_code == 401


def test_a_persons_token_is_for_labels_and_sessions_together(house):
    one, two, three = (house.chained(alias) for alias in ("One", "Two", "Three"))
    label = labelled(house, two, "prod")
    limits = Limits(sessions=[one], labels=[label])
    api = Api(create_token(house.ben, "laptop", NamedActor("ben"), limits=limits))
    assert sorted(each["alias"] for each in api("GET", "/sessions").json()) == ["One", "Two"]
    answer = api("GET", f"/sessions/{three.pk}")
    assert answer.json()["message"] == (
        "This token is only for “One” and sessions with the label “prod”."
    )
    [event] = house.events(TokenCreated)
    assert event.data["labels"] == ["prod"]


def test_a_changed_reach_holds_at_once_and_ends_what_it_left(house):
    one, two = house.chained("One"), house.chained("Two")
    robot = robot_of(house, one)
    api = api_of(house, robot)
    assert api("POST", f"/sessions/{one.pk}/start").status_code == 200
    change_robot(robot, RobotDraft("deploy", house.ada, sessions=[two]), Actor(house.ada))
    assert api("GET", f"/sessions/{one.pk}").status_code == 403
    assert api("GET", f"/sessions/{two.pk}").status_code == 200
    assert not Activation.objects.filter(user=robot.user).exists()
    change_robot(robot, RobotDraft("deploy", house.ada, everything=True), Actor(house.ada))
    assert len(api("GET", "/sessions").json()) == 3


def test_a_robot_has_a_members_rights_at_most(house):
    closed = house.chained("Closed")
    closed.open_to_start = False
    closed.save(update_fields=["open_to_start"])
    api = api_of(house, robot_of(house, everything=True), scopes=list(Scope))
    assert api("POST", f"/sessions/{closed.pk}/start").status_code == 403
    assert api("PATCH", "/policy", {}).status_code == 403
    assert api("POST", "/sessions", {"kind": "iam-user"}).status_code == 403


# --- who may --------------------------------------------------------------------------------------


def test_only_admins_make_robots_and_their_tokens(house):
    leaf = house.chained("Leaf")
    with pytest.raises(RightLost):
        create_robot(RobotDraft("deploy", house.ben, sessions=[leaf]), Actor(house.ben))
    robot = robot_of(house, leaf)
    for act in (
        lambda: create_robot_token(robot, "ci", Actor(house.ben), 30, USE),
        lambda: change_robot(robot, RobotDraft("x", house.ben, everything=True), Actor(house.ben)),
        lambda: remove_robot(robot, Actor(house.ben)),
    ):
        with pytest.raises(RightLost):
            act()


def test_a_robots_token_made_by_a_token_ends_with_it(house):
    robot = robot_of(house, house.chained("Leaf"))
    create_token(house.ada, "tool", NamedActor("ada"), days=2)
    by = Actor(house.ada, Token.objects.get(user=house.ada.user))
    made, _ = create_robot_token(robot, "ci", by, 30, USE)
    assert made.expires_at == by.token.expires_at
    by.token.scopes = ["read"]
    by.token.save()
    with pytest.raises(RightLost):
        create_robot_token(robot, "ci 2", by, 30, USE)
    by.token.revoked_at = database_now()
    by.token.save()
    with pytest.raises(ActorGone):
        create_robot_token(robot, "ci 3", by, 30, USE)


def test_removal_ends_tokens_and_sessions_and_hands_over_robots(house):
    leaf = house.chained("Leaf")
    robot = robot_of(house, leaf, owner=house.ben)
    api = api_of(house, robot)
    assert api("POST", f"/sessions/{leaf.pk}/start").status_code == 200
    remove_member(Membership.objects.get(pk=house.ben.pk), Actor(house.ada), house.ada.user)
    assert Robot.objects.get().owner == house.ada.user
    assert api("GET", "/sessions").status_code == 200
    remove_robot(robot, Actor(house.ada))
    assert api("GET", "/sessions").status_code == 401
    assert not Activation.objects.filter(user=robot.user).exists()
    assert house.events(TokenRevoked)[-1].data["reason"] == "robot removed"


# --- pages ----------------------------------------------------------------------------------------


def test_an_admin_makes_a_robot_and_its_token_on_the_pages(house):
    leaf = house.chained("Leaf")
    ada = house.browser(house.ada)
    new = reverse("new_robot", args=["platform"])
    owner = {"owner": house.ada.pk}
    answer = ada.post(new, {"name": "Bad Name", **owner, "sessions": "Nowhere"})
    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == {"name", "sessions"}
    assert ada.post(new, {"name": "deploy", **owner}).status_code == 422
    answer = ada.post(new, {"name": "deploy", **owner, "sessions": "leaf"})
    robot = Robot.objects.get()
    assert answer.headers["Location"] == reverse("robot", args=["platform", robot.pk])
    made = ada.post(
        reverse("new_robot_token", args=["platform", robot.pk]),
        {"token-name": "ci", "token-scopes": ["read"], "token-days": "30"},
    )
    text = made.context["made"]
    assert text.startswith("cwr_")
    assert text not in ada.get(answer.headers["Location"]).content.decode()
    token = Token.objects.get()
    assert (
        ada.post(reverse("revoke_token", args=["platform", token.pk])).headers["Location"]
        == (answer.headers["Location"])
    )
    assert ada.post(reverse("remove_robot", args=["platform", robot.pk])).status_code == 302
    assert ada.get(answer.headers["Location"]).status_code == 404
    assert leaf.alias == "Leaf"


def test_two_admins_who_edit_one_robot_lose_nothing(house):
    house.chained("One")
    robot = robot_of(house, house.chained("Two"))
    ada, path = house.browser(house.ada), reverse("robot", args=["platform", robot.pk])
    page = ada.get(path)
    seen = {"version": page.context["form"].version, "began": page.context["form"].began_json}
    change_robot(robot, RobotDraft("deploy", house.ben, everything=True), Actor(house.ada))
    answer = ada.post(path, {"owner": house.ada.pk, "sessions": "One", **seen})
    assert answer.status_code == 409
    assert not Robot.objects.get().is_bound


def test_expired_tokens_of_a_robot_are_not_shown(house):
    robot = robot_of(house, house.chained("Leaf"))
    api_of(house, robot, name="ancient")
    path = reverse("robot", args=["platform", robot.pk])
    assert "ancient" in house.browser(house.ada).get(path).content.decode()
    Token.objects.update(expires_at=database_now() - timedelta(seconds=1))
    assert "ancient" not in house.browser(house.eve).get(path).content.decode()
