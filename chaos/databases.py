"""Run a PostgreSQL of its own, which may be crashed."""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

import psycopg

from tests.harness.processes import free_port
from tests.harness.servers import Unavailable, connect
from tests.harness.waiting import wait_for


class Cluster:
    """Run a PostgreSQL server with a data folder of its own.

    It is as durable as delivered, so that a crash is a real one.
    """

    def __init__(self) -> None:
        self._bin = _binaries()
        self.port = free_port()
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None
        self._user: dict[str, Any] = {}
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            try:
                entry = pwd.getpwnam("postgres")
            except KeyError:
                raise Unavailable("no user postgres to run a cluster as") from None
            self._user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="chaos-pg-"))
        if self._user:
            os.chown(self._folder, self._user["user"], self._user["group"])
        self._data = self._folder / "data"
        self._log = (self._folder / "log").open("wb")
        subprocess.run(
            [
                *(
                    str(self._bin / "initdb"),
                    "-D",
                    str(self._data),
                    "-U",
                    "postgres",
                    "-A",
                    "trust",
                ),
                *("-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
            ],
            check=True,
            stdout=self._log,
            stderr=self._log,
            cwd=self._folder,
            **self._user,
        )
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGQUIT)
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def group(self) -> int:
        """Return the process group, for the reaper."""
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Start it, and return when it answers."""
        command = [str(self._bin / "postgres"), "-D", str(self._data), "-p", str(self.port)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        self._process = subprocess.Popen(
            command,
            stdout=self._log,
            stderr=self._log,
            cwd=self._folder,
            start_new_session=True,
            **self._user,
        )
        wait_for(self._answers, "the cluster to answer", 60)

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, "the cluster has ended"
        try:
            connect(self.url).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop the server; SIGINT: fast shutdown, SIGQUIT: as if the power had failed."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    def set_read_only(self, on: bool) -> None:
        """From the next transaction on, in every session."""
        with connect(self.url) as server:
            server.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE")
            server.execute(
                f"ALTER SYSTEM SET default_transaction_read_only = {'on' if on else 'off'}"
            )
            server.execute("SELECT pg_reload_conf()")


def _binaries() -> Path:
    found = sorted(
        glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4])
    )
    if found:
        return Path(found[-1]).parent
    if one := shutil.which("initdb"):
        return Path(one).resolve().parent
    raise Unavailable("no initdb: PostgreSQL's server programs are not installed")
