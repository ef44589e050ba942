"""Each page in light, in dark and on a phone: axe finds nothing, and nothing sticks out."""

import re
from datetime import timedelta

import pytest
from django.template.loader import render_to_string
from django.urls import reverse
from playwright.sync_api import expect

from sessions.actors import NamedActor
from sessions.models import Activation, AwsSession, Credential
from tests.browser.looking import check, nothing_sticks_out
from tests.chains.policies import set_policy
from tests.house import crowd


@pytest.fixture
def furnished(house, sts):
    """Make a session in each state: active, pending, failed with its reason, inactive."""
    active, failed = house.chain(2)
    house.start(active)
    house.start(active, house.ada)
    house.work()
    sts.fail_next("AccessDenied", times=5)
    house.start(failed)
    house.work()
    sts.reset()
    house.pending, house.inactive = house.chained("Waiting"), house.chained("Resting", active)
    house.start(house.pending)
    house.active, house.failed = active, failed
    return house


def session_list(house, page):
    page.goto(reverse("session_list", args=[house.team.slug]))
    page.locator(f"#menu-{house.active.pk} summary").click()


def empty_search(house, page):
    page.goto(reverse("session_list", args=[house.team.slug]) + "?q=nonesuch")


def keys(house, page):
    page.goto(reverse("session_list", args=[house.team.slug]))
    page.keyboard.press("?")


def active_session_with_snippet(house, page):
    page.goto(reverse("session", args=[house.active.pk]))
    page.get_by_role("tab", name="Shell").click()
    page.get_by_role("tab", name="bash, zsh").click()
    expect(page.locator("#snippet pre").first).to_be_visible()


def failed_session(house, page):
    page.goto(reverse("session", args=[house.failed.pk]))
    expect(page.locator(".problem")).to_be_visible()


def session_of_a_root(house, page):
    page.goto(reverse("session", args=[house.root.pk]))


def provider(house, page):
    page.goto(reverse("new_session", args=[house.team.slug]))


def access_method(house, page):
    page.goto(reverse("new_session_method", args=[house.team.slug, "aws"]))


def empty_form(house, page):
    page.goto(reverse("new_session_form", args=[house.team.slug, "aws", "iam-role-chained"]))


def form_with_errors(house, page):
    empty_form(house, page)
    page.get_by_role("button", name="Create session").click()
    expect(page.locator(".errorlist").first).to_be_visible()


def form_after_its_trial(house, page):
    page.goto(reverse("edit_session", args=[house.inactive.pk]))
    page.get_by_role("button", name="Test before saving").click()
    expect(page.locator("#probe")).to_be_visible()
    house.work()
    expect(page.locator("#probe")).to_contain_text("Test passed")


def delete(house, page):
    page.goto(reverse("delete_session", args=[house.active.pk]))
    expect(page.locator(".tree__active").first).to_be_visible()


def user_menu(house, page):
    provider(house, page)
    page.locator("#user-menu summary").click()


def log_out(house, page):
    page.goto(reverse("account_logout"))


def missing(house, page):
    page.goto("/nothing/here/")


def policy(house, page):
    page.goto(reverse("team_policy", args=[house.team.slug]))
    expect(page.locator(".named")).to_be_visible()


def policy_with_errors(house, page):
    policy(house, page)
    page.get_by_label("Bind delivered credentials").fill("office")
    page.get_by_label("Allowed session tags").fill("aws:x")
    page.get_by_role("button", name="Save policy").click()
    expect(page.locator(".errorlist").first).to_be_visible()


def form_with_everything(house, page):
    set_policy(
        house, tags={"stage": ("test", "live"), "ticket": ()}, source_identity="where-possible"
    )
    page.goto(reverse("edit_session", args=[house.inactive.pk]))
    page.locator("summary", has_text="Advanced").click()
    page.get_by_label("ticket", exact=True).first.fill("OPS-1")
    expect(page.locator("#preview")).to_contain_text("ticket=OPS-1")


def session_with_everything(house, page):
    set_policy(
        house, tags={"ticket": ()}, networks=("203.0.113.0/24",), source_identity="where-possible"
    )
    leaf = house.chained("Everything", tags=(("ticket", "OPS-1"),), external_id="partner-7")
    house.start(leaf, house.ada)
    house.work()
    page.goto(reverse("session", args=[leaf.pk]))
    expect(page.locator(".meter")).to_be_visible()


# Only an admin comes there.
ADMINS = (policy, policy_with_errors, form_with_everything, session_with_everything)
PAGES = [
    *ADMINS,
    *(
        session_list,
        empty_search,
        keys,
        active_session_with_snippet,
        failed_session,
        session_of_a_root,
    ),
    *(
        provider,
        access_method,
        empty_form,
        form_with_errors,
        form_after_its_trial,
        delete,
        user_menu,
        log_out,
        missing,
    ),
]


@pytest.mark.looks
@pytest.mark.parametrize("visit", PAGES, ids=lambda visit: visit.__name__)
def test_a_page_is_accessible_in_light_in_dark_and_on_a_phone(furnished, tabs, visit):
    tabs.expected += ["status of 422", "status of 404"]
    page = tabs.open(
        furnished.ada if visit in (delete, form_after_its_trial, *ADMINS) else furnished.ben
    )
    visit(furnished, page)
    check(page)


@pytest.mark.looks
def test_the_pages_before_log_in_are_accessible(house, tabs):
    page = tabs.open()
    for name in ("account_login", "account_signup"):
        page.goto(reverse(name))
        check(page)


@pytest.mark.looks
def test_pages_without_sessions_or_without_a_team_are_accessible(house, tabs):
    house.root.delete()
    page = tabs.open(house.ada)
    page.goto("/")
    expect(page.get_by_role("heading", name="No sessions yet")).to_be_visible()
    check(page)
    house.ada.delete()
    page.goto("/")
    expect(page.get_by_role("heading", name="No team yet")).to_be_visible()
    check(page)


WIDTHS = (360, 640, 832, 866, 960, 1000, 1090, 1184, 1440, 1920)


@pytest.mark.looks
def test_every_part_is_accessible_in_both_themes_at_every_width(house, tabs, settings, tmp_path):
    settings.SIMULATED = True
    page = tabs.open(house.ada)
    page.goto(reverse("components"))
    check(page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            nothing_sticks_out(page)
            assert page.screenshot(full_page=True, path=tmp_path / f"{scheme}-{width}.png")


@pytest.mark.looks
def test_the_parts_are_not_shown_where_aws_is_real(house, tabs):
    tabs.expected.append("status of 404")
    page = tabs.open(house.ada)
    page.goto(reverse("components"))
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()


@pytest.mark.looks
def test_the_list_shows_its_buttons_whole_at_every_width(furnished, tabs):
    page = tabs.open(furnished.ben)
    page.goto(reverse("session_list", args=[furnished.team.slug]))
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        nothing_sticks_out(page)
        for button in page.locator(".cell-act .button:visible").all():
            box = button.bounding_box()
            assert box["x"] >= 0, width
            assert box["x"] + box["width"] <= width, width


@pytest.mark.looks
@pytest.mark.parametrize(
    "template", ["400.html", "403.html", "403_csrf.html", "429.html", "500.html"]
)
def test_an_error_page_is_accessible_and_needs_nothing_of_the_request(house, tabs, template):
    page = tabs.open()
    page.route(
        "**/broken/",
        lambda route: route.fulfill(body=render_to_string(template), content_type="text/html"),
    )
    page.goto("/broken/")
    check(page)


@pytest.mark.looks
def test_the_colours_are_switched_by_hand_and_remembered(house, tabs):
    page = tabs.open(house.ben, color_scheme="light")
    page.goto("/")
    light = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    switch = page.get_by_role("button", name="Colours")
    switch.click()
    switch.click()
    expect(switch).to_contain_text("dark")
    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert dark != light
    page.reload()
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == dark


def test_countdowns_go_by_the_servers_clock_not_by_the_browsers(furnished, tabs):
    page = tabs.open(furnished.ben)
    page.clock.install(time=furnished.state(furnished.active).expires_at + timedelta(days=400))
    page.goto(reverse("session", args=[furnished.active.pk]))
    expect(page.locator(".session__left time")).to_have_text(re.compile(r"^5\d min left$"))


def test_without_scripts_the_list_is_true_and_start_works(furnished, tabs):
    page = tabs.open(furnished.ben, java_script_enabled=False)
    page.goto(reverse("session_list", args=[furnished.team.slug]))
    expires_at = furnished.state(furnished.active).expires_at
    expect(page.locator(f"#row-{furnished.active.pk} time")).to_contain_text(
        f"{expires_at:%H:%M} UTC"
    )
    page.get_by_role("button", name="Start Resting").click()
    expect(page).to_have_url(f"{tabs.address}{reverse('session_list', args=[furnished.team.slug])}")
    expect(page.locator(f"#row-{furnished.inactive.pk} .status")).to_have_text("pending")


def test_a_person_in_two_teams_switches_in_the_top_bar(house, sts, tabs):
    from sessions.models import Role
    from sessions.people.people import add_member
    from tests.house import TeamFixture

    other = TeamFixture(sts, "other")
    add_member(other.team, house.ben.user, Role.AUDITOR, actor=NamedActor("tests"))
    page = tabs.open(house.ben)
    page.goto(reverse("session_list", args=[house.team.slug]))
    page.locator("#team-menu summary").click()
    check(page)
    page.get_by_role("link", name="Other").click()
    expect(page).to_have_url(f"{tabs.address}{reverse('session_list', args=['other'])}")
    expect(page.get_by_role("link", name="New session")).to_have_count(0)


def test_the_page_says_so_while_the_server_does_not_answer(furnished, tabs):
    page = tabs.open(furnished.ben)
    tabs.expected.append("ERR_FAILED")
    tabs.expected.append("htmx:sendError")
    page.clock.install()
    page.goto(reverse("session", args=[furnished.active.pk]))
    page.route("**/state/", lambda route: route.abort())
    page.clock.fast_forward("00:06")
    expect(page.locator("#lost")).to_be_visible()
    page.unroute("**/state/")
    page.clock.fast_forward("00:06")
    expect(page.locator("#lost")).to_be_hidden()


def test_every_state_of_the_database_has_been_seen(furnished):
    """The furnished house is what it says: else the pages above were looked at half empty."""
    states = {
        furnished.state(each).status.value
        for each in (furnished.active, furnished.pending, furnished.failed, furnished.inactive)
    }
    assert states == {"active", "pending", "failed", "inactive"}
    assert Activation.objects.count() == 4
    assert Credential.objects.exclude(problem=None).exists()


def test_a_choice_among_many_sessions_is_accessible_and_works_by_keyboard(furnished, tabs):
    crowd(furnished, 40)
    page = tabs.open(furnished.ada)
    empty_form(furnished, page)
    check(page)
    search = page.get_by_label("Search sessions")
    search.focus()
    page.keyboard.type("crowd 0039")
    expect(page.get_by_text("1 found")).to_be_visible()
    page.keyboard.press("Enter")  # which does not send the form
    expect(page).to_have_url(re.compile("/new/aws/iam-role-chained/$"))
    page.keyboard.press("Tab")
    page.keyboard.type("Crowd")
    expect(page.get_by_label("Assumer session")).to_have_value(
        str(AwsSession.objects.get(alias="Crowd 0039").pk)
    )
    check(page)


def test_without_scripts_a_session_among_many_is_found_and_chosen(furnished, tabs):
    sessions = crowd(furnished, 40)
    page = tabs.open(furnished.ada, java_script_enabled=False)
    empty_form(furnished, page)
    page.get_by_label("Session alias").fill("From afar")
    page.get_by_label("Search sessions").fill("0039")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_label("Session alias")).to_have_value("From afar")
    page.get_by_label("Assumer session").select_option(str(sessions[39].pk))
    page.get_by_label("Named profile").fill("afar")
    page.get_by_label("Role ARN").fill(furnished.role_arn("Afar"))
    page.get_by_label("Role session name").fill("{username}")
    page.get_by_role("button", name="Create session").click()
    expect(page.get_by_role("heading", name="From afar")).to_be_visible()
