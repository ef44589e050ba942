"""What is logged holds no secret, however it came into the record."""

import io
import json
import logging

import pytest
import structlog
from django.test import RequestFactory

from chainweb import logs
from tests.platform.canaries import find

TOKEN = "cwt_" + "A1b2" * 11
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYCANARYKEY1"
RESET_KEY = "c8x2-canary-of-a-reset-mail"
ONCE = "code-that-is-good-once"


@pytest.fixture
def written(monkeypatch):
    """What the installation's own handler writes."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.configure("INFO")
    stream = io.StringIO()
    monkeypatch.setattr(root.handlers[0], "stream", stream)
    yield stream
    root.handlers[:], level = before
    root.setLevel(level)


def test_a_failed_request_is_logged_without_its_query(written):
    request = RequestFactory().get("/accounts/oidc/sso/login/callback/", {"code": ONCE, "state": TOKEN})
    logging.getLogger("django.request").error(
        "Internal Server Error: %s", request.path, extra={"request": request, "status_code": 500}
    )
    line = json.loads(written.getvalue())
    assert line["request"] == "<WSGIRequest: GET '/accounts/oidc/sso/login/callback/'>"
    assert not find([ONCE, TOKEN], {"the log": written.getvalue().encode()})


def test_the_key_of_a_reset_mail_is_struck_out(written):
    path = f"/accounts/password/reset/key/1-{RESET_KEY}/"
    request = RequestFactory().get(path)
    logging.getLogger("django.request").error("Internal Server Error: %s", path, extra={"request": request})
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
