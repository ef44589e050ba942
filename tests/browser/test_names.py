"""Names and policy in a real browser: typed, previewed, generated, saved."""

import re

from django.urls import reverse
from playwright.sync_api import expect

from sessions.models import AwsSession, TeamPolicy
from tests.chains.policies import set_policy


def test_an_admin_sees_names_change_while_typing_the_policy(house, sts, tabs):
    leaf = house.chained("Leaf", house.chained("Hub", name="automation"))
    house.start(leaf)
    house.work()
    page = tabs.open(house.ada)
    page.goto("/")
    page.get_by_role("link", name="Policy").click()
    preview = page.locator(".preview")
    expect(preview).to_contain_text("/automation")
    expect(page.locator(".unnamed")).to_contain_text("Hub")
    page.get_by_label("Default role session name").fill("{team}.{username}")
    page.get_by_label("Lock it").check()
    expect(preview.locator(".named__arn").nth(1)).to_contain_text("/platform.ada")
    page.get_by_label("Preview as another person").select_option(label="bea")
    expect(preview.locator(".named__arn").nth(0)).to_contain_text("/platform.bea")
    page.get_by_label("Where possible").check()
    expect(preview).to_contain_text("source identity bea")
    assert not TeamPolicy.objects.exists()
    page.get_by_role("button", name="Save policy").click()
    expect(page.get_by_text("Policy saved")).to_be_visible()
    expect(page.get_by_text("every role session name has {username}")).to_be_visible()
    sts.calls.clear()
    house.work()
    assert [
        (call["role_session_name"], call["sent"].source_identity)
        for call in sts.calls
        if call["action"] == "AssumeRole"
    ] == [("platform.ben", "ben"), ("platform.ben", "")]
    page.goto(reverse("session", args=[leaf.pk]))
    page.get_by_label("Preview as another person").select_option(label="ben")
    expect(page.locator(".names-of .named__arn").nth(1)).to_contain_text("/platform.ben")


def test_the_advanced_fields_are_filled_by_keyboard_and_button(house, tabs):
    set_policy(house, tags={"stage": ("test", "live"), "ticket": ()})
    tabs.expected.append("status of 422")
    page = tabs.open(house.ben)
    page.goto(reverse("new_session_form", args=[house.team.slug, "aws", "iam-role-chained"]))
    page.get_by_label("Session alias").fill("Partner")
    page.get_by_label("Named profile").fill("partner")
    page.get_by_label("Region").select_option("eu-west-1")
    page.get_by_label("Role ARN").fill("arn:aws:iam::777788889999:role/Partner")
    page.get_by_label("Assumer session").select_option(str(house.root.pk))
    expect(page.get_by_label("External ID", exact=True)).to_be_hidden()
    page.locator("summary", has_text="Advanced").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Generate").click()
    external_id = page.get_by_label("External ID optional")
    expect(external_id).to_have_value(re.compile(r"^[0-9a-f]{32}$"))
    first = external_id.input_value()
    # The button is a new one, and still has the focus.
    expect(page.get_by_role("button", name="Generate")).to_be_focused()
    # It is alive a moment after it is there: who presses too soon presses again.
    for _ in range(20):
        page.keyboard.press("Enter")
        page.wait_for_timeout(250)
        if external_id.input_value() != first:
            break
    expect(external_id).not_to_have_value(first)
    page.get_by_label("stage", exact=True).first.select_option("live")
    page.get_by_label("ticket", exact=True).first.fill("OPS-1")
    page.get_by_role("checkbox", name="ticket").check()
    page.get_by_label("Managed session policies").fill("arn:aws:iam::aws:policy/ReadOnlyAccess")
    preview = page.locator("#preview")
    expect(preview).to_contain_text("ticket=OPS-1")
    expect(preview).to_contain_text("38 of 2048 characters")
    generated = external_id.input_value()
    page.get_by_label("Session policy").fill("{")
    page.get_by_role("button", name="Create session").click()
    # An error opens what it is in, and has the focus.
    expect(page.get_by_text("This is not JSON")).to_be_visible()
    expect(page.get_by_label("Session policy")).to_be_focused()
    page.get_by_label("Session policy").fill("")
    page.get_by_role("button", name="Create session").click()
    expect(page.get_by_role("heading", level=1, name="Partner")).to_be_visible()
    link = AwsSession.objects.get(alias="Partner").link
    assert (link.external_id, link.tags) == (generated, [["stage", "live"], ["ticket", "OPS-1"]])
    assert link.transitive_tag_keys == ["ticket"]
