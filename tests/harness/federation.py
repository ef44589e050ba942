"""Stand in for AWS's console sign-in endpoint, over HTTP, and refuse what AWS refuses."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from tests.harness.http_server import Connection, HttpServer, Request

TOKEN = "token-of-a-sign-in_0123456789"


@dataclass
class FakeFederation:
    """Hold what was asked, and say what is answered.

    `knows(session)`: whether these three parts are a session that AWS takes.
    """

    knows: Callable[[dict[str, str]], bool] = lambda session: all(session.values())
    asked: list[Request] = field(default_factory=list)
    # What it answers in place of its own: (status, body).
    answer: tuple[int, bytes] | None = None
    url: str = ""

    def receive(self, request: Request, connection: Connection) -> None:
        self.asked.append(request)
        status, body = self.answer or self._answer(request)
        connection.send(status, body, "application/json")

    def _answer(self, request: Request) -> tuple[int, bytes]:
        said = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if request.method != "POST" or urlsplit(request.path).query:
            return 400, b"post it"
        if said.get("Action") != "getSigninToken" or "SessionDuration" in said:
            return 400, b"no SessionDuration for a chained role"
        try:
            session = json.loads(said.get("Session", ""))
        except ValueError:
            return 400, b"no session"
        names = {"sessionId", "sessionKey", "sessionToken"}
        if not isinstance(session, dict) or session.keys() != names or not self.knows(session):
            return 400, b"bad session"
        return 200, json.dumps({"SigninToken": TOKEN}).encode()


@contextmanager
def federation() -> Iterator[FakeFederation]:
    """Run the endpoint in a `with` block."""
    fake = FakeFederation()
    with HttpServer(fake.receive) as server:
        fake.url = f"{server.url}/federation"
        yield fake
