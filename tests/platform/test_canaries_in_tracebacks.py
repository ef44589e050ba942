"""An error on the way of a secret shows it in no answer, no log and no mail."""

import pytest
from django.core import mail
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from sessions.actors import Actor
from sessions.delivery.reveal import reveal
from tests.api.tool import Api
from tests.house import PASSWORD
from tests.platform.canaries import find
from tests.platform.logged import logged

pytestmark = pytest.mark.django_db


@pytest.fixture
def active(house, sts):
    """Make a session that ben has started, and the secrets of its credentials."""
    leaf = house.chained("Leaf")
    house.start(leaf)
    house.work()
    got = reveal(leaf, Actor(house.ben), form="process", via="tests")
    return leaf, [got.secret_access_key.reveal(), got.session_token.reveal()]


@pytest.fixture
def broken(monkeypatch):
    """Fail once, where an answer takes its content, which is the secret: a frame has it in hand."""

    def fail(self, value):
        if not failed:
            failed.append(True)
            raise RuntimeError("no space left")
        by_django.fset(self, value)

    failed = []
    by_django = HttpResponse.content
    monkeypatch.setattr(HttpResponse, "content", property(by_django.fget, fail))


def ways(house, leaf):
    """Each way by which a secret leaves, or comes in: a request, and what is secret in it."""
    browser, admin = house.browser(house.ben), house.browser(house.ada)
    for each in (browser, admin):
        each.raise_request_exception = False
    api = Api(house.token())
    api.client.raise_request_exception = False
    slug = house.team.slug
    yield "page", lambda: browser.post(reverse("reveal_snippet", args=[leaf.pk, "posix"]))
    yield "download", lambda: browser.post(reverse("download_snippet", args=[leaf.pk, "posix"]))
    yield "api", lambda: api("GET", f"/sessions/{leaf.pk}/credentials?format=env")
    yield "process", lambda: api("GET", f"/sessions/{leaf.pk}/credentials")
    words = {"name": "laptop", "days": 30, "scopes": ["read"], "session": ""}
    yield "token", lambda: browser.post(reverse("tokens", args=[slug]), words)
    words = {"role": "member", "note": "", "days": 7}
    yield "invitation", lambda: admin.post(reverse("invite", args=[slug]), words)
    yield "seed", lambda: browser.get(reverse("mfa_activate_totp"))
    typed = {"alias": "T", "profile": "t", "region": "eu-west-1"}
    typed |= {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": TYPED}
    form = reverse("new_session_form", args=[slug, "aws", "iam-user"])
    yield "root", lambda: admin.post(form, typed)
    yield "log-in", lambda: _log_in()


TYPED = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYTYPEDKEY1x"
NAMES = ("page", "download", "api", "process", "token", "invitation", "seed", "root", "log-in")


def _log_in():
    client = Client(raise_request_exception=False)
    return client.post(reverse("account_login"), {"login": "ben", "password": PASSWORD})


@pytest.mark.parametrize("name", NAMES)
def test_an_error_on_the_way_of_a_secret_shows_none(name, house, active, broken):
    leaf, secrets = active
    requests = dict(ways(house, leaf))
    assert tuple(requests) == NAMES
    with logged("DEBUG") as written:
        answer = requests[name]()
    assert answer.status_code == 500
    assert "Traceback" in written.getvalue()
    assert "no space left" in written.getvalue()
    stores = {"the log": written.getvalue().encode(), "the answer": answer.content}
    stores |= {f"mail {n}": each.message().as_bytes() for n, each in enumerate(mail.outbox)}
    assert find([*secrets, TYPED, PASSWORD], stores) == []
