"""Run each curl line of the API's page."""

import re
import shlex
from urllib.parse import urlsplit

import pytest
from django.conf import settings

from tests.api.tool import Api
from tests.forms.declared.test_apply import FILE

pytestmark = pytest.mark.django_db
PAGE = (settings.BASE_DIR / "docs/api.md").read_text()
# Those on one line; the exchange of a token is tried in tests/people/federation/test_exchange.py.
LINES = re.findall(r"^    (curl .*[^\\])$", PAGE, re.MULTILINE)


def sent_by(line, values):
    """Read a line as a shell and curl do; return method, path, body and headers."""
    words = shlex.split(re.sub(r"\$([A-Z]+)", lambda name: values[name[1]], line))
    words.remove("-fsS")
    method, body, headers = "GET", b"", {}
    options = iter(words[1:-1])
    for option in options:
        value = next(options)
        match option:
            case "-X":
                method = value
            case "-H":
                name, _, text = value.partition(": ")
                headers[name] = text
            case "-d":
                body = value.encode()
            case "--data-binary":
                assert value == "@team.yaml"
                body = FILE.encode()
            case _:
                raise AssertionError(option)
    address = urlsplit(words[-1])
    return method, f"{address.path}?{address.query}", body, headers


def test_the_page_has_a_line_for_each_subject():
    assert len(LINES) == 6


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_a_line_of_the_page_does_what_it_says(house, line):
    house.role_arn("Deploy")
    token = house.token(house.ada).reveal()
    values = {
        "TOKEN": token,
        "ROOT": str(house.root.pk),
        "SESSION": str(house.chained("Any").pk),
    }
    method, path, body, headers = sent_by(line, values)
    kind = headers.pop("Content-Type", "application/json")
    answer = Api(None).client.generic(method, path, body, content_type=kind, headers=headers)
    assert answer.status_code < 300, answer.content
