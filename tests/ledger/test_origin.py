"""Lines say from where something was asked for."""

import pytest

from sessions.ledger.events.credentials import CredentialMinted, CredentialRevealed
from sessions.ledger.events.sessions import SessionCreated, SessionStarted
from sessions.ledger.origin import LONGEST_CLIENT, Origin, asked_from, client_name, current
from sessions.models import Token

CLI = "aws-cli/2.31.0 md/Botocore#1.40 ua/2.1 os/macos#26.0"
BROWSER = "Mozilla/5.0 (Macintosh) Safari/26.0"


def origins(house, kind):
    return [Origin.read(event.data) for event in house.events(kind)]


@pytest.mark.django_db
def test_a_fetch_by_token_says_which_token_client_and_address(house, client):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    token = house.token()
    answer = client.get(
        f"/api/v1/sessions/{leaf.pk}/credentials",
        HTTP_AUTHORIZATION=f"Bearer {token.reveal()}",
        HTTP_USER_AGENT=CLI,
        REMOTE_ADDR="192.0.2.17",
    )
    assert answer.status_code == 200
    known = Token.objects.get()
    assert origins(house, CredentialRevealed) == [
        Origin(address="192.0.2.17", client=CLI, token_id=str(known.pk), token=known.name)
    ]


@pytest.mark.django_db
def test_what_a_page_changes_says_from_which_browser(house, client):
    [leaf] = house.chain(1)
    client.force_login(house.ben.user)
    client.post(f"/sessions/{leaf.pk}/start/", HTTP_USER_AGENT=BROWSER, REMOTE_ADDR="198.51.100.4")
    assert origins(house, SessionStarted) == [Origin(address="198.51.100.4", client=BROWSER)]


@pytest.mark.django_db
def test_a_worker_acts_from_nowhere(house):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    assert set(origins(house, CredentialMinted)) == {Origin()}
    assert all("origin" not in event.data for event in house.events(CredentialMinted))


@pytest.mark.django_db
def test_where_from_is_no_parameter_of_a_hop(house):
    with asked_from(lambda: Origin(address="192.0.2.17")):
        house.chain(1)
    [*_, created] = house.events(SessionCreated)
    assert "origin" in created.data
    assert "origin" not in SessionCreated.read(created.data).hop


@pytest.mark.no_servers
def test_outside_of_a_request_nothing_is_known():
    with asked_from(lambda: Origin(client="manage.py setup")):
        assert current() == Origin(client="manage.py setup")
    assert current() == Origin()


@pytest.mark.no_servers
@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("curl/8.5.0", "curl/8.5.0"),
        ("a\r\nset-cookie: x\x00\x1b[31m", "a set-cookie: x [31m"),
        ("x" * 100_000, "x" * LONGEST_CLIENT),
        ("", ""),
    ],
)
def test_a_clients_name_is_short_and_on_one_line(sent, stored):
    assert client_name(sent) == stored


@pytest.mark.no_servers
@pytest.mark.parametrize(
    "stored", [{}, {"origin": None}, {"origin": ["192.0.2.1"]}, {"origin": {"address": 7}}]
)
def test_a_line_that_does_not_say_reads_as_unknown(stored):
    assert Origin.read(stored) == Origin()
