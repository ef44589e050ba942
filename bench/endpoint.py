"""Measure a tool's fetch: its CPU beside that of a view that never changes, and how long it waits.

Both are served by the product's own gunicorn, in one process, in turn, on connections that stay
open. The ratio counts the CPU of the web alone, which a busy machine changes little.
"""

import http.client
import os
import shlex
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from django.test import Client
from django.urls import reverse

from bench import constant
from bench.environment import Environment, Unmeasurable
from bench.fixtures import SeededTeam, build, start_all
from bench.report import Figure
from chainweb.local import processes as product
from sessions.actors import NamedActor
from sessions.db.clock import database_now
from sessions.delivery.snippets import snippet_of
from sessions.models import Credential
from sessions.people.tokens import create_token
from sessions.snippets import FORMATS
from tests.harness import proc, processes
from tests.harness.sts import StsProcess
from tests.harness.waiting import wait_for

SESSIONS, PER_MIDDLE = 10_000, 50
AT_ONCE = 8
# Sessions that are fetched in turn, so that each is known after the first round.
FETCHED = 40
ROUNDS, PER_ROUND = 5, 800
PER_SECOND, SECONDS = 50, 30.0
CALLS = 30
LATENCY = 0.05


class Tool:
    """Ask one address after another on a connection that stays open."""

    def __init__(self, port: int, token: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.headers = {"Authorization": token, "User-Agent": "bench"}

    def get(self, path: str) -> int:
        self.connection.request("GET", path, headers=self.headers)
        answer = self.connection.getresponse()
        answer.read()
        return answer.status


def measure(environment: Environment, scale: float) -> Iterator[Figure]:
    environment.fresh()
    seeded = build(max(int(SESSIONS * scale), FETCHED), PER_MIDDLE)
    start_all(seeded)
    secret = create_token(seeded.member, "bench", NamedActor("bench")).reveal()
    environment.quiesce()
    paths = [f"/container/{each.pk}" for each in seeded.leaves[:FETCHED]]
    with _web(environment) as (port, pid):
        yield from _ratio(port, pid, secret, paths, scale)
        yield _process_call(environment, port, secret, seeded)
        yield _page_reveal(seeded)
        yield from _while_rotating(environment, port, secret, seeded, scale)


@contextmanager
def _web(environment: Environment) -> Iterator[tuple[int, int]]:
    """Start the product's gunicorn with one view more; give its port and process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [
            "bench.constant" if word == "chainweb.wsgi" else word
            for word in product.web_command(listener)
        ]
        web = processes.start(
            command,
            Path(environment.folder, "web.log"),
            os.environ | {"CHAINWEB_FETCHES_PER_MINUTE": "1000000"},
            pass_fds=[listener.fileno()],
        )
        try:
            wait_for(lambda: _is_up(port), "the web to start", 60)
            yield port, web.pid
        except TimeoutError as error:
            raise Unmeasurable(f"{error}\n{processes.last_lines(environment.folder)}") from None
        finally:
            processes.end([web])


def _is_up(port: int) -> bool:
    try:
        return Tool(port, "").get(f"/{constant.PATH}") == 200
    except OSError:
        return False


def _ratio(
    port: int, pid: int, secret: str, paths: Sequence[str], scale: float
) -> Iterator[Figure]:
    number = PER_ROUND if scale >= 0.1 else 2 * AT_ONCE
    _cpu_ms(port, pid, secret, paths, len(paths))
    fixed, fetched = [], []
    for _ in range(ROUNDS if scale >= 0.1 else 1):
        fixed.append(_cpu_ms(port, pid, secret, [f"/{constant.PATH}"], number))
        fetched.append(_cpu_ms(port, pid, secret, paths, number))
    least = max(statistics.median(fixed), 0.01)
    yield Figure(
        "endpoint_cpu_ratio",
        [each / least for each in fetched],
        most=3,
        note=f"{statistics.median(fetched):.2f} ms ÷ {least:.2f} ms of CPU, {AT_ONCE} at once",
        more={"constant_ms": fixed, "endpoint_ms": fetched},
    )
    yield Figure("endpoint_cpu_ms", fetched, "ms")


def _cpu_ms(port: int, pid: int, secret: str, paths: Sequence[str], number: int) -> float:
    """Return the web's CPU for each of so many requests, several at once."""
    failed: list[int] = []

    def ask(first: int) -> None:
        tool = Tool(port, secret)
        for at in range(first, number, AT_ONCE):
            if (status := tool.get(paths[at % len(paths)])) != 200:
                failed.append(status)

    before = sum(proc.cpu_seconds(each) for each in proc.family([pid]))
    threads = [threading.Thread(target=ask, args=(first,)) for first in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = sum(proc.cpu_seconds(each) for each in proc.family([pid]))
    if failed:
        raise Unmeasurable(f"{len(failed)} of {number} requests were answered with {failed[0]}.")
    return 1000 * (after - before) / number


def _process_call(environment: Environment, port: int, secret: str, seeded: SeededTeam) -> Figure:
    """Time the line of a credential_process, as the AWS CLI runs it for each command."""
    snippet = snippet_of(seeded.leaves[0], f"http://127.0.0.1:{port}/")
    text = FORMATS["process-config"].render(snippet)
    [line] = [each for each in text.splitlines() if each.startswith("credential_process = ")]
    home = Path(environment.folder, "home")
    (home / ".config/chainweb").mkdir(parents=True)
    (home / ".config/chainweb/header").write_text(f"Authorization: Bearer {secret}\n")
    command = shlex.split(line.partition(" = ")[2])
    taken = []
    for _ in range(CALLS):
        begun = time.perf_counter()
        subprocess.run(
            command,
            env={"PATH": os.environ["PATH"], "HOME": str(home)},
            capture_output=True,
            check=True,
        )
        taken.append(1000 * (time.perf_counter() - begun))
    return Figure("endpoint_process_call_ms", taken, "ms", most=20)


def _page_reveal(seeded: SeededTeam) -> Figure:
    """Time a click on a format, through the whole of Django."""
    browser = Client(headers={"Host": "localhost"})
    browser.force_login(seeded.member.user)
    path = reverse("reveal_snippet", args=[seeded.leaves[0].pk, "posix"])
    taken = []
    for _ in range(CALLS):
        begun = time.perf_counter()
        answer = browser.post(path)
        taken.append(1000 * (time.perf_counter() - begun))
        if answer.status_code != 200:
            raise Unmeasurable(f"A click on a format was answered with {answer.status_code}.")
    return Figure("page_reveal_ms", taken[1:], "ms", most=150)


def _while_rotating(
    environment: Environment, port: int, secret: str, seeded: SeededTeam, scale: float
) -> Iterator[Figure]:
    """Fetch at a steady rate while workers renew every session."""
    paths = [f"/container/{each.pk}" for each in seeded.leaves]
    seconds = SECONDS if scale >= 0.1 else 2.0
    number, lock, begun_at = int(PER_SECOND * seconds), threading.Lock(), 0.0
    taken: list[float] = []
    failed: list[int] = []

    def ask(first: int) -> None:
        tool = Tool(port, secret)
        for at in range(first, number, 2 * AT_ONCE):
            due = begun_at + at / PER_SECOND
            time.sleep(max(due - time.perf_counter(), 0))
            status = tool.get(paths[at * 7 % len(paths)])
            with lock:
                taken.append(1000 * (time.perf_counter() - due))
                if status != 200:
                    failed.append(status)

    now = database_now()
    with (
        StsProcess(latency=LATENCY) as sts,
        environment.workers(sts.url, CALLS_PER_SECOND=0),
    ):
        Credential.objects.filter(level__gt=1).update(due_at=now + timedelta(seconds=1))
        begun_at = time.perf_counter() + 0.5
        threads = [threading.Thread(target=ask, args=(first,)) for first in range(2 * AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    renewed = Credential.objects.filter(level__gt=1, minted_at__gt=now).count()
    yield Figure(
        "endpoint_p99_ms",
        [statistics.quantiles(taken, n=100)[98]],
        "ms",
        most=300,
        note=f"{PER_SECOND} a second while {renewed} of {len(seeded.leaves)} sessions were renewed",
        more={"median_ms": statistics.median(taken), "refused": len(failed)},
    )
