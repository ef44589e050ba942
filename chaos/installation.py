"""Run a whole installation for one scenario.

Database, broker, STS, web, workers, clocks, proxies.
"""

import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from chainweb.local import processes
from chaos.databases import Cluster
from chaos.process_manager import ProcessManager
from chaos.proxy import Proxy
from tests.harness.keys import new_keys
from tests.harness.processes import CHECKOUT, CommandFailed, manage, real_environ
from tests.harness.servers import connect, scratch_database
from tests.harness.sts import StsProcess
from tests.harness.valkey import Valkey
from tests.harness.waiting import wait_until

# Of this run; the monitor opens with them what the workers have sealed.
KEYS = new_keys()
HOUR_SECONDS = 3600.0
# Loaded machines start slowly; nothing is measured by this.
PATIENCE_SECONDS = 180.0


@dataclass(frozen=True)
class Seeded:
    """Hold the rows that `chaos.seed` made.

    `sessions`: (id, account of its role), the started ones first.
    """

    token: str
    sessions: list[tuple[str, str]]
    started: int


@dataclass
class Options:
    """Choose how an installation is set up.

    `proxied` names what is reached through a proxy: "database", "broker", "sts".
    """

    sessions: int
    started: int | None = None  # how many of them are started at once; None: all
    workers: int = 2  # beside the one that is kept for starts; with 0 there is none of either
    clocks: int = 1
    compression: float = 20.0
    lease_seconds: float | None = 4.0
    latency_seconds: float = 0.05
    proxied: frozenset[str] = frozenset()
    own_cluster: bool = False
    region: str = "eu-west-1"  # of the root and of all sessions
    environ: Mapping[str, str] = field(default_factory=dict)


class Installation:
    """Everything runs between `with` and its end. `template` is a migrated database to copy."""

    def __init__(self, options: Options, template: str) -> None:
        self.options, self.template = options, template
        self.life_seconds = HOUR_SECONDS / options.compression
        self.proxies: dict[str, Proxy] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._set_up(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _set_up(self, stack: ExitStack) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        self.sts = stack.enter_context(
            StsProcess(latency=self.options.latency_seconds, life=self.life_seconds)
        )
        self.cluster = stack.enter_context(Cluster()) if self.options.own_cluster else None
        self.database_url = (
            self.cluster.url
            if self.cluster
            else stack.enter_context(scratch_database("chaos", self.template))
        )
        self.broker = stack.enter_context(Valkey())
        if self.cluster:
            migrate(self.database_url)
        addresses = {
            "database": self.database_url.partition("@")[2].partition("/")[0],
            "broker": f"127.0.0.1:{self.broker.port}",
            "sts": self.sts.url.removeprefix("http://"),
        }
        for name in self.options.proxied:
            host, _, port = addresses[name].partition(":")
            self.proxies[name] = stack.enter_context(Proxy((host, int(port))))
            addresses[name] = f"127.0.0.1:{self.proxies[name].port}"
        self.sts_port = int(addresses["sts"].partition(":")[2])
        self.environ = self._environ(folder, addresses)
        self.listener = stack.enter_context(processes.listen("127.0.0.1", 0))
        self.web_address: tuple[str, int] = self.listener.getsockname()
        # The last to come and so the first to go: nothing of ours runs when its database is
        # dropped.
        self.processes = stack.enter_context(ProcessManager(folder))
        self.processes.adopt(self.broker.group)
        self.processes.adopt(self.sts.process.pid)
        if self.cluster:
            self.processes.adopt(self.cluster.group)
        self.seeded = self._seed()
        self.start_web()
        for number in range(self.options.workers):
            self.start_worker(f"worker-{number}")
        if self.options.workers:
            self.start_starter("worker-starts")
        for number in range(self.options.clocks):
            self.processes.start(f"clock-{number}", processes.beat_command(), self.environ)

    def _environ(self, folder: Path, addresses: Mapping[str, str]) -> dict[str, str]:
        server, _, name = self.database_url.rpartition("/")
        user = server.partition("://")[2].partition("@")[0]
        environ = base_environ() | {
            "CHAINWEB_DATA": str(folder),
            "DATABASE_URL": f"postgres://{user}@{addresses['database']}/{name}",
            "REDIS_URL": f"redis://{addresses['broker']}/0",
            "AWS_ENDPOINT_URL_STS": f"http://{addresses['sts']}",
            "CHAINWEB_TIME_COMPRESSION": f"{self.options.compression:g}",
        }
        if self.options.lease_seconds is not None:
            environ["CHAINWEB_LEASE_SECONDS"] = f"{self.options.lease_seconds:g}"
        return environ | dict(self.options.environ)

    def _seed(self) -> Seeded:
        started = self.options.sessions if self.options.started is None else self.options.started
        command = [sys.executable, "-m", "chaos.seed", str(self.options.sessions), str(started)]
        command.append(self.options.region)
        environ = self.environ | {"DATABASE_URL": self.database_url}
        made = subprocess.run(
            command, env=environ, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE
        )
        answer = json.loads(made.stdout)
        return Seeded(answer["token"], [tuple(each) for each in answer["sessions"]], started)

    @property
    def threads(self) -> int:
        """Return the most calls that one pool child has in flight."""
        from django.conf import settings

        return int(self.environ.get("CHAINWEB_STS_THREADS", settings.CHAINWEB_STS_THREADS))

    @property
    def uncommitted(self) -> int:
        """Return the most calls one pool child can lose: in flight, or waiting for their commit."""
        from sessions.engine.outbox import MOST_IN_A_COMMIT

        return self.threads + MOST_IN_A_COMMIT

    # --- processes --------------------------------------------------------------------------------

    def start_web(self) -> None:
        self.processes.start(
            "web",
            processes.web_command(self.listener),
            processes.without_worker_secrets(self.environ),
            [self.listener.fileno()],
        )

    def start_worker(self, name: str, **more: str) -> None:
        """`more`: further environment variables, for this one alone."""
        self.processes.start(name, processes.worker_command(), self.environ | more)

    def start_starter(self, name: str) -> None:
        """Return the worker that is kept for what people wait for."""
        self.processes.start(name, processes.starter_command(), self.environ)

    def has_lost_a_child(self, name: str) -> Callable[[], bool]:
        """To ask again and again: whether one that was in that worker's pool is no more.

        Its log says so too, but only ten seconds later.
        """
        before: set[int] = set()
        pool: set[int] = set()

        def lost() -> bool:
            nonlocal before
            present = set(self.processes.pool(name))
            pool.update(before & present)
            before = present
            return not pool <= present

        return lost

    # --- looking ----------------------------------------------------------------------------------

    @cached_property
    def rows(self) -> Any:
        """Return a connection of our own past every proxy; for the main thread."""
        return self._stack.enter_context(connect(self.database_url))

    def one(self, query: str, *values: Any) -> Any:
        return self.rows.execute(query, values).fetchone()[0]

    def live(self) -> int:
        """Count the activations with a live credential."""
        found: int = self.one(
            "SELECT count(*) FROM chains_activation a JOIN chains_credential c ON c.fingerprint ="
            " a.credential_id WHERE c.sealed IS NOT NULL AND c.expires_at > clock_timestamp()"
        )
        return found

    def wait(
        self, check: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS
    ) -> float:
        """Wait for it and return how long that took. Raises TimeoutError with `what`."""
        try:
            return wait_until(check, what, seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}. {self.last_words()}") from None

    def wait_until_fresh(self, seconds: float = PATIENCE_SECONDS) -> float:
        """Wait until everything that is started lives."""
        return self.wait(
            lambda: self.live() >= self.seeded.started, "all started sessions are live", seconds
        )

    def spread(self, within_seconds: float) -> None:
        """Set up a steady state.

        Rotations are spread over that time, none later than its 37th minute.
        """
        self.rows.execute(
            "UPDATE chains_credential SET due_at = clock_timestamp() + random() * least(%s *"
            " interval '1 second', minted_at + (expires_at - minted_at) * 37 / 60 -"
            " clock_timestamp()) WHERE due_at IS NOT NULL AND sealed IS NOT NULL AND lease_until IS"
            " NULL",
            [within_seconds],
        )

    def make_due(self) -> Any:
        """Everything that lives and is rotated is due now; the database's moment of that."""
        return self.one(
            "WITH due AS (UPDATE chains_credential SET due_at = clock_timestamp() WHERE due_at IS"
            " NOT NULL AND sealed IS NOT NULL RETURNING due_at) SELECT max(due_at) FROM due"
        )

    def minted_since(self, moment: Any) -> bool:
        """Tell if every activation has a credential issued after that moment."""
        return not self.one(
            "SELECT count(*) FROM chains_activation a JOIN chains_credential c ON c.fingerprint ="
            " a.credential_id WHERE c.minted_at IS NULL OR c.minted_at < %s",
            moment,
        )

    def ask(
        self, method: str, path: str, body: Any = None, timeout: float = 30
    ) -> tuple[int, bytes, float]:
        """Ask the web once with the member's token: status (0: none), body, seconds."""
        begun = time.monotonic()
        connection = http.client.HTTPConnection(*self.web_address, timeout=timeout)
        try:
            connection.request(
                method,
                path,
                None if body is None else json.dumps(body),
                {
                    "Authorization": f"Bearer {self.seeded.token}",
                    "Content-Type": "application/json",
                },
            )
            answer = connection.getresponse()
            return answer.status, answer.read(), time.monotonic() - begun
        except (OSError, http.client.HTTPException):
            return 0, b"", time.monotonic() - begun
        finally:
            connection.close()

    def wait_for_web(self) -> None:
        self.wait(lambda: self.ask("GET", "/healthz")[0] == 200, "the web answers")

    def start_session(self, number: int) -> tuple[int, float]:
        """Have the web start a session; return (status, seconds)."""
        status, _, seconds = self.ask(
            "POST", f"/api/v1/sessions/{self.seeded.sessions[number][0]}/start"
        )
        return status, seconds

    def is_active(self, number: int) -> bool:
        return bool(
            self.one(
                "SELECT count(*) FROM chains_activation a JOIN chains_credential c ON c.fingerprint"
                " = a.credential_id WHERE a.session_id = %s AND c.sealed IS NOT NULL AND"
                " c.expires_at > clock_timestamp()",
                self.seeded.sessions[number][0],
            )
        )

    def verify_ledger(self) -> str:
        """Return what `manage.py verify_ledger` finds wrong; empty if nothing."""
        try:
            manage("verify_ledger", environ=self.environ | {"DATABASE_URL": self.database_url})
        except CommandFailed as fault:
            return str(fault)[-500:]
        return ""

    def last_words(self) -> str:
        """Return the end of each log that says something of weight."""
        said = []
        for name in self.processes.names():
            lines = self.processes.log(name).read_text(errors="replace").splitlines()
            weighty = [line for line in lines if '"info"' not in line and line.strip()]
            if weighty:
                said.append(f"{name}: {' / '.join(weighty[-3:])[:600]}")
        return " | ".join(said)


def base_environ() -> dict[str, str]:
    """Return the environment of all our processes: this run's keys, nothing of the caller's AWS."""
    return real_environ(KEYS) | {
        "ALLOWED_HOSTS": "127.0.0.1",
        # One token reads for a whole team of tools.
        "CHAINWEB_FETCHES_PER_MINUTE": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def migrate(database_url: str) -> None:
    """Make the tables."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        environ = base_environ() | {
            "DATABASE_URL": database_url,
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "CHAINWEB_DATA": folder,
        }
        manage("migrate", "--verbosity=0", environ=environ)
