"""Two people edit one session in real browsers: the second chooses, and loses nothing."""

from django.urls import reverse
from playwright.sync_api import expect

from sessions.models import AwsSession
from tests.browser.looking import check


def test_the_second_chooses_field_by_field(house, tabs):
    leaf = house.chained("Leaf", member=house.ben, profile="leaf")
    url = reverse("edit_session", args=[leaf.pk])
    tabs.expected.append("409")
    ada, ben = tabs.open(house.ada), tabs.open(house.ben)
    ada.goto(url)
    ben.goto(url)
    ada.get_by_label("Named profile", exact=True).fill("adas")
    ada.get_by_label("Region", exact=True).select_option("eu-central-1")
    ada.get_by_role("button", name="Save").click()
    expect(ada).to_have_url(ada.url.partition("/sessions/")[0] + reverse("session", args=[leaf.pk]))

    ben.get_by_label("Session alias", exact=True).fill("Bens")
    ben.get_by_label("Named profile", exact=True).fill("bens\t")
    ben.get_by_role("button", name="Save").click()
    expect(ben.get_by_role("alert")).to_contain_text("ada saved a change")
    expect(ben.get_by_label("Session alias", exact=True)).to_have_value("Bens")
    expect(ben.get_by_label("Keep the saved value of Region")).to_be_checked()
    expect(ben.get_by_label("Keep the saved value of Named profile")).not_to_be_checked()
    expect(ben.locator(".conflict__value").filter(has_text="eu-central-1")).to_be_visible()
    check(ben)

    ben.get_by_role("button", name="Save").click()
    expect(ben.get_by_role("heading", name="Bens")).to_be_visible()
    saved = AwsSession.objects.get(pk=leaf.pk)
    assert (saved.alias, saved.profile, saved.region) == ("Bens", "bens", "eu-central-1")
