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
from tests.harness.processes import CHECKOUT

LEFT_OUT = "not own_servers and not no_servers and not looks"


def test_what_is_left_to_one_pass_asks_for_no_server(request):
    once = [item for item in request.session.items if item.get_closest_marker("no_servers")]
    assert request.node in once
    for item in once:
        assert SERVERS.isdisjoint(item.fixturenames), item.nodeid
        assert not item.get_closest_marker("django_db"), item.nodeid


def test_only_what_a_browser_shows_is_judged_by_its_looks(request):
    for item in request.session.items:
        if item.get_closest_marker("looks"):
            assert item.get_closest_marker("browser"), item.nodeid


def test_the_database_is_refused_without_a_fixture_of_it():
    with pytest.raises(RuntimeError, match="Database access not allowed"):
        connection.ensure_connection()


@pytest.mark.skipif("REDIS_URL" in os.environ, reason="a broker is running")
def test_no_broker_answers_without_a_fixture_of_it():
    with pytest.raises(redis.ConnectionError):
        client().ping()


@pytest.fixture
def check_everything(monkeypatch):
    """Run the checks of `./test` with these exit codes by the command's words: code, commands."""

    def check(environ=(), **codes):
        commands = []

        def call(command, *, stdout, **_):
            commands.append(command)
            if stdout:
                stdout.write(b"printed by " + " ".join(command[1:4]).encode())
            return next((code for word, code in codes.items() if word in command), 0)

        monkeypatch.setattr(subprocess, "call", call)
        ours = runpy.run_path(str(CHECKOUT / "test"))
        return ours["check_everything"](sys.executable, dict(environ)), commands

    return check


def test_the_embedded_pass_leaves_nothing_out(check_everything):
    """The other pass leaves out these three markers alone."""
    code, commands = check_everything()
    assert code == 0
    assert sorted(each for each in commands if "pytest" in each) == [
        [sys.executable, "-m", "pytest", "-m", "not (processes or browser)"],
        [sys.executable, "-m", "pytest", "-m", "processes or browser"],
    ]
    ci = (CHECKOUT / ".ci" / "run").read_text()
    assert f'./test -m "{LEFT_OUT}" tests ' in ci
    assert ci.count("./test -m") == 1
    assert "\n./test 2>&1 | tee" in ci


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_one_pytest_alone_uses_the_servers_it_is_given(check_everything, name):
    _, commands = check_everything({name: "x"})
    assert [each for each in commands if "pytest" in each] == [[sys.executable, "-m", "pytest"]]


@pytest.mark.parametrize("word", ["mypy", "makemigrations", "pytest", "ruff"])
def test_a_check_that_fails_is_named_after_all_have_run(check_everything, capsys, word):
    code, commands = check_everything(**{word: 3})
    printed = capsys.readouterr().out
    assert code == 1
    assert len(commands) == 9
    assert printed.count("--- ") == len(commands)
    assert printed.count("FAILED (3)") == (2 if word in ("ruff", "pytest") else 1)
    assert "Failed: " in printed.splitlines()[-1]


def test_what_goes_on_beside_the_tests_prints_after_them(check_everything, capsys):
    check_everything()
    printed = capsys.readouterr().out
    assert (
        printed.index("--- pytest\n")
        < printed.index("--- pytest, processes and browser\nprinted by -m pytest -m")
        < printed.index("--- mypy\nprinted by -m mypy")
    )
