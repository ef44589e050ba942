"""Send lines to places outside the database: a file, and an address that the operator names.

Both raise OSError, or an error of its kinds, and may then have sent some: whoever reads them has to
bear the same line twice.
"""

import fcntl
import http.client
import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

# For each wait: to connect, to send, for the answer.
TIMEOUT_SECONDS = 2.0
# For all of them together, once it is connected.
LONGEST_SECONDS = 10.0


class NotTaken(OSError):
    """Report an answer that does not confirm the lines; `status` is 0 where there was none."""

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


def append_to_file(path: Path, lines: list[str]) -> None:
    """Append lines to a file and return once they are on the disk.

    The file is made with mode 0600 where it is missing, and may be append-only (`chattr +a`). After
    a line that was cut off, as by a full disk, they begin on a line of their own.
    """
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        size = os.fstat(handle).st_size
        is_torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        rest = memoryview(("\n" * is_torn + "".join(f"{each}\n" for each in lines)).encode())
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)
    if not size:
        folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def post_lines(address: str, lines: list[str]) -> None:
    """Post checkpoints (`application/x-ndjson`) to an https address; each is signed in itself."""
    post(address, "".join(f"{each}\n" for each in lines).encode(), {}, ssl.create_default_context())


def post(address: str, body: bytes, headers: Mapping[str, str], context: ssl.SSLContext) -> None:
    """Post lines of JSON to an https address, within `LONGEST_SECONDS` whatever answers.

    The server's certificate is verified, no redirect is followed, no proxy is used, and nothing of
    the answer counts but its status. Raises `NotTaken` for any that is not 2xx.
    """
    url = urlsplit(address)
    connection = http.client.HTTPSConnection(
        url.hostname or "", url.port, timeout=TIMEOUT_SECONDS, context=context
    )
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    headers = {"Content-Type": "application/x-ndjson", "User-Agent": "chainweb", **headers}
    try:
        connection.connect()
        with ended_after(LONGEST_SECONDS, connection.sock):
            connection.request("POST", target, body, headers)
            status = connection.getresponse().status
    except http.client.HTTPException as error:
        raise NotTaken(type(error).__name__) from error
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise NotTaken(f"status {status}", status)


@contextmanager
def ended_after(seconds: float, connected: socket.socket) -> Iterator[None]:
    """End a connection that takes longer: a peer may send a byte each second for ever.

    Raises TimeoutError then, whatever was read until the end.
    """
    is_late = threading.Event()

    def end() -> None:
        is_late.set()
        with suppress(OSError):
            # Not TLS's own, which would leave whoever reads without it.
            socket.socket.shutdown(connected, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if is_late.is_set():
            raise TimeoutError("the answer takes too long")
