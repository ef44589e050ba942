"""Keep processes running as docker-compose would: restart each that ends. Linux only (/proc)."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from chainweb.local import reaper
from tests.harness import proc, processes

LOOK_SECONDS = 0.05


@dataclass
class ManagedProcess:
    """Hold one process with a group of its own. `expected`: its next end is of our making."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    keep_fds: Sequence[int]
    process: subprocess.Popen[bytes]
    expected: bool = False


@dataclass
class ProcessManager:
    """Start, kill, stop and continue processes.

    `unexpected` holds "name: exit code" of those that ended without being asked.
    """

    folder: Path
    unexpected: list[str] = field(default_factory=list)
    _managed: dict[str, ManagedProcess] = field(default_factory=dict)
    _groups: set[int] = field(default_factory=set)
    _ending: threading.Event = field(default_factory=threading.Event)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __enter__(self) -> Self:
        # Ends everything if this process itself is killed.
        self._reaper = subprocess.Popen(
            [sys.executable, "-I", "-S", reaper.__file__],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._thread = threading.Thread(target=self._keep, name="process-manager", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        for group in self._groups:
            reaper.send(group, signal.SIGCONT)
            reaper.send(group, signal.SIGKILL)
        for managed in self._managed.values():
            managed.process.wait()
        assert self._reaper.stdin
        with contextlib.suppress(BrokenPipeError):
            self._reaper.stdin.close()
        self._reaper.wait()

    def adopt(self, group: int) -> None:
        """Another process group that must not outlive us."""
        self._tell_reaper(f"+{group}\n")

    def _tell_reaper(self, line: str) -> None:
        assert self._reaper.stdin
        self._reaper.stdin.write(line.encode())
        self._reaper.stdin.flush()

    def start(
        self,
        name: str,
        command: Sequence[str],
        environ: Mapping[str, str],
        keep_fds: Sequence[int] = (),
    ) -> None:
        with self._lock:
            process = self._spawn(name, command, environ, keep_fds)
            self._managed[name] = ManagedProcess(name, command, environ, keep_fds, process)

    def end(self, name: str) -> None:
        """End the process at once."""
        with self._lock:
            managed = self._managed.pop(name)
        reaper.send(managed.process.pid, signal.SIGCONT)
        reaper.send(managed.process.pid, signal.SIGKILL)
        managed.process.wait()

    def kill(self, name: str, how: str = "group") -> None:
        """Send SIGKILL to a process, its group or a child.

        "group" is all of it, "parent" its first process alone, "child" one of that one's children.
        """
        with self._lock:
            managed = self._managed[name]
            children = self.pool(name)
            if how == "child" and children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(random.choice(children), signal.SIGKILL)
                return
            managed.expected = True
            if how == "parent":
                managed.process.kill()
            else:
                reaper.send(managed.process.pid, signal.SIGKILL)

    def kill_pool(self, name: str) -> None:
        """Send SIGKILL to all of its children that work."""
        for child in self.pool(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    def pause(self, name: str) -> None:
        reaper.send(self._managed[name].process.pid, signal.SIGSTOP)

    def go_on(self, name: str) -> None:
        reaper.send(self._managed[name].process.pid, signal.SIGCONT)

    def names(self, prefix: str = "") -> list[str]:
        with self._lock:
            return [name for name in self._managed if name.startswith(prefix)]

    def members(self, name: str) -> list[int]:
        """Return the process ids of its group."""
        return proc.members_of(self._managed[name].process.pid)

    def pool(self, name: str) -> list[int]:
        """List its children that are forks of itself, and not some program that it calls."""
        parent = self._managed[name].process.pid
        children = proc.children_of(parent)
        return [child for child in children if proc.command(child) == proc.command(parent)]

    def orphans(self) -> int:
        """Count the living processes whose leader is gone."""
        return sum(len(proc.members_of(group)) for group in self._leaderless())

    def cpu_seconds(self, prefix: str = "") -> float:
        """Return the CPU seconds that the living processes of that name have used."""
        members = [pid for name in self.names(prefix) for pid in self.members(name)]
        return sum(proc.cpu_seconds(pid) for pid in members)

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _last_words(self, name: str) -> str:
        return " / ".join(self.log(name).read_text(errors="replace").split("\n")[-12:])[-2000:]

    def _leaderless(self) -> set[int]:
        return self._groups - {managed.process.pid for managed in self._managed.values()}

    def _spawn(
        self, name: str, command: Sequence[str], environ: Mapping[str, str], keep_fds: Sequence[int]
    ) -> subprocess.Popen[bytes]:
        process = processes.start(command, self.log(name), environ, pass_fds=keep_fds)
        self._groups.add(process.pid)
        self.adopt(process.pid)
        return process

    def _keep(self) -> None:
        while not self._ending.wait(LOOK_SECONDS):
            with self._lock:
                for managed in self._managed.values():
                    code = managed.process.poll()
                    if code is None:
                        continue
                    if not managed.expected:
                        self.unexpected.append(
                            f"{managed.name}: exit code {code}: {self._last_words(managed.name)}"
                        )
                        time.sleep(0.5)  # no endless loop at full speed if it cannot start
                    managed.expected = False
                    managed.process = self._spawn(
                        managed.name, managed.command, managed.environ, managed.keep_fds
                    )
                for group in self._leaderless():
                    if not reaper.is_alive(group):  # its number may be somebody else's tomorrow
                        self._groups.discard(group)
                        self._tell_reaper(f"-{group}\n")
