"""Read Linux's /proc: who runs, whose child it is, what it costs. A process may end meanwhile."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def stat(pid: int) -> list[str]:
    """Return the fields of proc(5) from the state on (state, parent, group, …); [] if it is gone.

    The name before them is in parentheses and may hold any character.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def is_running(pid: int) -> bool:
    """Tell if a process runs; a zombie, which only waits to be counted, does not."""
    return stat(pid)[:1] not in ([], ["Z"], ["X"])


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of one process so far, to 10 ms; 0 if it is gone."""
    fields = stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND if fields else 0.0


def command(pid: int) -> bytes:
    """Return the command line; empty for a zombie, or if the process is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def every() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def children_of(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            words = Path(f"/proc/{pid}/task/{thread}/children").read_text().split()
            found += [int(word) for word in words]
    return found


def family(pids: Iterable[int]) -> set[int]:
    """Return these processes and their living descendants."""
    found: set[int] = set()
    frontier = list(pids)
    while frontier:
        pid = frontier.pop()
        found.add(pid)
        frontier += children_of(pid)
    return found


def members_of(group: int) -> list[int]:
    """Return the running processes of a process group."""
    found = []
    for pid in every():
        fields = stat(pid)
        if fields and int(fields[2]) == group and fields[0] not in {"Z", "X"}:
            found.append(pid)
    return found


def marked(mark: str, logs: Path) -> list[int]:
    """Return every process with the mark in its environment, which descendants inherit.

    Valkey writes its title over its own, and is known by its log in that folder.
    """
    found = []
    for pid in every():
        try:
            # Both are empty for a zombie.
            is_marked = mark.encode() in Path(f"/proc/{pid}/environ").read_bytes()
            if is_marked or os.readlink(f"/proc/{pid}/fd/1").startswith(f"{logs}/"):
                found.append(pid)
        except OSError:  # ended meanwhile, or another user's
            continue
    return found


def connected_to(port: int, pids: Iterable[int]) -> bool:
    """Tell if one of these processes has a connection to that port of this machine."""
    inodes = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[2].rpartition(":")[2], 16) == port and fields[3] == "01":
            inodes.add(f"socket:[{fields[9]}]")
    for pid in pids:
        with contextlib.suppress(OSError):
            for entry in os.scandir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    if os.readlink(entry.path) in inodes:
                        return True
    return False
