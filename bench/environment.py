"""Set up a measurement: a database, a broker, keys, and the product's own workers.

Nothing of a running installation is touched: the database is made for the run beside the others of
that PostgreSQL and dropped after it, the Valkey listens on a private socket, everything else lies
in a temporary folder.
"""

import base64
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psycopg
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

CHECKOUT = Path(__file__).resolve().parent.parent
POSTGRES = "postgres://postgres@127.0.0.1:5432/postgres"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Unmeasurable(Exception):
    """Something that is needed is not there, or did not come in time; the message says what."""


@dataclass
class Processes:
    """Workers and what belongs to them, by name; each with its children."""

    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def cpu_seconds(self, *names: str) -> float:
        """Sum the CPU time of these processes and their living children.

        User and system time so far; of all processes if none is named.
        """
        wanted = [self.running[name].pid for name in names or self.running]
        return sum(cpu_seconds(pid) for pid in family(wanted))

    def end(self) -> None:
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                for pid in family([process.pid]):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                process.wait()
        self.running.clear()


class Environment:
    """Hold a measurement's servers while its `with` block runs.

    `database` is "postgres" or "sqlite"; call `fresh` before each measurement.

    `npm`: whether packages may be fetched from npm for a comparison.
    """

    def __init__(
        self, database: str = "postgres", postgres: str = POSTGRES, *, npm: bool = True
    ) -> None:
        self.kind, self.postgres, self.npm = database, postgres, npm
        self.name = f"chainweb_bench_{os.getpid()}"

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="cwb-"))
        try:
            self._prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            valkey = getattr(self, "valkey", None)
            if valkey is not None:
                valkey.terminate()
                valkey.wait()
            if self.kind == "postgres":
                from django.apps import apps
                from django.db import connections

                if apps.ready:
                    connections.close_all()
                with contextlib.suppress(psycopg.Error):
                    for name in (self.name, f"{self.name}_kept", f"{self.name}_template"):
                        self._administer(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _prepare(self) -> None:
        """Sets this process's environment, which the workers inherit, and makes the tables once."""
        key = X25519PrivateKey.generate()
        for name in list(os.environ):
            if name.startswith(("AWS_", "CHAINWEB_", "DJANGO_", "DATABASE_URL", "REDIS_URL")):
                del os.environ[name]
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "chainweb.settings",
            "CHAINWEB_AWS": "real",
            "CHAINWEB_DATA": str(self.folder),
            "SECRET_KEY": secrets.token_urlsafe(48),
            "CHAINWEB_SEAL_KEYS": f"k1:{_text(secrets.token_bytes(32))}",
            "CHAINWEB_ROOT_KEYS": f"r1:{_text(key.private_bytes_raw())}",
            "CHAINWEB_ROOT_PUBLIC_KEY": f"r1:{_text(key.public_key().public_bytes_raw())}",
            "SECURE_COOKIES": "0",
            "LOG_LEVEL": "ERROR",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        from chainweb.local import processes

        socket = self.folder / "valkey.sock"
        os.environ["REDIS_URL"] = f"unix://{socket}"
        self.valkey = self._start(
            "valkey", processes.valkey_command(socket, self.folder / "valkey")
        )
        wait_until(lambda: processes.valkey_answers(socket), 20, "Valkey did not start")
        if self.kind == "postgres":
            # Migrated once and copied for each measurement.
            try:
                self._administer(f"CREATE DATABASE {self.name}_template")
            except psycopg.OperationalError as error:
                raise Unmeasurable(
                    f"No PostgreSQL at {_without_password(self.postgres)}: {error}"
                    "Give another by --postgres, or measure with --database sqlite."
                ) from None
            os.environ["DATABASE_URL"] = self._url(f"{self.name}_template")
        else:
            (self.folder / "real").mkdir(mode=0o700)
        self._manage("migrate", "--verbosity=0")
        if self.kind == "postgres":
            os.environ["DATABASE_URL"] = self._url(self.name)
        else:
            shutil.copyfile(self._sqlite, self.folder / "template.sqlite3")
        import django

        django.setup()

    # --- between measurements ---------------------------------------------------------------------

    def fresh(self, *, kept: bool = False) -> None:
        """Begin with an empty database, or a copy of the `kept` one, and an empty broker."""
        import redis
        from django.conf import settings
        from django.db import connections

        connections.close_all()
        if self.kind == "postgres":
            self._administer(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")
            template = f"{self.name}_{'kept' if kept else 'template'}"
            self._administer(f"CREATE DATABASE {self.name} TEMPLATE {template}")
        else:
            for leftover in self._sqlite.parent.glob(f"{self._sqlite.name}*"):
                leftover.unlink()
            copied = self._sqlite_kept if kept else self.folder / "template.sqlite3"
            shutil.copyfile(copied, self._sqlite)
        with redis.Redis.from_url(settings.REDIS_URL) as broker:
            broker.flushall()

    def keep(self) -> Callable[[], None]:
        """Put the present database aside, beside those that `fresh` makes.

        Returns how to use it again.
        """
        from django.db import connections

        connections.close_all()
        if self.kind == "postgres":
            kept = f"{self.name}_kept"
            self._administer(f"DROP DATABASE IF EXISTS {kept} WITH (FORCE)")
            self._administer(f"ALTER DATABASE {self.name} RENAME TO {kept}")
        else:
            kept = str(self._sqlite_kept)
            self._sqlite.rename(kept)  # closing has written the log into it
        return self._use(kept)

    def current(self) -> Callable[[], None]:
        """Use the current database again after another was used."""
        return self._use(self.name if self.kind == "postgres" else str(self._sqlite))

    def _use(self, name: str) -> Callable[[], None]:
        from django.db import connections

        connections.close_all()
        wrapper = connections.create_connection("default")
        wrapper.settings_dict = {**wrapper.settings_dict, "NAME": name}

        def use() -> None:
            connections["default"] = wrapper

        return use

    def quiesce(self) -> None:
        """After much was written: what the server would do by and by."""
        from django.db import connection

        with connection.cursor() as cursor:
            for statement in (
                ("VACUUM ANALYZE", "CHECKPOINT") if self.kind == "postgres" else ("ANALYZE",)
            ):
                cursor.execute(statement)

    @contextlib.contextmanager
    def workers(
        self,
        sts: str,
        processes: int = 2,
        *,
        starter: bool = False,
        beat: bool = False,
        **settings: object,
    ) -> Iterator[Processes]:
        """Start a worker with that many processes, as production does.

        With starter and beat if wanted.

        `settings` are CHAINWEB_… settings by their last part: CALLS_PER_SECOND=0.
        """
        from chainweb.local import processes as product

        environ = os.environ | {f"CHAINWEB_{name}": str(value) for name, value in settings.items()}
        environ |= {"AWS_ENDPOINT_URL_STS": sts, "LOG_LEVEL": "WARNING"}
        found = Processes()
        try:
            found.running["worker"] = self._start(
                "worker", product.worker_command(processes), environ
            )
            if starter:
                found.running["starter"] = self._start(
                    "starter", product.starter_command(), environ
                )
            if beat:
                found.running["beat"] = self._start("beat", product.beat_command(), environ)
            # The pool's children are the last thing that comes up.
            wanted = processes + 1 + (2 if starter else 0) + beat
            wait_until(
                lambda: len(self._family_of(found)) >= wanted, 60, "The workers did not start"
            )
            yield found
        except Unmeasurable as error:
            raise Unmeasurable(f"{error}\n{self._last_lines()}") from None
        finally:
            found.end()

    def database_cpu_seconds(self) -> dict[int, float]:
        """Return {pid: CPU seconds} of the PostgreSQL processes that serve the workers.

        Empty if they are not on this machine.
        """
        if self.kind != "postgres":
            return {}
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <>"
                " pg_backend_pid()"
            )
            pids = [pid for (pid,) in cursor.fetchall()]
        try:
            return {pid: cpu_seconds(pid) for pid in pids}
        except FileNotFoundError:
            return {}

    # --- inside -----------------------------------------------------------------------------------

    @property
    def _sqlite(self) -> Path:
        return self.folder / "real" / "db.sqlite3"

    @property
    def _sqlite_kept(self) -> Path:
        return self._sqlite.with_name("kept.sqlite3")

    def _start(
        self, name: str, command: Sequence[str], environ: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(command, cwd=CHECKOUT, env=environ, stdout=log, stderr=log)

    def _family_of(self, found: Processes) -> set[int]:
        for name, process in found.running.items():
            if process.poll() is not None:
                raise Unmeasurable(f"The {name} has ended.")
        return family([process.pid for process in found.running.values()])

    def _last_lines(self) -> str:
        lines = []
        for log in sorted(self.folder.glob("*.log")):
            lines += [
                f"{log.stem}: {line}" for line in log.read_text(errors="replace").splitlines()[-5:]
            ]
        return "\n".join(lines)

    def _manage(self, *command: str) -> None:
        done = subprocess.run(
            [sys.executable, "manage.py", *command], cwd=CHECKOUT, capture_output=True, text=True
        )
        if done.returncode:
            raise Unmeasurable(f"manage.py {command[0]}: {done.stderr[-2000:]}")

    def _url(self, name: str) -> str:
        return urllib.parse.urlsplit(self.postgres)._replace(path=f"/{name}").geturl()

    def _administer(self, statement: str) -> None:
        url = urllib.parse.urlsplit(self.postgres)._replace(scheme="postgresql").geturl()
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement.encode())


def family(pids: Sequence[int]) -> set[int]:
    """Return these processes and their living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                children.setdefault(int(_stat(entry.name)[1]), []).append(int(entry.name))
    found: set[int] = set()
    frontier = list(pids)
    while frontier:
        pid = frontier.pop()
        found.add(pid)
        frontier += children.get(pid, [])
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of one process so far, to 10 ms."""
    stat = _stat(str(pid))
    return (int(stat[11]) + int(stat[12])) / TICKS_PER_SECOND


def _stat(pid: str) -> list[str]:
    # After the name in parentheses, which may hold anything: state, parent, …, utime and stime at
    # 11 and 12.
    return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()


def wait_until(is_so: Any, seconds: float, otherwise: str, every: float = 0.05) -> float:
    """Waits until it is so; how long that took. Raises `Unmeasurable` after that many seconds."""
    begun = time.monotonic()
    while not is_so():
        if time.monotonic() - begun > seconds:
            raise Unmeasurable(f"{otherwise} within {seconds:.0f} s.")
        time.sleep(every)
    return time.monotonic() - begun


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _without_password(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return f"{parts.hostname}:{parts.port or 5432}"
