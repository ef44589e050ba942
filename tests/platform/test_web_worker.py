"""The web's own gunicorn worker: health is answered whatever holds the threads."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from chainweb.web_worker import _asks_for_health
from tests.api.tool import PROBLEM
from tests.harness.processes import CHECKOUT, clean_environ, free_port
from tests.harness.waiting import wait_for
from tests.platform.proxy import Nginx, need_nginx

pytestmark = [pytest.mark.processes, pytest.mark.own_servers]
THREADS = 3


class Web:
    def __init__(self, folder):
        self.port, self.let_go = free_port(), folder / "go"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "tests.platform.waiting_app:application"),
                *(f"--bind=127.0.0.1:{self.port}", "--worker-class=chainweb.web_worker.WebWorker"),
                *(
                    f"--threads={THREADS}",
                    "--no-control-socket",
                    "--keep-alive=30",
                    "--graceful-timeout=1",
                ),
            ],
            cwd=CHECKOUT,
            env={**clean_environ(), "LET_GO": str(self.let_go)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_for(lambda: self.get("/", 1) == 200, "the web process")

    def get(self, path, seconds=5.0, method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request(method, path)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def send(self, data):
        """Make a connection that has sent this and says no more."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        if data:
            client.sendall(data)
        return client

    def end(self):
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def web(tmp_path):
    one = Web(tmp_path)
    try:
        yield one
    finally:
        one.end()


def test_health_is_answered_while_every_thread_waits(web):
    waiting = [threading.Thread(target=web.get, args=["/waits", 60]) for _ in range(3 * THREADS)]
    for each in waiting:
        each.start()
    wait_for(lambda: web.get("/", 0.2) == 0, "every thread to be held")
    for _ in range(5):
        assert web.get("/healthz") == 200
    assert web.get("/healthz", method="HEAD") == 200
    web.let_go.touch()
    for each in waiting:
        each.join()
    assert web.get("/") == 200


def test_health_is_answered_while_slow_clients_hold_every_thread(web):
    half = [web.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ") for _ in range(2 * THREADS)]
    half += [
        web.send(b"POST /reads HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1234")
        for _ in range(THREADS)
    ]
    # Such a request for health is one of them.
    half += [web.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ") for _ in range(THREADS)]
    wait_for(lambda: web.get("/", 0.2) == 0, "every thread to be held")
    for _ in range(5):
        assert web.get("/healthz") == 200
    for each in half:
        each.close()
    wait_for(lambda: web.get("/") == 200, "the threads to be free again")


def test_connections_that_say_nothing_hold_no_thread(web):
    silent = [web.send(b"") for _ in range(10 * THREADS)]
    assert web.get("/") == 200
    silent[0].sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert silent[0].recv(100).startswith(b"HTTP/1.1 200")
    for each in silent:
        each.close()


@pytest.mark.parametrize(
    ("head", "is_health"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"GET /healthz?x=1 HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"GET /healthzz HTTP/1.1\r\nHost: x\r\n\r\n", False),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n", False),
        (b"GET /healthz HTTP/1.1\r\nContent-Length: 5\r\n\r\n", False),
        (b"GET /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", False),
        (b"POST /healthz HTTP/1.1\r\nHost: x\r\n\r\n", False),
        (b"", False),
    ],
)
def test_the_thread_for_health_takes_whole_requests_for_health_alone(head, is_health):
    assert _asks_for_health(head) is is_health


UNREADABLE = {
    "a method in small letters": (b"get %s HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a length below nothing": (b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
    "a NUL in a header": (b"GET %s HTTP/1.1\r\nHost: x\r\nX-Odd: a\0b\r\n\r\n", 400),
    "an expectation of nobody": (b"POST %s HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\n\r\n", 417),
    "headers without end": (b"GET %s HTTP/1.1\r\nHost: x\r\n" + b"X-A: b\r\n" * 200 + b"\r\n", 431),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_is_hardly_http_is_told_so_in_the_apis_shape_under_api_alone(web, what):
    request, expected = UNREADABLE[what]
    for path, is_api in (
        (b"/api/v1/sessions", True),
        (b"/api", True),
        (b"/apiary", False),
        (b"/", False),
    ):
        with web.send(request.replace(b"%s", path)) as client:
            answer = http.client.HTTPResponse(client)
            answer.begin()
            body = answer.read()
        assert answer.status == expected
        assert (answer.headers["Content-Type"] == "application/json") is is_api
        if is_api:
            assert set(json.loads(body)) == PROBLEM
    assert web.get("/") == 200


@pytest.fixture
def beyond(web, tmp_path):
    """Make the proxy of production before the web."""
    need_nginx()
    folder = tmp_path / "nginx"
    folder.mkdir()
    with Nginx(folder, web.port) as proxy:
        yield proxy


def through(proxy, path, size):
    with proxy.connect(10) as client:
        head = f"POST {path} HTTP/1.1\r\nHost: chainweb.example\r\nContent-Length: {size}\r\n\r\n"
        client.sendall(head.encode() + b"a" * min(size, 10))
        answer = http.client.HTTPResponse(client)
        answer.begin()
        return answer.status, answer.headers["Content-Type"], answer.read()


def refused(proxy, path, header):
    with proxy.connect(10) as client:
        odd = f"X-Odd: {'a' * 20_000}\r\n" if header else ""
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: chainweb.example\r\n{odd}\r\n".encode())
        answer = http.client.HTTPResponse(client)
        answer.begin()
        kind, body = answer.headers["Content-Type"], answer.read()
        return answer.status, kind, json.loads(body)["code"] if "json" in kind else ""


def test_what_the_proxy_refuses_has_the_apis_shape_under_api(web, beyond):
    status, kind, body = through(beyond, "/api/v1/sessions", 2_000_000)
    assert (status, kind, json.loads(body)["code"]) == (413, "application/json", "too_large")
    assert through(beyond, "/accounts/login/", 2_000_000)[:2] == (413, "text/html")
    assert through(beyond, "/api/v1/sessions", 5) == (200, "text/plain", b"/api/v1/sessions")
    assert refused(beyond, "/api/v1/sessions", "long") == (400, "application/json", "bad_request")
    assert refused(beyond, f"/api/v1/whois?q={'a' * 20_000}", "") == (
        414,
        "application/json",
        "too_long",
    )
    assert refused(beyond, "/accounts/login/", "long")[:2] == (400, "text/html")
    assert refused(beyond, f"/?q={'a' * 20_000}", "")[:2] == (414, "text/html")
    web.end()
    status, kind, body = through(beyond, "/api/v1/sessions", 5)
    assert (status, kind, json.loads(body)["code"]) == (503, "application/json", "unavailable")
    assert through(beyond, "/accounts/login/", 5)[0] == 502
