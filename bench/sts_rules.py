"""Decide the STS stand-in's answers: settings, faults, issued keys, calls."""

import collections
import random
import re
import secrets
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

# `at` and `answered_at` are this machine's monotonic clock, as time.monotonic() gives it in every
# process. `outcome` is "ok", the error's code, "hung" or "dropped". `delivered`: the caller was
# still there. `expires_at` is Unix time.
FIELDS = (
    *(
        "at",
        "answered_at",
        "action",
        "caller",
        "caller_arn",
        "role_arn",
        "role_session_name",
        "external_id",
    ),
    *("issued", "expires_at", "outcome", "delivered"),
)
XMLNS = "https://sts.amazonaws.com/doc/2011-06-15/"
USER_ACCOUNT = "111122223333"
# As long as those of real chained sessions are, about.
TOKEN_FILLING = secrets.token_urlsafe(360)

_CALLER = re.compile(
    rb"\r\nauthorization: *AWS4-HMAC-SHA256 *Credential=([A-Za-z0-9]+)/[0-9]*/([a-z0-9-]*)/",
    re.IGNORECASE,
)
_TOKEN = re.compile(rb"\r\nx-amz-security-token: *([^\r]+)", re.IGNORECASE)
_ROLE = re.compile(
    r"arn:([a-z-]+):iam::([0-9]{12}):role/(?:[!-~]*/)?([A-Za-z0-9_+=,.@-]{1,64})", re.ASCII
)
_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{2,64}", re.ASCII)
_MESSAGES = {
    "ExpiredToken": (403, "The security token included in the request is expired"),
    "InvalidClientTokenId": (403, "The security token included in the request is invalid."),
    "MissingAuthenticationToken": (403, "Request is missing Authentication Token"),
    "Throttling": (400, "Rate exceeded"),
    "InternalFailure": (500, "The request processing has failed because of an unknown error."),
    "ServiceUnavailable": (503, "The service is unavailable."),
    "InvalidAction": (400, "Could not find operation for version 2011-06-15"),
}


@dataclass
class Fault:
    """Describe one fault. `kind` is one of

    throttle  Throttling, with that probability quota     Throttling above `per_second` calls a
    second (a token bucket that holds one second) error     `code` (InternalFailure,
    ServiceUnavailable, …), with that probability refuse    AccessDenied skew
    SignatureDoesNotMatch, as if this clock were `seconds` ahead of the caller's (negative: behind
    it) hang      no answer, the connection stays open drop      the connection is cut without an
    answer slow      `seconds` more

    It befalls calls of that `account` (of the role that is asked for; of the caller where none is),
    `role` (ARN), `caller` (access key id), `caller_account` and `region` (of the signature); where
    one of these is empty, all of them. The first that befalls a call decides, but "slow" adds up.
    """

    kind: str
    account: str = ""
    role: str = ""
    caller: str = ""
    caller_account: str = ""
    region: str = ""
    probability: float = 1.0
    code: str = "InternalFailure"
    seconds: float = 0.0
    per_second: float = 600.0
    left: float = 0.0
    filled_at: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in {
            "throttle",
            "quota",
            "error",
            "refuse",
            "skew",
            "hang",
            "drop",
            "slow",
        }:
            raise ValueError(f"There is no fault of the kind {self.kind!r}.")
        self.left = self.per_second

    def befalls(self, call: "Call", account: str, now: float) -> bool:
        wanted = (self.account, self.role, self.caller, self.caller_account, self.region)
        caller_account = call.caller_arn.split(":")[4]
        met = (account, call.asked.get("RoleArn", ""), call.caller, caller_account, call.region)
        if any(want and want != each for want, each in zip(wanted, met, strict=True)):
            return False
        if self.kind == "quota":
            self.left = min(self.per_second, self.left + (now - self.filled_at) * self.per_second)
            self.filled_at = now
            if self.left < 1:
                return True
            self.left -= 1
            return False
        return self.probability >= 1 or random.random() < self.probability


@dataclass(frozen=True, slots=True)
class Issued:
    """Say whose an access key is, and until when (Unix time)."""

    arn: str
    account: str
    user_id: str
    token: str
    expires_at: float


Reply = tuple[int, bytes]


class Sts:
    """The state: settings, faults, issued keys, calls."""

    def __init__(self, latency: float, jitter: float, life: float) -> None:
        self.latency, self.jitter, self.life = latency, jitter, life
        self.faults: list[Fault] = []
        self.issued: dict[str, Issued] = {}
        self.numbers = 0
        self.reset()

    def reset(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.requests = self.minted = 0
        self.by_action: collections.Counter[str] = collections.Counter()
        self.by_code: collections.Counter[str] = collections.Counter()

    def count(self) -> dict[str, Any]:
        refused = sum(self.by_code.values()) - self.by_code["ok"] - self.by_code["hung"]
        return {
            "requests": self.requests,
            "minted": self.minted,
            "refused": refused,
            "hung": self.by_code["hung"],
            "by_action": dict(self.by_action),
            "by_code": dict(self.by_code),
        }

    def call(self, head: bytes, body: bytes) -> "Call":
        """Decides about a call at its arrival."""
        self.requests += 1
        asked = dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace")))
        found = _CALLER.search(head)
        token = _TOKEN.search(head)
        call = Call(
            asked.get("Action", ""),
            found[1].decode() if found else "",
            found[2].decode() if found else "",
            token[1].decode("latin-1") if token else "",
            asked,
        )
        self.by_action[call.action] += 1
        self._judge(call)
        return call

    def _judge(self, call: "Call") -> None:
        now = time.time()
        call.wait = self.latency + (random.uniform(0, self.jitter) if self.jitter else 0.0)
        caller = self._caller(call.caller)
        if caller is None:
            call.code = "InvalidClientTokenId" if call.caller else "MissingAuthenticationToken"
            return
        call.caller_arn = caller.arn
        if caller.token != call.token:
            call.code = "InvalidClientTokenId"
            return
        if caller.expires_at <= now:
            call.code = "ExpiredToken"
            return
        role = _role(call.asked.get("RoleArn", "")) if call.action == "AssumeRole" else None
        account = role[1] if role else caller.account
        if self.faults:
            self._befall(call, account)
            if call.code:
                return
        if call.action == "AssumeRole":
            name = call.asked.get("RoleSessionName", "")
            seconds = int(call.asked.get("DurationSeconds") or 3600)
            if role is None or not _NAME.fullmatch(name):
                call.refuse(
                    "ValidationError",
                    400,
                    "The role ARN or the role session name is not of the right form.",
                )
            elif not 900 <= seconds <= (3600 if call.caller.startswith("ASIA") else 43200):
                call.refuse(
                    "ValidationError", 400, "The requested DurationSeconds exceeds the limit."
                )
            else:
                call.make = lambda: self._assume(call, role, name, seconds)
        elif call.action == "GetCallerIdentity":
            call.make = lambda: _identity(caller)
        elif call.action == "GetSessionToken":
            seconds = int(call.asked.get("DurationSeconds") or 43200)
            call.make = lambda: self._session_token(call, caller, seconds)
        else:
            call.code = "InvalidAction"

    def _caller(self, key_id: str) -> Issued | None:
        return self.issued.get(key_id) or (_user(key_id) if key_id.startswith("AKIA") else None)

    def _befall(self, call: "Call", account: str) -> None:
        now = time.monotonic()
        role = call.asked.get("RoleArn", "")
        for fault in self.faults:
            if not fault.befalls(call, account, now):
                continue
            match fault.kind:
                case "slow":
                    call.wait += fault.seconds
                    continue
                case "throttle" | "quota":
                    call.code = "Throttling"
                case "error":
                    call.code = fault.code
                case "refuse":
                    call.refuse(
                        "AccessDenied",
                        403,
                        f"User: {call.caller_arn} is not authorized to perform: sts:{call.action}"
                        f" on resource: {role}",
                    )
                case "skew":
                    call.refuse("SignatureDoesNotMatch", 403, _out_of_time(fault.seconds))
                case "hang":
                    call.code = "hung"
                case _:
                    call.code = "dropped"
            return

    def _issue(
        self, call: "Call", arn: str, account: str, user_id: str, seconds: int
    ) -> tuple[str, str]:
        """A new key; (its id, the XML of the credentials)."""
        self.numbers += 1
        self.minted += 1
        key_id = f"ASIA{self.numbers:016X}"
        # Whole seconds, as AWS gives them.
        expires_at = int(time.time() + (self.life or seconds))
        token = f"{key_id}{TOKEN_FILLING}"
        self.issued[key_id] = Issued(arn, account, user_id, token, expires_at)
        call.issued, call.expires_at = key_id, expires_at
        return (
            key_id,
            (
                f"<Credentials><AccessKeyId>{key_id}</AccessKeyId><SecretAccessKey>{key_id}{TOKEN_FILLING[:20]}"
                f"</SecretAccessKey><SessionToken>{token}</SessionToken>"
                f"<Expiration>{_iso(expires_at)}</Expiration></Credentials>"
            ),
        )

    def _assume(self, call: "Call", role: tuple[str, str, str], name: str, seconds: int) -> str:
        partition, account, role_name = role
        arn = f"arn:{partition}:sts::{account}:assumed-role/{role_name}/{name}"
        user_id = f"AROA{account}XMPL:{name}"
        _, credentials = self._issue(call, arn, account, user_id, seconds)
        user = f"<AssumedRoleId>{user_id}</AssumedRoleId><Arn>{arn}</Arn>"
        return f"<AssumedRoleUser>{user}</AssumedRoleUser>{credentials}"

    def _session_token(self, call: "Call", caller: Issued, seconds: int) -> str:
        return self._issue(call, caller.arn, caller.account, caller.user_id, seconds)[1]

    def answer(self, call: "Call", delivered: bool) -> Reply:
        """The reply after the latency; the key is issued now, and the call is written down."""
        if call.make is None:
            status, message = _MESSAGES.get(call.code) or (call.status, call.message)
            xml = (
                f'<ErrorResponse xmlns="{XMLNS}"><Error><Type>Sender</Type><Code>{call.code}</Code>'
                f"<Message>{message}</Message></Error><RequestId>{call.request_id}</RequestId></ErrorResponse>"
            )
        else:
            status = 200
            xml = (
                f"<{call.action}Response"
                f' xmlns="{XMLNS}"><{call.action}Result>{call.make()}</{call.action}Result>'
                f"<ResponseMetadata><RequestId>{call.request_id}</RequestId></ResponseMetadata></{call.action}Response>"
            )
        self.write_down(call, delivered)
        return status, xml.encode()

    def write_down(self, call: "Call", delivered: bool) -> None:
        outcome = call.code or "ok"
        self.by_code[outcome] += 1
        self.calls.append(
            (
                call.at,
                time.monotonic(),
                call.action,
                call.caller,
                call.caller_arn,
                call.asked.get("RoleArn", ""),
                call.asked.get("RoleSessionName", ""),
                call.asked.get("ExternalId", ""),
                call.issued,
                call.expires_at,
                outcome,
                delivered,
            )
        )


class Call:
    """One call between its arrival and its answer."""

    __slots__ = (
        *("action", "asked", "at", "caller", "caller_arn", "code", "expires_at", "issued"),
        *("make", "message", "region", "request_id", "status", "token", "wait"),
    )

    def __init__(
        self, action: str, caller: str, region: str, token: str, asked: dict[str, str]
    ) -> None:
        self.at = time.monotonic()
        self.action, self.caller, self.region, self.token, self.asked = (
            action,
            caller,
            region,
            token,
            asked,
        )
        self.caller_arn = self.code = self.message = self.issued = ""
        self.make: Callable[[], str] | None = None
        self.status, self.wait, self.expires_at = 400, 0.0, 0
        self.request_id = f"{random.getrandbits(64):016x}"

    def refuse(self, code: str, status: int, message: str) -> None:
        self.code, self.status, self.message = code, status, message


@lru_cache(maxsize=200_000)
def _role(arn: str) -> tuple[str, str, str] | None:
    """(partition, account, name); None if it is no role's ARN."""
    found = _ROLE.fullmatch(arn)
    return (found[1], found[2], found[3]) if found else None


@lru_cache(maxsize=10_000)
def _user(key_id: str) -> Issued:
    """Any AKIA key is that of an IAM user, who is called like it."""
    return Issued(
        f"arn:aws:iam::{USER_ACCOUNT}:user/{key_id}",
        USER_ACCOUNT,
        f"AIDA{key_id[4:]}",
        "",
        float("inf"),
    )


def _identity(caller: Issued) -> str:
    who = f"<Arn>{caller.arn}</Arn><UserId>{caller.user_id}</UserId>"
    return f"{who}<Account>{caller.account}</Account>"


def _out_of_time(seconds: float) -> str:
    """Return AWS's message for a signature that is so far behind its clock (negative: ahead)."""
    now = time.time()
    stamps = (
        time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(each))
        for each in (now, now + seconds - 900, now + seconds)
    )
    signed, bound, at = stamps
    return f"Signature expired: {signed} is now earlier than {bound} ({at} - 15 min.)"


@lru_cache(maxsize=100)
def _iso(unix_time: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix_time))
