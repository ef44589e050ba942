"""The vocabulary of the tests."""

import gc
import os
import shutil
import sys

import hypothesis
import pytest
from django.conf import settings
from django.db import connections
from django.test import testcases
from whitenoise.middleware import WhiteNoiseMiddleware

from sessions.api.refusals import refusals
from sessions.credentials import endpoints
from sessions.delivery import by_token
from sessions.engine import rate_limit
from sessions.locks import parts
from sessions.monitoring import redis, request_limits
from tests import flush
from tests import settings as test_settings
from tests.harness.identity_center import FakeIdentityCenter
from tests.harness.sts import FakeSts
from tests.harness.valkey import Valkey
from tests.house import TeamFixture

EXIT_STATUS = pytest.StashKey[int]()


def pytest_report_header():
    """Which of the two installations this run is about."""
    return (
        f"database: {connections['default'].vendor}, broker: {settings.REDIS_URL.partition(':')[0]}"
    )


# A test with one of these talks to the database or to the broker.
SERVERS = {"db", "transactional_db", "live_server", "django_db_setup", "valkey_url"}


def needs_servers(item):
    """Tell if a test may touch the database or the broker, by its fixtures and markers.

    pytest-django refuses the database to all others, and no broker runs but that of `valkey_url`.
    A test of processes may hand either on to them, unless it says that it does not."""
    marked = any(item.get_closest_marker(name) for name in ("django_db", "processes"))
    return marked or not SERVERS.isdisjoint(item.fixturenames)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if not needs_servers(item):
            item.add_marker(pytest.mark.no_servers)


def pytest_collection_finish():
    """Spare the garbage collector all that is imported: half of what it costs."""
    gc.collect()
    gc.freeze()


# On a busy machine a single example may take long without anything being wrong.
hypothesis.settings.register_profile("chainweb", deadline=None)
hypothesis.settings.load_profile("chainweb")


@pytest.fixture(scope="session", autouse=True)
def flush_that_may_empty_the_ledger():
    """Let Django empty every table between transactional tests, past the append-only triggers."""
    by_django = testcases.TransactionTestCase._fixture_teardown
    testcases.TransactionTestCase._fixture_teardown = lambda self: flush.empty_tables(
        lambda: by_django(self)
    )
    yield
    testcases.TransactionTestCase._fixture_teardown = by_django


@pytest.fixture(scope="session", autouse=True)
def static_files_listed_once():
    """Let WhiteNoise look at every static file once, and not again for each test client."""
    listed: dict[str, dict] = {}
    by_whitenoise = WhiteNoiseMiddleware.add_files_from_finders

    def add_files(self):
        if self.static_prefix not in listed:
            by_whitenoise(self)
            listed[self.static_prefix] = dict(self.files)
        self.files.update(listed[self.static_prefix])

    WhiteNoiseMiddleware.add_files_from_finders = add_files
    yield
    WhiteNoiseMiddleware.add_files_from_finders = by_whitenoise


@pytest.fixture(scope="session")
def sts_server():
    """Run one STS of our own: signatures, trust, expiry and the one-hour rule are checked."""
    with FakeSts() as server:
        os.environ["AWS_ENDPOINT_URL_STS"] = server.url
        yield server
        del os.environ["AWS_ENDPOINT_URL_STS"]


@pytest.fixture(autouse=True)
def counts_of_requests():
    """Forget what an earlier test asked for too often, and what it was refused."""
    request_limits.forget()
    refusals.forget()
    by_token.forget()


@pytest.fixture(autouse=True)
def parts_of_full_size(monkeypatch):
    """Make the size of parts independent of how busy this machine is."""
    monkeypatch.setattr(parts, "LEAST", parts.AT_ONCE)


@pytest.fixture
def sts(sts_server):
    """Make the STS, with no faults and no calls of an earlier test."""
    sts_server.reset()
    endpoints.reset_breakers()
    return sts_server


@pytest.fixture(scope="session")
def center_server(sts_server):
    """One IAM Identity Center of our own; what it gives is good at the STS."""
    with FakeIdentityCenter(sts_server) as server:
        yield server


@pytest.fixture
def center(center_server, sts, monkeypatch):
    """Make the Identity Center, with nobody assigned anything."""
    center_server.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", center_server.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSO_OIDC", center_server.url)
    return center_server


@pytest.fixture
def iam(sts, monkeypatch):
    """Serve IAM's access keys of the STS's users."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_IAM", sts.url)
    return sts.iam


@pytest.fixture
def house(db, sts):
    """Make a team of an admin (ada), two members (ben, bea), an auditor (eve) and one IAM user."""
    return TeamFixture(sts)


@pytest.fixture
def lasting_house(transactional_db, sts):
    """Make the same team where real commits, threads or other processes are needed."""
    return TeamFixture(sts)


@pytest.fixture(scope="session")
def valkey_url():
    """Run a broker for the whole run.

    The one of REDIS_URL, else the embedded Valkey on a socket of its own.
    """
    if os.environ.get("REDIS_URL"):
        yield os.environ["REDIS_URL"]
        return
    with Valkey(by_socket=True) as server:
        yield server.url


@pytest.fixture
def valkey(valkey_url, settings):
    """Make a real broker with nothing of ours in it; `sessions.monitoring.redis` talks to it."""
    settings.REDIS_URL = valkey_url
    redis._client.cache_clear()
    rate_limit._store.cache_clear()
    for key in redis.client().scan_iter("chainweb:*"):
        redis.client().delete(key)
    yield redis.client()
    redis._client.cache_clear()
    rate_limit._store.cache_clear()


def pytest_sessionfinish(session, exitstatus):
    session.config.stash[EXIT_STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """End at once with pytest's own status.

    The threads of browser, servers and STS calls are daemons, and an interpreter
    that is taken down under them has died of a signal after everything had passed."""
    status = config.stash.get(EXIT_STATUS, None)
    if status is not None:
        shutil.rmtree(test_settings.FOLDER, ignore_errors=True)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
