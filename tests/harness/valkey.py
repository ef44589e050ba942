"""Run a Valkey that may be stopped, hung and flushed."""

import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self

import redis

from chainweb.local import processes as product
from tests.harness.processes import free_port
from tests.harness.servers import Unavailable
from tests.harness.waiting import wait_for


class Valkey:
    """Run an empty Valkey in a `with` block, reached by `url`.

    By its private socket it runs as in an embedded installation. By its `port` it keeps nothing on
    disk: when it is restarted, all that was queued is gone. Raises `Unavailable`.
    """

    def __init__(self, *, by_socket: bool = False) -> None:
        self.by_socket = by_socket
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="cwv-"))
        socket = self._folder / "valkey.sock"
        try:
            if self.by_socket:
                self.url = f"unix://{socket}"
                self._command = product.valkey_command(socket, self._folder / "data")
            else:
                self.port = free_port()
                self.url = f"redis://127.0.0.1:{self.port}/0"
                self._command = [
                    *(str(product.valkey_binary()), "--port", str(self.port)),
                    *("--bind", "127.0.0.1", "--dir", str(self._folder)),
                    *("--save", "", "--appendonly", "no"),
                ]
        except product.NotStarted as error:
            raise Unavailable(str(error)) from None
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def group(self) -> int:
        """Return the process group, for the reaper."""
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._process = subprocess.Popen(
            self._command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_for(self._answers, "Valkey to answer", 20, every=0.02)

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, "Valkey has ended"
        try:
            with redis.Redis.from_url(self.url, socket_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def stop(self) -> None:
        """At once, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """Stop the server: the kernel still accepts connections, and nothing answers."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def flush(self) -> None:
        with redis.Redis.from_url(self.url, socket_timeout=5) as client:
            client.flushall()
