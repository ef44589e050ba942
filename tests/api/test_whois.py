"""Ask by API whose it was."""

import json

import pytest

from sessions.ledger.events.credentials import CredentialMinted

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/whois"


@pytest.fixture
def ask(house, client):
    def by(member, **sent):
        token = f"Bearer {house.token(member).reveal()}"
        if "body" in sent:
            return client.post(
                ADDRESS,
                json.dumps(sent["body"]),
                content_type="application/json",
                HTTP_AUTHORIZATION=token,
            )
        return client.get(ADDRESS, sent, HTTP_AUTHORIZATION=token)

    return by


@pytest.fixture
def issued(house):
    leaf = house.chain(2)[-1]
    house.start(leaf)
    house.work()
    return CredentialMinted.read(house.events(CredentialMinted)[-1].data)


def test_a_key_is_answered_with_its_chain(house, ask, issued):
    [answer] = ask(house.ada, q=issued.access_key_id).json()["answers"]
    assert (answer["what"], answer["certainty"], answer["people"]) == (
        "access key id",
        "certain",
        ["ben"],
    )
    assert [hop["hop"] for hop in answer["chain"]] == [1, 2]
    assert answer["issue"]["access_key_id"] == issued.access_key_id
    assert answer["deliveries"] == []


def test_an_event_is_answered_and_says_whom_it_names(house, ask, issued):
    event = {
        "eventTime": f"{house.events(CredentialMinted)[-1].at:%Y-%m-%dT%H:%M:%SZ}",
        "eventName": "GetObject",
        "userIdentity": {"type": "AssumedRole", "arn": issued.arn},
    }
    [answer] = ask(house.ada, body={"q": json.dumps(event)}).json()["answers"]
    assert (answer["certainty"], answer["people"]) == ("certain", ["ben"])
    assert answer["record_names"] == "ben"


@pytest.mark.parametrize(
    "sent", [{"q": ""}, {"body": {"q": "{"}}, {"body": {"other": 1}}, {"body": {"q": 7}}]
)
def test_what_cannot_be_read_is_said_on_its_field(house, ask, sent):
    answer = ask(house.ada, **sent)
    assert answer.status_code == 422
    assert answer.json()["fields"]


def test_members_do_not_ask_about_others(house, ask):
    assert ask(house.ben, q="ada").status_code == 403
