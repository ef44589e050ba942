"""Serve HTTP: JSON in and out, error codes in the header as AWS gives them.

With faults on request.
"""

import json
import threading
import urllib.parse
from typing import Any, Self

from tests.harness.http_server import Connection, HttpServer, Request
from tests.harness.identity_center.rules import Refusal, Rules
from tests.harness.sts import FakeSts


class FakeIdentityCenter:
    """Serve a portal on a free loopback port in a `with` block.

    The credentials it gives are good at that STS.
    """

    def __init__(
        self, sts: FakeSts, start_url: str = "https://d-1234567890.awsapps.com/start"
    ) -> None:
        self.sts = sts
        self.start_url = start_url
        self._server = HttpServer(self.receive, sts.clock)
        self.reset()

    def reset(self) -> None:
        self.rules = Rules(self.start_url)
        # One dict per call: path, code ("" if it was answered).
        self.calls: list[dict[str, str]] = []
        self._faults: list[Refusal | bytes | None] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self.url = self._server.__enter__().url
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()

    def receive(self, request: Request, connection: Connection) -> None:
        # No call of these is signed, and none may carry a key.
        assert "authorization" not in request.headers
        token = request.headers.get("x-amz-sso_bearer_token", "")
        status, headers, body = self.answer(request.method, request.path, token, request.body)
        connection.send(status, body, "application/json", headers)

    def assign(self, person: str, account: str, account_name: str, *roles: str) -> None:
        """Assign the person these roles of that account."""
        self.rules.assigned.setdefault(person, {})[(account, account_name)] = list(roles)

    def approve(self, user_code: str, person: str) -> None:
        """Approve as the person does on the page."""
        self._device(user_code).person = person

    def deny(self, user_code: str) -> None:
        self._device(user_code).denied = True

    def sign_out(self, person: str) -> None:
        """Take back what the person approved: access and refresh tokens."""
        logins = self.rules.logins
        for token in [token for token, login in logins.items() if login.person == person]:
            del logins[token]

    def _device(self, user_code: str) -> Any:
        return next(each for each in self.rules.devices.values() if each.user_code == user_code)

    def fail_next(self, code: str) -> None:
        """Answer the next call with that error code."""
        self._faults.append(Refusal(code))

    def lose_next(self) -> None:
        """Carry out the next call, but lose its answer on the way."""
        self._faults.append(None)

    def answer_next(self, body: bytes) -> None:
        """Answer the next call with exactly that."""
        self._faults.append(body)

    def answer(
        self, method: str, target: str, token: str, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer one request: status, headers and body."""
        path, _, query = target.partition("?")
        call = {"path": path, "code": ""}
        try:
            with self._lock:
                is_lost = bool(self._faults) and self._faults[0] is None
                fault = self._faults.pop(0) if self._faults else None
            if isinstance(fault, Refusal):
                raise fault
            if fault is not None:
                return 200, {}, fault
            asked = json.loads(body) if body else dict(urllib.parse.parse_qsl(query))
            answer = self._perform(method, path, token, asked)
            if is_lost:
                raise Refusal("InternalServerException")
            return 200, {}, json.dumps(answer).encode()
        except Refusal as refusal:
            call["code"] = refusal.code
            said = (
                {"error": refusal.error, "error_description": ""}
                if refusal.error
                else {"message": refusal.message}
            )
            return refusal.status, {"x-amzn-ErrorType": refusal.code}, json.dumps(said).encode()
        finally:
            self.calls.append(call)

    def _perform(self, method: str, path: str, token: str, asked: dict[str, Any]) -> dict[str, Any]:
        rules = self.rules
        with self._lock:
            match method, path:
                case "POST", "/client/register":
                    return rules.register(asked)
                case "POST", "/device_authorization":
                    return rules.start(asked)
                case "POST", "/token":
                    return rules.token(asked)
                case "GET", "/assignment/accounts":
                    return rules.accounts(rules.person_of(token), asked)
                case "GET", "/assignment/roles":
                    return rules.roles(rules.person_of(token), asked)
                case "GET", "/federation/credentials":
                    return self._credentials(rules.person_of(token), asked)
                case _:
                    raise Refusal("InvalidRequestException")

    def _credentials(self, person: str, asked: dict[str, Any]) -> dict[str, Any]:
        account, role = asked.get("account_id", ""), asked.get("role_name", "")
        if not self.rules.may(person, account, role):
            raise Refusal("ForbiddenException", "No access")
        name = f"AWSReservedSSO_{role}_0123456789abcdef"
        arn = f"arn:aws:iam::{account}:role/aws-reserved/sso.amazonaws.com/{name}"
        given = self.sts.role_session(arn, person, self.rules.role_seconds)
        assert given.session_token
        assert given.expires_at
        return {
            "roleCredentials": {
                "accessKeyId": given.access_key_id,
                "secretAccessKey": given.secret_access_key.reveal(),
                "sessionToken": given.session_token.reveal(),
                "expiration": int(given.expires_at.timestamp() * 1000),
            }
        }
