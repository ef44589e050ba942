"""The page that answers whose it was."""

import json

import pytest

from sessions.ledger.events.credentials import CredentialMinted
from sessions.ledger.events.ledger import LedgerAsked

pytestmark = pytest.mark.django_db
PAGE = "/teams/platform/audit/whois/"


@pytest.fixture
def taken(house, client):
    """Have ben fetch by a token of his; return the line of its issue."""
    leaf = house.chain(2)[-1]
    house.start(leaf)
    house.work()
    answer = client.get(
        f"/api/v1/sessions/{leaf.pk}/credentials",
        HTTP_AUTHORIZATION=f"Bearer {house.token().reveal()}",
        HTTP_USER_AGENT="aws-cli/2.31.0 <script>alert(1)</script>",
        REMOTE_ADDR="192.0.2.17",
    )
    key = answer.json()["AccessKeyId"]
    lines = [CredentialMinted.read(line.data) for line in house.events(CredentialMinted)]
    return next(line for line in lines if line.access_key_id == key)


def test_a_key_is_answered_with_person_device_and_deliveries(house, taken):
    page = house.browser(house.eve).get(PAGE, {"q": taken.access_key_id})
    text = page.content.decode()
    assert page.status_code == 200
    assert f'<a href="/teams/platform/people/{house.ben.user_id}/">ben</a>' in text
    assert "on <b>tests</b>" in text
    assert "192.0.2.17" in text
    assert "Certain: one person, one device" in text
    assert "<script>alert" not in text


def test_what_is_posted_in_the_bar_gets_an_address_to_pass_on(house, taken):
    answer = house.browser(house.ada).post(PAGE, {"q": f" {taken.access_key_id}\n"})
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"{PAGE}?q={taken.access_key_id}"


@pytest.mark.parametrize("q", ["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab", "{}", "x" * 500])
def test_what_may_be_a_secret_gets_no_address(house, q):
    assert house.browser(house.ada).post(PAGE, {"q": q}).status_code in {200, 422}


def test_a_pasted_event_is_answered(house, taken):
    event = {
        "eventTime": f"{house.events(CredentialMinted)[-1].at:%Y-%m-%dT%H:%M:%SZ}",
        "eventName": "GetObject",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": taken.principal_id,
            "arn": taken.arn,
            "accountId": taken.arn.split(":")[4],
            "accessKeyId": taken.access_key_id,
        },
    }
    page = house.browser(house.ada).post(PAGE, {"q": json.dumps(event)})
    assert "Certain: one person" in page.content.decode()


@pytest.mark.parametrize(
    ("pasted", "said"),
    [
        ('{"eventName": "GetObject", ', "line 1"),
        ('{\n"eventName" "GetObject"}', "line 2"),
        ("{" * 100_000, "line 1"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(house, pasted, said):
    page = house.browser(house.ada).post(PAGE, {"q": pasted})
    assert page.status_code == 422
    assert said in page.content.decode()


def test_what_nobody_issued_says_where_to_look(house):
    page = house.browser(house.ada).get(PAGE, {"q": "ASIAQNEVERSEENEXAMPLE"})
    assert "Nobody in this team" in page.content.decode()
    assert "AssumeRole event whose answer has this key" in page.content.decode()


def test_the_box_is_in_the_bar_of_who_may_read_the_ledger(house):
    box = f'action="{PAGE}"'
    assert box in house.browser(house.eve).get("/teams/platform/").content.decode()
    assert box not in house.browser(house.ben).get("/teams/platform/").content.decode()


def test_members_do_not_ask_about_others(house):
    assert house.browser(house.ben).get(PAGE, {"q": "ada"}).status_code == 403


def test_each_question_is_an_event_that_says_whom_the_answer_named(house, taken):
    house.browser(house.eve).get(PAGE, {"q": taken.access_key_id})
    [line] = house.events(LedgerAsked)
    said = LedgerAsked.read(line.data)
    assert (line.actor, said.text, said.certainty, said.people) == (
        "eve",
        taken.access_key_id,
        "certain",
        ("ben",),
    )


def test_what_may_be_a_secret_is_in_no_event(house):
    secret = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"
    house.browser(house.ada).post(PAGE, {"q": secret})
    [line] = house.events(LedgerAsked)
    assert secret not in str(line.data)


def test_an_empty_page_asks_nothing(house):
    house.browser(house.ada).get(PAGE)
    assert house.events(LedgerAsked) == []
