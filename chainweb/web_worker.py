"""gunicorn's threads, and beside them one that answers `/healthz` alone.

There are twice as many as `--threads` says: so many work at once, and so many more wait for a lock (see `turns`).

A load balancer asks whether this process lives. Requests that wait (for a row that somebody holds, or for the rest of what a
slow client sends) may hold every thread of the pool, and would have it taken for dead.
"""

import socket
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from chainweb.turns import turns

HEALTH = (b"GET /healthz ", b"GET /healthz?", b"HEAD /healthz ")
LONGEST_HEAD_BYTES = 4096


class WebWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Serve each request by a thread of the pool, and those for health by one of their own."""

    def init_process(self) -> None:
        self.health_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="health")
        turns.at_once = self.cfg.threads
        super().init_process()

    def get_thread_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers=2 * self.cfg.threads)

    def enqueue_req(self, conn: Any) -> None:
        """Hand a connection to a thread once there is something to read on it."""
        head = _peek(conn.sock)
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

    def _finished(self, conn: Any, done: "Future[Any]") -> None:
        self.method_queue.defer(self.finish_request, conn, done)

    def _wait_without_a_thread(self, conn: Any) -> None:
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))


def _peek(sock: socket.socket) -> bytes | None:
    """Read what has arrived without taking it; None if nothing has."""
    try:
        return sock.recv(LONGEST_HEAD_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _asks_for_health(head: bytes) -> bool:
    """Check for a whole request without a body: one that is still being sent would hold the thread."""
    if not head.startswith(HEALTH) or b"\r\n\r\n" not in head:
        return False
    lower = head.lower()
    return b"content-length:" not in lower and b"transfer-encoding:" not in lower
