"""Every answer over 399 under /api/ is a problem object, whatever caused it."""

import json

import pytest
from django.db import OperationalError
from django.test import Client

from sessions.middleware import headers
from tests.api.tool import is_problem
from tests.house import TeamFixture

pytestmark = pytest.mark.django_db


@pytest.fixture
def tool(house: TeamFixture):
    """Make a tool with an admin's token; errors of the server come back as answers."""
    token = house.token(house.ada).reveal()
    return Client(raise_request_exception=False, headers={"Authorization": f"Bearer {token}"})


def refused(answer, status, code=None):
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"].partition(";")[0] == "application/json"
    assert "no-store" in answer.headers["Cache-Control"]
    body = answer.json()
    is_problem(body, status)
    assert isinstance(body["code"], str)
    assert body["code"].isidentifier()
    assert body["message"]
    if code:
        assert body["code"] == code
    return body


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/nonsense",
        "/api/v2/sessions",
        "/api/v1/",
        "/api/v1/nonsense",
        "/api/v1/sessions/",
        "/api/v1/sessions/not-an-id",
        "/api/v1/sessions/%ff",
        "/api/v1/sessions/%00",
        "/api/v1/policy/../../x",
    ],
    ids=range(11),
)
@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "patch"])
def test_an_address_that_does_not_exist_is_a_404_object(tool, method, path):
    refused(getattr(tool, method)(path), 404, "not_found")


@pytest.mark.parametrize("method", ["put", "head", "options", "trace"])
def test_a_missing_method_is_a_405_object_that_names_the_others(tool, method):
    answer = getattr(tool, method)("/api/v1/sessions")
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "POST"}
    if method != "head":
        body = refused(answer, 405, "method_not_allowed")
        assert "GET" in body["message"]


@pytest.mark.parametrize("path", ["/api/v1/sessions", "/api/v1/nonsense", "/api/v1/openapi.json"])
def test_a_host_that_is_not_ours_is_a_400_object(tool, path, settings):
    settings.ALLOWED_HOSTS = ["testserver"]
    body = refused(tool.get(path, headers={"Host": "evil.example"}), 400, "bad_host")
    assert "ALLOWED_HOSTS" in body["message"]


def test_a_body_that_is_too_large_is_a_413_object(tool, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    answer = tool.post("/api/v1/sessions", json.dumps({"alias": "x" * 2000}), "application/json")
    assert "1000 bytes" in refused(answer, 413, "too_large")["message"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "parse"),
        (b"[1, 2", "parse"),
        (b'{"alias": "\xff\xfe"}', "parse"),
        (b"[" * 100_000, "parse"),
        (b'{"a": ' * 100_000, "parse"),
        (b'{"days": ' + b"9" * 5000 + b"}", "parse"),
        (b'{"alias": NaN}', "NaN"),
        (b'{"alias": -Infinity}', "Infinity"),
        (b'{"alias": 1e999}', "too large"),
        (b'{"alias": "a", "alias": "b"}', "“alias” twice"),
        (b'{"tags": {"a": "x", "a": "y"}}', "“a” twice"),
        (b'{"alias": "\\ud800"}', "Unicode"),
        (b'{"\\udfff": 1}', "Unicode"),
    ],
    ids=range(13),
)
def test_a_body_that_is_no_json_is_a_400_object_that_says_why(tool, body, says):
    answer = tool.post("/api/v1/sessions", body, "application/json")
    assert says in refused(answer, 400, "invalid")["message"]


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"3", b'"text"', b"[]", b"{}", b'{"a\x00b": 1}'.replace(b"\x00", b"\\u0000")],
)
@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "text/plain",
        "application/x-www-form-urlencoded",
    ],
)
def test_a_body_of_another_form_is_a_422_object_whatever_its_type_says(tool, body, content_type):
    refused(tool.post("/api/v1/sessions", body, content_type), 422, "invalid")


def test_an_encoding_that_does_not_exist_changes_nothing(tool):
    answer = tool.generic("POST", "/api/v1/sessions", b"{}", "application/json; charset=nonsense")
    refused(answer, 422, "invalid")


def test_a_form_with_files_is_refused_as_an_object(tool):
    refused(tool.post("/api/v1/sessions", {"alias": "x"}), 400, "invalid")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(OperationalError("gone"), 503, "unavailable"), (ValueError("with a secret"), 500, "error")],
)
@pytest.mark.parametrize(
    "where", ["sessions.api.base.actor_of_token", "sessions.api.sessions.SessionSearch.find"]
)
def test_an_error_in_a_view_shows_nothing_of_itself(tool, monkeypatch, where, error, status, code):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(where, fail)
    answer = tool.get("/api/v1/sessions")
    assert "secret" not in json.dumps(refused(answer, status, code))
    assert ("Retry-After" in answer.headers) is (status == 503)


@pytest.mark.parametrize("debug", [False, True])
def test_an_error_in_a_middleware_is_an_object_too(tool, monkeypatch, settings, debug):
    settings.DEBUG = debug

    def fail(*arguments, **options):
        raise ValueError("with a secret")

    monkeypatch.setattr(headers, "add_never_cache_headers", fail)
    answer = tool.get("/api/v1/sessions")
    assert "secret" not in json.dumps(refused(answer, 500, "error"))


def test_over_plain_http_the_api_refuses_and_does_not_redirect(tool, settings):
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    refused(tool.get("/api/v1/sessions"), 403, "https_required")
    refused(tool.post("/api/v1/sessions", "{}", "application/json"), 403, "https_required")
    assert tool.get("/api/v1/sessions", headers={"X-Forwarded-Proto": "https"}).status_code == 200
    assert tool.get("/accounts/login/").status_code == 301


def test_pages_keep_their_own_answers(house, settings):
    settings.ALLOWED_HOSTS = ["testserver"]
    browser = house.browser()
    for answer in (browser.get("/nonsense/"), browser.get("/", headers={"Host": "evil.example"})):
        assert answer.headers["Content-Type"].startswith("text/html")


def test_what_succeeds_is_left_as_it_is(tool):
    assert tool.get("/api/v1/sessions").json()[0]["alias"] == "Root key"
    assert tool.get("/api/v1/openapi.json").json()["openapi"]
