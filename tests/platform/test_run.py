"""`./run` as its user: it starts, it stops, it is killed, and nothing is ever left over.

A start takes 8 CPU seconds, so the tests have one installation between them, in the state in which
the one before has left it: each takes it `running` or `stopped`, and may be run alone.
"""

import os
import signal
import socket

import pytest

from tests.harness.waiting import wait_for

pytestmark = [pytest.mark.processes, pytest.mark.own_servers]

# Python runs a module of this name at its start: every process of the installation writes down whom
# it talks to.
WATCH_THE_NETWORK = """
import os, sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        asked = address[0] if isinstance(address, tuple) else "a unix socket"
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        asked = arguments[0]
    else:
        return
    with open(os.environ["NETWORK_LOG"], "a") as log:
        log.write(f"{asked}\\n")

sys.addaudithook(watch)
"""
OF_THIS_MACHINE = {"a unix socket", "localhost", "127.0.0.1", "::1"}


@pytest.fixture(scope="module")
def session(lasting_installation):
    """Start a session after the first start: its id, and a token."""
    installation = lasting_installation.start()
    token = installation.token("ada", "demo")
    [session] = [
        each
        for each in installation.api("GET", "/sessions", token)
        if each["alias"] == "Security reader"
    ]
    installation.api("POST", f"/sessions/{session['id']}/start", token)
    installation.wait_until_active(session["id"], token)
    return session["id"], token


@pytest.fixture
def running(lasting_installation, session):
    if lasting_installation.has_ended():
        lasting_installation.start()
    return lasting_installation


@pytest.fixture
def stopped(lasting_installation, session):
    lasting_installation.end()
    return lasting_installation


def test_ctrl_c_ends_everything(running):
    assert len(running.left()) > len(running.children()) > 0
    code, printed = running.stop()  # as a terminal does: the whole group
    assert (code, printed.splitlines()[-1]) == (0, "Stopped.")
    assert running.left() == []


def test_ctrl_c_in_the_midst_of_a_first_start_ends_everything(first_installation):
    first_installation.launch()
    wait_for(first_installation.children, "the first child")
    code, printed = first_installation.stop()
    assert (code, printed.splitlines()[-1]) == (0, "Stopped.")
    assert first_installation.left() == []


def test_a_second_start_asks_nobody_but_this_machine(stopped, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(WATCH_THE_NETWORK)
    log = tmp_path / "network.log"
    monkeypatch.setitem(stopped.environ, "PYTHONPATH", str(tmp_path))
    monkeypatch.setitem(stopped.environ, "NETWORK_LOG", str(log))
    stopped.start()
    print(f"ready after {stopped.seconds_to_ready:.1f} s")
    stopped.stop()
    asked = set(log.read_text().splitlines())
    # The supervisor asks web and moto, the worker its broker.
    assert {"a unix socket", "127.0.0.1"} <= asked
    assert asked <= OF_THIS_MACHINE


def test_a_port_that_is_taken_is_named_with_another_to_try(stopped):
    with socket.create_server(("127.0.0.1", stopped.port)):
        stopped.launch()
        code, printed = stopped.ended()
    assert code == 1
    assert f"Cannot listen on 127.0.0.1, port {stopped.port}" in printed
    assert f"./run --port {stopped.port + 1}" in printed
    assert stopped.left() == []


def test_it_listens_where_it_is_told_and_nowhere_else(stopped):
    stopped.start("--host", "127.0.0.2")
    assert f"Chainweb is ready at http://localhost:{stopped.port}" in stopped.output()
    assert "Other machines can reach this" not in stopped.output()
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.2", stopped.port)) == 0
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", stopped.port)) != 0


def test_ctrl_c_ends_everything_also_when_the_supervisor_alone_is_told(running):
    running.process.send_signal(signal.SIGINT)
    code, printed = running.ended()
    assert (code, printed.splitlines()[-1]) == (0, "Stopped.")
    assert running.left() == []


def test_it_says_what_it_is_not_made_for_where_others_can_reach_it(stopped):
    stopped.start("--host", "0.0.0.0")
    assert "Other machines can reach this, and ./run is not made for that" in stopped.output()
    assert "slow clients" in stopped.output()


def test_a_killed_supervisor_leaves_nothing_and_the_next_start_works(running, session):
    running.wait_until_active(*session)
    running.process.kill()
    running.process.wait()
    wait_for(lambda: not running.left(), "every process to end")
    running.start()
    running.wait_until_active(*session)


def test_any_processs_end_ends_all_with_the_reason_and_a_restart_works(running, session, subtests):
    """Which processes there are is read from the running supervisor."""
    session_id, token = session
    running.wait_until_active(session_id, token)
    key_id = running.credentials(session_id, token)["AccessKeyId"]
    names = sorted(running.children())
    assert {"web", "worker", "beat", "valkey", "moto"} <= set(names)
    for name in names:
        with subtests.test(killed=name):
            os.kill(running.children()[name], signal.SIGKILL)
            code, printed = running.ended()
            assert code == 1
            assert f"{name} ended: killed by SIGKILL. Everything else was stopped." in printed
            # Its children may have written more since, and what is not printable is printed as an
            # escape.
            log = running.folder / "logs" / f"{name}.log"
            last = printed.partition(f"Its last lines, from {log}:\n")[2].splitlines()
            assert all(line[2:60].partition("\\")[0] in log.read_text() for line in last)
            assert last or not log.read_text()
            assert running.left() == []
        # The simulator has forgotten all it had issued: what is delivered now was minted after the
        # restart.
        running.end()
        running.start()
        before = key_id
        running.wait_until_active(session_id, token)
        key_id = running.credentials(session_id, token)["AccessKeyId"]
        assert key_id != before
