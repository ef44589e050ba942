"""Log in at a real identity provider in a real browser, under our CSP and cookie rules."""

import re

from django.urls import reverse
from playwright.sync_api import expect

from tests.oidc.conftest import connect, node_folder, openid_provider
from tests.saml.conftest import connect_saml, saml_folder, saml_idp

__all__ = ["connect", "connect_saml", "node_folder", "saml_folder", "saml_idp"]  # fixtures


def test_a_browser_goes_to_the_provider_and_comes_back_as_a_member(
    house, node_folder, connect, tabs, live_server
):
    provider = openid_provider(node_folder, live_server.url)
    try:
        connect(provider, "aws-users=platform:member")
        provider.person("grace", groups=["aws-users"])
        page = tabs.open()
        # The provider's own pages ask for a font from elsewhere.
        page.route(re.compile("^https://"), lambda route: route.abort())
        tabs.expected.append("ERR_FAILED")
        page.goto(reverse("account_login"))
        page.get_by_role("button", name="Continue with Test IdP").click()
        page.get_by_placeholder("Enter any login").fill("grace")
        page.get_by_placeholder("and password").fill("any")
        page.get_by_role("button", name="Sign-in").click()
        page.get_by_role("button", name="Continue").click()
        expect(page.locator(".topbar__user")).to_have_text("grace")
    finally:
        provider.stop()


def test_a_browser_goes_to_the_saml_provider_and_comes_back_as_a_member(
    house, saml_idp, connect_saml, tabs
):
    connect_saml(saml_idp, "aws-admins=platform:admin")
    saml_idp.person("grace", groups=["aws-admins"])
    page = tabs.open()
    page.goto(reverse("account_login"))
    page.get_by_role("button", name="Continue with Test IdP").click()
    page.get_by_label("Name").fill("grace")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator(".topbar__user")).to_have_text("member")
    # Something sensitive: the provider, which knows her, is told to ask again.
    page.goto(reverse("invite", args=["platform"]))
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Name").fill("grace")
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile(re.escape(reverse("invite", args=["platform"]))))
