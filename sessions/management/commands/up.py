"""Run the whole of an embedded Chainweb in one command. `./run` ends here."""

import fcntl
import io
import ipaddress
import json
import os
import shlex
import socket
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, TextIO

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.db import connections
from django.urls import reverse

from chainweb.local import embedded, processes
from chainweb.local.processes import NotStarted
from chainweb.local.supervisor import ChildEnded, StopRequested, Supervisor
from sessions.checks import KEYS
from sessions.db.clock import database_now
from sessions.monitoring import heartbeats

PATIENCE_SECONDS = 20.0


class Command(BaseCommand):
    help = (
        "Starts web, worker and beat, with an embedded Valkey and a simulated AWS where none is"
        " configured."
    )
    # The keys they look at are made here; they run once there are some.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--host", default="127.0.0.1", help="the address to listen on (default: loopback)"
        )
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        if settings.DEBUG and not is_loopback(host):
            # ALLOWED_HOSTS does not help: whoever can connect can also name a host that is allowed.
            raise CommandError(
                "DEBUG shows local variables to everyone; listen on loopback, or switch it off."
            )
        os.umask(0o077)
        try:
            folder = settings.DATA_FOLDER
            make_keys(folder)
            with hold_alone(folder) as lock, processes.listen(host, port) as listener:
                logs = folder / "logs"
                embedded.make_private(logs)
                try:
                    with Supervisor(
                        logs=logs, folder=embedded.CHECKOUT, keep_open=[lock.fileno()]
                    ) as supervisor:
                        Start(self, folder, supervisor, listener).run()
                finally:
                    processes.remove_socket_folder(embedded.socket_path(folder))
        except (embedded.EmbeddedError, NotStarted) as error:
            raise CommandError(str(error)) from error
        except StopRequested:
            self.say("Stopped.")
        except ChildEnded as ended:
            self.say(f"\n{ended} Everything else was stopped.")
            if ended.last_lines:
                self.say(f"Its last lines, from {ended.log}:")
                self.say("\n".join(f"  {line}" for line in ended.last_lines))
            sys.exit(1)

    def say(self, text: str) -> None:
        try:
            self.stdout.write(text)
            self.stdout.flush()
        except (
            OSError
        ):  # the terminal or the pipe is gone; the processes are to be ended all the same
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115
            self.stdout = OutputWrapper(sys.stdout)


NOT_MADE_FOR_A_NETWORK = (
    "Other machines can reach this, and ./run is not made for that: there is no TLS, so passwords"
    " and credentials cross the\nnetwork in clear text, and a dozen slow clients stop it, since no"
    " proxy takes their requests in first. For a team, install\nit as docs/operations.md says."
)


class Start:
    """Start step by step; what can run while another step waits does."""

    def __init__(
        self, command: Command, folder: Path, supervisor: Supervisor, listener: socket.socket
    ) -> None:
        self.say = command.say
        self.folder, self.supervisor, self.listener = folder, supervisor, listener
        self.setup_line = setup_line()  # before the environment becomes the children's
        self.moto_url = ""
        self.moto_port = 0

    def run(self) -> None:
        begun = time.monotonic()
        self.environ_for_us()
        supervisor = self.supervisor
        others = processes.without_our_settings(os.environ)
        if settings.SIMULATED:
            supervisor.start("moto", processes.moto_command(self.moto_port), others, wave=0)
        broker = None
        if not (os.environ.get("REDIS_URL") or os.environ.get("REDIS_URL_FILE")):
            broker = embedded.socket_path(self.folder)
            processes.clear_socket(broker)
            supervisor.start(
                "valkey", processes.valkey_command(broker, self.folder / "valkey"), others, wave=0
            )
        with supervisor.interruptible():
            call_command("check", tags=[KEYS], stdout=io.StringIO())
            call_command("migrate", verbosity=0, interactive=False)
            heartbeats.forget()
        if broker and not supervisor.wait_until(
            lambda: processes.valkey_answers(broker), seconds=PATIENCE_SECONDS
        ):
            raise NotStarted(f"Valkey does not answer; see {supervisor.logs / 'valkey.log'}.")
        self.start_web_and_beat()
        logins = self.seed_demo() if settings.SIMULATED else []
        identity = processes.worker_identity(self.moto_url) if self.moto_url else {}
        supervisor.start("worker", processes.worker_command(), os.environ | identity)
        supervisor.start("starter", processes.starter_command(), os.environ | identity)
        self.wait_until_ready()
        self.greet(logins, time.monotonic() - begun)
        connections.close_all()
        supervisor.watch()

    def environ_for_us(self) -> None:
        """Set this process's environment to its children's, since it seeds and migrates."""
        if settings.SIMULATED:
            self.moto_port = processes.loopback_port(self.folder / "moto_port")
            self.moto_url = f"http://127.0.0.1:{self.moto_port}"
        environ = processes.child_environ(os.environ, self.folder, self.moto_url)
        if settings.SIMULATED:
            port = self.listener.getsockname()[1]
            path = reverse("simulated_federation")
            environ["CHAINWEB_CONSOLE_FEDERATION_URL"] = f"http://127.0.0.1:{port}{path}"
        os.environ.clear()
        os.environ.update(environ)

    def start_web_and_beat(self) -> None:
        keyless = processes.without_worker_secrets(os.environ)
        self.supervisor.start(
            "web", processes.web_command(self.listener), keyless, keep_fds=[self.listener.fileno()]
        )
        self.supervisor.start("beat", processes.beat_command(), keyless)

    def seed_demo(self) -> list[dict[str, str]]:
        """Return the demo's logins: name, role, password.

        The simulated AWS forgets at every stop, so this runs at every start.
        """
        moto = ("127.0.0.1", self.moto_port)
        if not self.supervisor.wait_until(
            lambda: processes.get(moto, "/moto-api/", "127.0.0.1", 1)[0] == 200,
            seconds=PATIENCE_SECONDS,
        ):
            raise NotStarted(
                f"The simulated AWS does not answer; see {self.supervisor.logs / 'moto.log'}."
            )
        with self.supervisor.interruptible():
            said = call_command("seed_demo", endpoint_url=self.moto_url, stdout=io.StringIO())
        logins: list[dict[str, str]] = json.loads(said or "[]")
        return logins

    def wait_until_ready(self) -> None:
        bound, port = self.listener.getsockname()[:2]
        if ipaddress.ip_address(
            bound
        ).is_unspecified:  # 0.0.0.0 and [::] can be listened on, but not asked
            bound = "::1" if ":" in bound else "127.0.0.1"
        local = ipaddress.ip_address(bound).is_loopback
        self.is_local = (
            local and not ipaddress.ip_address(self.listener.getsockname()[0]).is_unspecified
        )
        self.address = (
            f"http://{'localhost' if local else f'[{bound}]' if ':' in bound else bound}:{port}"
        )
        # The web process has its own copy; this one would go on accepting for a web that has died.
        self.listener.close()
        named = [name for name in settings.ALLOWED_HOSTS if not name.startswith(("*", "."))]
        host = named[0] if named else "localhost"
        while not self.supervisor.wait_until(
            # The stamps first: to look at them costs the web process nothing, and it has nothing to
            # log.
            lambda: (
                all(heartbeats.alive(database_now()).values())
                and processes.get((bound, port), "/readyz", host, 1)[0] == 200
            ),
            seconds=PATIENCE_SECONDS,
        ):
            status, body = processes.get((bound, port), "/readyz", host, 1)
            said = (
                ascii(body[:500].decode("utf-8", "replace"))
                if status == 503
                else f"status {status or 'none'}"
            )
            self.say(f"Not ready yet: {said}. Logs are in {self.supervisor.logs}.")

    def greet(self, logins: list[dict[str, str]], seconds: float) -> None:
        lines = ["", f"Chainweb is ready at {self.address} (after {seconds:.1f} s)"]
        if settings.SIMULATED:
            lines += ["AWS is simulated on this machine: nothing here reaches a real account.", ""]
            width = max((len(login["name"]) for login in logins), default=0)
            lines += [
                f"  {one['name']:<{width}}  password {one['password']}  ({one['role']})"
                for one in logins
            ]
            lines += [""]
        else:
            from sessions.models import Team

            if not Team.objects.exists():
                lines += [
                    "",
                    "No team yet. Create the first one, and its admin, in another terminal:",
                    f"  {self.setup_line}",
                    "",
                ]
        if not self.is_local:
            lines += [NOT_MADE_FOR_A_NETWORK, ""]
        lines += [f"Data and logs: {self.folder}", "Ctrl-C stops everything."]
        self.say("\n".join(lines))


def make_keys(folder: Path) -> None:
    """Make the missing embedded keys, then start over, since settings were read before."""
    names = (
        *("secret_key", "seal_keys", "root_keys", "root_public_key"),
        *("checkpoint_key", "checkpoint_public_key"),
    )
    needed = [folder / name for name in names]
    complete = all(path.exists() for path in needed)
    embedded.prepare(folder)
    if not complete:
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606  (this very command again, same process id)


def hold_alone(folder: Path) -> TextIO:
    """Lock the data folder, so that nobody else starts on it. Raises NotStarted.

    The reaper of a supervisor that was killed holds it until the last child is gone; for that we
    wait.
    """
    lock = (folder / "up.lock").open("a+")
    deadline = time.monotonic() + 10
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            lock.seek(0)
            holder = lock.read().strip()
            if is_running(holder) or time.monotonic() > deadline:
                lock.close()
                raise NotStarted(
                    f"Chainweb is already running on {folder} (process {holder or 'unknown'}). Stop"
                    " it first, or set CHAINWEB_DATA to another folder for a second one."
                ) from None
            time.sleep(0.1)
    lock.seek(0)
    lock.truncate()
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_running(process_id: str) -> bool:
    try:
        os.kill(int(process_id), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def setup_line() -> str:
    """Return a command to paste, with the environment that decides where the team is made."""
    names = ("CHAINWEB_AWS", "CHAINWEB_DATA")
    here = [f"{name}={shlex.quote(os.environ[name])}" for name in names if os.environ.get(name)]
    command = [
        os.path.relpath(sys.executable),
        sys.argv[0],
        "setup",
        "--team",
        "my-team",
        "--admin",
        "my-name",
    ]
    return " ".join([*here, *map(shlex.quote, command)])
