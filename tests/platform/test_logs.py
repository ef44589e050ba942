"""No log line holds a secret, however it came into the record."""

import json
import logging

import pytest
import structlog
from django.test import RequestFactory

from chainweb import logs
from tests.platform.canaries import find
from tests.platform.logged import logged

TOKEN = "cwt_" + "A1b2" * 11
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYCANARYKEY1"
RESET_KEY = "c8x2-canary-of-a-reset-mail"
ONCE = "code-that-is-good-once"


@pytest.fixture
def written():
    """Return what the installation's own handler writes."""
    with logged("INFO") as stream:
        yield stream


def test_a_failed_request_is_logged_without_its_query(written):
    request = RequestFactory().get(
        "/accounts/oidc/sso/login/callback/", {"code": ONCE, "state": TOKEN}
    )
    logging.getLogger("django.request").error(
        "Internal Server Error: %s", request.path, extra={"request": request, "status_code": 500}
    )
    line = json.loads(written.getvalue())
    assert line["request"] == "<WSGIRequest: GET '/accounts/oidc/sso/login/callback/'>"
    assert not find([ONCE, TOKEN], {"the log": written.getvalue().encode()})


def test_the_key_of_a_reset_mail_is_struck_out(written):
    path = f"/accounts/password/reset/key/1-{RESET_KEY}/"
    request = RequestFactory().get(path)
    logging.getLogger("django.request").error(
        "Internal Server Error: %s", path, extra={"request": request}
    )
    assert "/accounts/password/reset/key/[redacted]/" in written.getvalue()
    assert not find([RESET_KEY], {"the log": written.getvalue().encode()})


def test_secrets_inside_of_lists_objects_and_bytes_are_struck_out(written):
    log = structlog.get_logger("tests")
    log.error("one", answer={"Credentials": {"SecretAccessKey": "short"}, "count": 3})
    log.error("two", pair=(SECRET_KEY, {"deep": [TOKEN]}), raw=SECRET_KEY.encode())
    logging.getLogger("tests").error("three", extra={"data": {"by any name": [TOKEN]}})
    try:
        raise ValueError({"any": SECRET_KEY})
    except ValueError:
        log.exception("four")
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert lines[0]["answer"] == {"Credentials": {"SecretAccessKey": "[redacted]"}, "count": 3}
    assert len(lines) == 4
    assert not find([SECRET_KEY, TOKEN, "short"], {"the log": written.getvalue().encode()})


LIBRARIES = [
    "django.template",
    "django.db.backends",
    "allauth",
    "asyncio",
    "botocore.auth",
    "urllib3",
    "kombu",
]
LIBRARIES += [
    "amqp",
    "requests_oauthlib",
    "oauthlib",
    "onelogin",
    "psycopg",
    "redis",
    "gunicorn.access",
    "some.library",
]


@pytest.mark.parametrize("name", LIBRARIES)
def test_no_library_logs_below_warning_whatever_the_level(name):
    with logged("DEBUG") as written:
        logging.getLogger(name).debug("canary")
        logging.getLogger(name).info("canary")
        logging.getLogger(name).warning("seen")
    assert [json.loads(line)["event"] for line in written.getvalue().splitlines()] == ["seen"]


def test_our_own_loggers_keep_to_the_level():
    for level, expected in (("debug", 2), ("INFO", 1), ("ERROR", 0)):
        with logged(level) as written:
            logging.getLogger("sessions.tasks").debug("one")
            logging.getLogger("chainweb").info("two")
            logging.getLogger("django.template").warning("three")
        assert len(written.getvalue().splitlines()) == expected + (level != "ERROR")


def test_a_level_that_is_none_stops_the_start():
    with pytest.raises(ValueError, match="LOG_LEVEL is one of DEBUG, INFO"):
        logs.configure("LOUD")


def test_the_keys_and_passwords_of_the_settings_are_struck_out(written, monkeypatch):
    monkeypatch.setattr(logs, "_known", None)
    logs.set_secrets(["p$ss/word of canaries", "short"])
    logging.getLogger("tests").error(
        "cannot connect to redis://:p%24ss%2Fword%20of%20canaries@h, short"
    )
    logging.getLogger("tests").error("one", extra={"data": {"url": ["p$ss/word of canaries"]}})
    assert "canaries" not in written.getvalue()
    assert "redis://:[redacted]@h, short" in written.getvalue()
