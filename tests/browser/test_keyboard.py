"""Everything by keyboard, and nothing taken from under one's fingers."""

import re

from django.urls import reverse
from playwright.sync_api import expect

from sessions.models import AwsSession


def list_of(house):
    return reverse("session_list", args=[house.team.slug])


def test_search_arrows_and_enter_lead_to_a_session(house, tabs):
    for alias in ("Amber", "Blue one", "Blue two"):
        house.chained(alias)
    page = tabs.open(house.ben)
    page.goto(list_of(house))
    page.keyboard.press("/")
    expect(page.get_by_label("Search the sessions")).to_be_focused()
    page.keyboard.type("blue root")
    expect(page.get_by_role("link", name="Amber", exact=True)).to_have_count(0)
    expect(page).to_have_url(re.compile(r"\?q=blue"))
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="Blue one", exact=True)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="Blue two", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Blue two")).to_be_visible()


def test_letters_open_keys_and_form_but_not_while_typing_or_off(house, tabs):
    page = tabs.open(house.ben)
    page.goto(list_of(house))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_label("Enable single-key shortcuts").uncheck()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("n")
    page.keyboard.press("/")
    expect(page.get_by_label("Search the sessions")).not_to_be_focused()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    page.get_by_label("Enable single-key shortcuts").check()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("n?")
    expect(page.get_by_label("Search the sessions")).to_have_value("n?")
    page.get_by_label("Search the sessions").blur()
    page.keyboard.press("n")
    expect(page.get_by_role("heading", name="Choose a cloud provider")).to_be_visible()
    expect(page.get_by_role("link", name="Amazon AWS")).to_be_focused()


def test_a_session_is_started_and_stopped_by_its_letter(house, tabs):
    house.chain(1)
    page = tabs.open(house.ben)
    page.goto(list_of(house))
    page.get_by_role("link", name="Hop 1", exact=True).focus()
    page.keyboard.press("s")
    row = page.locator("[data-row]").filter(has_text="Hop 1").first
    expect(row.locator(".status")).to_have_text("pending")
    house.work()
    expect(row.locator(".status")).to_have_text("active")
    expect(page.get_by_role("link", name="Hop 1", exact=True)).to_be_focused()
    page.keyboard.press("s")
    expect(row.locator(".status")).to_have_text("inactive")


def test_a_poll_takes_no_focus_closes_no_menu_and_keeps_a_shown_snippet(house, tabs):
    leaf, other = house.chain(2)
    house.start(leaf)
    house.work()
    page = tabs.open(house.ben)
    page.clock.install()
    page.goto(list_of(house))
    page.locator(f"#menu-{leaf.pk} summary").click()
    edit = page.locator(f"#menu-{leaf.pk}").get_by_role(
        "link", name="Create chained session from this"
    )
    edit.focus()
    house.start(other)
    house.work()
    with page.expect_response(lambda answer: answer.request.headers.get("hx-request") == "true"):
        page.clock.fast_forward("00:06")
    expect(page.locator(f"#row-{other.pk} .status")).to_have_text("active")
    expect(edit).to_be_visible()
    expect(edit).to_be_focused()

    page.goto(reverse("session", args=[leaf.pk]))
    page.get_by_role("tab", name="Files").click()
    tab = page.get_by_role("tab", name="credential_process JSON")
    tab.click()
    expect(page.locator("#snippet pre")).to_contain_text("SecretAccessKey")
    AwsSession.objects.filter(pk=leaf.pk).update(alias="Renamed meanwhile")
    with page.expect_response("**/state/"):
        page.clock.fast_forward("00:06")
    expect(page.get_by_role("heading", level=1)).to_have_text("Renamed meanwhile")
    expect(page.locator("#snippet pre")).to_contain_text("SecretAccessKey")
    expect(tab).to_be_focused()
    expect(tab).to_have_attribute("aria-selected", "true")


def test_rows_that_come_and_go_leave_the_others_alone(house, tabs):
    sessions = house.chain(3)
    page = tabs.open(house.ben)
    page.clock.install()
    page.goto(list_of(house))
    focused = page.get_by_role("link", name="Hop 2", exact=True)
    focused.focus()
    AwsSession.objects.get(pk=sessions[2].pk).delete()
    house.chained("Aardvark")
    house.chained("Zebra")
    page.clock.fast_forward("00:06")
    expect(page.locator("[data-row-link]")).to_have_text(
        ["Aardvark", "Hop 1", "Hop 2", "Root key", "Zebra"]
    )
    expect(focused).to_be_focused()


def test_the_first_wrong_field_has_the_focus_and_says_why(house, tabs):
    page = tabs.open(house.ben)
    tabs.expected.append("status of 422")
    page.goto(reverse("new_session_form", args=[house.team.slug, "aws", "iam-role-chained"]))
    expect(page.get_by_label("Session alias")).to_be_focused()
    page.get_by_label("Session alias").fill("Fine")
    page.get_by_label("Named profile").fill("a]b")
    page.get_by_label("Role ARN").fill("arn:aws:iam::1:role/X")
    page.keyboard.press("Enter")
    profile = page.get_by_label("Named profile")
    expect(profile).to_be_focused()
    expect(profile).to_have_attribute("aria-invalid", "true")
    described = profile.get_attribute("aria-describedby")
    assert "id_profile_error" in described
    for each in described.split():
        assert page.locator(f"#{each}").text_content().strip()
    expect(page.get_by_label("Role ARN")).to_have_value("arn:aws:iam::1:role/X")
