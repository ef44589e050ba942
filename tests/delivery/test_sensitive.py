"""A sensitive session leaves after a fresh confirmation, by token only where the policy says so."""

import pytest
from django.urls import reverse

from sessions.actors import Actor
from sessions.api.refusals import refusals
from sessions.catalog.labels import save_label
from sessions.catalog.sessions import save_session
from sessions.catalog.team_policy import PolicyDraft, save_policy
from sessions.delivery.reveal import NotYours, reveal
from sessions.ledger.events.credentials import CredentialRevealed
from sessions.models import Label, TeamPolicy
from sessions.permissions import Sensitive
from sessions.snippets import FORMATS
from tests.api.tool import Api
from tests.house import PASSWORD, draft_of

pytestmark = pytest.mark.django_db
FORM = "process"


@pytest.fixture
def leaf(house):
    session = house.chained("Break-glass", member=house.ben)
    save_session(draft_of(session, sensitive=True), Actor(house.ben), session)
    house.start(session)
    house.work()
    return session


def let_tokens(house, *, take):
    policy = TeamPolicy.of(house.team.pk)
    draft = PolicyDraft.of(policy)
    values = {**vars(draft), "tokens_take_sensitive": take}
    return save_policy(PolicyDraft(**values), Actor(house.ada))


def snippet_url(leaf, name="reveal_snippet"):
    return reverse(name, args=[leaf.pk, FORM])


def test_without_a_confirmation_nothing_is_revealed_and_no_line_written(house, leaf):
    with pytest.raises(NotYours) as refused:
        reveal(leaf, Actor(house.ben), form=FORM, via="page")
    assert isinstance(refused.value.why, Sensitive)
    assert house.events(CredentialRevealed) == []
    assert reveal(leaf, Actor(house.ben, confirmed=True), form=FORM, via="page").access_key_id


def test_a_mark_that_comes_after_the_request_still_holds(house):
    session = house.chained("Plain", member=house.ben)
    house.start(session)
    house.work()
    assert reveal(session, Actor(house.ben), form=FORM, via="page").access_key_id
    labelled = draft_of(session, labels=("vault",))
    save_session(labelled, Actor(house.ben), session)
    label = Label.objects.get(name="vault")
    save_label(label.pk, Actor(house.ada), name="vault", colour="red", is_sensitive=True)
    with pytest.raises(NotYours):
        reveal(session, Actor(house.ben), form=FORM, via="page")


@pytest.mark.parametrize("name", ["reveal_snippet", "download_snippet"])
def test_a_page_asks_to_confirm_and_then_goes_on_once(house, leaf, name):
    browser = house.browser(minutes_ago=6)
    asked = browser.post(snippet_url(leaf, name))
    assert asked.status_code == 302
    assert asked.headers["Location"].startswith(reverse("account_reauthenticate"))
    assert house.events(CredentialRevealed) == []
    page = reverse("session", args=[leaf.pk])
    assert "click, load" not in browser.get(page).content.decode()
    confirmed = browser.post(asked.headers["Location"], {"password": PASSWORD})
    assert confirmed.headers["Location"] == page
    assert browser.get(page).content.decode().count("click, load") == 1
    assert "click, load" not in browser.get(page).content.decode()
    assert "SecretAccessKey" in browser.post(snippet_url(leaf)).content.decode()


def test_a_click_in_the_page_is_sent_to_the_confirmation(house, leaf):
    asked = house.browser(minutes_ago=6).post(snippet_url(leaf), headers={"HX-Request": "true"})
    assert asked.headers["HX-Redirect"].startswith(reverse("account_reauthenticate"))


def test_the_confirmation_of_six_minutes_ago_is_too_old(house, leaf):
    assert house.browser(minutes_ago=4).post(snippet_url(leaf)).status_code == 200
    assert house.browser(minutes_ago=6).post(snippet_url(leaf)).status_code == 302


def test_a_token_gets_none_unless_the_policy_lets_it(house, leaf):
    ask = Api(house.token(house.ben))
    path = f"/sessions/{leaf.pk}/credentials?format=process"
    refused = ask("GET", path)
    assert (refused.status_code, refused.json()["code"]) == (403, "sensitive")
    assert "is sensitive" in refused.json()["message"]
    assert house.events(CredentialRevealed) == []
    let_tokens(house, take=True)
    refusals.forget()
    assert ask("GET", path).json()["AccessKeyId"]
    let_tokens(house, take=False)
    assert ask("GET", path).status_code == 403


def test_letting_tokens_keeps_what_is_active_as_it_is(house, leaf):
    before = house.state(leaf).expires_at
    let_tokens(house, take=True)
    assert house.state(leaf).expires_at == before
    assert FORMATS[FORM].secret


def test_editing_a_sensitive_session_wants_a_confirmation(house, leaf):
    url = reverse("edit_session", args=[leaf.pk])
    assert house.browser(minutes_ago=6).get(url).status_code == 302
    assert house.browser().get(url).status_code == 200
