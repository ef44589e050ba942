"""The HTTP side: requests in, XML out, the log of calls, and faults on request."""

import base64
import contextlib
import json
import math
import secrets
import socket
import threading
import time
import urllib.parse
from collections.abc import Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from sessions.aws.credentials import AwsCredentials
from sessions.aws.regions import is_opt_in
from sessions.secret import Secret
from tests.fake_sts import signature, xml
from tests.fake_sts.iam import Iam
from tests.fake_sts.passed_on import Sent
from tests.fake_sts.rules import EXTRA_ACTIONS, Key, Refusal, Rules, new_role

MESSAGES = {
    "AccessDenied": (
        "User: arn:aws:iam::111122223333:user/example is not authorized to perform: sts:AssumeRole "
        "on resource: arn:aws:iam::111122223333:role/Example"
    ),
    "ExpiredToken": "The security token included in the request is expired",
    "ExpiredTokenException": "The security token included in the request is expired",
    "Throttling": "Rate exceeded",
    "RegionDisabledException": (
        "STS is not activated in this region for account:111122223333. Your account "
        "administrator can activate STS in this region using the IAM Console."
    ),
    "PackedPolicyTooLarge": (
        "Packed policy consumes 112% of allotted space, please use smaller policy."
    ),
}


class FakeSts:
    """Run a threaded HTTP STS on a free loopback port.

    Between `with` and its end. Safe for many threads.
    """

    def __init__(self) -> None:
        self.rules = Rules()
        # The same users' keys as IAM sees them; at the same address.
        self.iam = Iam(self.rules)
        # One dict per call: action, code ("" if it was answered), status, access_key_id,
        # caller_arn, region, at, and for AssumeRole role_arn, role_session_name, external_id,
        # duration_seconds, sent (the rest), asked (all as it came), issued_access_key_id.
        self.calls: list[dict[str, Any]] = []
        self.latency_seconds = 0.0
        self.down = False
        # Regions whose STS is out of order: "" hangs up, a code is answered to every call that is
        # signed for them.
        self.out_of_order: dict[str, str] = {}
        self._faults: list[Refusal | tuple[int, bytes] | None] = []
        self._lost: set[str] = set()
        self._changes: list[dict[str, str | None]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.sts = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()
        self._thread.join()

    def reset(self) -> None:
        """No calls, no faults, the right time; users, roles and issued credentials stay."""
        with self._lock:
            self.calls.clear()
            self._faults.clear()
            self._lost.clear()
            self._changes.clear()
            self.out_of_order.clear()
        self.latency_seconds, self.down, self.rules.clock_ahead_seconds = 0.0, False, 0.0
        self.rules.skew_seconds = 0.0
        self.rules.enabled.clear()
        self.rules.denied.clear()
        self.rules.takes_codes_once = False
        self.rules.used_codes.clear()
        self.iam.reset()

    def add_user(
        self,
        name: str,
        account: str = "111122223333",
        partition: str = "aws",
        mfa_device: tuple[str, str] | None = None,
    ) -> AwsCredentials:
        """A new IAM user's own key. `mfa_device` is the serial and the one code that is right."""
        return _handed_out(self.rules.new_user(name, account, partition, mfa_device))

    def enable_region(self, account: str, region: str) -> None:
        """That account's keys are known in that opt-in region from now on."""
        self.rules.enabled.add((account, region))

    def disable_region(self, account: str, region: str) -> None:
        self.rules.enabled.discard((account, region))

    def deny(self, role_arn: str = "*", seconds: float = math.inf) -> None:
        """Deny AssumeRole of that role, or of all, for a while.

        As IAM does while it spreads a change.
        """
        self.rules.denied[role_arn] = time.time() + seconds

    def allow(self, role_arn: str = "*") -> None:
        self.rules.denied.pop(role_arn, None)

    def clock(self) -> float:
        """Return AWS's clock when it looks at a signature."""
        return time.time() + self.rules.skew_seconds

    def remove_key(self, access_key_id: str) -> None:
        del self.rules.keys[access_key_id]

    def add_role(
        self,
        arn: str,
        trusts: Sequence[str] = (),
        external_id: str | None = None,
        max_session_seconds: int = 3600,
        session_name: str | None = None,
        mfa: bool = False,
        actions: Sequence[str] = EXTRA_ACTIONS,
    ) -> str:
        """Add or replace a role.

        `trusts` holds ARNs of users, roles, role sessions, accounts, or "*"; `actions` what
        they may do beside assuming it: set a source identity, tag the session."""
        self.rules.roles[arn] = new_role(
            arn, trusts, external_id, max_session_seconds, session_name, mfa, actions
        )
        return arn

    def identity_token(self, subject: str, seconds: float = 3600) -> str:
        """An identity provider's token for that subject, which roles may trust by its name."""
        claims = {
            "sub": subject,
            "exp": int(self.rules.now() + seconds),
            "jti": secrets.token_hex(8),
        }
        token = ".".join(
            base64.urlsafe_b64encode(part).decode().rstrip("=")
            for part in (b'{"alg":"none"}', json.dumps(claims).encode(), secrets.token_bytes(32))
        )
        self.rules.identity_tokens[token] = (subject, self.rules.now() + seconds)
        return token

    def role_session(
        self, role_arn: str, session_name: str, seconds: float = 3600
    ) -> AwsCredentials:
        """Credentials of a role as a machine would have them, without a call."""
        role = self.rules.roles.get(role_arn) or new_role(role_arn, (), None, 3600, None, False)
        return _handed_out(self.rules.new_session(role, session_name, seconds))

    def arn_of(self, credentials: AwsCredentials) -> str:
        return self.rules.keys[credentials.access_key_id].arn

    def fail_next(
        self,
        code: str,
        times: int = 1,
        status: int | None = None,
        message: str | None = None,
        after: int = 0,
    ) -> None:
        """Answer the next calls, or those `after` so many good ones, with that error code."""
        refusal = Refusal(code, MESSAGES.get(code, code) if message is None else message, status)
        with self._lock:
            self._faults += [None] * after + [refusal] * times

    def lose_next(self, action: str) -> None:
        """The next call of that action is carried out, but its answer is lost on the way."""
        with self._lock:
            self._lost.add(action)

    def answer_next(self, body: bytes, status: int = 200, times: int = 1) -> None:
        """The next calls are answered with exactly that."""
        with self._lock:
            self._faults += [(status, body)] * times

    def change_next(self, **fields: str | None) -> None:
        """Change these values in the next good answer, by element name; None leaves one out."""
        with self._lock:
            self._changes.append(fields)

    def answer(self, handler: "_Handler", body: bytes) -> tuple[int, bytes] | None:
        """Status and body for one request; None hangs up."""
        if self.latency_seconds:
            time.sleep(self.latency_seconds)
        if self.down:
            return None
        asked = dict(
            urllib.parse.parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
        )
        signed = signature.parse(handler.headers.get("Authorization", ""))
        call: dict[str, Any] = {
            "action": asked.get("Action", ""),
            "code": "",
            "status": 200,
            "access_key_id": signed.access_key_id if signed else "",
            "caller_arn": "",
            "region": signed.region if signed else "",
            "at": datetime.now(UTC),
        }
        try:
            # IAM has one endpoint for all regions.
            is_iam = signed is not None and signed.service == "iam"
            if not is_iam and (broken := self.out_of_order.get(call["region"])) is not None:
                call["code"] = broken or "HungUp"
                if not broken:
                    return None
                raise Refusal(broken, MESSAGES.get(broken, broken))
            with self._lock:
                fault = self._faults.pop(0) if self._faults else None
            if isinstance(fault, Refusal):
                raise fault
            if fault:
                call["status"], answer = fault
                return fault
            answer = self._perform(call, asked, signed, handler, body)
        except Refusal as refusal:
            call["code"], call["status"] = refusal.code, refusal.status
            answer = xml.error(refusal)
        finally:
            with self._lock:
                self.calls.append(call)
        return call["status"], answer

    def _perform(
        self,
        call: dict[str, Any],
        asked: dict[str, str],
        signed: signature.Signed | None,
        handler: "_Handler",
        body: bytes,
    ) -> bytes:
        if call["action"].startswith("AssumeRole"):
            call["role_arn"] = asked.get("RoleArn", "")
            call["role_session_name"] = asked.get("RoleSessionName", "")
            call["external_id"] = asked.get("ExternalId", "")
            call["duration_seconds"] = int(asked.get("DurationSeconds", "3600"))
            call["sent"], call["asked"] = Sent.parse(asked), asked
        if call["action"] == "AssumeRoleWithWebIdentity" and not signed:
            answer = self.rules.assume_role_with_web_identity(asked)
        else:
            answer = self._perform_signed(call, asked, signed, handler, body)
        call["issued_access_key_id"] = answer.get("Credentials", {}).get("AccessKeyId", "")
        with self._lock:
            changes = self._changes.pop(0) if self._changes else {}
            lost = call["action"] in self._lost
            self._lost.discard(call["action"])
        if lost:
            raise Refusal("InternalFailure", "We encountered an internal error. Please try again.")
        return xml.answer(call["action"], answer, changes)

    def _perform_signed(
        self,
        call: dict[str, Any],
        asked: dict[str, str],
        signed: signature.Signed | None,
        handler: "_Handler",
        body: bytes,
    ) -> dict[str, Any]:
        caller = self._caller(signed, handler, body)
        call["caller_arn"] = caller.arn
        if signed and signed.service == "iam":
            return self.iam.answer(caller, call, asked)
        actions = {
            "AssumeRole": self.rules.assume_role,
            "GetCallerIdentity": self.rules.get_caller_identity,
            "GetSessionToken": self.rules.get_session_token,
        }
        if call["action"] not in actions or asked.get("Version") != "2011-06-15":
            raise Refusal(
                "InvalidAction", f"Could not find operation {call['action']} for version 2011-06-15"
            )
        return actions[call["action"]](caller, asked)

    def _caller(self, signed: signature.Signed | None, handler: "_Handler", body: bytes) -> Key:
        """Return whose request it is, if the signature is right and the key alive."""
        if not handler.headers.get("Authorization"):
            raise Refusal("MissingAuthenticationToken", "Request is missing Authentication Token")
        amz_date, token = (
            handler.headers.get("X-Amz-Date", ""),
            handler.headers.get("X-Amz-Security-Token"),
        )
        must_sign = {"host", "x-amz-date"} | ({"x-amz-security-token"} if token else set())
        if (
            signed is None
            or not must_sign.issubset(signed.headers)
            or signed.service not in {"sts", "iam"}
        ):
            raise Refusal(
                "IncompleteSignature", "The request signature does not conform to AWS standards."
            )
        key = self.rules.keys.get(signed.access_key_id)
        if (
            key is None
            or key.token != token
            or self.iam.does_not_take(key)
            or self._is_shut_to(key, signed)
        ):
            raise Refusal(
                "InvalidClientTokenId", "The security token included in the request is invalid."
            )
        canonical = signature.canonical_request(
            signed,
            handler.command,
            handler.path,
            {k.lower(): v for k, v in handler.headers.items()},
            body,
        )
        if amz_date[:8] != signed.date or not signature.is_right(
            signed, canonical, amz_date, key.secret
        ):
            raise Refusal(
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided."
                " Check your AWS Secret Access Key and signing method.\n\nThe Canonical String for"
                f" this request should have been\n'{canonical}'",
            )
        if fault := signature.out_of_time(amz_date, self.clock()):
            raise Refusal("SignatureDoesNotMatch", fault)
        if key.expires is not None and key.expires <= self.rules.now():
            raise Refusal("ExpiredToken", MESSAGES["ExpiredToken"])
        self.iam.used(key)
        return key

    def _is_shut_to(self, key: Key, signed: signature.Signed) -> bool:
        """An opt-in region does not know the keys of accounts that have not enabled it."""
        is_enabled = (key.account, signed.region) in self.rules.enabled
        return signed.service == "sts" and is_opt_in(signed.region) and not is_enabled


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    sts: FakeSts

    def __init__(self, *arguments: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Ends the kept-alive connections, and so their threads."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answered = self.server.sts.answer(self, body)
        if answered is None:
            self.close_connection = True
            return
        status, content = answered
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    # STS is asked by POST alone; what stands in for a proxy answers to both.
    do_GET = do_POST

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date header, by AWS's clock."""
        return super().date_time_string(self.server.sts.clock() if timestamp is None else timestamp)

    def log_message(self, format: str, *args: Any) -> None:
        """The log is `calls`."""


def _handed_out(key: Key) -> AwsCredentials:
    return AwsCredentials(
        key.access_key_id,
        Secret(key.secret),
        Secret(key.token) if key.token else None,
        datetime.fromtimestamp(key.expires, UTC) if key.expires else None,
    )
