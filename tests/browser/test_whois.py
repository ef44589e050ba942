"""Answer an auditor's question in a real browser: whose was it, and on which device."""

import json
import re
import time

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from tests.browser.looking import check, nothing_sticks_out
from tests.ledger.whois.calls import LAPTOP, call, issued_for, take

WIDTHS = (360, 640, 1000, 1440)


@pytest.fixture
def taken(house):
    """Make a chain of three of which ben has taken the last, twice; return what was issued."""
    leaf, beside = house.chain(3)[-1], house.chain(1, prefix="Beside")[-1]
    house.start(beside)
    house.start(leaf, house.bea)
    house.work()
    take(beside, house.ben)
    house.start(leaf)
    house.work()
    take(leaf, house.ben)
    take(leaf, house.ben)
    return issued_for(house)


def test_a_new_auditor_tells_who_and_on_which_laptop_within_15_seconds(house, tabs, taken):
    page = tabs.open(house.eve)
    begun = time.monotonic()
    page.goto(reverse("home"))
    box = page.get_by_role("textbox", name="Whose was it?")
    box.fill(f"who was {taken.access_key_id} at 14:02?")
    box.press("Enter")
    answer = page.get_by_role("region", name="Answer")
    expect(answer.get_by_role("heading", level=1)).to_have_text(
        re.compile(rf"ben\s+on {LAPTOP.token}")
    )
    expect(answer).to_contain_text("Certain: one person, one device")
    assert time.monotonic() - begun < 15
    page.get_by_role("link", name="Events of this key").click()
    expect(page.get_by_role("table")).to_contain_text(f"token {LAPTOP.token}")


def of_a_key(house, page, taken):
    page.goto(f"{reverse('whois', args=[house.team.slug])}?q={taken.access_key_id}")


def of_a_hub(house, page, taken):
    page.goto(f"{reverse('whois', args=[house.team.slug])}?q={taken.parent_access_key_id}")


def of_a_name(house, page, taken):
    page.goto(f"{reverse('whois', args=[house.team.slug])}?q={taken.role_session_name}")


def of_nobody(house, page, taken):
    page.goto(f"{reverse('whois', args=[house.team.slug])}?q=ASIAQNEVERSEENEXAMPLE")


def of_a_record(house, page, taken):
    paste(house, page, call(taken))


def of_another_second(house, page, taken):
    other = {"sessionContext": {"attributes": {"creationDate": "2026-01-01T00:00:00Z"}}}
    paste(house, page, call(taken, identity=other))


def broken(house, page, taken):
    page.goto(reverse("whois", args=[house.team.slug]))
    page.locator("#whois").fill('{"eventName" 7}')
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("alert")).to_contain_text("line 1, column 14")


def paste(house, page, record):
    page.goto(reverse("whois", args=[house.team.slug]))
    page.locator("#whois").fill(json.dumps(record, indent=1))
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("region", name="Answer")).to_be_visible()


@pytest.mark.parametrize(
    "ask",
    [of_a_key, of_a_hub, of_a_name, of_nobody, of_a_record, of_another_second, broken],
    ids=lambda each: each.__name__,
)
def test_an_answer_is_accessible_at_every_width(house, tabs, taken, ask, tmp_path):
    tabs.expected.append("status of 422")
    page = tabs.open(house.eve)
    ask(house, page, taken)
    check(page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            nothing_sticks_out(page)
            page.screenshot(full_page=True, path=tmp_path / f"{scheme}-{width}.png")
