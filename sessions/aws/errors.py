"""What can go wrong on the way to a credential, in our own few words, each naming its hop.

The codes and what to make of them: STS's service model, and botocore's lists of throttling and transient errors.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from botocore import exceptions as botocore_exceptions
from botocore.exceptions import BotoCoreError, ClientError

from sessions.aws.arn import RoleArn
from sessions.aws.hop import Hop
from sessions.secret import Secret

LONGEST_MESSAGE = 500

THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
    }
    | {"RequestLimitExceeded", "TooManyRequestsException", "BandwidthLimitExceeded", "LimitExceededException"}
    | {"SlowDown", "SlowDownException", "PriorRequestNotComplete", "ProvisionedThroughputExceededException"}
    | {"TransactionInProgressException", "EC2ThrottledException"}
)
PASSING = frozenset(
    {"RequestTimeout", "RequestTimeoutException", "InternalFailure", "InternalError", "ServiceUnavailable"}
    | {"ServiceUnavailableException", "InternalServerError", "IDPCommunicationError"}
)
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException"})
# Answers to a wrong signature quote the request that AWS saw, session token included: they are never passed on.
QUOTING = frozenset({"SignatureDoesNotMatch", "IncompleteSignature", "InvalidSignatureException"})

_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,100}", re.ASCII)
_NOT_AUTHORIZED = re.compile(
    r"User: (?P<user>\S+) is not authorized to perform: (?P<action>\S+)(?: on resource: (?P<resource>\S+))?"
)
_FIELD = re.compile(r" at '(?P<field>[A-Za-z.0-9]+)' failed", re.ASCII)
_PERCENT = re.compile(r"(?P<percent>\d+(?:\.\d+)?)\s*%", re.ASCII)
_FORM_FIELDS = {
    "rolearn": "Role ARN",
    "rolesessionname": "Role session name",
    "externalid": "External ID",
    "sourceidentity": "source identity",
    "serialnumber": "MFA serial",
    "tokencode": "code",
}


class AwsError(Exception):
    """AWS, or the way there, said no.

    `hop` is 0 for the root and 1 for the first AssumeRole; `check` says in a sentence or two what to look at;
    `retryable` says that it can go away by itself. Nothing in it is secret.
    """

    retryable = False

    def __init__(
        self, code: str, hop: int, message: str, check: str, *, retryable: bool | None = None
    ) -> None:
        self.code, self.hop, self.message, self.check = code, hop, clean(message), check
        if retryable is not None:
            self.retryable = retryable
        super().__init__(f"hop {hop}: {code}: {self.message}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _remake, (type(self), self.code, self.hop, self.message, self.check, self.retryable)


class Refused(AwsError):
    """It stays so until somebody changes something."""


class Throttled(AwsError):
    """AWS wants fewer calls."""

    retryable = True


class Unavailable(AwsError):
    """No answer, or AWS is not well."""

    retryable = True


class CredentialsExpired(AwsError):
    """What the call was signed with has ended: mint it anew, then this hop, once."""


class UnacceptableAnswer(AwsError):
    """AWS answered, but not what was asked for; nothing of it is kept."""


class WaitingForPerson(AwsError):
    """A person has to give something first: a code, an approval."""


def translate(
    error: Exception, hop_number: int, hop: Hop | None = None, *, hidden: Iterable[Secret | None] = ()
) -> AwsError:
    """Our own error for one of botocore's, or for whatever its parser raised.

    `hop` is the request that was made, if it was an AssumeRole; `hidden` are secrets of the call, in case the answer
    quotes them. Raise the result `from None`: botocore's exception holds the whole answer.
    """
    if isinstance(error, AwsError):
        return error
    if isinstance(error, ClientError):
        return _answered(error, hop_number, hop, hidden)
    return _not_answered(error, hop_number)


def clean(text: str) -> str:
    """An outside text for people: one line, nothing invisible, at most 500 characters."""
    shown = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text[: 4 * LONGEST_MESSAGE])
    shown = " ".join(shown.split())
    return shown if len(shown) <= LONGEST_MESSAGE else f"{shown[: LONGEST_MESSAGE - 1]}…"


def _answered(
    error: ClientError, hop_number: int, hop: Hop | None, hidden: Iterable[Secret | None]
) -> AwsError:
    response: dict[str, Any] = dict(error.response)
    said = response.get("Error") or {}
    status = (response.get("ResponseMetadata") or {}).get("HTTPStatusCode") or 0
    raw_code = str(said.get("Code") or "")
    code = raw_code if _CODE.fullmatch(raw_code) else "Unknown"
    message = str(said.get("Message") or "AWS gave no reason.")
    for secret in hidden:
        if secret:
            message = message.replace(secret.reveal(), "…")
    # Only now, so that no half of a secret is left; and before anything is looked for in what may be very long.
    message = message[: 4 * LONGEST_MESSAGE]
    if code in THROTTLED or status == 429:
        return Throttled(code, hop_number, message, "AWS limits the calls; this is tried again by itself.")
    if code in PASSING or status >= 500:
        return Unavailable(code, hop_number, message, "AWS is not well; this is tried again by itself.")
    if code in EXPIRED:
        return CredentialsExpired(
            code,
            hop_number,
            "What this role is assumed from has expired.",
            "It is renewed by itself where it can be; if this stays, check the workers' clock.",
        )
    if code in QUOTING:
        message = "AWS calculated another signature for the request."
    return Refused(code, hop_number, message, _what_to_check(code, message, hop_number, hop))


def _what_to_check(code: str, message: str, hop_number: int, hop: Hop | None) -> str:
    source = "the root's key" if hop_number <= 1 else "the credentials of the hop before"
    match code:
        case "AccessDenied" | "AccessDeniedException":
            return _access_denied(message, hop)
        case "InvalidClientTokenId" | "UnrecognizedClientException":
            return f"AWS does not know {source}: deleted, disabled, or of another partition than the region."
        case "SignatureDoesNotMatch" | "IncompleteSignature" | "InvalidSignatureException" | "RequestExpired":
            return f"The secret of {source} is wrong, or the workers' clock is."
        case "RegionDisabledException":
            return "STS is not active in this region in the role's account: activate it in IAM's account settings, or choose another region."
        case "NoSuchEntity":
            return "Look in IAM whether the user and its keys are still there."
        case "PackedPolicyTooLarge":
            size = _PERCENT.search(message)
            return f"Policies and tags together take {size['percent']} % of what fits: shorten them." if size else "Policies and tags together are too large: shorten them."  # fmt: skip
        case "MalformedPolicyDocument":
            return "The session policy is no valid policy."
        case "ValidationError":
            return _invalid(message)
        case _:
            return "Look the code up in the STS API reference under AssumeRole."


def _access_denied(message: str, hop: Hop | None) -> str:
    if "MultiFactorAuthentication" in message:
        return "The code, or the MFA serial, is not right; a code can be used only once."
    denied = _NOT_AUTHORIZED.search(message)
    action = denied["action"].rstrip(".,") if denied else "sts:AssumeRole"
    user = clean(denied["user"]) if denied else "the caller"
    if hop is None:
        return f"Check that the policies of {user} allow {action}."
    conditions = [
        "external ID" if hop.external_id else "an external ID it may ask for",
        "MFA",
        "session name",
    ]
    carried = (
        " A chain that carries a source identity needs that at every hop." if "SourceId" in action else ""
    )
    return (
        f"Check that the trust policy of {RoleArn.parse(hop.role_arn).name} lets {user} do {action} "
        f"(with its conditions: {', '.join(conditions)}), and that the caller's own policies, boundary and SCPs allow it.{carried}"
    )


def _invalid(message: str) -> str:
    if "role chaining" in message or "MaxSessionDuration" in message:
        return "The role allows less than the one hour that is asked for: check its maximum session duration."
    field = _FIELD.search(message)
    known = _FORM_FIELDS.get(field["field"].lower()) if field else None
    return f"Check the session's {known}." if known else "Check the session's fields."


def _not_answered(error: Exception, hop_number: int) -> AwsError:
    name = type(error).__name__
    match error:
        case botocore_exceptions.NoCredentialsError() | botocore_exceptions.PartialCredentialsError():
            return no_credentials()
        case botocore_exceptions.SSLError():
            return Unavailable(
                "SSLError",
                hop_number,
                "The connection to AWS could not be secured.",
                "Check the proxy and the certificate authorities (AWS_CA_BUNDLE) of the workers.",
            )
        case (
            botocore_exceptions.ConnectionError()
            | botocore_exceptions.HTTPClientError()
            | botocore_exceptions.MetadataRetrievalError()
            | botocore_exceptions.CredentialRetrievalError()
            | OSError()
        ):
            return Unavailable(
                name,
                hop_number,
                _UNREACHED.get(name, "AWS could not be reached."),
                "Check the workers' network, proxy and DNS; this is tried again by itself.",
            )
        case botocore_exceptions.ParamValidationError():
            return Refused(
                "ValidationError",
                hop_number,
                "The request is not a legal one.",
                "Check the session's fields.",
            )
        case BotoCoreError():
            return Refused(
                name,
                hop_number,
                "The workers' AWS settings make no request possible.",
                "Check the region and the AWS_… variables in the workers' environment.",
            )
        case _:
            # The parser choked. A proxy's page goes away by itself, so this is tried again.
            return UnacceptableAnswer(
                "UnreadableAnswer",
                hop_number,
                "What came back is not an answer of STS.",
                "Check what stands between the workers and AWS: a proxy, or the endpoint in AWS_ENDPOINT_URL_STS.",
                retryable=True,
            )


_UNREACHED = {
    "ReadTimeoutError": "AWS did not answer in time.",
    "ConnectTimeoutError": "AWS could not be reached in time.",
    "ConnectionClosedError": "The connection was closed before AWS answered.",
}


def no_credentials() -> Refused:
    """The worker has no AWS identity of its own."""
    return Refused(
        "NoCredentials",
        0,
        "The workers have no AWS identity of their own.",
        "Give the workers an instance, task or pod role, or AWS_ACCESS_KEY_ID and its companions in their environment.",
    )


def _remake(kind: type[AwsError], code: str, hop: int, message: str, check: str, retryable: bool) -> AwsError:
    return kind(code, hop, message, check, retryable=retryable)
