"""End the supervisor's children when the supervisor cannot, as after SIGKILL or a crash.

A process of its own, started by `supervisor` as a plain script: standard library only, no import of
ours. It reads `+<pid>` and `-<pid>` lines, one for each child started and ended, from a pipe whose
only writer is the supervisor. The end of that pipe is the end of the supervisor, on every system; a
clean one has by then ended its children itself.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

GRACE_SECONDS = 5.0


def is_alive(group: int) -> bool:
    """Tell if any process of the group is alive."""
    try:
        os.killpg(group, 0)
    except (
        ProcessLookupError,
        PermissionError,
    ):  # macOS answers PermissionError for a group of zombies
        return False
    # Linux counts zombies in. In a container whose first process buries nobody, they stay for ever.
    if not os.path.exists("/proc/self/stat"):
        return True
    return any(runs_in(group, name) for name in os.listdir("/proc") if name.isdigit())


def runs_in(group: int, process_id: str) -> bool:
    """Read state and group from a stat line of proc(5).

    State, parent and group follow the name, which is in parentheses and may contain any character.
    """
    try:
        with open(f"/proc/{process_id}/stat", "rb") as file:
            state, _parent, its_group = file.read().rpartition(b")")[2].split()[:3]
    except (OSError, ValueError):
        return False
    return int(its_group) == group and state not in {b"Z", b"X"}


def send(group: int, number: signal.Signals) -> None:
    """Send a signal to a whole process group; one that is gone is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def end(groups: Iterable[int]) -> None:
    """SIGTERM, some seconds, SIGKILL."""
    left = set(groups)
    for group in left:
        send(group, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = {group for group in left if is_alive(group)}
    for group in left:
        send(group, signal.SIGKILL)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(
            number, signal.SIG_IGN
        )  # whoever signals everything of ours must not stop the cleaner first
    groups: set[int] = set()
    for line in sys.stdin:
        if line.startswith("+"):
            groups.add(int(line[1:]))
        elif line.startswith("-"):
            groups.discard(int(line[1:]))
    end(groups)


if __name__ == "__main__":
    main()
