"""Choose a session among very many: bounded, searchable, with and without scripts."""

import pytest
from django.urls import reverse

from sessions.forms.picking import SHOWN
from sessions.models import AwsSession
from tests.house import crowd

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(house):
    return house.browser(house.ada)


@pytest.fixture
def many(house):
    """More sessions than the form lists."""
    return crowd(house, 40)


def form_url(house):
    return reverse("new_session_form", args=[house.team.slug, "aws", "iam-role-chained"])


def typed(house, **changes):
    return {
        "alias": "New one",
        "profile": "new",
        "region": "eu-west-1",
        "role_arn": "arn:aws:iam::111122223333:role/New",
        "role_session_name": "{username}",
        **changes,
    }


def options(answer):
    return answer.content.decode().count("<option value=") - answer.content.decode().count(
        '<option value="eu-'
    )


def test_a_small_team_is_listed_whole_and_has_no_search(house, ada):
    house.chain(2)
    page = ada.get(form_url(house)).content.decode()
    assert "assumer.q" not in page
    assert all(f"{alias} — " in page for alias in ("Root key", "Hop 1", "Hop 2"))


def test_a_large_team_is_listed_in_part_with_a_search(house, ada, many):
    page = ada.get(form_url(house)).content.decode()
    assert 'name="assumer.q"' in page
    assert page.count("Crowd ") <= SHOWN * 2  # each with its chain
    assert f"Showing the first {SHOWN}." in page


def test_the_search_finds_what_the_list_leaves_out(house, ada, many):
    found = ada.get(
        reverse("session_choices", args=[house.team.slug, "assumer"]), {"assumer.q": "crowd 0039"}
    )
    text = found.content.decode()
    assert text.count("<option") == 2  # and the empty one
    assert "Crowd 0039" in text
    assert "1 found" in text


def test_what_is_chosen_stays_among_the_options_of_a_search(house, ada, many):
    asked = {"assumer.q": "crowd 0039", "assumer": str(many[0].pk)}
    text = ada.get(
        reverse("session_choices", args=[house.team.slug, "assumer"]), asked
    ).content.decode()
    assert f'value="{many[0].pk}" selected' in text


def test_without_scripts_a_search_shows_the_form_again_and_saves_nothing(house, ada, many):
    answer = ada.post(
        form_url(house), typed(house, **{"assumer.q": "crowd 0039", "assumer.searched": ""})
    )
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "Crowd 0039" in page
    assert 'value="New one"' in page
    assert "errorlist" not in page
    chosen = {
        "assumer.q": "crowd 0039",
        "assumer.searched": "crowd 0039",
        "assumer": str(many[39].pk),
    }
    assert ada.post(form_url(house), typed(house, **chosen)).status_code == 302
    assert AwsSession.objects.get(alias="New one").link.assumer == many[39]


def test_an_edited_sessions_assumer_is_listed_and_what_is_below_is_not(house, ada, many):
    child = house.chained("Child", many[39])
    page = ada.get(reverse("edit_session", args=[child.pk])).content.decode()
    assert f'value="{many[39].pk}" selected' in page
    url = reverse("session_choices", args=[house.team.slug, "assumer"])
    found = ada.get(url, {"assumer.q": "child", "editing": str(many[39].pk)}).content.decode()
    assert "None found" in found


def test_only_what_a_member_may_assume_from_is_offered(house, many):
    AwsSession.objects.filter(pk=many[39].pk).update(open_to_assume=False)
    url = reverse("session_choices", args=[house.team.slug, "assumer"])
    assert (
        "None found"
        in house.browser(house.ben).get(url, {"assumer.q": "crowd 0039"}).content.decode()
    )
    assert (
        "1 found" in house.browser(house.ada).get(url, {"assumer.q": "crowd 0039"}).content.decode()
    )


def test_a_token_is_bound_to_a_session_found_by_search(house, ada, many):
    url = reverse("tokens", args=[house.team.slug])
    asked = {
        "name": "t",
        "scopes": ["read"],
        "days": "1",
        "session.q": "0039",
        "session.searched": "",
    }
    searched = ada.post(url, asked).content.decode()
    assert "Crowd 0039" in searched
    assert "Copy it now" not in searched
    made = ada.post(
        url, asked | {"session.searched": "0039", "session": str(many[39].pk)}
    ).content.decode()
    assert "Copy it now" in made


@pytest.mark.parametrize(
    "nonsense", ["\x00", "%", "'", "x" * 5000, "x " * 3000, "{{ 7 }}", "<script>"]
)
def test_a_hostile_search_finds_nothing(house, ada, many, nonsense):
    url = reverse("session_choices", args=[house.team.slug, "assumer"])
    answer = ada.get(url, {"assumer.q": nonsense, "assumer": nonsense})
    assert answer.status_code == 200
    assert b"<script>" not in answer.content
