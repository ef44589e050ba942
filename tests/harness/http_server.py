"""Serve HTTP/1.1 with keep-alive on a loopback port, from a thread of its own.

Cheap, since a bench shares its machine with it: about 50 µs of CPU a request.
"""

import asyncio
import functools
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Self

NOTHING: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Request:
    """Hold one request. Header names are in lower case; of a repeated one, the last counts."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Connection(asyncio.Protocol):
    """Read requests and give each to `receive`, which answers it by `send` or `hang_up`."""

    transport: asyncio.Transport

    def __init__(self, server: "HttpServer") -> None:
        self.server = server
        self._buffer = b""
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.open.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def _next(self) -> None:
        end = self._buffer.find(b"\r\n\r\n")
        if self._busy or end < 0:
            return
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        whole = end + 4 + int(headers.get("content-length") or 0)
        if len(self._buffer) < whole:
            return
        body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
        method, path, *_ = first.split(" ")
        self._busy = True
        try:
            self.server.receive(Request(method, path, headers, body), self)
        except Exception:  # noqa: BLE001  (the caller sees a connection that was cut)
            traceback.print_exc()
            self.hang_up()

    @property
    def is_open(self) -> bool:
        """Tell if the caller is still there."""
        return not self.transport.is_closing()

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        self.server.loop.call_later(seconds, work)

    def send(
        self, status: int, body: bytes, kind: str, headers: Mapping[str, str] = NOTHING
    ) -> None:
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
            f"Date: {_date(int(self.server.clock()))}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
        )
        self.transport.write(head.encode("latin-1") + body)
        self._busy = False
        if self._buffer:
            self._next()

    def hang_up(self) -> None:
        """End the connection without an answer."""
        self.transport.abort()


class HttpServer:
    """Run a server in a `with` block, with its `url`.

    `receive(request, connection)` is called in the server's thread; `clock` gives the Unix time
    for the Date header.
    """

    def __init__(
        self,
        receive: Callable[[Request, Connection], None],
        clock: Callable[[], float] = time.time,
        port: int = 0,
    ) -> None:
        self.receive, self.clock, self._port = receive, clock, port
        self.open: set[Connection] = set()

    def __enter__(self) -> Self:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        listening = self.loop.create_server(
            lambda: Connection(self), "127.0.0.1", self._port, backlog=2048
        )
        self._listener = self._do(listening)
        self.url = f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _close(self) -> None:
        self._listener.close()
        for connection in list(self.open):
            connection.hang_up()
        while self.open:
            await asyncio.sleep(0)

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=30)


@functools.lru_cache(maxsize=8)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
