"""A database that is away is a 503 that says so, an error of ours a 500; neither shows more."""

import pytest
from django.db import DatabaseError, InternalError, OperationalError
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.django_db
GONE = OperationalError("server closed the connection unexpectedly")


def broken(monkeypatch, where, error):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(where, fail)


def lenient(house):
    client = Client(raise_request_exception=False)
    client.force_login(house.ben.user)
    return client


@pytest.mark.parametrize(
    "error",
    [GONE, InternalError("cannot execute INSERT in a read-only transaction")],
    ids=["gone", "read-only"],
)
def test_a_page_whose_database_is_away_is_a_503_that_says_so(house, monkeypatch, error):
    client = lenient(house)
    broken(monkeypatch, "sessions.views.sessions.pages.view_of_team", error)
    answer = client.get(reverse("session_list", args=[house.team.slug]))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert b"Nothing was changed" in answer.content
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_the_api_hands_out_nothing_while_the_ledger_cannot_be_written(house, monkeypatch):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    token = house.token()
    broken(monkeypatch, "sessions.ledger.append", GONE)
    answer = Client(raise_request_exception=False).get(
        f"/api/v1/sessions/{leaf.pk}/credentials",
        headers={"Authorization": f"Bearer {token.reveal()}"},
    )
    assert answer.status_code == 503
    assert answer.json()["code"] == "unavailable"


@pytest.mark.parametrize("error", [ValueError("ours"), DatabaseError("ours as well")])
def test_an_error_of_ours_is_a_500(house, monkeypatch, error):
    client = lenient(house)
    broken(monkeypatch, "sessions.views.sessions.pages.view_of_team", error)
    answer = client.get(reverse("session_list", args=[house.team.slug]))
    assert answer.status_code == 500
    assert b"ours" not in answer.content
