"""Decide the STS's answers from its keys and roles. No HTTP here."""

import base64
import functools
import json
import random
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.harness.sts.passed_on import (
    LONGEST_POLICIES,
    NOTHING,
    PassedOn,
    Sent,
    is_a_policy,
)

SESSION_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]*", re.ASCII)
EXTERNAL_ID = re.compile(r"[A-Za-z0-9_+=,.@:/-]*", re.ASCII)
ROLE_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):role/(?:.*/)?(?P<name>[^/]+)", re.ASCII
)
DESCRIPTION = re.compile(r"[\t\n\r\u0020-\u007e\u00a1-\u00ff]*")
MOST_SCOPES = 3
USER_ACCOUNT = "111122223333"
# Of its own, since Hypothesis starts the common one over.
_random = random.Random(secrets.randbits(128))
EXTRA_ACTIONS = ("sts:SetSourceIdentity", "sts:TagSession")
STATUS = {
    "AccessDenied": 403,
    "ExpiredToken": 403,
    "InvalidClientTokenId": 403,
    "MissingAuthenticationToken": 403,
    "RegionDisabledException": 403,
    "SignatureDoesNotMatch": 403,
    "IncompleteSignature": 400,
    "NoSuchEntity": 404,
    "LimitExceeded": 409,
    "Throttling": 400,
    "InternalFailure": 500,
    "ServiceUnavailable": 503,
}


class Refusal(Exception):
    """Hold an answer with an error code, as AWS gives it."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code, self.message = code, message
        self.status = status or STATUS.get(code, 400)


@dataclass(frozen=True)
class Key:
    """Hold one access key: a user's own (no token, no end) or a session's.

    `principals` is what trust policies may name.
    """

    access_key_id: str
    secret: str = field(repr=False)
    arn: str
    user_id: str
    principals: frozenset[str]
    token: str | None = field(default=None, repr=False)
    expires: float | None = None
    is_role: bool = False
    mfa: bool = False
    mfa_device: tuple[str, str] | None = field(default=None, repr=False)
    passed_on: PassedOn = NOTHING
    role_arn: str = ""
    # The session policy, if the session was assumed with one, and those of GetScopedCredentials.
    session_policy: str = field(default="", repr=False)
    scopes: tuple[str, ...] = field(default=(), repr=False)

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]

    @property
    def partition(self) -> str:
        return self.arn.split(":")[1]


@dataclass(frozen=True)
class Role:
    arn: str
    role_id: str
    trusts: frozenset[str]
    external_id: str | None
    max_session_seconds: int
    session_name: str | None
    mfa: bool
    # What the trust policy allows beside sts:AssumeRole.
    actions: frozenset[str]


class Rules:
    """Hold the state and STS's actions.

    Each action returns the fields of its answer, or raises `Refusal`.
    """

    def __init__(self, *, strict: bool = True) -> None:
        self.strict = strict
        self.keys: dict[str, Key] = {}
        self.roles: dict[str, Role] = {}
        # So many session keys were issued. They live for that long, if it is not 0.
        self.minted = 0
        self.life_seconds = 0.0
        # Identity providers' tokens: who each speaks for, and until when.
        self.identity_tokens: dict[str, tuple[str, float]] = {}
        # (account, opt-in region) where it is enabled; {role ARN or "*": until when assuming it is
        # denied}.
        self.enabled: set[tuple[str, str]] = set()
        self.denied: dict[str, float] = {}
        # {role ARN or "*": the code that its sessions get for GetScopedCredentials}.
        self.unscoped: dict[str, str] = {}
        # A device's code is good once, as at AWS; or as often as a test likes to type it.
        self.takes_codes_once = False
        self.used_codes: set[tuple[str | None, str | None]] = set()
        # Lets time pass at AWS alone: expiry and new credentials follow this clock.
        self.clock_ahead_seconds = 0.0
        # AWS's whole clock is so far ahead of this machine's; negative: behind it. Signatures are
        # judged by it, too.
        self.skew_seconds = 0.0

    def now(self) -> float:
        return time.time() + self.clock_ahead_seconds + self.skew_seconds

    def key(self, access_key_id: str) -> Key | None:
        key = self.keys.get(access_key_id)
        if key is None and not self.strict and access_key_id.startswith("AKIA"):
            return self.new_user(access_key_id, USER_ACCOUNT, "aws", None, access_key_id)
        return key

    def role(self, arn: str) -> Role | None:
        role = self.roles.get(arn)
        if role is None and not self.strict:
            role = self.roles[arn] = new_role(arn, ("*",), None, 43200, None, False)
        return role

    def new_user(
        self,
        name: str,
        account: str,
        partition: str,
        mfa_device: tuple[str, str] | None,
        access_key_id: str = "",
    ) -> Key:
        arn = f"arn:{partition}:iam::{account}:user/{name}"
        principals = frozenset({"*", arn, account, f"arn:{partition}:iam::{account}:root"})
        key_id = access_key_id or _id("AKIA")
        key = Key(key_id, _secret(key_id), arn, _id("AIDA"), principals, mfa_device=mfa_device)
        self.keys[key_id] = key
        return key

    def new_session(
        self,
        role: Role,
        session_name: str,
        seconds: float,
        passed_on: PassedOn = NOTHING,
        session_policy: str = "",
    ) -> Key:
        match = ROLE_ARN.fullmatch(role.arn)
        assert match
        partition, account, name = match["partition"], match["account"], match["name"]
        arn = f"arn:{partition}:sts::{account}:assumed-role/{name}/{session_name}"
        principals = frozenset(
            {"*", arn, role.arn, account, f"arn:{partition}:iam::{account}:root"}
        )
        user_id = f"{role.role_id}:{session_name}"
        return self._temporary(
            arn,
            user_id,
            principals,
            seconds,
            is_role=True,
            passed_on=passed_on,
            role_arn=role.arn,
            session_policy=session_policy,
        )

    def _temporary(
        self,
        arn: str,
        user_id: str,
        principals: frozenset[str],
        seconds: float,
        ends: float | None = None,
        **flags: Any,
    ) -> Key:
        key_id = _id("ASIA")
        # Secret and token begin with the key id, so that parts of two credentials are told apart.
        # The length is about that of a real chained session.
        token = key_id + base64.b64encode(_random.randbytes(348)).decode()
        # In whole seconds, as AWS gives it.
        expires = ends or float(int(self.now() + (self.life_seconds or seconds)))
        key = Key(
            key_id,
            _secret(key_id),
            arn,
            user_id,
            principals,
            token=token,
            expires=expires,
            **flags,
        )
        self.keys[key_id] = key
        self.minted += 1
        return key

    def new_identity_token(self, subject: str, seconds: float) -> str:
        claims = {"sub": subject, "exp": int(self.now() + seconds), "jti": secrets.token_hex(8)}
        token = ".".join(
            base64.urlsafe_b64encode(part).decode().rstrip("=")
            for part in (b'{"alg":"none"}', json.dumps(claims).encode(), secrets.token_bytes(32))
        )
        self.identity_tokens[token] = (subject, self.now() + seconds)
        return token

    def get_caller_identity(self, caller: Key, asked: Mapping[str, str]) -> dict[str, Any]:
        return {"Arn": caller.arn, "UserId": caller.user_id, "Account": caller.account}

    def get_session_token(self, caller: Key, asked: Mapping[str, str]) -> dict[str, Any]:
        if caller.token:
            raise Refusal("AccessDenied", "Cannot call GetSessionToken with session credentials")
        seconds = _seconds(asked, 43200, 129600)
        device = (asked.get("SerialNumber"), asked.get("TokenCode"))
        if any(device) and device != caller.mfa_device:
            raise Refusal(
                "AccessDenied",
                "MultiFactorAuthentication failed with invalid MFA one time pass code.",
            )
        if any(device) and self.takes_codes_once:
            if device in self.used_codes:
                raise Refusal(
                    "AccessDenied",
                    "MultiFactorAuthentication failed with invalid MFA one time pass code.",
                )
            self.used_codes.add(device)
        key = self._temporary(
            caller.arn, caller.user_id, caller.principals, seconds, mfa=any(device)
        )
        return {"Credentials": _credentials(key)}

    def assume_role(self, caller: Key, asked: Mapping[str, str], sent: Sent) -> dict[str, Any]:
        arn, name, external_id = (
            asked.get(n, "") for n in ("RoleArn", "RoleSessionName", "ExternalId")
        )
        if not ROLE_ARN.fullmatch(arn):
            raise Refusal("ValidationError", f"{arn} is invalid")
        _constrained(name, "roleSessionName", 2, 64, SESSION_NAME, r"[\w+=,.@-]*")
        if "ExternalId" in asked:
            _constrained(external_id, "externalId", 2, 1224, EXTERNAL_ID, r"[\w+=,.@:\/-]*")
        seconds = _seconds(asked, 3600, 43200)
        role = self.role(arn)
        denied_until = max(self.denied.get(arn, 0.0), self.denied.get("*", 0.0))
        if (
            role is None
            or time.time() < denied_until
            or not self._may(caller, role, name, external_id)
        ):
            raise Refusal(
                "AccessDenied",
                f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource:"
                f" {arn}",
            )
        if refused := sent.refusal(caller.passed_on):
            raise Refusal(*refused)
        for action in sent.actions(caller.passed_on):
            if action not in role.actions:
                raise Refusal(
                    "AccessDenied",
                    f"User: {caller.arn} is not authorized to perform: {action} on resource: {arn}",
                )
        if caller.token and seconds > 3600:
            raise Refusal(
                "ValidationError",
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed"
                " by role chaining.",
            )
        if seconds > role.max_session_seconds:
            raise Refusal(
                "ValidationError",
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            )
        key = self.new_session(role, name, seconds, sent.passed_on(caller.passed_on), sent.policy)
        answer: dict[str, Any] = {
            "AssumedRoleUser": {"Arn": key.arn, "AssumedRoleId": key.user_id},
            "Credentials": _credentials(key),
        }
        if key.passed_on.source_identity:
            answer["SourceIdentity"] = key.passed_on.source_identity
        percent = sent.packed_percent()
        return answer | ({"PackedPolicySize": str(percent)} if percent is not None else {})

    def get_scoped_credentials(self, caller: Key, asked: Mapping[str, str]) -> dict[str, Any]:
        """Narrow the caller's own session, as the model in botocore says."""
        refused = self.unscoped.get(caller.role_arn) or self.unscoped.get("*")
        if refused:
            raise Refusal(
                refused,
                f"User: {caller.arn} is not authorized to perform: sts:GetScopedCredentials"
                if refused == "AccessDenied"
                else "Could not find operation GetScopedCredentials for version 2011-06-15",
            )
        if caller.token is None or caller.expires is None:
            raise Refusal("InvalidSubjectCredentials", "The calling session is not a valid session")
        policy, described = asked.get("Policy", ""), asked.get("ScopedSessionDescription")
        if not policy and "DurationSeconds" not in asked:
            raise Refusal("ValidationError", "Policy or DurationSeconds must be provided")
        if described is not None:
            _constrained(
                described, "scopedSessionDescription", 2, 256, DESCRIPTION, DESCRIPTION.pattern
            )
        if len(policy) > LONGEST_POLICIES:
            raise Refusal(
                "ValidationError",
                "Value at 'policy' failed to satisfy constraint: Member must have length less than"
                f" or equal to {LONGEST_POLICIES}",
            )
        if policy and not is_a_policy(policy):
            raise Refusal("MalformedPolicyDocument", "This policy contains invalid Json")
        if policy and len(caller.scopes) >= MOST_SCOPES:
            raise Refusal("AccessDenied", "The session has the most scope down policies already")
        left = caller.expires - self.now()
        seconds = int(asked.get("DurationSeconds", 0))
        if "DurationSeconds" in asked and not 1 <= seconds <= 129_600:
            raise Refusal("ValidationError", "Value at 'durationSeconds' failed the constraint")
        if seconds > left:
            raise Refusal(
                "InsufficientSessionLifetime",
                "The requested DurationSeconds exceeds the remaining lifetime of the session",
            )
        key = self._temporary(
            caller.arn,
            caller.user_id,
            caller.principals,
            seconds or left,
            is_role=caller.is_role,
            passed_on=caller.passed_on,
            role_arn=caller.role_arn,
            session_policy=caller.session_policy,
            scopes=(*caller.scopes, policy) if policy else caller.scopes,
            ends=caller.expires if not seconds else None,
        )
        size = len(key.token or "")
        answer: dict[str, Any] = {
            "Credentials": _credentials(key),
            "SessionInfo": {"ScopedSessionId": key.user_id, "Arn": key.arn},
            "SessionTokenUtilization": str(100 * size // 4096),
            "SessionTokenSize": str(size),
            "ScopedPoliciesCount": str(len(key.scopes)),
        }
        if key.passed_on.source_identity:
            answer["SourceIdentity"] = key.passed_on.source_identity
        return answer

    def assume_role_with_web_identity(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """Unsigned: the token says who calls. A role trusts a subject by its name."""
        arn, name = asked.get("RoleArn", ""), asked.get("RoleSessionName", "")
        _constrained(name, "roleSessionName", 2, 64, SESSION_NAME, r"[\w+=,.@-]*")
        seconds = _seconds(asked, 3600, 43200)
        subject, ends = self.identity_tokens.get(asked.get("WebIdentityToken", ""), ("", 0.0))
        if not subject:
            raise Refusal(
                "InvalidIdentityToken",
                "No OpenIDConnect provider found in your account for the issuer",
            )
        if ends <= self.now():
            raise Refusal(
                "ExpiredTokenException", f"Token expired: current date/time {self.now():.0f}"
            )
        role = self.roles.get(arn)
        if role is None or subject not in role.trusts:
            raise Refusal("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
        if seconds > role.max_session_seconds:
            raise Refusal(
                "ValidationError",
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            )
        key = self.new_session(role, name, seconds)
        return {
            "AssumedRoleUser": {"Arn": key.arn, "AssumedRoleId": key.user_id},
            "Credentials": _credentials(key),
            "SubjectFromWebIdentityToken": subject,
        }

    def _may(self, caller: Key, role: Role, session_name: str, external_id: str) -> bool:
        return (
            not caller.principals.isdisjoint(role.trusts)
            and (role.external_id is None or role.external_id == external_id)
            and (role.session_name is None or role.session_name == session_name)
            and (caller.mfa or not role.mfa)
        )


def new_role(
    arn: str,
    trusts: Sequence[str],
    external_id: str | None,
    max_session_seconds: int,
    session_name: str | None,
    mfa: bool,
    actions: Sequence[str] = EXTRA_ACTIONS,
) -> Role:
    if not ROLE_ARN.fullmatch(arn):
        raise ValueError(f"not a role ARN: {arn}")
    return Role(
        arn,
        _id("AROA"),
        frozenset(trusts),
        external_id,
        max_session_seconds,
        session_name,
        mfa,
        frozenset(actions),
    )


def _constrained(
    text: str, name: str, shortest: int, longest: int, pattern: re.Pattern[str], shown: str
) -> None:
    if not pattern.fullmatch(text):
        why = f"Member must satisfy regular expression pattern: {shown}"
    elif len(text) < shortest:
        why = f"Member must have length greater than or equal to {shortest}"
    elif len(text) > longest:
        why = f"Member must have length less than or equal to {longest}"
    else:
        return
    raise Refusal(
        "ValidationError",
        f"1 validation error detected: Value '{text}' at '{name}' failed to satisfy constraint:"
        f" {why}",
    )


def _seconds(asked: Mapping[str, str], default: int, longest: int) -> int:
    seconds = int(asked.get("DurationSeconds", default))
    if not 900 <= seconds <= longest:
        raise Refusal(
            "ValidationError",
            f"1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy"
            f" constraint: Member must have value between 900 and {longest}",
        )
    return seconds


def _credentials(key: Key) -> dict[str, str]:
    assert key.token
    assert key.expires
    return {
        "AccessKeyId": key.access_key_id,
        "SecretAccessKey": key.secret,
        "SessionToken": key.token,
        "Expiration": _iso(key.expires),
    }


@functools.lru_cache(maxsize=100)
def _iso(unix_time: float) -> str:
    return datetime.fromtimestamp(unix_time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _id(prefix: str) -> str:
    return f"{prefix}{_random.getrandbits(64):016X}"


def _secret(key_id: str) -> str:
    return key_id + base64.b64encode(_random.randbytes(15)).decode()
