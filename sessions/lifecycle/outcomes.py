"""What can become of a credential that was claimed, and what a person reads of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError, CredentialsExpired, Unavailable, WaitingForPerson
from sessions.lifecycle.times import DEFERRED_FOR
from sessions.models import Credential

# Refused at the first hop, these speak of the key that signed, which is the root's.
ABOUT_THE_KEY = {"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"}

UNKNOWN_KEY = {"InvalidClientTokenId", "UnrecognizedClientException"}


@dataclass(frozen=True)
class Minted:
    """AWS answered with credentials."""

    credentials: AwsCredentials
    parent_access_key_id: str
    arn: str
    packed_policy_size: int | None = None


@dataclass(frozen=True)
class Refusal:
    """AWS, or the way there, said no for this very hop."""

    error: AwsError


@dataclass(frozen=True)
class Blocked:
    """A hop further up has this problem. `follows`: look again when that hop's backoff is over."""

    problem: dict[str, Any]
    due_at: datetime | None
    follows: bool = False


@dataclass(frozen=True)
class Deferred:
    """Another worker is minting the parent: look again in a moment."""

    wait: timedelta


Outcome = Minted | Refusal | Blocked | Deferred


def cannot_open(level: int, reason: str) -> AwsError:
    """A sealed value that this worker cannot open, in the words of the other problems."""
    return Unavailable(
        code="CannotOpen",
        hop=level,
        message=reason,
        check="Check CHAINWEB_SEAL_KEYS and CHAINWEB_ROOT_KEYS in the workers' environment.",
    )


def problem_of(error: AwsError, since: datetime | None = None) -> dict[str, Any]:
    """What a person reads of an error: {code, hop, message, check, since, retrying, waiting (for a person)}."""
    return {
        "code": error.code,
        "hop": error.hop,
        "message": error.message,
        "check": error.check,
        "since": since.isoformat(timespec="seconds") if since else None,
        "retrying": error.retryable,
        "waiting": isinstance(error, WaitingForPerson),
    }


def is_about_the_root(error: AwsError, row: Credential) -> bool:
    """Whether a first hop was refused because of the root's key itself, and not because of the role."""
    return row.level == 1 and error.code in ABOUT_THE_KEY


def is_about_the_key(error: AwsError, row: Credential) -> bool:
    """Whether it was refused because of what signed it, so that whatever else that signs would be refused as well."""
    return isinstance(error, CredentialsExpired) or is_about_the_root(error, row)


def has_ended(error: AwsError, row: Credential, parent: Credential | None) -> bool:
    """Whether a first hop was refused because the temporary credentials that a root keeps have ended, or were taken back."""
    ended = isinstance(error, CredentialsExpired) or error.code in UNKNOWN_KEY
    return row.level == 1 and parent is not None and parent.is_kept_base and ended


def told_at(hop: int, error: AwsError) -> AwsError:
    """The same, told at that hop; 0 is the root."""
    return type(error)(error.code, hop, error.message, error.check, retryable=error.retryable)


def blocked_by(outcome: Outcome) -> Outcome:
    """What the failure of a parent means for the row below it."""
    match outcome:
        case Refusal(error):
            return Blocked(problem_of(error), due_at=None, follows=error.retryable)
        case Blocked() | Deferred():
            return outcome
        case _:
            return Deferred(DEFERRED_FOR)
