"""People in a real browser: invitation, passkey, removal; accessible in every theme and size."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from sessions.actors import Actor, NamedActor
from sessions.catalog.access import save_group, set_access
from sessions.catalog.audiences import Access, Audience
from sessions.delivery.reveal import reveal
from sessions.ledger.events import read
from sessions.ledger.events.accounts import FactorAdded, LoggedIn, LoggedOut, RecoveryCodesCreated
from sessions.models import Membership, Role, SessionGrant, Token
from sessions.people.invitations import invite
from sessions.people.memberships import remove_member
from sessions.people.tokens import create_token
from tests.browser.looking import check


@pytest.fixture
def peopled(house):
    """Make a team with a group, an invitation, a token, a restricted session and a broken chain."""
    [hub] = house.chain(1, prefix="Hub")
    house.broken = house.chained("Broken", hub, member=house.bea)
    house.start(hub, house.ben)
    house.work()
    reveal(hub, Actor(house.ben), form="process", via="page")
    group = save_group(Actor(house.ada), "On call", [house.ben])
    set_access(hub, Access(Audience(), Audience(everyone=False, groups=[group])), NamedActor("ada"))
    invite(Actor(house.ada), Role.MEMBER, "Nora")
    create_token(house.ben, "laptop", NamedActor("ben"), sessions=[hub])
    house.hub, house.group = hub, group
    return house


def at(name, *arguments):
    def visit(house, page):
        values = [argument(house) for argument in arguments]
        page.goto(reverse(name, args=values))

    visit.__name__ = name
    return visit


def team(house):
    return house.team.slug


def ben(house):
    return house.ben.user_id


def made_token(house, page):
    page.goto(reverse("tokens", args=[house.team.slug]))
    page.get_by_label("Token name").fill("laptop")
    page.get_by_role("button", name="Create token").click()
    expect(page.locator("#token")).to_contain_text("cwt_")


def invitation_link(house, page):
    page.goto(reverse("invite", args=[house.team.slug]))
    page.get_by_role("button", name="Create invitation").click()
    expect(page.locator("#link")).to_contain_text("/join/#")


def rename_refused(house, page):
    page.goto(reverse("person", args=[house.team.slug, house.ben.user_id]))
    page.get_by_label("Name in CloudTrail").fill("ben jones")
    page.get_by_role("button", name="Change name").click()
    expect(page.locator(".errorlist")).to_be_visible()


def former_member(house, page):
    remove_member(house.ben, NamedActor("ada"), house.ada.user)
    page.goto(reverse("person", args=[house.team.slug, house.ben.user_id]))
    expect(page.get_by_text("Not a member of")).to_be_visible()
    expect(page.locator("table")).to_contain_text("ASIA")


PAGES = [
    at("people", team),
    at("invite", team),
    at("person", team, ben),
    at("person_remove", team, ben),
    at("new_group", team),
    at("group", team, lambda house: house.group.pk),
    at("session_access", lambda house: house.hub.pk),
    at("session", lambda house: house.broken.pk),
    at("tokens", team),
    *(made_token, invitation_link, rename_refused, former_member),
    at("mfa_index"),
    at("mfa_activate_totp"),
    at("mfa_list_webauthn"),
    at("mfa_add_webauthn"),
    at("account_change_password"),
    at("account_email"),
    at("account_reauthenticate"),
    at("usersessions_list"),
]


@pytest.mark.looks
@pytest.mark.parametrize("visit", PAGES, ids=lambda visit: visit.__name__)
def test_a_page_about_people_is_accessible_in_light_in_dark_and_on_a_phone(peopled, tabs, visit):
    tabs.expected.append("status of 422")
    page = tabs.open(peopled.ada)
    visit(peopled, page)
    check(page)


@pytest.mark.looks
@pytest.mark.parametrize(
    "name", ["join", "account_reset_password", "account_signup", "account_inactive"]
)
def test_a_page_on_the_way_in_is_accessible(house, tabs, name):
    page = tabs.open()
    page.goto(reverse(name))
    check(page)


def test_an_invited_person_joins_by_link_and_the_code_leaves_the_address(house, tabs):
    ada, nora = tabs.open(house.ada), tabs.open()
    invitation_link(house, ada)
    link = ada.locator("#link").inner_text()
    asked = []
    nora.on("request", lambda request: asked.append(request.url))
    nora.goto(link)
    expect(nora.get_by_role("heading", name=f"Join {house.team.name}")).to_be_visible()
    check(nora)
    assert "#" not in nora.url
    code = link.partition("#")[2]
    assert all(code not in url for url in asked if "#" not in url)
    nora.get_by_role("link", name="Create account").click()
    nora.get_by_label("Username").fill("nora")
    nora.get_by_label("Password").fill("a long enough secret")
    nora.get_by_role("button", name="Create account").click()
    expect(nora.get_by_role("link", name="Root key")).to_be_visible()
    assert Membership.objects.get(user__username="nora").role == Role.MEMBER


def test_a_removed_member_is_out_at_the_next_click(house, tabs):
    ada, ben = tabs.open(house.ada), tabs.open(house.ben)
    # Ben's page may ask for its state before he loads it again.
    tabs.expected += ["status of 404", "Error Code 404"]
    [leaf] = house.chain(1)
    ben.goto(reverse("session", args=[leaf.pk]))
    ada.goto(reverse("people", args=[house.team.slug]))
    ada.get_by_role("link", name="ben", exact=True).click()
    ada.get_by_role("link", name="Remove from team…").click()
    ada.get_by_role("button", name="Remove ben").click()
    expect(ada.get_by_text("ben is removed from the team.")).to_be_visible()
    expect(ada.get_by_text("Not a member of Platform any more.")).to_be_visible()
    ben.reload()
    expect(ben.get_by_role("heading", name="Not found")).to_be_visible()


def test_a_session_is_opened_to_a_group_by_hand(house, tabs):
    group = save_group(Actor(house.ada), "On call", [house.bea])
    [leaf] = house.chain(1)
    ada, ben, bea = tabs.open(house.ada), tabs.open(house.ben), tabs.open(house.bea)
    ada.goto(reverse("session", args=[leaf.pk]))
    ada.get_by_role("link", name="Access").click()
    start = ada.get_by_role("group", name="Who may start it")
    start.get_by_label("Only people and groups selected below").check()
    ada.get_by_role("group", name="Groups who may start it").get_by_label("On call").check()
    ada.get_by_role("button", name="Save").click()
    expect(ada.get_by_text("saved.")).to_be_visible()
    assert SessionGrant.objects.get().group == group
    for page, count in ((ben, 0), (bea, 1)):
        page.goto(reverse("session", args=[leaf.pk]))
        expect(page.get_by_role("button", name="Start Hop 1")).to_have_count(count)


def test_a_token_is_made_copied_and_revoked_by_hand(house, tabs):
    page = tabs.open(house.ben)
    made_token(house, page)
    text = page.locator("#token").inner_text()
    page.get_by_role("button", name="Copy token").click()
    expect(page.locator("#said")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == text
    page.get_by_role("button", name="Revoke laptop").click()
    expect(page.get_by_text("” revoked.")).to_be_visible()
    assert Token.objects.get().revoked_at is not None


def test_a_passkey_is_added_and_then_opens_the_door_and_confirms(house, tabs, live_server):
    """Use the browser's own virtual authenticator.

    At 127.0.0.1 browsers refuse passkeys, so the name is localhost.
    """
    tabs.address = live_server.url.replace("127.0.0.1", "localhost")
    page = tabs.open(house.ben)
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    page.goto(reverse("mfa_add_webauthn"))
    page.get_by_label("Passwordless").check()
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    page.locator("#user-menu summary").click()
    page.get_by_role("button", name="Log out").click()
    page.goto(reverse("account_login"))
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("link", name="Chainweb, home")).to_be_visible()
    page.goto(reverse("account_email"))
    expect(page.get_by_role("heading", name="Email address")).to_be_visible()
    told = [read(line.kind, line.data) for line in house.events() if line.actor == "ben"]
    assert told == [
        FactorAdded(factor="passkey", name="Master key"),
        RecoveryCodesCreated(),
        LoggedOut(),
        LoggedIn(how=("passkey",)),
    ]


def test_hostile_names_of_groups_invitations_and_tokens_stay_text(house, tabs):
    hostile = "\"'><img src=x onerror=alert(1)>{{7*7}}"
    save_group(Actor(house.ada), hostile, [house.ben])
    invite(Actor(house.ada), Role.MEMBER, hostile)
    create_token(house.ben, hostile, NamedActor("ben"))
    page = tabs.open(house.ada)
    places = [reverse("people", args=[house.team.slug]), reverse("tokens", args=[house.team.slug])]
    places.append(reverse("person", args=[house.team.slug, house.ben.user_id]))
    places.append(reverse("session_access", args=[house.root.pk]))
    for place in places:
        page.goto(place)
        expect(page.get_by_text(hostile).first).to_be_visible()
        assert page.locator("img[src=x]").count() == 0
