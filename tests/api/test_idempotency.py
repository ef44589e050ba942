"""Do a request with an Idempotency-Key once, and answer it the same again."""

from datetime import timedelta

import pytest

from sessions.db.clock import database_now
from sessions.ledger.events.sessions import SessionCreated
from sessions.models import AwsSession, KeyedRequest
from sessions.people import keyed_requests
from tests.api.tool import Api, chained

pytestmark = pytest.mark.django_db
KEY = {"Idempotency-Key": "one-request"}
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.fixture
def ada(house):
    return Api(house.token(house.ada))


def test_the_second_request_gets_the_answer_of_the_first(house, ada):
    before = len(house.events(SessionCreated))
    answers = [ada("POST", "/sessions", chained(house), **KEY) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len({answer.headers["ETag"] for answer in answers}) == 1
    assert [each.headers.get("Idempotent-Replayed") for each in answers] == [None, "true", "true"]
    assert len(house.events(SessionCreated)) == before + 1


@pytest.mark.parametrize("other", ["body", "path"])
def test_another_request_with_the_same_key_is_refused(house, ada, other):
    ada("POST", "/sessions", chained(house), **KEY)
    body = chained(house, alias="Other") if other == "body" else {"ids": []}
    path = "/sessions" if other == "body" else "/sessions/stop"
    answer = ada("POST", path, body, **KEY)
    assert (answer.status_code, answer.json()["code"]) == (422, "key_reused")
    assert not AwsSession.objects.filter(alias="Other").exists()


def test_a_key_is_one_tokens_own(house, ada):
    first = ada("POST", "/sessions", chained(house), **KEY)
    ben = Api(house.token(house.ben))
    second = ben("POST", "/sessions", chained(house, alias="Other", profile="o"), **KEY)
    assert (first.status_code, second.status_code) == (201, 201)


def test_what_was_refused_is_tried_again(house, ada):
    bad, good = chained(house, region="mars-north-1"), chained(house)
    assert ada("POST", "/sessions", bad, **KEY).status_code == 422
    assert not KeyedRequest.objects.exists()
    assert ada("POST", "/sessions", good, **KEY).status_code == 201


def test_a_request_that_breaks_gives_its_key_back(house, ada, monkeypatch):
    def broken(*args):
        raise RuntimeError

    ada.client.raise_request_exception = False
    monkeypatch.setattr("sessions.api.sessions.described", broken)
    assert ada("POST", "/sessions", chained(house), **KEY).status_code == 500
    assert not KeyedRequest.objects.exists()


def test_while_the_first_is_answered_the_second_is_told_to_wait(house, ada):
    ada("POST", "/sessions", chained(house), **KEY)
    KeyedRequest.objects.update(status=None)
    answer = ada("POST", "/sessions", chained(house), **KEY)
    assert (answer.status_code, answer.json()["code"]) == (409, "in_progress")
    assert answer.headers["Retry-After"] == "1"


def test_what_was_cut_off_is_taken_over_after_a_while(house, ada):
    house.chained("Deploy", profile="deploy")
    old = database_now() - keyed_requests.LONGEST_ANSWER
    ada("POST", "/sessions/stop", {"ids": []}, **KEY)
    KeyedRequest.objects.update(status=None, begun_at=old)
    assert ada("POST", "/sessions/stop", {"ids": []}, **KEY).status_code == 200
    assert KeyedRequest.objects.get().status == 200


def test_no_secret_of_a_request_or_an_answer_is_kept(house, ada):
    body = {
        "kind": "iam-user",
        "alias": "Key",
        "profile": "key",
        "region": "eu-west-1",
        "access_key_id": "AKIAIOSFODNN7EXAMPLE",
        "secret_access_key": SECRET,
    }
    assert ada("POST", "/sessions", body, **KEY).status_code == 201
    row = KeyedRequest.objects.values().get()
    assert SECRET not in str(row)
    assert row["body"].startswith("{")


def test_a_key_is_forgotten_after_a_day(house, ada):
    ada("POST", "/sessions/stop", {"ids": []}, **KEY)
    keyed_requests.forget_keyed_requests()
    assert KeyedRequest.objects.count() == 1
    KeyedRequest.objects.update(begun_at=database_now() - timedelta(hours=25))
    keyed_requests.forget_keyed_requests()
    assert KeyedRequest.objects.count() == 0


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "é"])
def test_a_key_that_is_none_is_refused(ada, key):
    answer = ada("POST", "/sessions/stop", {"ids": []}, **{"Idempotency-Key": key})
    assert (answer.status_code, [*answer.json()["fields"]]) == (422, ["Idempotency-Key"])
