"""The vocabulary of the tests."""

import os

import pytest
from django.conf import settings
from django.db import connections
from django.test import testcases

from sessions import triggers
from sessions.lifecycle import lanes
from tests.fake_sts import FakeSts
from tests.house import House


def pytest_report_header():
    """Which of the two installations this run is about."""
    return f"database: {connections['default'].vendor}, broker: {settings.REDIS_URL.partition(':')[0]}"


@pytest.fixture(scope="session", autouse=True)
def flush_that_may_empty_the_ledger():
    """Between transactional tests Django empties every table; the append-only triggers step aside for that alone."""
    flush = testcases.TransactionTestCase._fixture_teardown

    def flush_without_triggers(self):
        for connection in connections.all(initialized_only=True):
            triggers.remove(connection)
        flush(self)
        for connection in connections.all(initialized_only=True):
            triggers.install(connection)

    testcases.TransactionTestCase._fixture_teardown = flush_without_triggers
    yield
    testcases.TransactionTestCase._fixture_teardown = flush


@pytest.fixture(scope="session")
def sts_server():
    """One STS of our own for the whole run: signatures, trust, expiry and the one-hour rule are really checked."""
    with FakeSts() as server:
        os.environ["AWS_ENDPOINT_URL_STS"] = server.url
        yield server
        del os.environ["AWS_ENDPOINT_URL_STS"]


@pytest.fixture
def sts(sts_server):
    """The STS, with no faults and no calls of an earlier test."""
    sts_server.reset()
    lanes.forget()
    return sts_server


@pytest.fixture
def house(db, sts):
    """A team with an admin (ada), two members (ben, bea), an auditor (eve), and one IAM user to assume from."""
    return House(sts)


@pytest.fixture
def lasting_house(transactional_db, sts):
    """The same where real commits, threads or other processes are needed."""
    return House(sts)
