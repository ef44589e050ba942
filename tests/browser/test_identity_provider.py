"""To a real OpenID provider and back in a real browser, under our own content security policy."""

import re

from django.urls import reverse
from playwright.sync_api import expect

from tests.oidc.conftest import OpenIdProvider, connect, node_folder

__all__ = ["connect", "node_folder"]  # fixtures


def test_a_browser_goes_to_the_provider_and_comes_back_as_a_member(
    house, node_folder, connect, tabs, live_server
):
    provider = OpenIdProvider(node_folder, live_server.url)
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
