"""Run a real OpenID provider in a process of its own.

A person logs in at it without a screen.
"""

import re
from pathlib import Path

import pytest
import requests
from allauth.socialaccount import adapter

from chainweb.identity import oidc_provider, parse_group_map
from tests.identity_providers import IdentityProvider, npm_install

PACKAGE = "oidc-provider@9.13.3"
CALLBACK = "/accounts/oidc/sso/login/callback/"
HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory):
    return npm_install(tmp_path_factory.mktemp("oidc"), PACKAGE)


def openid_provider(folder, *hosts):
    return IdentityProvider(HERE / "provider.mjs", folder, *(f"{host}{CALLBACK}" for host in hosts))


@pytest.fixture(scope="module")
def openid(node_folder):
    provider = openid_provider(node_folder, "http://testserver")
    yield provider
    provider.stop()


@pytest.fixture
def connect(settings):
    """Set Chainweb up for a provider, with what its groups make of people."""

    def set_up(provider, groups=""):
        settings.OIDC_ISSUER = provider.issuer
        settings.OIDC_GROUPS = parse_group_map("OIDC_GROUPS", groups)
        settings.SOCIALACCOUNT_PROVIDERS = {
            "openid_connect": oidc_provider(
                provider.issuer,
                "chainweb",
                "a secret of the tests alone",
                name="Test IdP",
                scopes=["openid", "profile", "email", "groups"],
            )
        }
        assert adapter.get_adapter().list_apps(None)

    return set_up


class Person:
    """Somebody with a browser: one jar of cookies at the provider, one at Chainweb."""

    def __init__(self, name, client):
        self.name, self.client, self.at_provider = name, client, requests.Session()
        self.asked_for_password = 0

    def come_in(self, url="/accounts/oidc/sso/login/?process=login"):
        """From the button on the login page to where Chainweb leads in the end."""
        leaving = self.client.post(url)
        assert leaving.status_code == 200, leaving.content
        return self.follow(leaving.headers["Refresh"].partition("url=")[2])

    def follow(self, url):
        answer = self.at_provider.get(url, allow_redirects=False, timeout=10)
        while True:
            if answer.is_redirect:
                target = requests.compat.urljoin(answer.url, answer.headers["Location"])
                if target.startswith("http://testserver/"):
                    return self.client.get(target.removeprefix("http://testserver"))
                answer = self.at_provider.get(target, allow_redirects=False, timeout=10)
                continue
            action = re.search(r'action="([^"]+)"', answer.text)[1]
            prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)[1]
            self.asked_for_password += prompt == "login"
            words = {"prompt": prompt, "login": self.name, "password": "any"}
            target = requests.compat.urljoin(answer.url, action)
            answer = self.at_provider.post(target, words, allow_redirects=False, timeout=10)


@pytest.fixture
def person(client):
    return lambda name: Person(name, client)
