"""Deliver several sessions as one credentials file."""

import uuid

import pytest
from botocore.configloader import raw_config_parse
from django.urls import reverse

from sessions.delivery.several import MOST_AT_ONCE, chosen_by, named_apart, started_by
from sessions.ledger.events.credentials import CredentialRevealed
from sessions.models import AwsSession, Credential
from tests.house import Actor

pytestmark = pytest.mark.django_db


@pytest.fixture
def two(house):
    """Start two sessions of a chain of three, so that the third is there and idle."""
    *chain, house.idle = house.chain(3)
    for number, session in enumerate(chain):
        AwsSession.objects.filter(pk=session.pk).update(profile=f"profile-{number}")
        house.start(session, house.ben)
    house.work()
    return chain


def ask(house, *sessions, name="reveal_several", member=None):
    data = {"session": [str(each.pk) for each in sessions]} if sessions else {}
    return house.browser(member).post(reverse(name, args=[house.team.slug]), data)


def read(text, tmp_path):
    file = tmp_path / "credentials"
    file.write_text(text)
    return raw_config_parse(str(file))


def test_all_that_one_has_started_is_one_file_with_an_event_each(house, two, tmp_path):
    text = ask(house, name="download_several").content.decode()
    found = read(text, tmp_path)
    assert set(found) == {"profile-0", "profile-1"}
    told = house.events(CredentialRevealed)
    assert sorted(each["aws_access_key_id"] for each in found.values()) == sorted(
        line.data["access_key_id"] for line in told
    )
    assert {line.data["via"] for line in told} == {"download"}
    assert {line.data["form"] for line in told} == {"credentials-file"}


def test_only_the_ticked_ones_are_in_it(house, two, tmp_path):
    found = read(ask(house, two[1], name="download_several").content.decode(), tmp_path)
    assert set(found) == {"profile-1"}
    assert len(house.events(CredentialRevealed)) == 1


def test_the_page_shows_one_block_and_says_when_the_first_ends(house, two):
    ends = min(Credential.objects.filter(level__gt=0).values_list("expires_at", flat=True))
    page = ask(house, *two).content.decode()
    assert "[profile-0]" in page
    assert "[profile-1]" in page
    assert f"All good until {ends:%H:%M:%S} UTC" in page
    assert len(house.events(CredentialRevealed)) == 2


def test_what_cannot_be_had_says_why_and_holds_up_no_other(house, two):
    AwsSession.objects.filter(pk=two[0].pk).update(is_sensitive=True)
    page = " ".join(ask(house, house.idle, *two).content.decode().split())
    assert "not in the file: It is not active: start it first." in page
    assert "not in the file: It is sensitive" in page
    assert "[profile-1]" in page
    assert len(house.events(CredentialRevealed)) == 1


def test_with_nothing_active_the_list_says_so(house):
    answer = ask(house)
    assert answer.status_code == 302
    page = house.browser().get(answer.url).content.decode()
    assert "You have no active session." in page or answer.url


def test_foreign_and_missing_sessions_are_left_out(house, two):
    assert chosen_by(Actor(house.ben), [uuid.uuid4()]) == []
    assert ask(house, AwsSession(pk=uuid.uuid4())).status_code == 302
    assert house.events(CredentialRevealed) == []


def test_one_gets_none_of_anothers_sessions(house, two):
    assert started_by(Actor(house.bea)) == []
    page = ask(house, *two, member=house.bea).content.decode()
    assert page.count("not in the file: It is not active") == 2
    assert "aws_secret_access_key" not in page


def test_too_many_at_once_are_refused_before_any_is_opened(house, two, monkeypatch):
    monkeypatch.setattr("sessions.views.sessions.several.MOST_AT_ONCE", 1)
    assert ask(house, *two).status_code == 302
    assert house.events(CredentialRevealed) == []
    assert MOST_AT_ONCE > 1


def test_sessions_of_one_profile_are_told_apart_and_always_alike():
    ids = [uuid.UUID(int=number << 96) for number in range(1, 4)]
    sessions = [
        AwsSession(pk=ids[0], alias="B", profile="dev"),
        AwsSession(pk=ids[1], alias="A", profile="dev"),
        AwsSession(pk=ids[2], alias="C", profile="dev-00000001"),
    ]
    names = {session.alias: name for session, name in named_apart(sessions)}
    assert names == {"A": "dev", "B": f"dev-{ids[0].hex}", "C": "dev-00000001"}
    assert names == {session.alias: name for session, name in named_apart(sessions[::-1])}


def test_a_long_profile_stays_one_that_every_tool_reads():
    sessions = [AwsSession(pk=uuid.uuid4(), alias=each, profile="x" * 128) for each in "AB"]
    names = [name for _, name in named_apart(sessions)]
    assert len(set(names)) == 2
    assert max(len(name) for name in names) == 128


def test_the_list_offers_a_tick_for_what_is_active_alone(house, two):
    page = house.browser().get(reverse("session_list", args=[house.team.slug])).content.decode()
    assert f'id="pick-{two[0].pk}"' in page
    assert f'id="pick-{house.idle.pk}"' not in page
    assert f'id="pick-{house.root.pk}"' not in page
