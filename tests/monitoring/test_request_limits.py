"""One who asks too often is answered 429, and nobody else notices."""

import json
import os
import time

import pytest
from django.test import Client
from django.urls import reverse

from sessions.api.refusals import refusals
from sessions.ledger.events.credentials import CredentialRevealed
from sessions.middleware.too_often import network_of
from sessions.models import AwsSession
from sessions.monitoring import request_limits
from sessions.monitoring.request_limits import Limit, TooOften, count
from tests.house import browser_of

THREE_A_MINUTE = Limit("three", 3, 60)


@pytest.fixture(params=["redis", "this process alone"])
def counted(request, valkey):
    """Both ways to count."""
    if request.param == "redis":
        request_limits._counts.cache_clear()
    else:
        request_limits._counts(os.getpid()).away_until = float("inf")
    yield
    request_limits._counts.cache_clear()


def by_token(token, **headers):
    return Client(
        headers={"Authorization": f"Bearer {token}", **headers}, raise_request_exception=False
    )


def test_so_many_are_taken_at_once_and_the_next_has_to_wait(counted):
    for _ in range(3):
        count(THREE_A_MINUTE, "ben")
    for _ in range(2):  # what is not taken is not counted
        with pytest.raises(TooOften) as told:
            count(THREE_A_MINUTE, "ben")
        assert 15 < told.value.retry_after_seconds <= 20
    count(THREE_A_MINUTE, "bea")


def test_what_was_used_up_comes_back_by_and_by(counted):
    quick = Limit("quick", 2, 0.2)
    count(quick, "ben")
    count(quick, "ben")
    with pytest.raises(TooOften) as told:
        count(quick, "ben")
    time.sleep(told.value.retry_after_seconds)
    count(quick, "ben")


def test_other_processes_count_the_same_in_redis(valkey):
    request_limits._counts.cache_clear()
    count(THREE_A_MINUTE, "ben")
    request_limits._counts.cache_clear()  # as another process has it
    count(THREE_A_MINUTE, "ben")
    count(THREE_A_MINUTE, "ben")
    with pytest.raises(TooOften):
        count(THREE_A_MINUTE, "ben")
    assert 0 < valkey.ttl("chainweb:limit:three:ben") <= 61


def test_what_is_counted_here_takes_little_memory(monkeypatch):
    monkeypatch.setattr(request_limits, "MOST_COUNTED_HERE", 50)
    counts = request_limits._counts(os.getpid())
    monkeypatch.setattr(counts, "away_until", float("inf"))
    for number in range(200):
        count(THREE_A_MINUTE, number)
    assert len(counts.here) == 50


def test_a_session_is_rotated_once_in_ten_seconds_by_each_member(house):
    leaf, other = house.chained("Leaf"), house.chained("Other")
    for each in (leaf, other):
        house.start(each)
        house.start(each, house.bea)
    house.work()
    ben, bea = by_token(house.token().reveal()), by_token(house.token(house.bea).reveal())
    path = f"/api/v1/sessions/{leaf.pk}/rotate"
    assert ben.post(path).status_code == 200
    refused = ben.post(path)
    assert refused.status_code == 429
    assert refused.json()["code"] == "too_many"
    assert 1 <= int(refused.headers["Retry-After"]) <= 10
    # The same by the page; another session and another person are their own matter.
    page = browser_of(house.ben)
    told = page.post(reverse("rotate_session", args=[leaf.pk]))
    assert told.status_code == 429
    assert told.headers["Retry-After"]
    assert "Too many requests" in told.content.decode()
    assert ben.post(f"/api/v1/sessions/{other.pk}/rotate").status_code == 200
    assert bea.post(path).status_code == 200


@pytest.fixture
def few_guesses(monkeypatch):
    """Make a limit that a slow machine reaches as well."""
    monkeypatch.setattr(request_limits, "BAD_SECRET", Limit("bad-secret", 5, 3600))


COSTLY = {
    "start": ("START", "POST", "/sessions/{leaf}/start/"),
    "start by API": ("START", "POST", "/api/v1/sessions/{leaf}/start"),
    "start several": ("SEVERAL", "POST", "/api/v1/sessions/start"),
    "stop several": ("SEVERAL", "POST", "/api/v1/sessions/stop"),
    "test": ("TEST", "POST", "/teams/platform/test/iam-role-chained/"),
    "preview": ("PREVIEW", "POST", "/teams/platform/preview/"),
    "preview of a policy": ("PREVIEW", "POST", "/teams/platform/policy/preview/"),
    "policy": ("POLICY", "POST", "/teams/platform/policy/"),
    "policy by API": ("POLICY", "PATCH", "/api/v1/policy"),
    "code": ("CODE", "POST", "/sessions/{root}/answer/"),
    "code by API": ("CODE", "POST", "/api/v1/sessions/{root}/answer"),
    "approval": ("APPROVAL", "POST", "/sessions/{portal}/approval/"),
    "approval by API": ("APPROVAL", "POST", "/api/v1/sessions/{portal}/approval"),
    "key rotation": ("KEY", "POST", "/sessions/{root}/key/rotate/"),
}


@pytest.mark.parametrize("what", COSTLY)
def test_whatever_costs_much_or_can_be_guessed_has_a_limit(house, monkeypatch, what):
    name, method, path = COSTLY[what]
    monkeypatch.setattr(request_limits, name, Limit(name.lower(), 2, 3600))
    portal = AwsSession.objects.create(
        team=house.team,
        kind="identity-center",
        alias="Portal",
        profile="portal",
        region="eu-west-1",
        settings={
            "start_url": "https://x.awsapps.com/start",
            "account_id": "111122223333",
            "role_name": "R",
        },
    )
    ids = {"leaf": house.chained("Leaf").pk, "root": house.root.pk, "portal": portal.pk}
    address = path.format(**ids)

    def ask(member):
        if path.startswith("/api/"):
            body = {"ids": [str(ids["leaf"])]} if name == "SEVERAL" else {}
            client = by_token(house.token(member).reveal())
            return client.generic(
                method, address, json.dumps(body), content_type="application/json"
            )
        client = browser_of(member)
        client.raise_request_exception = False
        return client.post(address)

    answers = [ask(house.ada) for _ in range(3)]
    assert [each.status_code == 429 for each in answers] == [False, False, True], answers
    assert int(answers[2].headers["Retry-After"]) > 1
    if path.startswith("/api/"):
        assert answers[2].json()["code"] == "too_many"
    else:
        assert "Too many requests" in answers[2].content.decode()
    assert all(each.status_code < 500 for each in answers), answers


def test_a_token_that_fetches_in_a_loop_is_told_to_wait_and_others_go_on(
    house, monkeypatch, counted
):
    monkeypatch.setattr(request_limits, "FETCH", Limit("fetch", 3, 3600))
    leaf = house.chained("Leaf")
    house.start(leaf)
    house.work()
    path = f"/api/v1/sessions/{leaf.pk}/credentials"
    runaway, quiet, page = (
        by_token(house.token().reveal()),
        by_token(house.token().reveal()),
        browser_of(house.ben),
    )
    assert [runaway.get(path).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    refused = runaway.get(path)
    assert refused.json()["code"] == "too_many"
    assert 1100 < int(refused.headers["Retry-After"]) <= 1200
    # What is refused opens nothing and writes no line. The person's other tools, their page and
    # other people go on.
    assert len(house.events(CredentialRevealed)) == 3
    assert quiet.get(path).status_code == 200
    assert page.post(reverse("reveal_snippet", args=[leaf.pk, "posix"])).status_code == 200
    assert runaway.get(f"/api/v1/sessions/{leaf.pk}").status_code == 200


def test_a_fetch_that_is_refused_reads_no_session_from_the_database(
    house, monkeypatch, django_assert_num_queries
):
    monkeypatch.setattr(request_limits, "FETCH", Limit("fetch", 1, 3600))
    ben, path = (
        by_token(house.token().reveal()),
        f"/api/v1/sessions/{house.chained('Leaf').pk}/credentials",
    )
    ben.get(path)
    refusals.forget()
    with django_assert_num_queries(0):
        assert ben.get(path).status_code == 429


def test_a_person_who_reveals_in_a_loop_is_told_to_wait(house, monkeypatch):
    monkeypatch.setattr(request_limits, "FETCH", Limit("fetch", 2, 3600))
    leaf, ben = house.chained("Leaf"), browser_of(house.ben)
    ben.raise_request_exception = False
    reveal = reverse("reveal_snippet", args=[leaf.pk, "posix"])
    download = reverse("download_snippet", args=[leaf.pk, "posix"])
    assert [ben.post(each).status_code for each in (reveal, download)] == [200, 302]
    for each in (reveal, download):
        refused = ben.post(each)
        assert refused.status_code == 429
        assert refused.headers["Retry-After"]
    assert browser_of(house.bea).post(reveal).status_code == 200


def test_forty_tools_that_refresh_together_again_and_again_are_all_served(counted):
    for _ in range(25):
        for _ in range(40):
            count(request_limits.FETCH, "one token")


def test_a_limit_of_nothing_is_none(counted):
    for _ in range(5):
        count(Limit("none", 0, 60), "ben")


def test_guesses_are_limited_to_two_a_second_in_the_long_run():
    assert (request_limits.BAD_SECRET.times, request_limits.BAD_SECRET.seconds) == (120, 60)


def test_who_guesses_tokens_is_told_to_wait_and_good_ones_go_on(house, few_guesses):
    leaf = house.chained("Leaf")
    path = f"/api/v1/sessions/{leaf.pk}"
    bad, good = by_token("cwt_" + "x" * 43), by_token(house.token().reveal())
    answers = [bad.get(path).status_code for _ in range(request_limits.BAD_SECRET.times)]
    assert set(answers) == {401}
    refused = bad.get(path)
    assert refused.status_code == 429
    assert refused.headers["Retry-After"]
    assert Client().get(path).status_code == 429  # no token at all is a guess as well
    assert good.get(path).status_code == 200
    # A neighbour in the network is counted with it, another network is not.
    assert bad.get(path, REMOTE_ADDR="127.0.0.77").status_code == 429
    assert bad.get(path, REMOTE_ADDR="127.0.1.1").status_code == 401


def test_who_guesses_invitations_is_told_to_wait(house, few_guesses):
    anybody, guess = Client(), {"code": "x" * 43}
    for _ in range(request_limits.BAD_SECRET.times):
        assert anybody.post(reverse("join"), guess).status_code == 422
    refused = anybody.post(reverse("join"), guess)
    assert refused.status_code == 429
    assert refused.headers["Retry-After"]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
    ],
)
def test_a_network_is_256_addresses_or_one_site(rf, address, network):
    assert network_of(rf.get("/", REMOTE_ADDR=address)) == network


def test_behind_a_proxy_the_clients_own_network_is_counted(rf, settings):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    request = rf.get(
        "/", REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": "6.6.6.6, 198.51.100.9"}
    )
    assert network_of(request) == "198.51.100.0/24"


@pytest.mark.parametrize("said", ["not an address", ""])
def test_a_client_without_an_address_is_counted_with_its_like(rf, settings, said):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    assert network_of(rf.get("/", REMOTE_ADDR="", headers={"X-Forwarded-For": said})) == "unknown"
