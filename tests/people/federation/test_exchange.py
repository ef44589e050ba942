"""Exchange a signed token of a real issuer for a robot's; hostile ones get nothing."""

import base64
import hashlib
import hmac
import json
import time
from datetime import timedelta

import jwt
import pytest
from django.test import Client
from django.urls import reverse

from sessions.actors import Actor
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.ledger.events.robots import TokenExchanged, TrustCreated, TrustEnded
from sessions.ledger.events.tokens import TokenRevoked
from sessions.models import Scope, Token, TrustRule
from sessions.monitoring import request_limits
from sessions.people.federation import keys
from sessions.people.federation.exchange import create_rule, end_rule
from sessions.people.robots import RobotDraft, create_robot, remove_robot
from sessions.secret import Secret
from tests.api.tool import Api
from tests.people.federation.issuer import AUDIENCE, Issuer

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def running():
    with Issuer().running() as issuer:
        yield issuer


@pytest.fixture
def issuer(running, settings):
    settings.CHAINWEB_OIDC_ISSUERS = (running.url,)
    keys.forget()
    request_limits.forget()
    running.answers, running.asked = {}, []
    return running


@pytest.fixture
def robot(house):
    leaf = house.chained("Leaf")
    return create_robot(RobotDraft("deploy", house.ada, sessions=[leaf]), Actor(house.ada))


def trust(house, robot, issuer, **changes):
    wanted = {
        "name": "main",
        "issuer": changes.pop("named", issuer.url),
        "audience": AUDIENCE,
        "claims": {"repository": "acme/app", "ref": "refs/heads/*"},
        "scopes": ["read", "use", "credentials"],
    }
    return create_rule(robot, TrustRule(**(wanted | changes)), Actor(house.ada))


def exchange(robot, text, **more):
    return Client().post(
        "/api/v1/tokens/exchange",
        json.dumps({"robot": str(robot.pk), "subject_token": text, **more}),
        content_type="application/json",
    )


def why_not(robot, text):
    answer = exchange(robot, text)
    assert answer.status_code == 401, answer.content
    assert not Token.objects.exists()
    return answer.json()["message"]


# --- what is trusted ------------------------------------------------------------------------------


def test_a_signed_token_becomes_a_robots_for_an_hour(house, robot, issuer):
    trust(house, robot, issuer)
    answer = exchange(robot, issuer.token())
    assert answer.status_code == 200, answer.content
    given = answer.json()
    assert given["token_type"] == "Bearer"
    assert given["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    assert 3590 <= given["expires_in"] <= 3600
    assert given["scope"] == "credentials read use"
    assert answer.headers["Cache-Control"].find("no-store") >= 0
    api = Api(Secret(given["access_token"]))
    [session] = api("GET", "/sessions").json()
    assert api("POST", f"/sessions/{session['id']}/start").status_code == 200
    [event] = house.events(TokenExchanged)
    said = event.data
    assert (event.actor, said["subject"]) == (
        "deploy@platform",
        "repo:acme/app:ref:refs/heads/main",
    )
    assert (said["jti"], said["issuer"], said["rule"]) == ("one", issuer.url, "main")
    assert "repeated" not in said
    assert given["access_token"] not in json.dumps(said)


def test_a_repeated_token_is_noted(house, robot, issuer):
    trust(house, robot, issuer)
    text = issuer.token()
    assert exchange(robot, text).status_code == 200
    assert exchange(robot, text).status_code == 200
    assert exchange(robot, issuer.token(jti="two")).status_code == 200
    assert [each.data.get("repeated", False) for each in house.events(TokenExchanged)] == [
        False,
        True,
        False,
    ]


def test_an_elliptic_key_is_taken_and_a_rule_may_give_less(house, robot, issuer):
    trust(house, robot, issuer, minutes=5, scopes=["read"])
    answer = exchange(robot, issuer.token(key=issuer.ec, kid="curve", algorithm="ES256"))
    assert answer.json()["expires_in"] <= 300
    assert answer.json()["scope"] == "read"


def test_the_second_rule_counts_where_the_first_does_not_match(house, robot, issuer):
    trust(house, robot, issuer, name="a", claims={"repository": "acme/other"})
    trust(house, robot, issuer, name="b", claims={"sub": "repo:acme/*"})
    assert exchange(robot, issuer.token()).status_code == 200
    assert house.events(TokenExchanged)[0].data["rule"] == "b"


# --- what is not ----------------------------------------------------------------------------------


def none_signed(issuer):
    def part(data):
        return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'kid': 'one'})}.{part(issuer.claims())}."


def signed_with_the_public_key(issuer):
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    head = part(json.dumps({"alg": "HS256", "kid": "one", "typ": "JWT"}).encode())
    signed = head + b"." + part(json.dumps(issuer.claims()).encode())
    return (signed + b"." + part(hmac.digest(issuer.public_pem(), signed, hashlib.sha256))).decode()


HOSTILE = {
    "none": (none_signed, "algorithm"),
    "hs256 by the public key": (signed_with_the_public_key, "algorithm"),
    "another key": (lambda each: each.token(key=each.other), "signature"),
    "unknown key id": (lambda each: each.token(kid="nowhere"), "no key of that id"),
    "no key id": (lambda each: jwt.encode(each.claims(), each.rsa, "RS256"), "names no key"),
    "key of another kind": (
        lambda each: each.token(key=each.rsa, kid="curve"),
        "not its key's",
    ),
    "small key": (
        lambda each: each.token(key=each.small, kid="small"),
        "fewer than 2048",
    ),
    "another audience": (lambda each: each.token(aud="sts.amazonaws.com"), "audience"),
    "another issuer": (lambda each: each.token(iss="https://evil.example"), "does not trust"),
    "expired": (lambda each: each.token(exp=int(time.time()) - 60), "expired"),
    "not yet": (lambda each: each.token(nbf=int(time.time()) + 120), "not valid yet"),
    "from the future": (lambda each: each.token(iat=int(time.time()) + 120), "not valid yet"),
    "for ever": (lambda each: each.token(exp=None), "no claim “exp”"),
    "nobody's": (lambda each: each.token(sub=None), "no claim “sub”"),
    "another repository": (
        lambda each: each.token(repository="acme/app-evil"),
        "claim “repository”",
    ),
    "another branch": (lambda each: each.token(ref="refs/tags/x"), "claim “ref”"),
    "a missing claim": (lambda each: each.token(repository=None), "claim “repository”"),
    "a list in a list": (lambda each: each.token(repository=[["acme/app"]]), "claim “repository”"),
    "no token": (lambda each: "hello", "no JWT"),
    "two dots": (lambda each: "..", "no JWT"),
    "a megabyte": (lambda each: each.token(padding="x" * 1_000_000), "longer than"),
    "crit": (lambda each: each.token(headers={"crit": ["exp"]}), ""),
}


@pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits long")
@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_token_gets_nothing(house, robot, issuer, hostile):
    trust(house, robot, issuer)
    make, says = HOSTILE[hostile]
    assert says in why_not(robot, make(issuer))
    assert not house.events(TokenExchanged)


def test_a_signature_that_was_changed_gets_nothing(house, robot, issuer):
    trust(house, robot, issuer)
    head, body, signature = issuer.token().split(".")
    other = base64.urlsafe_b64encode(json.dumps(issuer.claims(sub="x")).encode()).rstrip(b"=")
    assert "signature" in why_not(robot, f"{head}.{other.decode()}.{signature}")
    assert "signature" in why_not(robot, f"{head}.{body}.{signature[:-8]}AAAAAAAA")


def test_a_robot_that_is_missing_removed_or_trusts_nobody_is_one_answer(house, robot, issuer):
    text = issuer.token()
    nobody = why_not(robot, text)
    trust(house, robot, issuer)
    remove_robot(robot, Actor(house.ada))
    assert why_not(robot, text) == nobody
    robot.pk = "00000000-0000-4000-8000-000000000000"
    assert why_not(robot, text) == nobody


def test_an_ended_rule_ends_its_tokens(house, robot, issuer):
    rule = trust(house, robot, issuer)
    given = exchange(robot, issuer.token()).json()["access_token"]
    assert Api(Secret(given))("GET", "/sessions").status_code == 200
    assert end_rule(rule, Actor(house.ada))
    assert not end_rule(rule, Actor(house.ada))
    assert Api(Secret(given))("GET", "/sessions").status_code == 401
    assert house.events(TokenRevoked)[-1].data["reason"] == "trust ended"
    assert (
        house.events(TrustEnded)[0].data["rule_id"] == house.events(TrustCreated)[0].data["rule_id"]
    )
    assert exchange(robot, issuer.token()).status_code == 401


def test_expired_tokens_of_a_rule_are_forgotten_with_the_next(house, robot, issuer):
    trust(house, robot, issuer)
    exchange(robot, issuer.token())
    Token.objects.update(expires_at=database_now() - timedelta(days=2))
    exchange(robot, issuer.token(jti="two"))
    assert Token.objects.count() == 1


# --- its rules ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({}, "1 to 20 claims"),
        ({"ref": "refs/heads/main"}, "Name who it is"),
        ({"sub": "*"}, "would match others"),
        ({"sub": "repo:*"}, "would match others"),
        ({"repository": "acme*"}, "would match others"),
        ({"repository_owner": "ac*"}, "would match others"),
        ({"sub": ""}, "needs a value"),
    ],
)
def test_a_rule_that_would_let_in_others_is_refused(house, robot, issuer, claims, says):
    with pytest.raises(Refused, match=says) as refused:
        trust(house, robot, issuer, claims=claims)
    assert refused.value.field == "claims"


def test_a_rule_names_an_issuer_of_the_operators_alone(house, robot, issuer):
    with pytest.raises(Refused, match="CHAINWEB_OIDC_ISSUERS"):
        trust(house, robot, issuer, named="http://169.254.169.254")
    with pytest.raises(Refused):
        trust(house, robot, issuer, minutes=61)
    with pytest.raises(Refused):
        trust(house, robot, issuer, scopes=["root"])


def test_an_issuer_that_the_operator_took_out_is_asked_nothing(house, robot, issuer, settings):
    trust(house, robot, issuer)
    settings.CHAINWEB_OIDC_ISSUERS = ()
    assert "does not trust" in why_not(robot, issuer.token())
    assert issuer.asked == []


def test_an_admin_makes_and_ends_trust_on_the_page(house, robot, issuer):
    ada = house.browser(house.ada)
    path = reverse("new_trust", args=["platform", robot.pk])
    typed = {
        "trust-name": "main",
        "trust-issuer": issuer.url,
        "trust-audience": AUDIENCE,
        "trust-claims": "repository = acme/app\r\nref = refs/heads/*",
        "trust-scopes": ["read"],
        "trust-minutes": "30",
    }
    assert ada.post(path, typed | {"trust-claims": "sub=*"}).status_code == 422
    assert ada.post(path, typed | {"trust-claims": "nothing"}).status_code == 422
    assert ada.post(path, typed).status_code == 302
    rule = TrustRule.objects.get()
    assert rule.claims == {"repository": "acme/app", "ref": "refs/heads/*"}
    assert "acme/app" in ada.get(reverse("robot", args=["platform", robot.pk])).content.decode()
    assert exchange(robot, issuer.token()).status_code == 200
    assert ada.post(reverse("end_trust", args=["platform", rule.pk])).status_code == 302
    assert not TrustRule.objects.exists()


# --- the issuer's keys ----------------------------------------------------------------------------


def test_keys_are_fetched_once_and_kept(house, robot, issuer):
    trust(house, robot, issuer)
    for number in range(3):
        assert exchange(robot, issuer.token(jti=str(number))).status_code == 200
    assert issuer.asked == [keys.DISCOVERY, "/keys"]


def test_made_up_key_ids_do_not_make_us_ask_for_each(house, robot, issuer):
    trust(house, robot, issuer)
    for number in range(5):
        exchange(robot, issuer.token(kid=f"made up {number}"))
    assert len(issuer.asked) == 2


def test_a_new_key_is_found_after_half_a_minute(house, robot, issuer, monkeypatch):
    trust(house, robot, issuer)
    assert exchange(robot, issuer.token()).status_code == 200
    monkeypatch.setitem(issuer.published, "new", issuer.other)
    text = issuer.token(key=issuer.other, kid="new")
    assert exchange(robot, text).status_code == 401
    monkeypatch.setattr(keys, "AGAIN_SECONDS", 0.0)
    assert exchange(robot, text).status_code == 200


def test_known_keys_outlast_an_issuer_that_is_away(house, robot, issuer, monkeypatch):
    trust(house, robot, issuer)
    assert exchange(robot, issuer.token()).status_code == 200
    monkeypatch.setattr(keys, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(keys, "AGAIN_SECONDS", 0.0)
    issuer.answers = {keys.DISCOVERY: (500, b"", {})}
    assert exchange(robot, issuer.token()).status_code == 200
    monkeypatch.setattr(keys, "STALE_SECONDS", 0.0)
    assert exchange(robot, issuer.token()).status_code == 503


BAD_ANSWERS = {
    "redirect": (302, b"", {"Location": "http://127.0.0.1:1/"}),
    "too large": (200, b'{"issuer": "' + b"x" * 300_000 + b'"}', {}),
    "no json": (200, b"<html>", {}),
    "a list": (200, b"[]", {}),
    "another issuer": (200, b'{"issuer": "https://evil.example", "jwks_uri": "https://x"}', {}),
}


@pytest.mark.parametrize("bad", BAD_ANSWERS)
def test_an_issuer_that_answers_otherwise_is_away(house, robot, issuer, bad):
    trust(house, robot, issuer)
    issuer.answers = {keys.DISCOVERY: BAD_ANSWERS[bad]}
    answer = exchange(robot, issuer.token())
    assert (answer.status_code, answer.json()["code"]) == (503, "issuer_away")
    assert not Token.objects.exists()


@pytest.mark.parametrize(
    "address", ["http://169.254.169.254/keys", "file:///etc/passwd", "http://10.0.0.1/", "https://"]
)
def test_keys_are_not_fetched_from_where_discovery_should_not_lead(house, robot, issuer, address):
    trust(house, robot, issuer)
    body = json.dumps({"issuer": issuer.url, "jwks_uri": address}).encode()
    issuer.answers = {keys.DISCOVERY: (200, body, {})}
    assert exchange(robot, issuer.token()).status_code == 503
    assert issuer.asked == [keys.DISCOVERY]


def test_nobody_waits_longer_than_two_seconds_for_an_issuer(house, robot, issuer):
    trust(house, robot, issuer)
    issuer.answers = {keys.DISCOVERY: 8.0}
    began = time.monotonic()
    assert exchange(robot, issuer.token()).status_code == 503
    assert time.monotonic() - began < 4


def test_the_exchange_takes_no_other_fields_and_is_limited(house, robot, issuer, monkeypatch):
    assert exchange(robot, "x", scope="manage").status_code == 422
    monkeypatch.setattr(request_limits, "EXCHANGE", request_limits.Limit("exchange", 2, 60))
    answers = [exchange(robot, "x").status_code for _ in range(4)]
    assert answers[-1] == 429


def test_a_robots_scopes_are_its_rules(house, robot, issuer):
    trust(house, robot, issuer, scopes=[str(Scope.READ)])
    api = Api(Secret(exchange(robot, issuer.token()).json()["access_token"]))
    [session] = api("GET", "/sessions").json()
    assert api("POST", f"/sessions/{session['id']}/start").status_code == 403
