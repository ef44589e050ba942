"""Starting, asking and ending the STS stand-in from another process."""

import contextlib
import http.client
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

CHECKOUT = Path(__file__).resolve().parent.parent


class StsProcess:
    """Run `bench.sts` in a `with` block.

    With its URL, counters, calls and faults. Times are in seconds.
    """

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
            [sys.executable, "-m", "bench.sts", *self._options],
            stdout=subprocess.PIPE,
            text=True,
            cwd=CHECKOUT,
            # A Ctrl-C is for whoever measures: it ends this one when it has asked it.
            start_new_session=True,
        )
        assert self.process.stdout
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError("The STS stand-in did not start.")
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
        """Return every call since the last reset, without the `first` so many.

        Fields are those of `bench.sts_rules.FIELDS`.
        """
        return [json.loads(line) for line in self._ask("GET", f"/calls?from={first}").splitlines()]

    def set(self, **settings: float) -> None:
        """`latency`, `jitter`, `life`; calls that are on their way keep what they met."""
        self._ask("POST", "/settings", settings)

    def fail(self, *faults: Mapping[str, Any]) -> None:
        """Replace the faults (`bench.sts_rules.Fault`); without any, none."""
        self._ask("POST", "/faults", faults)

    def reset(self) -> None:
        """Forgets calls and counters; issued keys and faults stay."""
        self._ask("POST", "/reset")

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
            raise ValueError(f"The STS stand-in said {answer.status}: {content.decode()}")
        return content
