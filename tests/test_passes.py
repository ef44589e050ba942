"""Check that CI's two passes together leave out no test, and what runs in one of them alone."""

import os
import runpy
import subprocess
import sys

import pytest
import redis
from django.db import connection

from sessions.monitoring.redis import client
from tests.conftest import SERVERS
from tests.platform.installation import CHECKOUT

LEFT_OUT = "not own_servers and not no_servers"


def test_what_is_left_to_one_pass_asks_for_no_server(request):
    once = [item for item in request.session.items if item.get_closest_marker("no_servers")]
    assert request.node in once
    for item in once:
        assert SERVERS.isdisjoint(item.fixturenames), item.nodeid
        assert not item.get_closest_marker("django_db"), item.nodeid


def test_the_database_is_refused_without_a_fixture_of_it():
    with pytest.raises(RuntimeError, match="Database access not allowed"):
        connection.ensure_connection()


@pytest.mark.skipif("REDIS_URL" in os.environ, reason="a broker is running")
def test_no_broker_answers_without_a_fixture_of_it():
    with pytest.raises(redis.ConnectionError):
        client().ping()


def test_the_embedded_pass_leaves_nothing_out(monkeypatch):
    """The other pass leaves out these two markers alone."""
    commands = []
    monkeypatch.setattr(subprocess, "call", lambda command, **_: commands.append(command) or 0)
    runpy.run_path(str(CHECKOUT / "test"))["check_everything"](sys.executable, {})
    assert [each for each in commands if "pytest" in each] == [[sys.executable, "-m", "pytest"]]
    ci = (CHECKOUT / ".ci" / "run").read_text()
    assert f'./test -m "{LEFT_OUT}" tests ' in ci
    assert ci.count("./test -m") == 1
    assert "\n./test 2>&1 | tee" in ci
