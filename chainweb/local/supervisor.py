"""Start processes, watch them, and end all of them together, whatever happens to the supervisor.

Knows nothing of Chainweb: `processes` says what is to run. Three promises: when one child ends, all
end and its last lines are shown; a stop signal ends all in order; and after a SIGKILL of the
supervisor nothing of it is left, which is the `reaper`'s work.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType

from chainweb.local import reaper

LAST_LINES = 12
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A child waits for one line before it becomes what it is to be. By then the reaper knows its
# number, and if the supervisor is killed in between, the child reads the end of the pipe instead
# and is gone by itself.
WAIT_FOR_GO = 'read -r go || exit 1; exec "$@" </dev/null'


class ChildEnded(Exception):
    """Report a child that ended unasked, with the reason in words and the end of its log."""

    def __init__(self, name: str, reason: str, log: Path | None, last_lines: list[str]) -> None:
        super().__init__(f"{name} ended: {reason}.")
        self.name, self.reason, self.log, self.last_lines = name, reason, log, last_lines


class StopRequested(Exception):
    """Report that somebody pressed Ctrl-C, or sent SIGTERM or SIGHUP."""


@dataclass
class Child:
    name: str
    process: subprocess.Popen[bytes]
    log: Path | None
    wave: int


@dataclass
class Supervisor:
    """Use as a context manager, in the main thread; leaving it ends every child.

    `logs` is an existing private folder: each child's output goes to `<name>.log` there, the one of
    the last start is kept as `<name>.log.1`. `folder` is where they run. `keep_open` are file
    descriptors that the reaper shall hold until the last child is gone.
    """

    logs: Path
    folder: Path
    keep_open: Sequence[int] = ()
    grace_seconds: float = 10.0
    children: list[Child] = field(default_factory=list)
    _stop_signals: int = 0
    _interruptible: bool = False

    def __enter__(self) -> "Supervisor":
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        self._wake.setblocking(False)
        self._old_wakeup = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        self._old_handlers = {
            number: signal.signal(number, self._on_signal)
            for number in (*STOP_SIGNALS, signal.SIGCHLD)
        }
        self._reaper = subprocess.Popen(  # noqa: S603  (our own script)
            [sys.executable, "-I", "-S", reaper.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=self.keep_open,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._interruptible = False
        self.stop()
        assert self._reaper.stdin
        with suppress(BrokenPipeError):
            self._reaper.stdin.close()
        self._reaper.wait()
        signal.set_wakeup_fd(self._old_wakeup)
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        self._woken.close()
        self._wake.close()

    # --- starting ---------------------------------------------------------------------------------

    def start(
        self,
        name: str,
        command: Sequence[str],
        environ: Mapping[str, str],
        *,
        wave: int = 1,
        keep_fds: Sequence[int] = (),
    ) -> None:
        """Start a child in a session, and so a process group, of its own.

        Higher waves are stopped first.
        """
        log = self.logs / f"{name}.log"
        if log.exists():
            log.replace(log.with_name(f"{name}.log.1"))
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o600)
        try:
            process = subprocess.Popen(  # noqa: S603  (the caller's command, no user's words)
                ["/bin/sh", "-c", WAIT_FOR_GO, name, *command],
                cwd=self.folder,
                env=dict(environ),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=keep_fds,
            )
        finally:
            os.close(output)
        self.children.append(Child(name, process, log, wave))
        self._tell_reaper(f"+{process.pid}\n")
        assert process.stdin
        with suppress(BrokenPipeError):  # it is dead already; the next look at the children says so
            process.stdin.write(b"go\n")
            process.stdin.close()

    def _tell_reaper(self, line: str) -> None:
        assert self._reaper.stdin
        with suppress(BrokenPipeError):  # likewise
            self._reaper.stdin.write(line.encode())
            self._reaper.stdin.flush()

    # --- watching ---------------------------------------------------------------------------------

    def wait_until(self, check: Callable[[], bool], *, seconds: float = float("inf")) -> bool:
        """Look often until the check says yes (True) or the time is up (False).

        Raises ChildEnded or StopRequested as soon as there is reason to.
        """
        deadline = time.monotonic() + seconds
        while True:
            self._look()
            if check():
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._sleep(min(left, 0.05))

    def watch(self) -> None:
        """Watch until something ends: it never returns, but raises ChildEnded or StopRequested."""
        while True:
            self._look()
            self._sleep(5)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Guard long work in this process.

        A stop signal raises StopRequested in its midst.
        """
        self._look()
        self._interruptible = True
        try:
            yield
        finally:
            self._interruptible = False

    def _look(self) -> None:
        if self._stop_signals:
            raise StopRequested
        for child in self.children:
            if (code := child.process.poll()) is not None:
                raise ChildEnded(child.name, describe_exit(code), child.log, last_lines(child.log))
        if (code := self._reaper.poll()) is not None:
            raise ChildEnded("the reaper", describe_exit(code), None, [])

    def _sleep(self, seconds: float) -> None:
        """Sleep until a signal comes, a child's end among them, or the time is up."""
        select.select([self._woken], [], [], seconds)
        with suppress(BlockingIOError):
            while self._woken.recv(1024):
                pass

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGCHLD:
            return  # only there to wake us
        self._stop_signals += 1
        if self._interruptible:
            self._interruptible = False
            raise StopRequested

    # --- stopping ---------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop every child, wave by wave, the last wave first.

        A second request kills the children instead.
        """
        patience = self._stop_signals
        for wave in sorted({child.wave for child in self.children}, reverse=True):
            members = [child for child in self.children if child.wave == wave]
            for child in members:
                # The leader alone: it lets its own children finish. A Celery pool child dies of a
                # SIGTERM at once.
                if child.process.poll() is None:
                    child.process.terminate()
            leaderless: set[int] = set()
            deadline = time.monotonic() + self.grace_seconds
            while time.monotonic() < deadline and self._stop_signals <= patience:
                if all(self._is_gone(child) for child in members):
                    break
                for pid in {
                    child.process.pid for child in members if child.process.poll() is not None
                } - leaderless:
                    leaderless.add(pid)
                    reaper.send(pid, signal.SIGTERM)
                self._sleep(0.05)
            for child in members:
                if not self._is_gone(child):
                    reaper.send(child.process.pid, signal.SIGKILL)
                child.process.wait()
                self._tell_reaper(f"-{child.process.pid}\n")
        self.children.clear()

    def _is_gone(self, child: Child) -> bool:
        return child.process.poll() is not None and not reaper.is_alive(child.process.pid)


def describe_exit(code: int) -> str:
    """Put a return code into words; a negative one is the signal that ended the process."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def last_lines(log: Path | None, count: int = LAST_LINES) -> list[str]:
    """Return the end of a log with control characters escaped.

    It cannot steer the terminal.
    """
    if log is None or not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 16_384))
        lines = file.read().decode("utf-8", "replace").splitlines()[-count:]
    return ["".join(c if c.isprintable() else repr(c)[1:-1] for c in line)[:500] for line in lines]
