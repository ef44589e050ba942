"""Deliver as each format: what it is given, and what becomes of what it cannot carry."""

import pytest

from sessions.activations.status import Status
from sessions.delivery.reveal import NotReady
from sessions.delivery.snippets import deliver
from sessions.ledger.events.credentials import CredentialRevealed
from sessions.models import AwsSession, Credential
from sessions.snippets import FORMATS
from tests.house import ACCOUNT, Actor

pytestmark = pytest.mark.django_db

BASE_URL = "https://chainweb.example/"


def delivered(house, session, key, via="page"):
    session = AwsSession.objects.select_related("link", "team").get(pk=session.pk)
    return deliver(session, Actor(house.ben), FORMATS[key], via=via, base_url=BASE_URL)


@pytest.fixture
def leaf(house):
    _, leaf = house.chain(2)
    house.start(leaf, house.ben)
    house.work()
    return leaf


def test_each_format_is_delivered_with_one_event_if_it_holds_credentials(house, leaf):
    for key in FORMATS:
        assert delivered(house, leaf, key).text, key
    told = [line.data["form"] for line in house.events(CredentialRevealed)]
    assert told == [key for key, each in FORMATS.items() if each.secret]


def test_the_environment_names_the_account_of_the_role(house, leaf):
    assert f"AWS_ACCOUNT_ID='{ACCOUNT}'" in delivered(house, leaf, "posix").text


def test_the_chain_is_each_hop_of_this_person(house, leaf):
    text = delivered(house, leaf, "role-chain").text
    for each in AwsSession.objects.filter(kind="iam-role-chained").select_related("link"):
        assert f"role_arn = {each.link.role_arn}" in text
    assert text.count("role_session_name = ben") == 2
    assert f"profile {house.root.profile}" in text or "default" in text


def test_a_presigned_link_says_when_the_credentials_of_now_end(house, leaf):
    ends = Credential.objects.get(level=2).expires_at
    found = delivered(house, leaf, "presign")
    assert found.expires_at == ends
    assert f"{ends:%Y-%m-%dT%H:%M:%S}Z" in found.text


def test_what_a_format_cannot_carry_is_a_problem_and_no_crash(house, leaf):
    AwsSession.objects.filter(pk=leaf.pk).update(profile="50%off")
    with pytest.raises(NotReady) as refused:
        delivered(house, leaf, "ecr")
    state = refused.value.state
    assert (state.status, state.problem.code) == (Status.FAILED, "CannotCarry")
    assert "profile" in state.problem.message
    assert "50%off" not in state.problem.message
    assert delivered(house, leaf, "credentials-file").text
