"""The supervisor alone, with small stand-ins for the processes of Chainweb."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainweb.local import supervisor
from tests.harness.proc import is_running
from tests.harness.waiting import wait_for

pytestmark = [pytest.mark.processes, pytest.mark.no_servers]

# Two children in two waves, each with a grandchild in its process group, as a Celery worker has its
# pool.
PROGRAM = """
import os, sys
from pathlib import Path
from chainweb.local.supervisor import ChildEnded, StopRequested, Supervisor

folder = Path(sys.argv[1])
child = (
    "echo $$ > {name}.leader; sleep 1000 & echo $! > {name}.child;"
    " echo hello from {name}; {then}"
)
try:
    with Supervisor(logs=folder, folder=folder, grace_seconds=float(sys.argv[2])) as supervisor:
        for name, then in (("low", "wait"), ("high", sys.argv[3])):
            command = ["/bin/sh", "-c", child.format(name=name, then=then)]
            supervisor.start(name, command, os.environ, wave=name == "high")
        children = [folder / "low.child", folder / "high.child"]
        supervisor.wait_until(lambda: all(child.exists() for child in children))
        print(f"reaper {supervisor._reaper.pid}", "up", flush=True)
        supervisor.watch()
except StopRequested:
    print("stopped", flush=True)
except ChildEnded as ended:
    print(ended, ended.last_lines, flush=True)
    sys.exit(1)
"""


class Program:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, then: str = "wait", grace: float = 5) -> None:
        command = [sys.executable, "-c", PROGRAM, str(self.folder), str(grace), then]
        environ = {**os.environ, "PYTHONPATH": str(Path(supervisor.__file__).parent.parent)}
        self.process = subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stdout
        said = self.process.stdout.readline().split()
        assert said[-1:] == ["up"], said
        self.reaper = int(said[1])

    def processes(self) -> list[int]:
        return [
            int(file.read_text())
            for file in [*self.folder.glob("*.leader"), *self.folder.glob("*.child")]
        ]

    def end(self) -> tuple[int, str]:
        said, _ = self.process.communicate(timeout=20)
        return self.process.returncode, said

    def left(self) -> list[int]:
        return [one for one in [*self.processes(), self.reaper] if is_running(one)]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    one = Program(tmp_path)
    yield one
    if one.process.poll() is None:
        one.process.kill()
    one.end()
    wait_for(lambda: not one.left(), "all to end", 10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_ends_children_and_grandchildren(
    program: Program, number: signal.Signals
) -> None:
    program.start()
    assert len(program.processes()) == 4
    program.process.send_signal(number)
    assert program.end() == (0, "stopped\n")
    assert program.left() == []


def test_a_killed_child_ends_the_others_with_reason_and_last_lines(program: Program) -> None:
    program.start()
    os.kill(int((program.folder / "low.leader").read_text()), signal.SIGKILL)
    code, said = program.end()
    assert (code, said) == (1, "low ended: killed by SIGKILL. ['hello from low']\n")
    assert program.left() == []


def test_an_exited_child_is_named_with_its_code_and_its_children_end(program: Program) -> None:
    program.start(then="while [ ! -e go ]; do sleep 0.05; done; exit 7")
    (program.folder / "go").touch()
    assert program.end()[1].startswith("high ended: exit code 7.")
    assert program.left() == []


def test_after_a_sigkill_of_the_supervisor_nothing_is_left(program: Program) -> None:
    program.start()
    program.process.kill()
    program.end()
    wait_for(lambda: not program.left(), "all to end", 15)


def test_a_deaf_child_is_killed_after_the_grace_time(program: Program) -> None:
    program.start(then="trap '' TERM INT HUP; touch deaf; while :; do sleep 0.05; done", grace=0.5)
    wait_for((program.folder / "deaf").exists, "the deaf child", 15)
    program.process.terminate()
    assert program.end() == (0, "stopped\n")
    assert program.left() == []


def test_a_second_ctrl_c_does_not_wait_for_a_deaf_child(program: Program) -> None:
    program.start(then="trap '' TERM INT HUP; touch deaf; while :; do sleep 0.05; done", grace=3600)
    wait_for((program.folder / "deaf").exists, "the deaf child", 15)
    program.process.send_signal(signal.SIGINT)
    child = int((program.folder / "high.child").read_text())
    with pytest.raises(TimeoutError):
        wait_for(lambda: not is_running(child), "a deaf child to end", 0.5)
    program.process.send_signal(signal.SIGINT)
    assert program.end() == (0, "stopped\n")
    assert program.left() == []


def test_without_its_reaper_the_supervisor_does_not_go_on(program: Program) -> None:
    program.start()
    os.kill(program.reaper, signal.SIGKILL)
    code, said = program.end()
    assert (code, said) == (1, "the reaper ended: killed by SIGKILL. []\n")
    assert program.left() == []


def test_a_log_is_private_and_the_one_of_the_last_start_is_kept(program: Program) -> None:
    (program.folder / "low.log").write_text("the start before\n")
    program.start()
    assert (program.folder / "low.log").read_text() == "hello from low\n"
    assert (program.folder / "low.log").stat().st_mode & 0o777 == 0o600
    assert (program.folder / "low.log.1").read_text() == "the start before\n"


def test_what_a_child_wrote_cannot_steer_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_bytes(b"one\n\x1b[2J\x07two \xff\n")
    assert supervisor.last_lines(log) == ["one", "\\x1b[2J\\x07two \N{REPLACEMENT CHARACTER}"]
