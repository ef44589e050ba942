"""Set up a measurement: a database, a broker, keys, and the product's own workers.

Nothing of a running installation is touched: the database is made for the run beside the others of
that PostgreSQL and dropped after it, the Valkey listens on a private socket, everything else lies
in a temporary folder.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from chainweb.local import processes as product
from tests.harness import proc, processes, servers
from tests.harness.keys import new_keys
from tests.harness.valkey import Valkey
from tests.harness.waiting import wait_for


class Unmeasurable(Exception):
    """Something that is needed is not there, or did not come in time; the message says what."""


@dataclass
class Processes:
    """Hold the workers and what belongs to them, by name; each with its children."""

    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def cpu_seconds(self, *names: str) -> float:
        """Sum the CPU time of these processes and their living children.

        User and system time so far; of all processes if none is named.
        """
        wanted = [self.running[name].pid for name in names or self.running]
        return sum(proc.cpu_seconds(pid) for pid in proc.family(wanted))

    def end(self) -> None:
        processes.end(self.running.values())
        self.running.clear()


class Environment:
    """Hold a measurement's servers while its `with` block runs.

    `database` is "postgres" or "sqlite"; call `fresh` before each measurement.

    `npm`: whether packages may be fetched from npm for a comparison.
    """

    def __init__(
        self, database: str = "postgres", postgres: str = servers.POSTGRES, *, npm: bool = True
    ) -> None:
        self.kind, self.postgres, self.npm = database, postgres, npm
        self.name = f"chainweb_bench_{os.getpid()}"

    def __enter__(self) -> Self:
        self._stack = contextlib.ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="cwb-"))
        try:
            self._prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._stack.close()
            if self.kind == "postgres":
                from django.apps import apps
                from django.db import connections

                if apps.ready:
                    connections.close_all()
                with contextlib.suppress(servers.Unavailable):
                    for name in (self.name, f"{self.name}_kept", f"{self.name}_template"):
                        servers.drop_database(name, self.postgres)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _prepare(self) -> None:
        """Set this process's environment, which the workers inherit, and make the tables once."""
        environ = processes.real_environ(new_keys())
        os.environ.clear()
        os.environ |= environ | {"CHAINWEB_DATA": str(self.folder), "LOG_LEVEL": "ERROR"}
        os.environ["REDIS_URL"] = self._stack.enter_context(Valkey(by_socket=True)).url
        if self.kind == "postgres":
            # Migrated once and copied for each measurement.
            try:
                made = servers.create_database(f"{self.name}_template", server=self.postgres)
            except servers.Unavailable as error:
                raise Unmeasurable(
                    f"{error} Give another by --postgres, or measure with --database sqlite."
                ) from None
            os.environ["DATABASE_URL"] = made
        else:
            (self.folder / "real").mkdir(mode=0o700)
        processes.manage("migrate", "--verbosity=0")
        if self.kind == "postgres":
            os.environ["DATABASE_URL"] = servers.url_of(self.name, self.postgres)
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
            servers.drop_database(self.name, self.postgres)
            template = f"{self.name}_{'kept' if kept else 'template'}"
            servers.create_database(self.name, template, self.postgres)
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
            servers.drop_database(kept, self.postgres)
            servers.rename_database(self.name, kept, self.postgres)
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
        children: int = 2,
        *,
        starter: bool = False,
        beat: bool = False,
        **settings: object,
    ) -> Iterator[Processes]:
        """Start a worker with that many pool children, as production does.

        With starter and beat if wanted.

        `settings` are CHAINWEB_… settings by their last part: CALLS_PER_SECOND=0.
        """
        environ = os.environ | {f"CHAINWEB_{name}": str(value) for name, value in settings.items()}
        environ |= {"AWS_ENDPOINT_URL_STS": sts, "LOG_LEVEL": "WARNING"}
        found = Processes()
        try:
            found.running["worker"] = self._start(
                "worker", product.worker_command(children), environ
            )
            if starter:
                found.running["starter"] = self._start(
                    "starter", product.starter_command(), environ
                )
            if beat:
                found.running["beat"] = self._start("beat", product.beat_command(), environ)
            # The pool's children are the last thing that comes up.
            wanted = children + 1 + (2 if starter else 0) + beat
            wait_for(lambda: len(self._family_of(found)) >= wanted, "the workers to start", 60)
            yield found
        except (Unmeasurable, TimeoutError) as error:
            raise Unmeasurable(f"{error}\n{processes.last_lines(self.folder)}") from None
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
        return {pid: proc.cpu_seconds(pid) for pid in pids if proc.stat(pid)}

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
        return processes.start(command, self.folder / f"{name}.log", environ)

    def _family_of(self, found: Processes) -> set[int]:
        for name, process in found.running.items():
            if process.poll() is not None:
                raise Unmeasurable(f"The {name} has ended.")
        return proc.family([process.pid for process in found.running.values()])
