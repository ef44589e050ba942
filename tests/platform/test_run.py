"""`./run` as its user: it starts, it stops, it is killed, and nothing is ever left over."""

import os
import signal
import socket

import pytest

from tests.harness.installation import Installation
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


def start_a_session(installation: Installation) -> tuple[str, str, str]:
    """Start a session; return its id, a token, and the access key id that it has got."""
    token = installation.token("ada", "demo")
    [session] = [
        each
        for each in installation.api("GET", "/sessions", token)
        if each["alias"] == "Security reader"
    ]
    installation.api("POST", f"/sessions/{session['id']}/start", token)
    installation.wait_until_active(session["id"], token)
    return session["id"], token, installation.credentials(session["id"], token)["AccessKeyId"]


def test_a_second_start_asks_nobody_but_this_machine(installation, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(WATCH_THE_NETWORK)
    log = tmp_path / "network.log"
    watched = {"PYTHONPATH": str(tmp_path), "NETWORK_LOG": str(log)}
    installation.start()
    start_a_session(installation)
    installation.stop()
    installation.environ.update(watched)
    installation.start()
    print(f"ready after {installation.seconds_to_ready:.1f} s")
    installation.stop()
    asked = set(log.read_text().splitlines())
    # The supervisor asks web and moto, the worker its broker.
    assert {"a unix socket", "127.0.0.1"} <= asked
    assert asked <= OF_THIS_MACHINE


def test_ctrl_c_ends_everything_also_when_the_supervisor_alone_is_told(installation):
    installation.start()
    assert len(installation.left()) > len(installation.children()) > 0
    code, printed = installation.stop()  # as a terminal does: the whole group
    assert (code, printed.splitlines()[-1]) == (0, "Stopped.")
    assert installation.left() == []
    installation.start()
    installation.process.send_signal(signal.SIGINT)
    code, printed = installation.ended()
    assert (code, printed.splitlines()[-1]) == (0, "Stopped.")
    assert installation.left() == []


def test_ctrl_c_in_the_midst_of_a_first_start_ends_everything(first_installation):
    first_installation.launch()
    wait_for(first_installation.children, "the first child")
    code, printed = first_installation.stop()
    assert (code, printed.splitlines()[-1]) == (0, "Stopped.")
    assert first_installation.left() == []


def test_a_killed_supervisor_leaves_nothing_and_the_next_start_works(installation):
    installation.start()
    session, token, _ = start_a_session(installation)
    installation.process.kill()
    installation.process.wait()
    wait_for(lambda: not installation.left(), "every process to end")
    installation.start()
    installation.wait_until_active(session, token)


def test_any_processs_end_ends_all_with_the_reason_and_a_restart_works(installation, subtests):
    """Which processes there are is read from the running supervisor."""
    installation.start()
    session, token, key_id = start_a_session(installation)
    names = sorted(installation.children())
    assert {"web", "worker", "beat", "valkey", "moto"} <= set(names)
    for name in names:
        with subtests.test(killed=name):
            os.kill(installation.children()[name], signal.SIGKILL)
            code, printed = installation.ended()
            assert code == 1
            assert f"{name} ended: killed by SIGKILL. Everything else was stopped." in printed
            # Its children may have written more since, and what is not printable is printed as an
            # escape.
            log = installation.folder / "logs" / f"{name}.log"
            last = printed.partition(f"Its last lines, from {log}:\n")[2].splitlines()
            assert all(line[2:60].partition("\\")[0] in log.read_text() for line in last)
            assert last or not log.read_text()
            assert installation.left() == []
        # The simulator has forgotten all it had issued: what is handed out now was minted after the
        # restart.
        installation.end()
        installation.start()
        before = key_id
        installation.wait_until_active(session, token)
        key_id = installation.credentials(session, token)["AccessKeyId"]
        assert key_id != before


def test_a_port_that_is_taken_is_named_with_another_to_try(installation):
    with socket.create_server(("127.0.0.1", installation.port)):
        installation.launch()
        code, printed = installation.ended()
    assert code == 1
    assert f"Cannot listen on 127.0.0.1, port {installation.port}" in printed
    assert f"./run --port {installation.port + 1}" in printed
    assert installation.left() == []


def test_it_listens_where_it_is_told_and_nowhere_else(installation):
    installation.start("--host", "127.0.0.2")
    assert f"Chainweb is ready at http://localhost:{installation.port}" in installation.output()
    assert "Other machines can reach this" not in installation.output()
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.2", installation.port)) == 0
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", installation.port)) != 0


def test_it_says_what_it_is_not_made_for_where_others_can_reach_it(installation):
    installation.start("--host", "0.0.0.0")
    assert "Other machines can reach this, and ./run is not made for that" in installation.output()
    assert "slow clients" in installation.output()
