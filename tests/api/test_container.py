"""Ask as tools do, again and again: the container endpoint, and credential_process by the API."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from sessions.activations.start_stop import stop_session
from sessions.actors import Actor, NamedActor
from sessions.api import fetching
from sessions.catalog.sessions import save_session
from sessions.db.clock import database_now
from sessions.ledger.events.credentials import CredentialRevealed
from sessions.ledger.events.sessions import SessionStarted
from sessions.ledger.origin import Origin
from sessions.models import Activation, AwsSession, Credential, Problem, Scope, Token
from sessions.monitoring import request_limits
from sessions.people.tokens import create_token, revoke_token
from tests.house import ACCOUNT, draft_of

pytestmark = pytest.mark.django_db
FETCHING = ("read", "credentials")


class Tool:
    """Ask as a tool does, by either form."""

    def __init__(self, house, *scopes, member=None):
        self.secret = create_token(
            member or house.ben,
            f"laptop {Token.objects.count()}" if Token.objects.exists() else "laptop",
            NamedActor("tests"),
            scopes=[Scope(each) for each in scopes or FETCHING],
        )

    def __call__(self, session, form="container", *, bearer="", **headers):
        path = f"/container/{session.pk}"
        if form == "process":
            path = f"/api/v1/sessions/{session.pk}/credentials?format=process"
        authorization = f"{bearer}{self.secret.reveal()}"
        return Client().get(path, headers={"Authorization": authorization, **headers})


def active(house, member=None):
    [leaf] = house.chain(1)
    house.start(leaf, member)
    house.work()
    return leaf


def page_of(session):
    return f"http://testserver{reverse('session', args=[session.pk])}"


def refused(answer, session, form="container"):
    """Check the form of a refusal, and return it."""
    body = answer.json()
    assert answer.headers["Content-Type"] == "application/json"
    assert body["message"].endswith(f" See {page_of(session)}")
    if form == "container":
        assert (body["Code"], body["Message"]) == (body["code"], body["message"])
    return answer.status_code, body["code"]


@pytest.mark.parametrize("bearer", ["", "Bearer "])
def test_the_answer_is_the_container_protocols(house, bearer):
    leaf = active(house)
    answer = Tool(house)(leaf, bearer=bearer)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    body = answer.json()
    assert set(body) == {"AccessKeyId", "SecretAccessKey", "Token", "Expiration", "AccountId"}
    assert body["AccountId"] == ACCOUNT
    assert body["AccessKeyId"].startswith("ASIA")
    assert not answer.cookies
    assert "no-store" in answer.headers["Cache-Control"]


def test_the_process_form_names_the_account(house):
    body = Tool(house)(active(house), "process").json()
    assert (body["Version"], body["AccountId"]) == (1, ACCOUNT)
    assert body["SessionToken"]


def test_each_answer_has_its_line_first(house):
    leaf = active(house)
    tool = Tool(house)
    keys = [tool(leaf, **{"User-Agent": "aws-sdk-go-v2/1"}).json()["AccessKeyId"] for _ in (1, 2)]
    lines = house.events(CredentialRevealed)
    assert [each.data["access_key_id"] for each in lines] == keys
    token = Token.objects.get(name="laptop")
    for each in lines:
        assert (each.data["form"], each.data["via"]) == ("container", "token laptop")
        assert (each.data["account"], each.actor) == (ACCOUNT, "ben")
        assert (each.session_id, each.session_alias) == (str(leaf.pk), leaf.alias)
        origin = Origin.read(each.data)
        assert (origin.address, origin.client) == ("127.0.0.1", "aws-sdk-go-v2/1")
        assert (origin.token_id, origin.token) == (str(token.pk), "laptop")


def test_cookies_count_for_nothing(house):
    leaf = active(house)
    answer = house.browser(house.ben).get(f"/container/{leaf.pk}")
    assert refused(answer, leaf) == (401, "unauthenticated")


@pytest.mark.parametrize("header", fetching.BROWSER_HEADERS)
@pytest.mark.parametrize("form", ["container", "process"])
def test_pages_in_browsers_are_refused(house, header, form):
    leaf = active(house)
    answer = Tool(house)(leaf, form, **{header: "https://evil.example"})
    assert refused(answer, leaf, form) == (403, "browser")
    assert house.events(CredentialRevealed) == []


def test_another_host_is_refused_in_the_same_form(house):
    leaf = active(house)
    answer = Tool(house)(leaf, Host="evil.example")
    assert (answer.status_code, answer.json()["Code"]) == (400, "bad_host")
    assert answer.json()["Message"].endswith(f" See {reverse('session', args=[leaf.pk])}")


def test_other_methods_are_refused_in_the_same_form(house):
    leaf = active(house)
    assert refused(Client().post(f"/container/{leaf.pk}"), leaf) == (405, "method_not_allowed")
    assert Client().get("/container/none").json()["Code"] == "not_found"


def fail(house):
    leaf = house.chained("Shut", arn=house.role_arn("Shut", trusts=[]))
    house.start(leaf)
    house.work()
    return leaf


def wait_for_a_code(house):
    leaf = active(house)
    Credential.objects.filter(level=1).update(
        expires_at=database_now() - timedelta(1),
        problem=Problem("CodeNeeded", 0, "It waits for a code.", "Enter it.", waiting=True),
    )
    return leaf


def start_only(house):
    [leaf] = house.chain(1)
    house.start(leaf)
    return leaf


STATES = {
    "inactive": (lambda house: house.chain(1)[0], 409, "inactive", "this token may not"),
    "pending": (start_only, 503, "pending", "being issued"),
    "failed": (fail, 409, "AccessDenied", "Hop 1"),
    "code needed": (wait_for_a_code, 409, "CodeNeeded", "waits for a code"),
    "a root": (lambda house: house.root, 409, "is_a_root", "Assume a role"),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("form", ["container", "process"])
def test_each_state_is_explained(house, state, form):
    make, status, code, words = STATES[state]
    session = make(house)
    answer = Tool(house)(session, form)
    assert refused(answer, session, form) == (status, code)
    assert words in answer.json()["message"]
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert house.events(CredentialRevealed) == []


@pytest.mark.parametrize("form", ["container", "process"])
def test_a_missing_scope_is_named(house, form):
    leaf = active(house)
    answer = Tool(house, "read", "use")(leaf, form)
    assert refused(answer, leaf, form) == (403, "forbidden")
    assert "lacks the scope “credentials”" in answer.json()["message"]


@pytest.mark.parametrize("form", ["container", "process"])
def test_a_revoked_token_is_none(house, form):
    leaf, tool = active(house), Tool(house)
    assert tool(leaf, form).status_code == 200
    revoke_token(Token.objects.get(name="laptop"), NamedActor("ada"))
    assert refused(tool(leaf, form), leaf, form) == (401, "unauthenticated")


def left(house, **life):
    leaf = active(house)
    Credential.objects.filter(level=1).update(expires_at=database_now() + timedelta(**life))
    return leaf


@pytest.mark.parametrize("form", ["container", "process"])
def test_less_than_a_quarter_of_an_hour_is_not_delivered(house, form):
    leaf = left(house, minutes=14)
    answer = Tool(house)(leaf, form)
    assert refused(answer, leaf, form) == (503, "TooShort")
    assert int(answer.headers["Retry-After"]) > 0
    assert house.events(CredentialRevealed) == []


def test_a_quarter_of_an_hour_is_delivered(house):
    assert Tool(house)(left(house, minutes=15, seconds=20)).status_code == 200


def test_refusals_are_remembered_for_a_moment(house, django_assert_num_queries, monkeypatch):
    [leaf] = house.chain(1)
    tool, other = Tool(house), Tool(house)
    first = tool(leaf)
    with django_assert_num_queries(0):
        again = tool(leaf)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["Content-Type"] == "application/json"
    house.start(leaf)
    house.work()
    # Of the other token, and of the other form, nothing was remembered.
    assert other(leaf).status_code == 200
    assert tool(leaf, "process").status_code == 200
    later = time.monotonic() + 2.1
    monkeypatch.setattr("sessions.api.refusals.time.monotonic", lambda: later)
    assert tool(leaf).status_code == 200


def test_success_is_never_remembered(house):
    leaf, tool = active(house), Tool(house)
    assert tool(leaf).status_code == 200
    stop_session(leaf, Actor(house.ben))
    assert tool(leaf).status_code == 409


def test_too_many_fetches_are_told_when_to_come_again(house, monkeypatch):
    leaf, tool = active(house), Tool(house)
    monkeypatch.setattr(request_limits, "FETCH", request_limits.Limit("fetch", 2, 600))
    assert [tool(leaf).status_code for _ in range(3)] == [200, 200, 429]
    assert refused(tool(leaf), leaf) == (429, "too_many")


def test_a_token_that_may_starts_its_session(house):
    [leaf] = house.chain(1)
    begun = time.monotonic()
    answer = Tool(house, "use", "credentials")(leaf)
    assert 0.7 < time.monotonic() - begun < 2
    assert refused(answer, leaf) == (503, "pending")
    assert answer.headers["Retry-After"] == "1"
    assert len(house.events(SessionStarted)) == 1
    house.work()
    assert Tool(house, "use", "credentials")(leaf).status_code == 200


def test_what_an_edit_has_ended_is_not_started_unasked(house):
    leaf = active(house)
    session = AwsSession.objects.get(pk=leaf.pk)
    draft = draft_of(session, role_arn=house.role_arn("Another"))
    save_session(draft, Actor(house.ada), session)
    assert not Activation.objects.exists()
    answer = Tool(house, "use", "credentials")(leaf)
    assert refused(answer, leaf) == (409, "inactive")
    assert "Start the session again" in answer.json()["message"]
    assert not Activation.objects.exists()


def test_the_first_answer_comes_as_soon_as_a_worker_has_issued_it(lasting_house, monkeypatch):
    house = lasting_house
    # However busy this machine is.
    monkeypatch.setattr(fetching, "ANSWER_WITHIN_SECONDS", 60)
    [leaf] = house.chain(1)
    tool = Tool(house, "use", "credentials")
    answers = []

    def ask():
        answers.append(tool(leaf))
        connection.close()  # this thread's own

    asking = threading.Thread(target=ask)
    asking.start()
    while not Activation.objects.exists():
        time.sleep(0.01)
    house.work()
    asking.join()
    assert answers[0].status_code == 200


def test_only_some_threads_wait_for_workers(house, monkeypatch):
    leaf = start_only(house)
    for _ in range(fetching.MOST_WAITING):
        assert fetching._waiting.acquire(blocking=False)
    try:
        begun = time.monotonic()
        assert Tool(house)(leaf).status_code == 503
        assert time.monotonic() - begun < 0.7
    finally:
        for _ in range(fetching.MOST_WAITING):
            fetching._waiting.release()
