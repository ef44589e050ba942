"""Check an STS answer before it is believed.

It is as hostile as typed text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sessions.aws import skew
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import UnacceptableAnswer, clock_skewed
from sessions.aws.hop import DURATION_SECONDS, Hop
from sessions.aws.scoped import ScopedRequest
from sessions.secret import Secret

LONGEST_TOKEN = 16 * 1024
SHORTEST_LIFE = timedelta(seconds=60)
# How far AWS's clock may be ahead of ours before an expiry counts as longer than what was asked
# for.
CLOCK_TOLERANCE = timedelta(minutes=5)

_KEY_ID = re.compile(r"[A-Za-z0-9_]{16,128}", re.ASCII)
# Printable ASCII without blanks, quotes and backslash: it is going to stand in INI files and shell
# lines.
_SECRET = re.compile(r"[!#-&(-\[\]-_a-~]{16,256}", re.ASCII)
_TOKEN = re.compile(rf"[!#-&(-\[\]-_a-~]{{1,{LONGEST_TOKEN}}}", re.ASCII)
_ROLE_ID = re.compile(r"[A-Za-z0-9_+=,.@:-]{2,193}", re.ASCII)
_USER_ID = re.compile(r"[A-Za-z0-9_+=,.@:/*-]{2,256}", re.ASCII)
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_CALLER_ARN = re.compile(
    r"arn:[a-z0-9-]{1,32}:(?:iam|sts)::[0-9]{12}:[!#-&(-\[\]-_a-~]{1,1900}", re.ASCII
)


@dataclass(frozen=True)
class AssumedRole:
    """Hold a role session's credentials.

    `arn` is what CloudTrail shows, `packed_policy_size` a percentage.
    """

    credentials: AwsCredentials
    arn: str
    assumed_role_id: str
    packed_policy_size: int | None
    request_id: str = ""


@dataclass(frozen=True)
class CallerIdentity:
    """Hold the caller as AWS knows it.

    It proves that the credentials are valid, not that they may do anything.
    """

    arn: str
    account: str
    user_id: str

    @property
    def is_root_user(self) -> bool:
        """Tell whether it is the account's root user, whom AWS lets assume no role."""
        return self.arn.endswith(f":{self.account}:root")


def read_assumed_role(
    answer: Mapping[str, Any], hop: Hop, hop_number: int, now: datetime
) -> AssumedRole:
    """Read an AssumeRole answer.

    Raises `UnacceptableAnswer`, whose message quotes nothing of the answer.
    """
    who = _part(answer, "AssumedRoleUser", hop_number)
    if who.get("Arn") != hop.assumed_role_arn():
        raise unacceptable(hop_number, "The answer is for another role, account or session name.")
    # Since June 2026 AWS calls the first deprecated in favour of the second; either is a percentage
    # of what fits.
    size = answer.get("PackedPolicySize", answer.get("SessionTokenUtilization"))
    if size is not None and not (type(size) is int and 0 <= size <= 100):
        raise unacceptable(hop_number, "The answer's packed policy size is not a percentage.")
    credentials = read_credentials(answer, hop_number, now, timedelta(seconds=DURATION_SECONDS))
    role_id = _text(who, "AssumedRoleId", _ROLE_ID, "assumed role id", hop_number)
    return AssumedRole(credentials, who["Arn"], role_id, size, _request_id(answer))


def read_scoped(
    answer: Mapping[str, Any],
    scoped: ScopedRequest,
    hop_number: int,
    now: datetime,
    left: timedelta,
) -> AssumedRole:
    """Read a GetScopedCredentials answer to a caller that had so long left.

    It must be of the caller's own session. Raises `UnacceptableAnswer`.
    """
    who = _part(answer, "SessionInfo", hop_number)
    if who.get("Arn") != scoped.assumed_role_arn():
        raise unacceptable(hop_number, "The answer is for another session than the caller's.")
    size = answer.get("SessionTokenUtilization")
    if size is not None and not (type(size) is int and size >= 0):
        raise unacceptable(hop_number, "The answer's session token utilization is no percentage.")
    asked = min(left, timedelta(seconds=scoped.seconds)) if scoped.seconds else left
    # What is wanted longer than the caller lives ends with it: up to a minute later.
    credentials = read_credentials(answer, hop_number, now, asked + timedelta(seconds=60))
    role_id = _text(who, "ScopedSessionId", _ROLE_ID, "session id", hop_number)
    return AssumedRole(credentials, who["Arn"], role_id, size, _request_id(answer))


def read_credentials(
    answer: Mapping[str, Any],
    hop_number: int,
    now: datetime,
    asked: timedelta,
    *,
    said_with: Mapping[str, Any] | None = None,
) -> AwsCredentials:
    """Return the `Credentials` of an answer, if all three parts and the end are well formed.

    Their life is measured by AWS's own time of the answer (or of `said_with`, the whole one): a
    clock of ours that is some minutes off makes good credentials no worse.
    """
    whole = said_with or answer
    parts = _part(answer, "Credentials", hop_number)
    expires_at = parts.get("Expiration")
    if not isinstance(expires_at, datetime) or expires_at.utcoffset() is None:
        raise unacceptable(hop_number, "The answer does not say when the credentials end.")
    if not SHORTEST_LIFE < expires_at - skew.aws_time(whole, now) <= asked + CLOCK_TOLERANCE:
        if abs(off := skew.seen("", whole, now) or timedelta(0)) > skew.TAKEN_BY_AWS:
            raise clock_skewed("ClockSkewed", hop_number, off)
        raise unacceptable(
            hop_number,
            "The credentials would end too soon or later than asked for.",
            check="Check the workers' clock.",
        )
    return AwsCredentials(
        _text(parts, "AccessKeyId", _KEY_ID, "access key id", hop_number),
        Secret(_text(parts, "SecretAccessKey", _SECRET, "secret access key", hop_number)),
        Secret(_text(parts, "SessionToken", _TOKEN, "session token", hop_number)),
        expires_at.astimezone(UTC),
    )


def read_caller_identity(answer: Mapping[str, Any], hop_number: int) -> CallerIdentity:
    """Return the parts of a GetCallerIdentity answer, safe to show."""
    arn = _text(answer, "Arn", _CALLER_ARN, "ARN", hop_number)
    account = _text(answer, "Account", _ACCOUNT, "account", hop_number)
    if arn.split(":")[4] != account:
        raise unacceptable(hop_number, "The answer's ARN and account do not fit together.")
    return CallerIdentity(arn, account, _text(answer, "UserId", _USER_ID, "user id", hop_number))


def malformed(
    access_key_id: object, secret_access_key: object, session_token: object = None
) -> str:
    """Name the first part that cannot be AWS's; empty if none.

    A long-lived key has no token.
    """
    parts = {
        "access key id": (access_key_id, _KEY_ID),
        "secret access key": (secret_access_key, _SECRET),
        "session token": ("none" if session_token is None else session_token, _TOKEN),
    }
    return next(
        (
            name
            for name, (text, form) in parts.items()
            if not isinstance(text, str) or not form.fullmatch(text)
        ),
        "",
    )


def _request_id(answer: Mapping[str, Any]) -> str:
    """Return by which id AWS, and CloudTrail, know the call; empty for none that can be."""
    stated = answer.get("ResponseMetadata")
    request_id = stated.get("RequestId") if isinstance(stated, Mapping) else None
    is_one = isinstance(request_id, str) and _REQUEST_ID.fullmatch(request_id)
    return str(request_id) if is_one else ""


def _part(answer: Mapping[str, Any], name: str, hop_number: int) -> Mapping[str, Any]:
    part = answer.get(name)
    if not isinstance(part, Mapping):
        raise unacceptable(hop_number, f"The answer has no {name}.")
    return part


def _text(
    parts: Mapping[str, Any], name: str, pattern: re.Pattern[str], what: str, hop_number: int
) -> str:
    text = parts.get(name)
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise unacceptable(
            hop_number, f"The answer's {what} is missing, or is not of the form that AWS uses."
        )
    return text


def unacceptable(
    hop_number: int,
    message: str,
    check: str = "Check that AWS_ENDPOINT_URL_STS, if set, leads to an STS that can be trusted.",
) -> UnacceptableAnswer:
    """Return the error for an impossible answer; it quotes nothing of it."""
    return UnacceptableAnswer("UnacceptableAnswer", hop_number, message, check)
