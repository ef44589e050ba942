"""Send checkpoints to places outside the database: a file, and an address that the operator names.

Both raise OSError, or an error of its kinds, and may then have sent some: whoever reads them has to
bear the same line twice.
"""

import fcntl
import http.client
import os
import ssl
from pathlib import Path
from urllib.parse import urlsplit

# For each wait: to connect, to send, for the answer.
TIMEOUT_SECONDS = 2.0


class NotTaken(OSError):
    """The address answered, but not that it has the checkpoints."""


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


def post(address: str, lines: list[str]) -> None:
    """Post lines (`application/x-ndjson`) to an https address; each line is signed in itself.

    The server's certificate is verified, no redirect is followed, no proxy is used, and nothing of
    the answer counts but its status. Raises `NotTaken` for any that is not 2xx.
    """
    url = urlsplit(address)
    connection = http.client.HTTPSConnection(
        url.hostname or "",
        url.port,
        timeout=TIMEOUT_SECONDS,
        context=ssl.create_default_context(),
    )
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    body = "".join(f"{each}\n" for each in lines).encode()
    headers = {"Content-Type": "application/x-ndjson", "User-Agent": "chainweb"}
    try:
        connection.request("POST", target, body, headers)
        status = connection.getresponse().status
    except http.client.HTTPException as error:
        raise NotTaken(type(error).__name__) from error
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise NotTaken(f"status {status}")
