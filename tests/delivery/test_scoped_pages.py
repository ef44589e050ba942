"""Show a page the progress of its delivery, then the text; a tool waits a moment for its first."""

import re

import pytest
from django.urls import reverse

from sessions.api import fetching
from sessions.api.refusals import refusals
from sessions.models import Delivery
from tests.api.tool import Api
from tests.delivery.test_scoped import set_policy

pytestmark = pytest.mark.django_db


@pytest.fixture
def leaf(house):
    set_policy(house)
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    return leaf


def shown(house, leaf, **data):
    url = reverse("reveal_snippet", args=[leaf.pk, "posix"])
    return house.browser().post(url, data).content.decode()


def delivery_in(text):
    found = re.search(r'name="delivery" value="([0-9a-f-]{36})"', text)
    assert found
    return found[1]


def test_a_page_shows_progress_and_then_the_text(house, leaf):
    text = shown(house, leaf)
    assert "ASIA" not in text
    delivery = delivery_in(text)
    assert delivery_in(shown(house, leaf, delivery=delivery)) == delivery
    house.work()
    text = shown(house, leaf, delivery=delivery)
    assert re.search("AWS_ACCESS_KEY_ID=[^A-Z]*ASIA", text)
    assert Delivery.objects.count() == 1


def test_a_download_is_what_was_shown(house, leaf):
    delivery = delivery_in(shown(house, leaf))
    house.work()
    key = re.search(r"ASIA[0-9A-F]{16}", shown(house, leaf, delivery=delivery))
    url = reverse("download_snippet", args=[leaf.pk, "posix"])
    answer = house.browser().post(url, {"delivery": delivery})
    assert key[0] in answer.content.decode()


def test_a_download_of_what_is_not_kept_says_so(house, leaf):
    url = reverse("download_snippet", args=[leaf.pk, "posix"])
    answer = house.browser().post(url, follow=True)
    assert "no longer kept" in answer.content.decode()


def test_nonsense_for_a_delivery_begins_a_new_one(house, leaf):
    delivery_in(shown(house, leaf, delivery="x"))
    delivery_in(shown(house, leaf, delivery="00000000-0000-4000-8000-000000000000"))
    assert Delivery.objects.count() == 2


def test_a_tools_first_fetch_is_pending_until_a_worker_was_there(house, leaf, monkeypatch):
    monkeypatch.setattr(fetching, "ANSWER_WITHIN_SECONDS", 0.0)
    api = Api(house.token())
    answer = api("GET", f"/sessions/{leaf.pk}/credentials")
    assert (answer.status_code, answer.json()["code"]) == (503, "pending")
    house.work()
    refusals.forget()
    answer = api("GET", f"/sessions/{leaf.pk}/credentials")
    assert answer.json()["AccessKeyId"].startswith("ASIA")


def test_a_tools_first_fetch_waits_for_a_quick_worker(house, leaf, monkeypatch):
    def quick(is_there, until):
        house.work()
        return is_there()

    monkeypatch.setattr(fetching, "_wait", quick)
    answer = Api(house.token())("GET", f"/sessions/{leaf.pk}/credentials")
    assert answer.json()["AccessKeyId"].startswith("ASIA")


def test_the_page_says_where_aws_does_not_scope(house, leaf):
    page = reverse("session", args=[leaf.pk])
    assert "sts:GetScopedCredentials" not in house.browser().get(page).content.decode()
    house.sts.refuse_scoping()
    delivery = delivery_in(shown(house, leaf))
    house.work()
    assert re.search("AWS_ACCESS_KEY_ID=[^A-Z]*ASIA", shown(house, leaf, delivery=delivery))
    text = house.browser().get(page).content.decode()
    assert "AWS does not scope this role" in text
    assert "(AccessDenied)" in text
