"""AWS tests have an environment without anybody's AWS settings, and an STS of their own."""

import os

import pytest

from sessions.aws.roots import ambient
from tests.harness.identity_center import FakeIdentityCenter
from tests.harness.sts import FakeSts


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    ambient.forget()
    yield
    ambient.forget()


@pytest.fixture(scope="module")
def own_server():
    with FakeSts() as server:
        yield server


@pytest.fixture
def sts(own_server, monkeypatch):
    own_server.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", own_server.url)
    return own_server


@pytest.fixture(scope="module")
def own_center(own_server):
    with FakeIdentityCenter(own_server) as portal:
        yield portal


@pytest.fixture
def center(own_center, sts, monkeypatch):
    """Make an Identity Center whose credentials are good at the STS; ada has two accounts."""
    own_center.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", own_center.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSO_OIDC", own_center.url)
    own_center.assign("ada", "111122223333", "Production", "Deploy", "ReadOnly", "Audit")
    own_center.assign("ada", "444455556666", "Development", "Admin")
    return own_center
