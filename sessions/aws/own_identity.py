"""Read the workers' own AWS identity, and name what is wrong where a source gives none.

Sources are outside code and somebody's set-up: whatever they raise becomes an error that names its
cause, at hop 0.
"""

import os
import re
from datetime import UTC, datetime

from botocore import exceptions as botocore_exceptions

from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError, Rejected, Unavailable, translate
from sessions.aws.proof import Asked, Call, Signer
from sessions.aws.responses import malformed
from sessions.secret import Secret

KEY_ID, SECRET, EXPIRATION = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_CREDENTIAL_EXPIRATION",
)
# In botocore's order.
TOKENS = ("AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN")
TOKEN_FILES = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")

_STATUS = re.compile(r"non 200 response (?P<status>[0-9]{3})\b", re.ASCII)
_RESTART = (
    "Give the workers' environment new credentials and restart them, or give them an instance, task"
    " or pod role."
)
_SERVICE = (
    "Check the service that AWS_CONTAINER_CREDENTIALS_FULL_URI or …_RELATIVE_URI names, or the"
    " instance's metadata service; this is tried again automatically."
)


def from_environment() -> AwsCredentials | None:
    """Read the environment's credentials, if any.

    Raises `Rejected` for credentials that cannot be used.
    """
    key_id, secret = os.environ.get(KEY_ID, ""), os.environ.get(SECRET, "")
    if not key_id:
        return None
    if not secret:
        raise _unusable("AmbientIncomplete", f"{KEY_ID} is set, and {SECRET} is not.")
    token = next((os.environ[name] for name in TOKENS if os.environ.get(name)), None)
    if token is None and key_id.startswith("ASIA"):
        raise _unusable(
            "AmbientIncomplete",
            f"{KEY_ID} is a temporary key (ASIA…), and AWS_SESSION_TOKEN is not set.",
        )
    if part := malformed(key_id, secret, token):
        raise _unusable(
            "AmbientMalformed", f"The {part} in the workers' environment is not in AWS's format."
        )
    return AwsCredentials(key_id, Secret(secret), Secret(token) if token else None, _expiration())


def _expiration() -> datetime | None:
    said = os.environ.get(EXPIRATION, "")
    if not said:
        return None
    try:
        ends = datetime.fromisoformat(said)
    except ValueError:
        raise _unusable(
            "AmbientMalformed",
            f"{EXPIRATION} is not a time, such as 2026-11-24T12:30:00Z: “{said}”.",
        ) from None
    if ends.utcoffset() is None:
        raise _unusable(
            "AmbientMalformed", f"{EXPIRATION} has no time zone, such as a Z at its end: “{said}”."
        )
    if ends <= datetime.now(UTC):
        raise _unusable(
            "AmbientExpired",
            f"The credentials in the workers' environment have expired: {EXPIRATION} is"
            f" {ends.astimezone(UTC):%Y-%m-%d %H:%M} UTC.",
        )
    return ends.astimezone(UTC)


def expired_service() -> AwsError:
    """Make the error for a service that answers with expired credentials."""
    return Rejected(
        "AmbientExpired",
        0,
        "The credentials of the workers' credential service have expired.",
        _SERVICE,
        retryable=True,
    )


def unreadable(part: str = "") -> AwsError:
    """Make the error for a service whose answer cannot be used; `part` is what is wrong with it."""
    what = f" ({part} is missing or malformed)" if part else ""
    return Rejected(
        "AmbientMalformed",
        0,
        f"The workers' credential service did not return credentials{what}.",
        _SERVICE,
        retryable=True,
    )


def explained(error: Exception, region: str) -> AwsError:
    """Name the cause of a failed source of credentials (task, pod, instance).

    The text quotes no answer.
    """
    match error:
        case AwsError():
            return error
        case botocore_exceptions.ClientError():
            return translate(
                error, 0, asked=Asked(Call.WEB_IDENTITY, Signer.NOBODY, region, region)
            )
        case botocore_exceptions.InvalidConfigError():
            return _unusable(
                "AmbientIncomplete", "AWS_WEB_IDENTITY_TOKEN_FILE is set, and AWS_ROLE_ARN is not."
            )
        case (
            botocore_exceptions.CredentialRetrievalError()
            | botocore_exceptions.MetadataRetrievalError()
        ):
            status = _STATUS.search(str(error))
            said = f"answered with HTTP {status['status']}" if status else "gave no credentials"
            return Unavailable(
                type(error).__name__, 0, f"The workers' credential service {said}.", _SERVICE
            )
        case KeyError(args=(str(name),)):
            return unreadable(name)
        case ValueError() if "Unsupported host" in str(error):
            return _unusable(
                "AmbientMalformed",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI names a host that may not be asked without"
                " TLS.",
            )
        case ValueError() if "legal header value" in str(error):
            return _unusable(
                "AmbientMalformed", "The container's authorization token has a line break in it."
            )
        case RuntimeError() if "still expired" in str(error):
            return expired_service()
        case OSError() if name := next(
            (n for n in TOKEN_FILES if os.environ.get(n) == error.filename), ""
        ):
            reason = os.strerror(error.errno or 0)
            return Unavailable(
                "NoToken",
                0,
                f"The file that {name} names could not be read ({reason}).",
                "Check the process that writes it.",
            )
        case botocore_exceptions.BotoCoreError() | OSError():
            return translate(error, 0)
        case _:
            return unreadable()


def _unusable(code: str, message: str) -> Rejected:
    return Rejected(code, 0, message, _RESTART)
