"""Serve a quick STS that trusts everybody, and be asked about it.

Usage: `python -m tests.harness.sts [--port N] [--latency S] [--jitter S] [--life S]`.

It prints its URL as its first line. It shares the machine with what is measured, so it is cheap: a
call costs it some 150 µs of CPU.

    GET  /count     what `FakeSts.count` returns
    GET  /calls     one JSON object a line, as in `FakeSts.calls`; ?from=N leaves out the first N
    POST /settings  {"latency", "jitter", "life"} in seconds, any of them; life 0: what was
                    asked for (3600 s if nothing)
    POST /faults    a list of faults (`faults.Fault`) in place of the earlier ones; [] for none
"""

import argparse
import gc
import json
import signal
import urllib.parse

from tests.harness.http_server import Connection, Request
from tests.harness.sts.faults import Fault
from tests.harness.sts.server import FakeSts

NOT_TOLD = {"sent", "asked"}


class AskedSts(FakeSts):
    """Answer questions about the calls beside them."""

    def receive(self, request: Request, connection: Connection) -> None:
        if request.path == "/":
            super().receive(request, connection)
            return
        try:
            status, text = 200, self._told(request)
        except (ValueError, TypeError, LookupError) as error:
            status, text = 400, json.dumps({"error": str(error)})
        connection.send(status, text.encode(), "application/json")

    def _told(self, request: Request) -> str:
        url = urllib.parse.urlsplit(request.path)
        match request.method, url.path:
            case "GET", "/count":
                return json.dumps(self.count())
            case "GET", "/calls":
                first = int(dict(urllib.parse.parse_qsl(url.query)).get("from", 0))
                return "".join(
                    json.dumps({k: v for k, v in call.items() if k not in NOT_TOLD}) + "\n"
                    for call in self.calls[first:]
                )
            case "POST", "/settings":
                self.set(**json.loads(request.body))
            case "POST", "/faults":
                self.faults = [Fault(**fault) for fault in json.loads(request.body)]
            case _:
                raise LookupError(f"There is no {request.method} {url.path}.")
        return "{}"

    def set(self, **settings: float) -> None:
        """Set `latency`, `jitter` and `life`, in seconds, as far as they are given."""
        self.latency_seconds = settings.pop("latency", self.latency_seconds)
        self.jitter_seconds = settings.pop("jitter", self.jitter_seconds)
        self.rules.life_seconds = settings.pop("life", self.rules.life_seconds)
        if settings:
            raise ValueError(f"There is no setting {', '.join(settings)}.")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.harness.sts", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--port", type=int, default=0)
    for name in ("latency", "jitter", "life"):
        parser.add_argument(f"--{name}", type=float, default=0.0, metavar="SECONDS")
    options = parser.parse_args()
    gc.disable()  # what is kept is kept for ever, and looked through for nothing
    with AskedSts(strict=False, port=options.port) as sts:
        sts.set(latency=options.latency, jitter=options.jitter, life=options.life)
        print(sts.url, flush=True)
        while True:
            signal.pause()


if __name__ == "__main__":
    main()
