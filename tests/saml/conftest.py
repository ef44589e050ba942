"""Run a SAML identity provider in a process of its own.

A person logs in at it without a screen.
"""

import base64
import html
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from allauth.socialaccount import providers
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from django.test import Client

from chainweb.identity import parse_group_map, saml_provider
from sessions.login.adapters import ASKED_AT_KEY
from sessions.login.saml.provider import SAMLProvider
from tests.identity_providers import IdentityProvider, npm_install

PACKAGE = "samlp@8.0.0"
HERE = Path(__file__).parent


def signing_pair(folder, name="idp.example"):
    """Make a key and its certificate; return their paths."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = x509.CertificateBuilder(
        who, who, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1)
    ).sign(key, hashes.SHA256())
    paths = folder / f"{name}.key.pem", folder / f"{name}.pem"
    paths[0].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    paths[1].write_bytes(certificate.public_bytes(Encoding.PEM))
    return paths


@pytest.fixture(scope="session")
def saml_folder(tmp_path_factory):
    return npm_install(tmp_path_factory.mktemp("saml"), PACKAGE)


@pytest.fixture(scope="session")
def saml_idp(saml_folder):
    provider = IdentityProvider(HERE / "provider.cjs", saml_folder, *signing_pair(saml_folder))
    yield provider
    provider.stop()


@pytest.fixture
def connect_saml(settings):
    """Switch SAML on for a provider, with what its groups make of people."""

    def set_up(provider, groups=""):
        settings.ROOT_URLCONF = "tests.saml.urls"
        settings.SAML_IDP_METADATA_URL = f"{provider.issuer}/metadata"
        settings.SAML_GROUPS = parse_group_map("SAML_GROUPS", groups)
        settings.SOCIALACCOUNT_PROVIDERS = {
            "saml": saml_provider(provider.issuer, settings.SAML_IDP_METADATA_URL, "Test IdP")
        }
        providers.registry.get_class_list()  # all that are installed, before ours
        providers.registry.register(SAMLProvider)

    yield set_up
    providers.registry.provider_map.pop(SAMLProvider.id, None)


class Person:
    """Somebody with a browser: one jar of cookies at the provider, one at Chainweb."""

    def __init__(self, name):
        self.name, self.at_provider = name, requests.Session()
        self.client = Client(headers={"Host": "testserver"})
        self.asked = 0

    def leaving(self, url="/accounts/saml/saml/login/?process=login"):
        """Follow the login page's button to the provider, with a request."""
        leaving = self.client.post(url)
        assert leaving.status_code == 200, leaving.content
        return leaving.headers["Refresh"].partition("url=")[2]

    def at_the_provider(self, url):
        """Return what the provider's page makes the browser post: (address, fields)."""
        page = self.at_provider.get(url, timeout=10)
        if 'name="person"' in page.text:
            self.asked += 1
            words = {**fields(page.text), "person": self.name}
            page = self.at_provider.post(
                requests.compat.urljoin(page.url, "/sso"), words, timeout=10
            )
        assert page.status_code == 200, page.text
        return html.unescape(re.search(r'action="([^"]+)"', page.text)[1]), fields(page.text)

    def answer_for(self, *url):
        return self.at_the_provider(self.leaving(*url))

    def asked_before(self, *, seconds):
        """Set how long ago the provider asked them."""
        session = self.client.session
        session[ASKED_AT_KEY] = int(time.time()) - seconds
        session.save()

    def hand_in(self, address, words):
        """Post the provider's answer, as its page does, and follow within Chainweb."""
        posted = self.client.post(address.removeprefix("http://testserver"), words)
        assert posted.status_code == 302, posted.content
        return self.client.get(posted.headers["Location"])

    def come_in(self, *url):
        return self.hand_in(*self.answer_for(*url))


def fields(page):
    """{name: value} of a page's hidden fields."""
    found = re.findall(r'type="hidden"\s+name="([^"]+)"\s+value="([^"]*)"', page)
    return {name: html.unescape(value) for name, value in found}


def plain(words):
    """Return the XML of an answer."""
    return base64.b64decode(words["SAMLResponse"]).decode()


def altered(words, *changes):
    """Return the same answer with the first of each text in it replaced: (old, new)…"""
    text = plain(words)
    for old, new in changes:
        assert old in text, text
        text = text.replace(old, new, 1)
    return {**words, "SAMLResponse": base64.b64encode(text.encode()).decode()}


@pytest.fixture
def person():
    return Person
