"""Installations for the tests of this folder; each is ended, whatever the test did."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from chainweb.local import embedded
from tests.harness import servers
from tests.harness.installation import Installation
from tests.harness.processes import CHECKOUT, clean_environ, manage


@contextmanager
def short_folder():
    """Make a folder whose path is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="cwp-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def data():
    """Make a folder of short path for one installation."""
    with short_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def keys_and_tables(tmp_path_factory):
    """Make a folder with keys and a migrated database once, so that few tests wait for it."""
    data = tmp_path_factory.mktemp("data")
    folder = data / "simulated"
    embedded.prepare(folder)
    manage("migrate", "--verbosity=0", environ={**clean_environ(), "CHAINWEB_DATA": str(data)})
    return folder


@pytest.fixture
def first_installation(data):
    """`./run`, not yet started, with the simulated AWS, in a folder where nothing is yet."""
    one = Installation(data, command=[str(CHECKOUT / "run")])
    yield one
    one.end()


@pytest.fixture(scope="module")
def lasting_installation(keys_and_tables):
    """`./run` with the simulated AWS, keys and tables, for all tests of a module."""
    with short_folder() as folder:
        one = Installation(folder, command=[str(CHECKOUT / "run")])
        shutil.copytree(keys_and_tables, one.folder)
        yield one
        one.end()


@pytest.fixture(scope="module")
def scratch():
    """(DATABASE_URL, REDIS_URL) of this machine's PostgreSQL and Redis."""
    try:
        servers.check()
        servers.empty_redis(servers.claim_redis_number())
    except servers.Unavailable as reason:
        if os.environ.get("CI") == "true":
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))
    with servers.scratch() as urls:
        yield urls
