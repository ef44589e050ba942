"""The ledger's pages in a real browser: filters, rows that open in place, older events, keys."""

import re

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from sessions.actors import Actor
from sessions.catalog.sessions import save_session
from sessions.delivery.reveal import reveal
from sessions.ledger.events.sessions import SessionEdited
from sessions.views.ledger import events
from tests.browser.looking import check, nothing_sticks_out
from tests.house import draft_of
from tests.ledger.checkpoint_keys import pair
from tests.views.ledger.test_removed import remove_two

WIDTHS = (360, 640, 1000, 1440)


@pytest.fixture
def used(house, sts):
    """Make a team that has issued, taken, edited and been rejected."""
    session, other = house.chain(2)
    for member in (house.ben, house.bea):
        house.start(session, member)
    house.work()
    reveal(session, Actor(house.ben), form="posix", via="page")
    sts.fail_next("AccessDenied", times=5)
    house.start(other)
    house.work()
    sts.reset()
    save_session(draft_of(session, region="eu-central-1"), Actor(house.ada), session)
    return house


def listed(house, page, query=""):
    page.goto(reverse("events", args=[house.team.slug]) + query)


def opened(house, page):
    [line] = house.events(SessionEdited)
    listed(house, page)
    page.locator(f"#open-{line.seq}").click()
    expect(page.locator(f"#event-{line.seq} .opened")).to_be_visible()


def filtered(house, page):
    listed(house, page, "?person=ben&since=24h")
    page.locator("summary", has_text="Kind").click()


def nothing_found(house, page):
    listed(house, page, "?person=nobody")


def wrong_filter(house, page):
    listed(house, page, "?since=soon")


def one_event(house, page):
    [line] = house.events(SessionEdited)
    page.goto(reverse("event", args=[house.team.slug, line.seq]))


def end_of_what_is_left(house, page):
    remove_two(house)
    listed(house, page)
    expect(page.locator(".removed-hash")).to_be_visible()


def one_that_was_removed(house, page):
    remove_two(house)
    page.goto(reverse("event", args=[house.team.slug, 2]))


@pytest.mark.parametrize(
    "visit",
    [
        *(listed, opened, filtered, nothing_found, wrong_filter, one_event),
        *(end_of_what_is_left, one_that_was_removed),
    ],
    ids=lambda v: v.__name__,
)
def test_a_page_of_the_ledger_is_accessible_at_every_width(used, tabs, visit, settings, tmp_path):
    settings.CHAINWEB_CHECKPOINT_KEY, settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY = pair("c1")
    tabs.expected += ["status of 422", "status of 410"]
    page = tabs.open(used.ada)
    visit(used, page)
    check(page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            nothing_sticks_out(page)
            page.screenshot(full_page=True, path=tmp_path / f"{scheme}-{width}.png")


def test_a_row_opens_and_closes_by_key_and_keeps_the_focus(used, tabs):
    page = tabs.open(used.eve)
    listed(used, page, "?kind=session.edited")
    row = page.locator(".event")
    row.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".opened")).to_contain_text("eu-central-1")
    expect(row).to_have_attribute("aria-expanded", "true")
    expect(row).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".opened")).to_have_count(0)
    expect(row).to_be_focused()


def test_a_filter_is_added_and_taken_away(used, tabs):
    page = tabs.open(used.eve)
    listed(used, page)
    page.locator("summary", has_text="Person").click()
    page.get_by_label("Person", exact=True).fill("bea")
    page.get_by_role("button", name="Add filter").click()
    expect(page).to_have_url(re.compile(r"/audit/\?person=bea$"))
    expect(page.locator(".events .person").first).to_contain_text("bea")
    page.get_by_role("link", name="remove filter").click()
    expect(page).to_have_url(re.compile(r"/audit/$"))


def test_older_events_are_added_below(used, tabs, monkeypatch):
    monkeypatch.setattr(events, "SHOWN", 5)
    page = tabs.open(used.eve)
    listed(used, page)
    expect(page.locator(".events tbody tr th")).to_have_count(5)
    page.get_by_role("link", name="Older events").click()
    expect(page.locator(".events tbody tr th")).to_have_count(10)


def test_the_list_works_without_scripts(used, tabs, monkeypatch):
    monkeypatch.setattr(events, "SHOWN", 5)
    page = tabs.open(used.eve, java_script_enabled=False)
    listed(used, page)
    page.get_by_role("link", name="Older events").click()
    expect(page.get_by_role("link", name="Newest events")).to_be_visible()
    page.locator(".event").first.click()
    expect(page.locator(".diff")).to_be_visible()
    page.go_back()
    page.locator("summary", has_text="Kind").click()
    page.get_by_role("button", name="Add filter").click()
    expect(page.locator("a.chip")).to_have_count(1)


def test_arrow_keys_move_along_the_timeline(used, tabs):
    page = tabs.open(used.eve)
    listed(used, page)
    bars = page.locator(".timeline a")
    bars.first.focus()
    for key in ("End", "Home", "ArrowRight", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    expect(bars.first).to_be_focused()
    page.keyboard.press("End")
    expect(bars.last).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"since=.*until="))
