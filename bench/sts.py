"""Serve a quick STS stand-in.

Usage: `python -m bench.sts [--port N] [--latency S] [--life S] [--jitter S]`.

It prints its URL as its first line. It answers AssumeRole, GetCallerIdentity and GetSessionToken at
a cost of some 100 µs of CPU each, since it shares the machine with what is measured. It checks no
signature and no trust policy (the strict one of the tests does), but it does check chains: a
caller's key must be an IAM user's (AKIA…) or one that was issued here, with its own session token,
and not over. Every call is kept.

    GET  /count     {"requests", "minted", "refused", "hung", "by_action": {…}, "by_code": {…}}
    GET  /calls     one JSON object a line, fields as in `sts_rules.FIELDS`; ?from=N leaves
                    out the first N
    POST /settings  {"latency", "jitter", "life"} in seconds, any of them; life 0: what was
                    asked for (3600 s if nothing)
    POST /faults    a list of faults in place of the earlier ones; [] for none. See
                    `sts_rules.Fault`
    POST /reset     forgets calls and counters; issued keys and faults stay
"""

import argparse
import asyncio
import json
import re
import urllib.parse

from bench.sts_rules import FIELDS, Call, Fault, Reply, Sts

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STATUS = {200: b"OK", 400: b"Bad Request", 403: b"Forbidden", 404: b"Not Found"} | {
    500: b"Internal Server Error",
    503: b"Service Unavailable",
}


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, one request after the other."""

    transport: asyncio.Transport

    def __init__(self, sts: Sts) -> None:
        self.sts = sts
        self.loop = asyncio.get_running_loop()
        self.buffer = b""
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self._next()

    def _next(self) -> None:
        end = self.buffer.find(b"\r\n\r\n")
        if self.busy or end < 0:
            return
        head = self.buffer[: end + 2]
        found = _LENGTH.search(head)
        whole = end + 4 + (int(found[1]) if found else 0)
        if len(self.buffer) < whole:
            return
        body, self.buffer = self.buffer[end + 4 : whole], self.buffer[whole:]
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].decode("latin-1")
        self.busy = True
        if path == "/" and method == b"POST":
            call = self.sts.call(head, body)
            if call.code == "hung":
                self.sts.write_down(call, delivered=False)
            elif call.wait > 0:
                self.loop.call_later(call.wait, self._answer, call)
            else:
                self._answer(call)
        else:
            self._send(*self._control(method.decode("latin-1"), path, body), b"application/json")

    def _answer(self, call: Call) -> None:
        delivered = not self.transport.is_closing()
        if call.code == "dropped":
            self.sts.write_down(call, delivered=False)
            self.transport.abort()
            return
        # A caller that has gone has had its call made nevertheless, as at AWS.
        status, body = self.sts.answer(call, delivered)
        if delivered:
            self._send(status, body, b"text/xml")

    def _send(self, status: int, body: bytes, kind: bytes) -> None:
        self.transport.write(
            b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b"
            % (status, _STATUS[status], kind, len(body), body)
        )
        self.busy = False
        if self.buffer:
            self._next()

    def _control(self, method: str, path: str, body: bytes) -> Reply:
        url = urllib.parse.urlsplit(path)
        try:
            match method, url.path:
                case "GET", "/count":
                    return 200, json.dumps(self.sts.count()).encode()
                case "GET", "/calls":
                    first = int(dict(urllib.parse.parse_qsl(url.query)).get("from", 0))
                    lines = (
                        json.dumps(dict(zip(FIELDS, call, strict=True)))
                        for call in self.sts.calls[first:]
                    )
                    return 200, "".join(f"{line}\n" for line in lines).encode()
                case "POST", "/settings":
                    for name, value in json.loads(body).items():
                        if name not in {"latency", "jitter", "life"}:
                            raise ValueError(f"There is no setting {name!r}.")
                        setattr(self.sts, name, float(value))
                case "POST", "/faults":
                    self.sts.faults = [Fault(**fault) for fault in json.loads(body)]
                case "POST", "/reset":
                    self.sts.reset()
                case _:
                    return 404, b"{}"
        except (ValueError, TypeError) as error:
            return 400, json.dumps({"error": str(error)}).encode()
        return 200, b"{}"


async def serve(port: int, sts: Sts) -> None:
    """Until it is ended by a signal."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(sts), "127.0.0.1", port, backlog=2048)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.sts", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--jitter", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--life", type=float, default=0.0, metavar="SECONDS")
    options = parser.parse_args()
    asyncio.run(serve(options.port, Sts(options.latency, options.jitter, options.life)))


if __name__ == "__main__":
    main()
