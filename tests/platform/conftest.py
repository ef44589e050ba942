"""Installations for the tests of this folder; each is ended, whatever the test did."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.platform import servers
from tests.platform.installation import CHECKOUT, Installation


@pytest.fixture
def data():
    """A folder of short path for one installation."""
    folder = Path(tempfile.mkdtemp(prefix="cwp-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def installation(data):
    """`./run`, not yet started, with the simulated AWS."""
    one = Installation(data, command=[str(CHECKOUT / "run")])
    yield one
    one.end()


@pytest.fixture(scope="module")
def scratch():
    """(DATABASE_URL, REDIS_URL) of this machine's PostgreSQL and Redis."""
    try:
        servers.connect().close()
        servers.empty_redis(servers.claim_redis_number())
    except servers.NotThere as reason:
        if os.environ.get("CI") == "true":
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))
    with servers.scratch() as urls:
        yield urls
