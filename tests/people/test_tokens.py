"""Tokens: shown once, scoped, bound to sessions, revoked, dead at the next request."""

import io
import re
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from sessions.actors import Actor, NamedActor
from sessions.catalog.deletions import delete_session
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.ledger.events.sessions import PolicyChanged
from sessions.ledger.events.tokens import TokenCreated, TokenRefused, TokenRevoked
from sessions.models import AwsSession, Membership, Role, Scope, TeamPolicy, Token
from sessions.people.memberships import change_role, disable_member, remove_member
from sessions.people.tokens import Limits, actor_of_token, create_token, revoke_token
from sessions.secret import Secret
from tests.api.tool import Api

pytestmark = pytest.mark.django_db


def page_of(house, member=None):
    return house.browser(member), reverse("tokens", args=[house.team.slug])


def made_by(client, url, **fields):
    answer = client.post(
        url,
        {"name": "laptop", "days": 30, "scopes": ["read", "credentials"], "session": "", **fields},
    )
    return re.search(r'id="token">(cwt_[^<]+)<', answer.content.decode())[1]


def test_a_token_is_shown_once_and_is_in_the_ledger_without_its_text(house):
    ben, url = page_of(house)
    text = made_by(ben, url)
    assert text not in ben.get(url).content.decode()
    [event] = house.events(TokenCreated)
    assert event.data["scopes"] == ["credentials", "read"]
    assert text not in str(event.data)
    assert text not in str(list(Token.objects.values()))


def test_who_was_removed_or_made_an_auditor_a_moment_ago_gets_none(house):
    ben, bea = house.ben, house.bea  # as a request has read them before
    remove_member(Membership.objects.get(pk=ben.pk), NamedActor("ada"))
    change_role(
        Membership.objects.get(pk=bea.pk),
        Role.AUDITOR,
        actor=NamedActor("ada"),
        successor=house.ada.user,
    )
    for member in (ben, bea):
        with pytest.raises(Refused):
            create_token(member, "late", NamedActor("ada"))
    assert not Token.objects.exists()


def test_a_token_is_good_for_its_scopes_alone(house):
    [leaf] = house.chain(1)
    wanted = {
        Scope.READ: ("GET", f"/sessions/{leaf.pk}", 200),
        Scope.USE: ("POST", f"/sessions/{leaf.pk}/start", 200),
        Scope.CREDENTIALS: (
            "GET",
            f"/sessions/{leaf.pk}/credentials",
            503,
        ),  # allowed, but they are being issued
        Scope.MANAGE: ("DELETE", f"/sessions/{leaf.pk}", 204),
    }
    for scope in (Scope.READ, Scope.USE, Scope.CREDENTIALS):
        api = Api(create_token(house.ada, f"for {scope}", NamedActor("ada"), scopes=[scope]))
        for asked, (method, path, status) in wanted.items():
            expected = status if asked in {scope, Scope.READ} else 403
            assert api(method, path).status_code == expected, (scope, asked)
    assert (
        Api(create_token(house.ada, "narrow", NamedActor("ada"), scopes=[Scope.MANAGE]))(
            *wanted[Scope.MANAGE][:2]
        ).status_code
        == 204
    )


def test_without_the_scope_nothing_is_created(house):
    api = Api(create_token(house.ada, "reader", NamedActor("ada"), scopes=[Scope.READ]))
    answer = api("POST", "/sessions", {"kind": "iam-role-chained"})
    assert answer.status_code == 403
    assert "lacks the scope “manage”" in answer.json()["message"]
    assert api("POST", "/sessions", {"kind": "iam-user"}).status_code == 403


def test_a_token_for_one_session_sees_and_uses_no_other(house):
    mine, other = house.chained("Mine"), house.chained("Other")
    api = Api(create_token(house.ben, "device", NamedActor("ben"), sessions=[mine]))
    assert [each["alias"] for each in api("GET", "/sessions").json()] == ["Mine"]
    assert api("POST", f"/sessions/{mine.pk}/start").status_code == 200
    assert api("GET", f"/sessions/{other.pk}").status_code == 403
    assert api("POST", f"/sessions/{other.pk}/start").status_code == 403
    assert api("POST", "/sessions", {"kind": "iam-role-chained"}).status_code == 403
    house.ada.team.aws_sessions.get(pk=mine.pk).delete()
    assert api("GET", "/sessions").status_code == 401


def test_a_token_for_one_session_cannot_read_or_change_the_policy(house):
    mine, _ = house.chained("Mine"), house.chained("Other", name="fixed-name")
    api = Api(create_token(house.ada, "device", NamedActor("ada"), sessions=[mine]))
    assert api("GET", "/policy").status_code == 403
    assert api("GET", "/policy/unnamed").status_code == 403
    assert api("PATCH", "/policy", {"names_locked": True}).status_code == 403
    assert not house.events(PolicyChanged)


def test_a_token_for_one_session_reaches_no_other_role_by_an_edit(house):
    """Edit with such a token: who the session is at AWS stays."""
    mine, second = house.chained("Mine", member=house.ben), house.iam_user("Second key")
    hub = house.chained("Hub")
    api = Api(create_token(house.ben, "device", NamedActor("ben"), sessions=[mine]))
    for change in (
        {"role_arn": house.role_arn("Other")},
        {"role_arn": mine.link.role_arn.replace("role/", "role/path/")},
        {"assumer": str(second.pk)},
        {"assumer": str(hub.pk)},
        {"role_arn": house.role_arn("Third"), "assumer": str(hub.pk), "alias": "Renamed"},
    ):
        answer = api("PATCH", f"/sessions/{mine.pk}", change)
        assert answer.status_code == 403, change
        assert answer.json()["code"] == "forbidden"
        assert "This token is for “Mine” as it is" in answer.json()["message"]
    mine.refresh_from_db()
    assert (mine.version, mine.link.assumer_id) == (1, house.root.pk)
    kept = {"alias": "Renamed", "region": "eu-central-1", "role_arn": mine.link.role_arn}
    answer = api("PATCH", f"/sessions/{mine.pk}", {**kept, "assumer": str(house.root.pk)})
    assert (answer.status_code, answer.json()["alias"]) == (200, "Renamed")
    # A token for no session alone may do what its person may.
    free = Api(create_token(house.ben, "free", NamedActor("ben")))
    assert (
        free("PATCH", f"/sessions/{mine.pk}", {"role_arn": house.role_arn("Other")}).status_code
        == 200
    )


def test_a_token_for_a_root_makes_it_no_other_user(house):
    api = Api(create_token(house.ada, "device", NamedActor("ada"), sessions=[house.root]))
    key = house.sts.add_user("somebody-else")
    secret = {"secret_access_key": key.secret_access_key.reveal()}
    path = f"/sessions/{house.root.pk}"
    answer = api("PATCH", path, {"access_key_id": key.access_key_id, **secret})
    assert answer.status_code == 403
    assert "may not change the identity" in answer.json()["message"]
    answer = api("PATCH", path, {"alias": "Renamed", **secret})
    assert answer.status_code == 200, answer.json()


def test_the_owner_revokes_and_the_next_request_is_refused(house):
    ben, url = page_of(house)
    api = Api(None)
    api.headers = {"Authorization": f"Bearer {made_by(ben, url)}"}
    assert api("GET", "/sessions").status_code == 200
    token = Token.objects.get()
    assert ben.post(reverse("revoke_token", args=[house.team.slug, token.pk])).status_code == 302
    assert api("GET", "/sessions").status_code == 401
    assert house.events(TokenRevoked)[0].actor == "ben"


def test_an_admin_sees_and_revokes_others_tokens_and_a_member_does_not(house):
    secret = create_token(house.ben, "laptop of ben", NamedActor("ben"))
    token = Token.objects.get()
    ada, url = page_of(house, house.ada)
    assert "laptop of ben" in ada.get(url).content.decode()
    bea, _ = page_of(house, house.bea)
    assert "laptop of ben" not in bea.get(url).content.decode()
    revoke = reverse("revoke_token", args=[house.team.slug, token.pk])
    assert bea.post(revoke).status_code == 404
    assert actor_of_token(secret) is not None
    assert ada.post(revoke).status_code == 302
    assert actor_of_token(secret) is None


def test_an_expired_token_is_none(house):
    secret = create_token(house.ben, "old", NamedActor("ben"))
    Token.objects.update(expires_at=database_now() - timedelta(seconds=1))
    assert actor_of_token(secret) is None


@pytest.mark.parametrize(
    "fields", [{"scopes": []}, {"scopes": ["root"]}, {"days": 0}, {"days": 3651}, {"name": "a\nb"}]
)
def test_a_token_that_makes_no_sense_is_not_made(house, fields):
    ben, url = page_of(house)
    data = {"name": "laptop", "days": 30, "scopes": ["read"], "session": "", **fields}
    assert ben.post(url, data).status_code == 422
    assert not Token.objects.exists()


def test_a_token_for_a_session_of_another_team_is_not_made(house, sts):
    from tests.house import TeamFixture

    other = TeamFixture(sts, "other")
    ben, url = page_of(house)
    data = {"name": "laptop", "days": 30, "scopes": ["read"], "session": str(other.root.pk)}
    assert ben.post(url, data).status_code == 422


# --- by the command, and what a token that lacks something is answered ----------------------------


def printed(*arguments):
    out = io.StringIO()
    call_command("token", "ada", "--team", "platform", "--name", "laptop", *arguments, stdout=out)
    return out.getvalue().strip()


def test_the_command_gives_read_and_credentials_unless_told_otherwise(house):
    printed()
    assert sorted(Token.objects.get().scopes) == ["credentials", "read"]
    Token.objects.all().delete()
    printed("--scope", "use", "--scope", "manage")
    token = Token.objects.get()
    assert (sorted(token.scopes), token.is_bound) == (["manage", "use"], False)


def test_the_command_binds_to_sessions_by_alias_or_id(house):
    one, two, other = (house.chained(alias) for alias in ("One", "Two", "Other"))
    api = Api(Secret(printed("--session", "one", "--session", str(two.pk))))
    assert sorted(each["alias"] for each in api("GET", "/sessions").json()) == ["One", "Two"]
    answer = api("GET", f"/sessions/{other.pk}")
    assert (answer.status_code, answer.json()["message"]) == (
        403,
        "This token is only for “One”, “Two”.",
    )
    [event] = house.events(TokenCreated)
    assert event.data["sessions"] == ["One", "Two"]
    delete_session(AwsSession.objects.get(pk=one.pk), Actor(house.ada))
    assert api("GET", f"/sessions/{two.pk}").status_code == 200
    delete_session(AwsSession.objects.get(pk=two.pk), Actor(house.ada))
    assert api("GET", "/sessions").status_code == 401


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--scope", "root"], "invalid choice"),
        (["--session", "Nowhere"], "no session “Nowhere”"),
        (["--session", "5f0c1f4e-0000-4000-8000-000000000000"], "no session"),
        (["--days", "0"], "--days"),
        (["--name", "a\nb"], "--name"),
        (["--network", "10.0.0.1/8"], "--network: .*10.0.0.0/8"),
        (["--days", "91"], "1 to 90 days"),
    ],
)
def test_the_command_refuses_in_words(house, arguments, says):
    with pytest.raises(CommandError, match=says):
        printed(*arguments)
    assert not Token.objects.exists()


def test_the_command_makes_none_for_whoever_may_hold_none(house):
    for name in ("eve", "nobody"):
        with pytest.raises(CommandError):
            call_command("token", name, team="platform", name="laptop")
    disable_member(house.ben, NamedActor("ada"))
    with pytest.raises(CommandError, match="suspended"):
        call_command("token", "ben", team="platform", name="laptop")


LACKING = {
    ("POST", "start"): "use",
    ("POST", "stop"): "use",
    ("POST", "rotate"): "use",
    ("GET", "credentials"): "credentials",
    ("PATCH", ""): "manage",
    ("DELETE", ""): "manage",
    ("PUT", "access"): "manage",
}


def test_a_token_that_lacks_a_scope_is_told_which_one(house):
    [leaf] = house.chain(1)
    api = Api(create_token(house.ada, "reader", NamedActor("ada"), scopes=[Scope.READ]))
    for (method, path), scope in LACKING.items():
        answer = api(method, f"/sessions/{leaf.pk}/{path}".rstrip("/"), {})
        body = answer.json()
        assert (answer.status_code, body["code"], body["fields"]) == (
            403,
            "forbidden",
            {"scope": [scope]},
        )
        assert body["message"].startswith(
            f"This token lacks the scope “{scope}”; it has “read”. Create one that has it."
        )
    for method, path, sent in (
        ("POST", "/sessions", {"kind": "iam-role-chained"}),
        ("POST", "/sessions", {"kind": "iam-user"}),
        ("PATCH", "/policy", {}),
    ):
        assert api(method, path, sent).json()["fields"] == {"scope": ["manage"]}
    assert api("POST", "/sessions/start", {"ids": [str(leaf.pk)]}).json()["fields"] == {
        "scope": ["use"]
    }


def test_a_role_that_does_not_allow_it_is_not_blamed_on_the_token(house):
    api = Api(create_token(house.ben, "all", NamedActor("ben")))
    answer = api("PATCH", "/policy", {}).json()
    assert answer["message"] == "Your role in the team does not allow that."
    assert "fields" not in answer


# --- unique names, the team's cap, networks, last use ---------------------------------------------


def test_a_name_is_unique_among_a_persons_live_tokens_in_any_case(house):
    create_token(house.ben, "Laptop", NamedActor("ben"))
    with pytest.raises(Refused, match="a token “LAPTOP” already") as refused:
        create_token(house.ben, "LAPTOP", NamedActor("ben"))
    assert refused.value.field == "name"
    create_token(house.bea, "laptop", NamedActor("bea"))
    revoke_token(Token.objects.get(user=house.ben.user), Actor(house.ben))
    create_token(house.ben, "laptop", NamedActor("ben"))
    Token.objects.filter(user=house.ben.user).update(expires_at=database_now())
    create_token(house.ben, "laptop", NamedActor("ben"))


def test_the_form_says_on_its_field_that_a_name_is_taken(house):
    ben, url = page_of(house)
    made_by(ben, url)
    answer = ben.post(url, {"name": "LAPTOP", "days": 30, "scopes": ["read"], "session": ""})
    assert answer.status_code == 422
    assert "There is a token" in str(answer.context["form"].errors["name"])
    assert Token.objects.count() == 1


def test_no_token_lasts_longer_than_the_team_allows(house):
    TeamPolicy.objects.create(team=house.team, token_days=7)
    create_token(house.ben, "short", NamedActor("ben"))
    assert Token.objects.get().expires_at - database_now() < timedelta(days=7, minutes=1)
    with pytest.raises(Refused, match="1 to 7 days") as refused:
        create_token(house.ben, "long", NamedActor("ben"), days=8)
    assert refused.value.field == "days"
    ben, url = page_of(house)
    answer = ben.post(url, {"name": "long", "days": 8, "scopes": ["read"], "session": ""})
    assert answer.status_code == 422
    assert "Your team allows 1 to 7 days." in answer.content.decode()
    # What is there keeps its end.
    TeamPolicy.objects.update(token_days=1)
    assert Token.objects.get().expires_at - database_now() > timedelta(days=6)


def from_address(secret, address, **headers):
    return Client().get(
        "/api/v1/sessions",
        REMOTE_ADDR=address,
        headers={"Authorization": f"Bearer {secret.reveal()}", **headers},
    )


@pytest.mark.parametrize(
    ("networks", "inside", "outside"),
    [
        (["203.0.113.0/24"], ["203.0.113.7", "::ffff:203.0.113.7"], ["203.0.114.1", "2001:db8::1"]),
        (["2001:db8::/32"], ["2001:db8:1::5"], ["2001:db9::1", "203.0.113.7"]),
        (["203.0.113.7", "10.0.0.0/8"], ["203.0.113.7", "10.9.9.9"], ["203.0.113.8"]),
    ],
)
def test_a_token_is_good_from_its_networks_alone(house, networks, inside, outside):
    secret = create_token(house.ben, "ci", NamedActor("ben"), limits=Limits(networks=networks))
    for address in inside:
        assert from_address(secret, address).status_code == 200, address
    for address in outside:
        answer = from_address(secret, address)
        assert (answer.status_code, answer.json()["code"]) == (403, "wrong_network")
        # Its owner needs to know the address that was seen; a thief needs the networks.
        assert address in answer.json()["message"]
        assert not any(each in answer.json()["message"] for each in networks if each != address)


def test_a_request_from_elsewhere_is_in_the_ledger_once_in_ten_minutes(house):
    limits = Limits(networks=["203.0.113.0/24"])
    secret = create_token(house.ben, "ci", NamedActor("ben"), limits=limits)
    for _ in range(3):
        assert from_address(secret, "198.51.100.9").status_code == 403
    [event] = house.events(TokenRefused)
    assert (event.actor, event.data["of"]) == ("nobody", "ben")
    assert event.data["origin"]["address"] == "198.51.100.9"
    token = Token.objects.get()
    assert (token.refused_address, token.last_used_at) == ("198.51.100.9", None)
    Token.objects.update(refused_at=token.refused_at - timedelta(minutes=11))
    from_address(secret, "198.51.100.9")
    assert len(house.events(TokenRefused)) == 2


@pytest.mark.parametrize(
    ("network", "says"),
    [
        ("10.0.0.1/8", "write 10.0.0.0/8"),
        ("office", "is no network"),
        ("::ffff:10.0.0.0/104", "IPv4"),
        ("10.0.0.0/33", "is no network"),
    ],
)
def test_what_is_no_network_is_refused_on_its_field(house, network, says):
    ben, url = page_of(house)
    answer = ben.post(
        url, {"name": "x", "days": 3, "scopes": ["read"], "session": "", "networks": network}
    )
    assert answer.status_code == 422
    assert says in str(answer.context["form"].errors["networks"])
    assert not Token.objects.exists()


def test_the_last_use_is_written_once_a_minute_with_address_and_client(house):
    secret = create_token(house.ben, "ci", NamedActor("ben"))
    assert from_address(secret, "203.0.113.7", **{"User-Agent": "aws-cli/2.34"}).status_code == 200
    token = Token.objects.get()
    first = token.last_used_at
    assert (token.last_used_address, token.last_used_client) == ("203.0.113.7", "aws-cli/2.34")
    from_address(secret, "203.0.113.8")
    assert Token.objects.get().last_used_at == first
    Token.objects.update(last_used_at=first - timedelta(seconds=61))
    from_address(secret, "203.0.113.8", **{"User-Agent": "boto3"})
    token = Token.objects.get()
    assert (token.last_used_address, token.last_used_client) == ("203.0.113.8", "boto3")
    page = house.browser(house.ben).get(page_of(house)[1]).content.decode()
    assert "203.0.113.8" in page
    assert "boto3" in page


def test_a_token_is_for_several_sessions_by_alias(house):
    one, _, three = (house.chained(alias) for alias in ("One", "Two", "Three"))
    ben, url = page_of(house)
    text = made_by(ben, url, session=str(one.pk), sessions="two\r\n", device="laptop")
    api = Api(Secret(text))
    assert sorted(each["alias"] for each in api("GET", "/sessions").json()) == ["One", "Two"]
    assert api("GET", f"/sessions/{three.pk}").status_code == 403
    assert "laptop" in ben.get(url).content.decode()
    assert house.events(TokenCreated)[0].data["device"] == "laptop"
    answer = ben.post(url, {"name": "x", "days": 3, "scopes": ["read"], "sessions": "Nowhere"})
    assert "no session “Nowhere”" in str(answer.context["form"].errors["sessions"])
