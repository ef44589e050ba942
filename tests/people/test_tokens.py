"""Tokens: shown once, scoped, bound to sessions, revoked, dead at the next request."""

import io
import re
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from sessions.actors import Actor, NamedActor
from sessions.catalog.deletions import delete_session
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.ledger.events.people import TokenCreated, TokenRevoked
from sessions.ledger.events.sessions import PolicyChanged
from sessions.models import AwsSession, Membership, Role, Scope, Token
from sessions.people.memberships import change_role, disable_member, remove_member
from sessions.people.tokens import actor_of_token, create_token
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
            409,
        ),  # allowed, but there are none yet
        Scope.MANAGE: ("DELETE", f"/sessions/{leaf.pk}", 204),
    }
    for scope in (Scope.READ, Scope.USE, Scope.CREDENTIALS):
        api = Api(create_token(house.ada, "narrow", NamedActor("ada"), scopes=[scope]))
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
        (["--session", "Nowhere"], "no session 'Nowhere'"),
        (["--session", "5f0c1f4e-0000-4000-8000-000000000000"], "no session"),
        (["--days", "0"], "--days"),
        (["--name", "a\nb"], "--name"),
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
        assert (
            body["message"]
            == f"This token lacks the scope “{scope}”; it has “read”. Create one that has it."
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
