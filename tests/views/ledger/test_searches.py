"""Test that a person's named searches are links of their own, on the page they were made on."""

import pytest

from sessions.models import SavedSearch
from sessions.people import searches

pytestmark = pytest.mark.django_db
AUDIT = "/teams/platform/audit/"


def save(browser, name="Rejections", page="events", query="kind=credential.refused"):
    typed = {"name": name, "page": page, "query": query}
    return browser.post(f"{AUDIT}searches/", typed, follow=True)


def test_a_search_is_saved_listed_renamed_and_deleted(house):
    ada = house.browser(house.ada)
    answer = save(ada, query="?kind=credential.refused&person=&before=7")
    assert answer.redirect_chain[-1][0] == f"{AUDIT}?kind=credential.refused"
    search = SavedSearch.objects.get()
    page = ada.get(AUDIT).content.decode()
    assert f'<a href="{AUDIT}?kind=credential.refused">Rejections</a>' in page
    assert "Rejections" not in ada.get(f"{AUDIT}drift/").content.decode()
    answer = ada.post(f"{AUDIT}searches/{search.pk}/", {"name": "What AWS rejected"}, follow=True)
    assert "What AWS rejected</a>" in answer.content.decode()
    ada.post(f"{AUDIT}searches/{search.pk}/delete/")
    assert not SavedSearch.objects.exists()


def test_searches_are_ones_own(house):
    save(house.browser(house.ada))
    assert "Rejections" not in house.browser(house.eve).get(AUDIT).content.decode()
    save(house.browser(house.eve))
    assert SavedSearch.objects.count() == 2


def test_a_search_of_drift_is_for_those_who_read_the_ledger(house):
    save(house.browser(house.eve), page="drift", query="finding=around")
    assert SavedSearch.objects.get().query == "finding=around"
    answer = save(house.browser(house.ben), page="drift", query="finding=around")
    assert answer.status_code == 403
    save(house.browser(house.ben), query="kind=session")
    assert SavedSearch.objects.count() == 2


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"name": ""}, "Give the search a name."),
        ({"name": "a\u200bb"}, "It contains"),
        ({"name": "x" * 61}, "at most 60 characters"),
        ({"query": ""}, "Search for something first"),
        ({"query": "before=7"}, "Search for something first"),
        ({"query": "kind=no-such-kind"}, "kind"),
        ({"page": "drift", "query": "finding=x"}, "This address asks for no records."),
        ({"page": "policy"}, "Choose events or drift."),
    ],
)
def test_what_is_no_search_is_refused_with_a_message(house, typed, said):
    answer = save(house.browser(house.ada), **typed)
    assert said in answer.content.decode()
    assert not SavedSearch.objects.exists()


def test_a_name_is_given_once_and_searches_are_not_endless(house, monkeypatch):
    ada = house.browser(house.ada)
    save(ada)
    answer = save(ada, name="REJECTIONS")
    assert "You have a search named “REJECTIONS” already." in answer.content.decode()
    save(ada, name="Another")
    second = SavedSearch.objects.get(name="Another")
    ada.post(f"{AUDIT}searches/{second.pk}/", {"name": "Rejections"})
    assert SavedSearch.objects.filter(name="Another").exists()
    monkeypatch.setattr(searches, "MOST", 2)
    assert "You have saved 2 searches" in save(ada, name="Third").content.decode()


def test_the_api_saves_renames_and_deletes(house):
    headers = {"Authorization": f"Bearer {house.token(house.ada).reveal()}"}
    client = house.browser(house.ada)
    json = {"content_type": "application/json", "headers": headers}
    typed = {"page": "events", "name": "Mine", "query": "person=ben"}
    answer = client.post("/api/v1/searches", typed, **json)
    assert answer.status_code == 201
    path = f"/api/v1/searches/{answer.json()['id']}"
    assert client.post("/api/v1/searches", typed, **json).json()["fields"] == {
        "name": ["You have a search named “Mine” already."]
    }
    assert client.patch(path, {"name": "Ben's"}, **json).json()["name"] == "Ben's"
    listed = client.get("/api/v1/searches", headers=headers).json()["searches"]
    assert [(each["name"], each["query"]) for each in listed] == [("Ben's", "person=ben")]
    assert client.delete(path, headers=headers).status_code == 204
    assert client.delete(path, headers=headers).status_code == 404
