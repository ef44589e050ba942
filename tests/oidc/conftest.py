"""A real OpenID provider in a process of its own, and somebody who logs in at it without a screen."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import requests
from allauth.socialaccount import adapter

from chainweb.identity import oidc_provider, parse_group_map

PACKAGE = "oidc-provider@9.13.3"
CALLBACK = "/accounts/oidc/sso/login/callback/"
HERE = Path(__file__).parent


def give_up(reason):
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI has to have one.")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory):
    """Where the provider's package is installed, by npm, now."""
    if not shutil.which("npm") or not shutil.which("node"):
        give_up("There is no node with npm here for an OpenID provider")
    folder = tmp_path_factory.mktemp("oidc")
    (folder / "package.json").write_text('{"private": true}')
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", PACKAGE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        give_up(f"npm could not install an OpenID provider ({done.stderr.strip()[-300:]})")
    return folder


class OpenIdProvider:
    """The process, and what its administrator can do."""

    def __init__(self, folder, *hosts):
        redirects = [f"{host}{CALLBACK}" for host in hosts]
        self.process = subprocess.Popen(
            ["node", HERE / "provider.mjs", folder, *redirects],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.issuer = json.loads(self.process.stdout.readline())["issuer"]

    def person(self, name, /, **claims):
        requests.put(f"{self.issuer}/people/{name}", json=claims, timeout=10).raise_for_status()

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def openid(node_folder):
    provider = OpenIdProvider(node_folder, "http://testserver")
    yield provider
    provider.stop()


@pytest.fixture
def connect(settings):
    """Sets Chainweb up for a provider, with what its groups make of people."""

    def set_up(provider, groups=""):
        settings.OIDC_ISSUER = provider.issuer
        settings.OIDC_GROUPS = parse_group_map(groups)
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
        """From the button on the log-in page to where Chainweb leads in the end."""
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
