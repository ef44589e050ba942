"""Start, ask and end an STS in a process of its own."""

import contextlib
import http.client
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

CHECKOUT = Path(__file__).resolve().parents[3]


class StsProcess:
    """Run `python -m tests.harness.sts` in a `with` block, with its `url`. Times are in seconds."""

    def __init__(
        self, latency: float = 0.0, life: float = 0.0, jitter: float = 0.0, port: int = 0
    ) -> None:
        self._options = [
            f"--port={port}",
            f"--latency={latency}",
            f"--life={life}",
            f"--jitter={jitter}",
        ]

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.sts", *self._options],
            stdout=subprocess.PIPE,
            text=True,
            cwd=CHECKOUT,
            # A Ctrl-C is for whoever measures: it ends this one when it has asked it.
            start_new_session=True,
        )
        assert self.process.stdout
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError("The STS did not start.")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()

    def count(self) -> dict[str, Any]:
        counted: dict[str, Any] = json.loads(self._ask("GET", "/count"))
        return counted

    def in_flight(self) -> int:
        """Count the calls that are not answered yet."""
        counted = self.count()
        return int(counted["requests"] - sum(counted["by_code"].values()))

    def calls(self, first: int = 0) -> list[dict[str, Any]]:
        """Return every call as in `FakeSts.calls`, without the `first` so many."""
        return [json.loads(line) for line in self._ask("GET", f"/calls?from={first}").splitlines()]

    def set(self, **settings: float) -> None:
        """`latency`, `jitter`, `life`; calls that are on their way keep what they met."""
        self._ask("POST", "/settings", settings)

    def fail(self, *faults: Mapping[str, Any]) -> None:
        """Replace the faults (`faults.Fault`); without any, none."""
        self._ask("POST", "/faults", faults)

    def _ask(
        self, method: str, path: str, sent: Mapping[str, Any] | Sequence[Any] | None = None
    ) -> bytes:
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=120)
        try:
            connection.request(method, path, json.dumps(sent) if sent is not None else None)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError(f"The STS said {answer.status}: {content.decode()}")
        return content
