"""Ask page and API about anything: both answer alike, and say where they cannot read."""

import json

import pytest

from sessions.aws.cloudtrail.files import LONGEST_PASTE
from tests.ledger.whois.calls import call, issued_for

pytestmark = pytest.mark.django_db
PAGE = "/teams/platform/audit/whois/"
HUGE = "x" * 1_000_000
IDENTITY = {"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/Deploy/ben"}


@pytest.fixture
def ask(house, client):
    """Return a function that asks by page and by API: both statuses, the page and the answer."""
    browser, token = house.browser(house.eve), f"Bearer {house.token(house.ada).reveal()}"

    def by_both(text):
        page = browser.post(PAGE, {"q": text})
        answer = client.post(
            "/api/v1/whois",
            json.dumps({"q": text}),
            content_type="application/json",
            HTTP_AUTHORIZATION=token,
        )
        assert (page.status_code == 422) == (answer.status_code == 422)
        return page.status_code, page.content.decode(), answer.json()

    return by_both


def nested(value, times):
    """Return a value as JSON text within JSON text, so many times."""
    for _ in range(times):
        value = json.dumps(value)
    return value


READABLE = {
    "nothing in it": {},
    "no identity": {"eventName": "GetObject"},
    "identity without anything": {"userIdentity": {}},
    "null for everything": {"eventTime": None, "userIdentity": None, "responseElements": None},
    "strings for everything": {
        "eventTime": "yesterday",
        "userIdentity": "{type=AssumedRole, principalid=AROA1:ben, arn=x}",
        "requestParameters": "null",
        "responseElements": "",
        "additionalEventData": "[]",
        "resources": "['a']",
        "readOnly": "True",
    },
    "numbers for everything": {"eventTime": 1e308, "userIdentity": 7, "eventName": -0.0},
    "lists for everything": {"eventTime": [], "userIdentity": [[{}]], "eventName": [["x"]]},
    "nested JSON": {"userIdentity": nested(IDENTITY, 1), "requestParameters": nested({"a": 1}, 3)},
    "deep": {"userIdentity": json.loads("[" * 90 + "]" * 90)},
    "a huge user agent": {"userIdentity": IDENTITY, "userAgent": HUGE},
    "a huge key": {"userIdentity": IDENTITY | {"accessKeyId": HUGE}},
    "a huge name": {"userIdentity": {"type": "AssumedRole", "principalId": f"AROA1:{HUGE}"}},
    "zeros and halves of characters": {
        "userIdentity": IDENTITY | {"accessKeyId": "A\0B", "principalId": "\ud800:\udfff"}
    },
    "marks that turn text": {"userIdentity": IDENTITY | {"userName": "\u202egnp.exe\u2066"}},
    "markup": {
        "eventName": "<script>alert(1)</script>",
        "userIdentity": {"type": "IAMUser", "userName": "<img src=x onerror=alert(1)>"},
    },
    "an identity of no known type": {"userIdentity": {"type": "Marvin", "accountId": "x" * 300}},
    "a time that no clock has": {"eventTime": "9999-99-99T99:99:99Z", "userIdentity": IDENTITY},
    "years before and after all": {
        "eventTime": "0001-01-01T00:00:00Z",
        "userIdentity": IDENTITY
        | {"sessionContext": {"attributes": {"creationDate": "9999-12-31T23:59:59Z"}}},
    },
}


@pytest.mark.parametrize("record", READABLE.values(), ids=READABLE.keys())
def test_a_record_of_any_values_is_answered(ask, record):
    said = {"eventVersion": "1.11", "eventSource": "s3.amazonaws.com", **record}
    status, page, answer = ask(json.dumps(said))
    assert status in {200, 422}
    if status == 422:
        assert "line 1, column" in answer["message"]
    else:
        assert [each["certainty"] for each in answer["answers"]] == ["nobody"]
        assert "Nobody in this team" in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page


BROKEN = {
    '{"eventName": "GetObject"': (1, 26),
    '{"eventName": "GetObject",\n "userIdentity": }': (2, 18),
    '{"a": 1}}': (1, 9),
    '{"userIdentity": {"arn": "x}': (1, 28),
    "{\n\n\n  'a': 1}": (4, 3),
    '{"a": NaN, "eventName": "x"}': None,
    '{"a": tru}': (1, 10),
    '{"eventName": "a\nb"}': (1, 17),
    "[{]": (1, 3),
    "{" * 5000: None,
    '{"a":' * 5000: None,
    "\x00{\x00}": None,
}


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: repr(text[:30]))
def test_what_is_no_json_is_named_with_line_and_column(ask, text):
    status, _, answer = ask(text)
    assert status == 422
    message = answer["message"]
    assert answer["fields"] == {"q": [message]}
    assert "line " in message
    if place := BROKEN[text]:
        assert message.startswith(f"line {place[0]}, column "), message


def test_what_is_too_long_says_how_long_it_may_be(ask):
    status, page, answer = ask("{" + "x" * LONGEST_PASTE)
    assert status == 422
    assert f"{LONGEST_PASTE // 1000} kB" in answer["message"]
    assert f"{LONGEST_PASTE // 1000} kB" in page


def test_a_good_record_between_broken_ones_is_answered_and_they_are_named(house, ask):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    good = call(issued_for(house), identity={"accessKeyId": "ASIACONSOLEKEYEXAMPLE"})
    lines = ['{"eventName" 7}', json.dumps(good), '{"eventName": tru}']
    status, _, answer = ask("\n".join(lines))
    assert status == 200
    assert [each["people"] for each in answer["answers"]] == [["ben"]]
    assert [each.partition(",")[0] for each in answer["unread"]] == ["line 1", "line 3"]


def test_more_records_than_a_paste_has_are_refused_with_their_number(ask):
    status, _, answer = ask(json.dumps({"Records": [call_of(number) for number in range(60)]}))
    assert status == 422
    assert "60 events" in answer["message"]


def call_of(number):
    return {
        "eventName": f"Call{number}",
        "eventTime": "2026-11-27T12:00:00Z",
        "userIdentity": IDENTITY,
    }


def test_a_body_that_no_request_may_have_is_refused_and_not_read(house, client):
    page = house.browser(house.eve).post(PAGE, {"q": "x" * 4_000_000})
    assert page.status_code in {400, 413}
    assert "<h1" in page.content.decode()
    token = f"Bearer {house.token(house.ada).reveal()}"
    answer = client.post(
        "/api/v1/whois",
        json.dumps({"q": "x" * 4_000_000}),
        content_type="application/json",
        HTTP_AUTHORIZATION=token,
    )
    assert answer.status_code in {400, 413, 422}
    assert answer.json()["message"]
