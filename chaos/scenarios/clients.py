"""Send requests slowly beside people who ask for credentials, through production's proxy."""

import http.client
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from chaos.installation import Installation, Options
from chaos.nginx import HOST, Nginx
from chaos.report import Findings, Plan, Scenario, percentile

SLOW = 300
SECONDS = 15.0
READERS = 4
READ_EVERY_SECONDS = 0.05
# Below this, a difference of two waits is the machine's.
NOISE_SECONDS = 0.05
STARTS = {
    "headers": f"GET /healthz HTTP/1.1\r\nHost: {HOST}\r\nX-Slow: ",
    "bodies": (
        f"POST /accounts/login/ HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 900000\r\n\r\nlogin="
    ),
}


def send_slowly_beside_normal_use(plan: Plan) -> Findings:
    """Let 300 clients send a byte a second of headers, then of bodies.

    Others are served as before.
    """
    findings = Findings()
    slow, seconds = (60, SECONDS / 5) if plan.short else (SLOW, SECONDS)
    known = {"ALLOWED_HOSTS": f"127.0.0.1,{HOST}"}
    # Uncompressed: one credential lives through the whole of it.
    options = Options(sessions=1, compression=1.0, lease_seconds=None, workers=1, environ=known)
    with (
        Installation(options, plan.template) as installation,
        tempfile.TemporaryDirectory(prefix="chaos-nginx-") as folder,
    ):
        installation.wait_for_web()
        installation.wait_until_fresh()
        with Nginx(Path(folder), installation.web_address[1]) as nginx:
            waits = {"calm": _waits(installation, nginx, seconds)}
            for kind in STARTS:
                with _slow_clients(nginx, kind, slow) as hanging:
                    waits[kind] = _waits(installation, nginx, seconds)
                    findings.figures[f"slow_{kind}"] = len(hanging)
            waits["after"] = _waits(installation, nginx, seconds / 3)
        findings.expect(
            not installation.processes.unexpected,
            f"ended by themselves: {installation.processes.unexpected[:5]}",
        )
    p99 = {name: percentile([wait for _, wait in found], 0.99) for name, found in waits.items()}
    findings.figures |= {
        "p99_seconds": {name: round(found, 3) for name, found in p99.items()},
        "reads": {name: len(found) for name, found in waits.items()},
    }
    for name, found in waits.items():
        wrong = sorted({status for status, _ in found if status != http.client.OK})
        findings.expect(not wrong, f"{name}: answered {wrong}")
        findings.expect(bool(found), f"{name}: nobody was answered")
    for kind in STARTS:
        findings.aim(
            p99[kind] <= max(2 * p99["calm"], p99["calm"] + NOISE_SECONDS),
            f"slow {kind}: the p99 went from {p99['calm']:.3f} to {p99[kind]:.3f} s",
        )
    return findings


def _waits(installation: Installation, nginx: Nginx, seconds: float) -> list[tuple[int, float]]:
    """Return the answers and waits of people who ask all the time."""
    until = time.monotonic() + seconds
    path = f"/api/v1/sessions/{installation.seeded.sessions[0][0]}/credentials?format=process"
    found: list[tuple[int, float]] = []

    def keep_asking(_: int) -> None:
        while time.monotonic() < until:
            begun = time.monotonic()
            answer = nginx.ask(path, Authorization=f"Bearer {installation.seeded.token}")
            found.append((answer[0], time.monotonic() - begun))
            time.sleep(READ_EVERY_SECONDS)

    with ThreadPoolExecutor(READERS) as pool:
        list(pool.map(keep_asking, range(READERS)))
    return found


@contextmanager
def _slow_clients(nginx: Nginx, kind: str, count: int) -> Iterator[list[Any]]:
    """So many connections that send a byte a second; one that the proxy closes is opened again."""
    ended = threading.Event()
    hanging: list[socket.socket] = []

    def open_one() -> socket.socket:
        client = nginx.connect()
        client.sendall(STARTS[kind].encode())
        return client

    def keep_sending() -> None:
        while not ended.wait(1):
            for place, client in enumerate(hanging):
                try:
                    client.sendall(b"a")
                except OSError:
                    client.close()
                    with suppress(OSError):
                        hanging[place] = open_one()
                if ended.is_set():
                    return

    hanging.extend(open_one() for _ in range(count))
    sender = threading.Thread(target=keep_sending, name=f"slow {kind}", daemon=True)
    sender.start()
    try:
        yield hanging
    finally:
        ended.set()
        sender.join()
        for client in hanging:
            client.close()


SCENARIOS = (
    Scenario(
        "slow_clients",
        "300 slow headers, then 300 slow bodies, behind nginx",
        send_slowly_beside_normal_use,
    ),
)
