"""Run gunicorn's threads, and beside them one that answers `/healthz` alone.

There are twice as many as `--threads` says: so many work at once, and so many more wait for a lock
(see `turns`).

A load balancer asks whether this process lives. Requests that wait (for a row that somebody holds,
or for the rest of what a slow client sends) may hold every thread of the pool, and would have it
taken for dead.
"""

import json
import re
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn import util
from gunicorn.workers.gthread import ThreadWorker

from sessions.db.turns import turns

HEALTH = (b"GET /healthz ", b"GET /healthz?", b"HEAD /healthz ")
LONGEST_HEAD_BYTES = 4096
FOR_THE_API = re.compile(rb"\S+ /api[/? ]")


class WebWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Serve each request by a thread of the pool, and those for health by one of their own."""

    def init_process(self) -> None:
        self.health_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="health")
        turns.at_once = self.cfg.threads
        self._here = threading.local()
        super().init_process()

    def get_thread_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers=2 * self.cfg.threads)

    def enqueue_req(self, conn: Any) -> None:
        """Hand a connection to a thread once there is something to read on it."""
        head = _peek(conn.sock)
        conn.is_for_the_api = bool(FOR_THE_API.match(head or b""))
        if head is None and not conn.initialized and not conn.data_ready:
            self._wait_without_a_thread(conn)
            return
        if _asks_for_health(head or b""):
            handled = self.health_thread.submit(self.handle, conn)
        else:
            handled = self.tpool.submit(self._handle_in_turn, conn)
        handled.add_done_callback(partial(self._finished, conn))

    def _handle_in_turn(self, conn: Any) -> Any:
        with turns.taken():
            return self.handle(conn)

    def handle(self, conn: Any) -> Any:
        """Serve a request, and remember for `handle_error` whether it is one for the API."""
        self._here.is_for_the_api = conn.is_for_the_api
        return super().handle(conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer what gunicorn cannot read: for the API in its own shape, else as gunicorn does."""
        if not getattr(self._here, "is_for_the_api", False):
            super().handle_error(req, client, addr, exc)
            return
        told = _Told()
        super().handle_error(req, told, addr, exc)
        if answer := _as_the_api_says(told.sent):
            try:
                util.write_nonblock(client, answer)
            except OSError:
                self.log.debug("Failed to send error message.")

    def _finished(self, conn: Any, done: "Future[Any]") -> None:
        self.method_queue.defer(self.finish_request, conn, done)

    def _wait_without_a_thread(self, conn: Any) -> None:
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))


class _Told:
    """Stand in for a socket, to learn what gunicorn would have answered."""

    def __init__(self) -> None:
        self.sent = b""

    def gettimeout(self) -> float:
        return 0.0

    def sendall(self, data: bytes) -> None:
        self.sent += data


def _as_the_api_says(answer: bytes) -> bytes:
    """Give gunicorn's answer the shape of the API's errors."""
    status, _, _ = answer.partition(b"\r\n")
    parts = status.decode("latin1").split(" ", 2)
    if len(parts) < 3:
        return b""
    code = "bad_request" if parts[1] < "500" else "error"
    message = f"The request cannot be read: {parts[2]}."
    problem = {
        "code": code,
        "message": message,
        "type": "about:blank",
        "title": parts[2],
        "status": int(parts[1]),
        "detail": message,
    }
    body = json.dumps(problem).encode()
    head = (
        f"HTTP/1.1 {parts[1]} {parts[2]}\r\nConnection: close\r\nContent-Type:"
        " application/json\r\nCache-Control: no-store\r\nX-Content-Type-Options:"
        f" nosniff\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("latin1") + body


def _peek(sock: socket.socket) -> bytes | None:
    """Read what has arrived without taking it; None if nothing has."""
    try:
        return sock.recv(LONGEST_HEAD_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _asks_for_health(head: bytes) -> bool:
    """Check for a whole request without a body.

    A request that is still being sent would hold the thread.
    """
    if not head.startswith(HEALTH) or b"\r\n\r\n" not in head:
        return False
    lower = head.lower()
    return b"content-length:" not in lower and b"transfer-encoding:" not in lower
