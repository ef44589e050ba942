"""Do the main job in a real browser.

From the login to a snippet in the clipboard, and back to nothing.
"""

import re

from django.urls import reverse
from playwright.sync_api import expect

from sessions.ledger.events.credentials import CredentialRevealed
from sessions.models import AwsSession
from tests.house import PASSWORD


def begin_session(page, method):
    page.get_by_role("link", name="New session").click()
    page.get_by_role("link", name="Amazon AWS").click()
    page.get_by_role("link", name=re.compile(f"^{method}")).click()


def fill_chained(page, house, alias, assumer=None):
    page.get_by_label("Session alias").fill(alias)
    page.get_by_label("Named profile").fill(alias.lower())
    page.get_by_label("Region").select_option("eu-west-1")
    page.get_by_label("Role ARN").fill(house.role_arn(f"Role{alias}"))
    if assumer:
        page.get_by_label("Assumer session").select_option(
            str(AwsSession.objects.get(alias=assumer).pk)
        )


def create(page, alias):
    page.get_by_role("button", name="Create session").click()
    expect(page.get_by_role("heading", level=1, name=alias)).to_be_visible()


def test_from_log_in_to_a_snippet_of_the_third_hop_and_to_stop(house, sts, tabs):
    page = tabs.open()
    page.clock.install()
    page.goto("/")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()

    begin_session(page, "IAM user")
    key = sts.add_user("typed", account="111122223333")
    page.get_by_label("Session alias").fill("Typed key")
    page.get_by_label("Named profile").fill("typed")
    page.get_by_label("Access key ID").fill(key.access_key_id)
    page.get_by_label("Secret access key").fill(key.secret_access_key.reveal())
    create(page, "Typed key")

    begin_session(page, "AWS IAM Role Chained")
    fill_chained(page, house, "Alpha", assumer="Typed key")
    expect(page.locator("#preview")).to_contain_text("assumed-role/RoleAlpha/ada")
    create(page, "Alpha")
    for alias in ("Beta", "Gamma"):
        page.get_by_role("link", name="Create chained session from this").click()
        fill_chained(page, house, alias)
        create(page, alias)
    assert [each.alias for each in AwsSession.objects.get(alias="Gamma").chain()] == [
        "Typed key",
        "Alpha",
        "Beta",
        "Gamma",
    ]

    page.evaluate("window.wasNotReloaded = true")
    page.get_by_role("button", name="Start Gamma").click()
    expect(page.locator(".session__head .status")).to_have_text("pending")
    house.work()
    expect(page.locator(".session__head .status")).to_have_text("active")
    expect(page.locator(".hop--live")).to_have_count(3)
    assert page.evaluate("window.wasNotReloaded")

    assert house.events(CredentialRevealed) == []
    page.get_by_role("tab", name="Shell").click()
    page.get_by_role("tab", name="bash, zsh").click()
    snippet = page.locator("#snippet pre").first
    expect(snippet).to_contain_text("AWS_SESSION_TOKEN")
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.locator("#said")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == snippet.text_content()
    assert len(house.events(CredentialRevealed)) == 1

    with page.expect_response("**/state/"):
        page.clock.fast_forward("00:06")
    expect(snippet).to_be_visible()
    page.clock.fast_forward("00:25")
    expect(snippet).to_have_count(0)
    assert "AWS_SESSION_TOKEN" not in page.content()

    page.get_by_role("button", name="Stop Gamma").click()
    expect(page.locator(".session__head .status")).to_have_text("inactive")
    expect(page.get_by_role("button", name="Start Gamma")).to_be_focused()
    assert page.evaluate("window.wasNotReloaded")


def test_start_and_stop_in_the_row_keep_focus_and_move_the_counts(house, tabs):
    house.chain(2)
    page = tabs.open(house.ben)
    page.goto(reverse("session_list", args=[house.team.slug]))
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="Hop 2", exact=True))
    row.get_by_role("button", name="Start").focus()
    page.keyboard.press("Enter")
    expect(row.locator(".status")).to_have_text("pending")
    house.work()
    expect(row.locator(".status")).to_have_text("active")
    expect(row.get_by_role("button", name="Stop")).to_be_focused()
    expect(page.locator("#filter-active")).to_contain_text("1")
    row.get_by_role("button", name="Stop").click()
    expect(row.locator(".status")).to_have_text("inactive")


def test_testing_before_saving_shows_each_hop_and_where_it_is_refused(house, tabs):
    [first] = house.chain(1)
    page = tabs.open(house.ben)
    page.goto(
        reverse("new_session_form", args=[house.team.slug, "aws", "iam-role-chained"])
        + f"?assumer={first.pk}"
    )
    page.get_by_label("Session alias").fill("Shut")
    page.get_by_role("button", name="Test before saving").click()
    expect(page.locator("#probe")).to_contain_text("correct the form first")
    page.get_by_label("Named profile").fill("shut")
    page.get_by_label("Region").select_option("eu-west-1")
    page.get_by_label("Role ARN").fill(house.role_arn("Shut", trusts=[]))
    page.get_by_role("button", name="Test before saving").click()
    expect(page.locator("#probe")).to_contain_text("Testing the chain")
    house.work()
    expect(page.locator("#probe")).to_contain_text("Test failed")
    expect(page.locator("#probe .hop--ok")).to_contain_text("Hop 1")
    expect(page.locator("#probe .hop--failed")).to_contain_text("Hop 2")
    page.get_by_label("Role ARN").fill(house.role_arn("Open"))
    page.get_by_role("button", name="Test before saving").click()
    expect(page.locator("#probe")).to_contain_text("Testing the chain")
    house.work()
    expect(page.locator("#probe")).to_contain_text("assumed-role/Open/ben")
    assert not AwsSession.objects.filter(alias="Shut").exists()


def test_after_log_out_the_back_button_shows_nothing_secret(house, tabs):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    page = tabs.open(house.ben)
    page.goto(reverse("session", args=[leaf.pk]))
    page.get_by_role("tab", name="Shell").click()
    page.get_by_role("tab", name="bash, zsh").click()
    expect(page.locator("#snippet pre").first).to_contain_text("AWS_SECRET_ACCESS_KEY")
    page.locator("#user-menu summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{tabs.address}{reverse('account_login')}")
    page.go_back()
    expect(page.get_by_label("Password")).to_be_visible()
    assert "AWS_SECRET_ACCESS_KEY" not in page.content()
    assert leaf.alias not in page.content()


def test_a_live_page_whose_person_was_logged_out_asks_for_the_log_in(house, tabs):
    [leaf] = house.chain(1)
    page = tabs.open(house.ben)
    page.clock.install()
    page.goto(reverse("session", args=[leaf.pk]))
    page.context.clear_cookies()
    page.clock.fast_forward("00:06")
    expect(page.get_by_label("Password")).to_be_visible()
