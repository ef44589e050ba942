"""Take STS's requests, decide whose they are, keep the log of calls, and fail on request."""

import collections
import functools
import math
import random
import threading
import time
import urllib.parse
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Self

from sessions.aws.credentials import AwsCredentials
from sessions.secret import Secret
from tests.harness.http_server import Connection, HttpServer, Request
from tests.harness.sts import policies, signature, xml
from tests.harness.sts.callers import EXPIRED, caller_of
from tests.harness.sts.faults import Fault
from tests.harness.sts.iam import Iam
from tests.harness.sts.passed_on import Sent
from tests.harness.sts.rules import EXTRA_ACTIONS, Key, Refusal, Rules, new_role

MESSAGES = {
    "AccessDenied": (
        "User: arn:aws:iam::111122223333:user/example is not authorized to perform: sts:AssumeRole "
        "on resource: arn:aws:iam::111122223333:role/Example"
    ),
    "ExpiredToken": EXPIRED,
    "ExpiredTokenException": EXPIRED,
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
    """Run an STS on a loopback port in a `with` block. Safe for many threads.

    `strict`: keys, signatures, trust and regions are checked. Otherwise every `AKIA…` is the key
    of an IAM user, every role exists and trusts everybody; chains are checked all the same: a
    session's key was issued here, has its own token, and has not expired.
    """

    def __init__(self, *, strict: bool = True, port: int = 0) -> None:
        self.strict = strict
        self.rules = Rules(strict=strict)
        # The same users' keys as IAM sees them; at the same address.
        self.iam = Iam(self.rules)
        # One dict per call: action, code ("" if it was answered; "hung", "dropped"), access_key_id,
        # caller_arn, region, at and answered_at (time.monotonic(), which all processes share),
        # delivered (the caller was still there), role_arn, role_session_name, external_id,
        # issued_access_key_id, expires_at (Unix time, 0 if nothing was issued); for AssumeRole
        # duration_seconds, sent (the rest), asked (all as it came).
        self.calls: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.requests = 0
        self.by_action: collections.Counter[str] = collections.Counter()
        self.by_code: collections.Counter[str] = collections.Counter()
        self.latency_seconds = self.jitter_seconds = 0.0
        self.down = False
        # Regions whose STS is out of order: "" hangs up, a code is answered to every call that is
        # signed for them.
        self.out_of_order: dict[str, str] = {}
        self._faults: list[Refusal | tuple[int, bytes] | None] = []
        self._lost: set[str] = set()
        self._changes: list[dict[str, str | None]] = []
        self._lock = threading.Lock()
        self._server = HttpServer(self.receive, self.clock, port)

    def __enter__(self) -> Self:
        self.url = self._server.__enter__().url
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()

    def reset(self) -> None:
        """No calls, no faults, the right time; users, roles and issued credentials stay."""
        with self._lock:
            self.calls.clear()
            self.faults.clear()
            self._faults.clear()
            self._lost.clear()
            self._changes.clear()
            self.out_of_order.clear()
        self.latency_seconds, self.down, self.rules.clock_ahead_seconds = 0.0, False, 0.0
        self.rules.skew_seconds = 0.0
        self.rules.enabled.clear()
        self.rules.denied.clear()
        self.rules.unscoped.clear()
        self.rules.takes_codes_once = False
        self.rules.used_codes.clear()
        self.iam.reset()

    def count(self) -> dict[str, Any]:
        """Count all calls: {"requests", "minted", "hung", "by_action": {…}, "by_code": {…}}.

        A request is counted when it comes, a code when it is answered: "ok", an error's code,
        "hung" or "dropped".
        """
        return {
            "requests": self.requests,
            "minted": self.rules.minted,
            "hung": self.by_code["hung"],
            "by_action": dict(self.by_action),
            "by_code": dict(self.by_code),
        }

    # --- AWS's side -------------------------------------------------------------------------------

    def add_user(
        self,
        name: str,
        account: str = "111122223333",
        partition: str = "aws",
        mfa_device: tuple[str, str] | None = None,
    ) -> AwsCredentials:
        """Make a new IAM user's own key. `mfa_device` is the serial and the one right code."""
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

    def refuse_scoping(self, role_arn: str = "*", code: str = "AccessDenied") -> None:
        """Answer GetScopedCredentials with that code to sessions of that role, or of all."""
        self.rules.unscoped[role_arn] = code

    def allow_scoping(self, role_arn: str = "*") -> None:
        self.rules.unscoped.pop(role_arn, None)

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
        """Make an identity provider's token for that subject, which roles may trust by its name."""
        return self.rules.new_identity_token(subject, seconds)

    def role_session(
        self, role_arn: str, session_name: str, seconds: float = 3600
    ) -> AwsCredentials:
        """Return credentials of a role as a machine would have them, without a call."""
        role = self.rules.roles.get(role_arn) or new_role(role_arn, (), None, 3600, None, False)
        return _handed_out(self.rules.new_session(role, session_name, seconds))

    def arn_of(self, credentials: AwsCredentials) -> str:
        return self.rules.keys[credentials.access_key_id].arn

    # --- faults -----------------------------------------------------------------------------------

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
        """Carry out the next call of that action, but lose its answer on the way."""
        with self._lock:
            self._lost.add(action)

    def answer_next(self, body: bytes, status: int = 200, times: int = 1) -> None:
        """Answer the next calls with exactly that."""
        with self._lock:
            self._faults += [(status, body)] * times

    def change_next(self, **fields: str | None) -> None:
        """Change these values in the next good answer, by element name; None leaves one out."""
        with self._lock:
            self._changes.append(fields)

    # --- a call -----------------------------------------------------------------------------------

    def receive(self, request: Request, connection: Connection) -> None:
        """Decide at its arrival what befalls a call, and answer it when its time has come."""
        if self.down:
            connection.hang_up()
            return
        asked = dict(
            urllib.parse.parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
        )
        signed = signature.parse(request.headers.get("authorization", ""))
        key = self.rules.key(signed.access_key_id) if signed else None
        call: dict[str, Any] = {
            "action": asked.get("Action", ""),
            "code": "",
            "access_key_id": signed.access_key_id if signed else "",
            "caller_arn": key.arn if key else "",
            "region": signed.region if signed else "",
            "at": time.monotonic(),
            "role_arn": asked.get("RoleArn", ""),
            "role_session_name": asked.get("RoleSessionName", ""),
            "external_id": asked.get("ExternalId", ""),
            "issued_access_key_id": "",
            "expires_at": 0,
        }
        self.requests += 1
        self.by_action[call["action"]] += 1
        wait = self.latency_seconds + random.uniform(0, self.jitter_seconds)
        fault = None
        for each in self.faults:
            if not each.befalls(call):
                continue
            if each.kind == "slow":
                wait += each.seconds
                continue
            fault = each
            break
        if fault and fault.kind == "hang":
            self._note(call, "hung", delivered=False)
            return
        answer = functools.partial(self._answer, call, asked, signed, request, connection, fault)
        if wait:
            connection.later(wait, answer)
        else:
            answer()

    def _answer(
        self,
        call: dict[str, Any],
        asked: dict[str, str],
        signed: signature.Signed | None,
        request: Request,
        connection: Connection,
        fault: Fault | None,
    ) -> None:
        # A caller that has gone has had its call made nevertheless, as at AWS.
        delivered = connection.is_open
        try:
            given = self._asked_fault(call, signed)
            if fault:
                self._raise(fault, call, request)
            code = ""
            status, body = given or (200, self._perform(call, asked, signed, request))
        except _Dropped:
            self._note(call, "dropped", delivered=False)
            connection.hang_up()
            return
        except Refusal as refusal:
            code, status, body = refusal.code, refusal.status, xml.error(refusal)
        self._note(call, code, delivered)
        if delivered:
            connection.send(status, body, "text/xml")

    def _note(self, call: dict[str, Any], code: str, delivered: bool) -> None:
        call |= {"code": code, "answered_at": time.monotonic(), "delivered": delivered}
        self.by_code[code or "ok"] += 1
        self.calls.append(call)

    def _asked_fault(
        self, call: dict[str, Any], signed: signature.Signed | None
    ) -> tuple[int, bytes] | None:
        """Raise or return what was asked to befall the next call, or its region."""
        # IAM has one endpoint for all regions.
        is_iam = signed is not None and signed.service == "iam"
        if not is_iam and (broken := self.out_of_order.get(call["region"])) is not None:
            if not broken:
                raise _Dropped
            raise Refusal(broken, MESSAGES.get(broken, broken))
        with self._lock:
            fault = self._faults.pop(0) if self._faults else None
        if isinstance(fault, Refusal):
            raise fault
        return fault

    def _raise(self, fault: Fault, call: dict[str, Any], request: Request) -> None:
        """Raise the answer of a fault."""
        match fault.kind:
            case "throttle" | "quota":
                raise Refusal("Throttling", MESSAGES["Throttling"])
            case "error":
                raise Refusal(fault.code, MESSAGES.get(fault.code, fault.code))
            case "refuse":
                raise Refusal(
                    "AccessDenied",
                    f"User: {call['caller_arn']} is not authorized to perform: sts:{call['action']}"
                    f" on resource: {call['role_arn']}",
                )
            case "skew":
                signed_at = request.headers.get("x-amz-date", "")
                raise Refusal(
                    "SignatureDoesNotMatch",
                    signature.out_of_time(signed_at, self.clock() + fault.seconds),
                )
            case _:
                raise _Dropped

    def _perform(
        self,
        call: dict[str, Any],
        asked: dict[str, str],
        signed: signature.Signed | None,
        request: Request,
    ) -> bytes:
        if call["action"].startswith("AssumeRole"):
            call["duration_seconds"] = int(asked.get("DurationSeconds", "3600"))
            call["sent"], call["asked"] = Sent.parse(asked), asked
        if call["action"] == "GetScopedCredentials":
            call["asked"] = asked
        if call["action"] == "AssumeRoleWithWebIdentity" and not signed:
            answer = self.rules.assume_role_with_web_identity(asked)
        else:
            answer = self._perform_signed(call, asked, signed, request)
        if "Credentials" in answer:
            key_id = call["issued_access_key_id"] = answer["Credentials"]["AccessKeyId"]
            call["expires_at"] = self.rules.keys[key_id].expires
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
        request: Request,
    ) -> dict[str, Any]:
        caller = caller_of(self, signed, request)
        if signed and signed.service == "iam":
            return self.iam.answer(caller, call, asked)
        actions = {
            "AssumeRole": lambda caller, asked: self.rules.assume_role(caller, asked, call["sent"]),
            "GetCallerIdentity": self.rules.get_caller_identity,
            "GetSessionToken": self.rules.get_session_token,
            "GetScopedCredentials": self.rules.get_scoped_credentials,
        }
        if call["action"] not in actions or asked.get("Version") != "2011-06-15":
            raise Refusal(
                "InvalidAction", f"Could not find operation {call['action']} for version 2011-06-15"
            )
        # An identity may be asked for whatever a policy says. Session policies of AssumeRole are
        # looked at where they deny: tests allow in them whatever they are not about.
        action = f"sts:{call['action']}"
        is_narrowed = not policies.allow(caller.scopes, action, call["region"])
        session = [caller.session_policy] if caller.session_policy else []
        is_denied = is_narrowed or policies.denies(session, action, call["region"])
        if is_denied and call["action"] != "GetCallerIdentity":
            raise Refusal(
                "AccessDenied",
                f"User: {caller.arn} is not authorized to perform: {action} with an explicit deny"
                " in a session policy",
            )
        return actions[call["action"]](caller, asked)


class _Dropped(Exception):
    """Cut the connection without an answer."""


def _handed_out(key: Key) -> AwsCredentials:
    return AwsCredentials(
        key.access_key_id,
        Secret(key.secret),
        Secret(key.token) if key.token else None,
        datetime.fromtimestamp(key.expires, UTC) if key.expires else None,
    )
