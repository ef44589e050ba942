"""Give a root its code, approval, choice and key rotation in a real browser."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from sessions.db.clock import database_now
from sessions.engine import approval_steps, key_steps
from sessions.models import Approval, AwsSession
from tests.browser.looking import check
from tests.roots.mfa import CODE, mfa_root, protected
from tests.roots.portals import ACCOUNT, portal


@pytest.fixture
def waiting(house):
    root = mfa_root(house)
    house.leaves = [protected(house, root, f"Leaf {number}") for number in range(3)]
    for leaf in house.leaves:
        house.start(leaf)
    house.work()
    return root


def look():
    Approval.objects.filter(due_at__isnull=False).update(due_at=database_now())
    approval_steps.work_due()


def test_a_code_typed_in_the_list_survives_polling_and_activates_all(house, waiting, tabs):
    page = tabs.open(house.ben)
    page.goto(reverse("session_list", args=[house.team.slug]))
    code = page.get_by_label("MFA code")
    expect(code).to_have_count(1)
    expect(page.locator(".row-problem").first).to_contain_text("waiting for a code")
    code.press_sequentially(CODE[:3])
    # The list is laid over with a newer version meanwhile.
    house.chained("Newcomer")
    page.evaluate("document.body.dispatchEvent(new Event('chainweb:changed'))")
    expect(page.locator("tbody")).to_contain_text("Newcomer")
    expect(code).to_have_value(CODE[:3])
    expect(code).to_be_focused()
    code.press_sequentially(CODE[3:])
    code.press("Enter")
    expect(page.locator(".messages")).to_contain_text("A worker is using it now")
    house.work()
    for leaf in house.leaves:
        expect(page.locator(f"#row-{leaf.pk} .status")).to_have_text("active")
    expect(page.get_by_label("MFA code")).to_have_count(0)


@pytest.mark.looks
def test_pages_with_something_to_give_are_accessible(house, waiting, tabs):
    page = tabs.open(house.ben)
    page.goto(reverse("session_list", args=[house.team.slug]))
    check(page)
    page.goto(reverse("session", args=[waiting.pk]))
    check(page)


def test_an_approval_and_a_choice_by_hand(house, center, tabs):
    center.assign("ada", ACCOUNT, "Production", "Deploy", "ReadOnly")
    root = portal(house, center)
    page = tabs.open(house.ada)
    page.goto(reverse("session", args=[root.pk]))
    page.get_by_role("link", name="Log in", exact=True).click()
    check(page)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#approval-title")).to_contain_text("Getting the approval page")
    look()
    expect(page.locator("#user-code")).to_have_text(Approval.objects.get().user_code)
    link = page.get_by_role("link", name="Open approval page")
    expect(link).to_have_attribute("href", Approval.objects.get().url)
    check(page)
    center.approve(Approval.objects.get().user_code, "ada")
    look()
    expect(page.locator("#approval-title")).to_contain_text("Approved")
    check(page)
    page.get_by_role("link", name="Choose account and role").click()
    expect(page.get_by_role("status").first).to_be_visible()
    approval_steps.work_due()
    page.get_by_label(f"Production ({ACCOUNT})").check()
    check(page)
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#choose")).to_contain_text("from AWS")
    approval_steps.work_due()
    page.get_by_label("Deploy").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".messages")).to_contain_text("saved")
    assert AwsSession.objects.get(pk=root.pk).settings["role_name"] == "Deploy"


def test_a_key_rotation_is_followed_while_it_goes_on(house, iam, tabs):
    page = tabs.open(house.ada)
    page.goto(reverse("session", args=[house.root.pk]))
    page.get_by_role("link", name="Rotate key").click()
    check(page)
    page.get_by_role("button", name="Rotate key now").click()
    expect(page.locator("#key-rotation-title")).to_contain_text("Rotating")
    key_steps.work_due()
    expect(page.locator("#key-rotation-title")).to_contain_text("Key rotated")
    expect(page.locator("#key-rotation .hop--ok")).to_have_count(5)
    check(page)
