"""Start programs of this checkout with an environment of their own, and leave nothing of them."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from chainweb.local import reaper

CHECKOUT = Path(__file__).resolve().parents[2]
# What tests.settings and the caller's shell have set is not an installation's of ours.
NOT_INHERITED = re.compile(
    r"CHAINWEB_.*|AWS_.*|DJANGO_.*|SECRET_KEY|DATABASE_URL|REDIS_URL|SECURE_COOKIES|(HTTPS?|NO|ALL)_PROXY",
    re.I,
)


class CommandFailed(Exception):
    """Report that a command of manage.py failed; the message has its output."""


def clean_environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not NOT_INHERITED.fullmatch(name)}


def real_environ(keys: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of processes with real AWS, these keys, and no way to AWS.

    What they have beside it (database, broker, the STS's address) is to be added.
    """
    return {
        **clean_environ(),
        **keys,
        "DJANGO_SETTINGS_MODULE": "chainweb.settings",
        "CHAINWEB_AWS": "real",
        "SECURE_COOKIES": "0",
        "LOG_LEVEL": "WARNING",
        "NO_PROXY": "127.0.0.1,localhost",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def manage(
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    cwd: Path = CHECKOUT,
    python: str = sys.executable,
) -> str:
    """Run a manage.py command and return its output. Raises CommandFailed.

    Its environment is the caller's if none is given.
    """
    done = subprocess.run(
        [python, "manage.py", *arguments],
        cwd=cwd,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        umask=0o077,
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-2000:]
        raise CommandFailed(f"manage.py {arguments[0]}: {said}")
    return done.stdout.strip()


def start(
    command: Sequence[str],
    log: Path,
    environ: Mapping[str, str] | None = None,
    cwd: Path = CHECKOUT,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own; what it says is added to the log."""
    with log.open("ab") as file:
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            pass_fds=pass_fds,
        )


def end(running: Iterable[subprocess.Popen[bytes]], seconds: float = 20) -> None:
    """Ask these to end, together; after that time their whole groups are killed."""
    running = list(running)
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in running:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            reaper.send(process.pid, signal.SIGKILL)
            process.wait()


def last_lines(folder: Path, count: int = 5) -> str:
    """Return the last lines of each log in a folder, each with the name of its process."""
    return "\n".join(
        f"{log.stem}: {line}"
        for log in sorted(folder.glob("*.log"))
        for line in log.read_text(errors="replace").splitlines()[-count:]
    )
