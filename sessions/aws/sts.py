"""The one place that calls STS. Whoever calls decides about trying again; here it is one call, one answer or error."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime, timedelta

from sessions.aws.answers import (
    AssumedRole,
    CallerIdentity,
    read_assumed_role,
    read_caller_identity,
    read_credentials,
)
from sessions.aws.clients import signing_with, sts_client
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import Refused, translate
from sessions.aws.hop import Hop
from sessions.aws.names import InvalidName, validate_region
from sessions.secret import Secret

__all__ = ["AssumedRole", "CallerIdentity", "assume_role", "caller_identity", "session_token"]

MFA_SESSION_SECONDS = 12 * 3600


def assume_role(hop: Hop, using: AwsCredentials, region: str, hop_number: int) -> AssumedRole:
    """Assumes the hop's role at the region's STS. `hop_number` is 1 for the first hop of a chain.

    Raises `AwsError`. A request that is not legal is refused (code ValidationError) without a call.
    """
    _check_region(region, hop_number)
    try:
        hop.validate()
    except ValueError as error:
        raise Refused("ValidationError", hop_number, str(error), "Check the session's fields.") from None
    with _calling(hop_number, using, hop):
        return read_assumed_role(
            sts_client(region).assume_role(**hop.request()), hop, hop_number, datetime.now(UTC)
        )


def caller_identity(using: AwsCredentials, region: str, hop_number: int = 0) -> CallerIdentity:
    """Who AWS takes these credentials for. Raises `AwsError`."""
    _check_region(region, hop_number)
    with _calling(hop_number, using):
        return read_caller_identity(sts_client(region).get_caller_identity(), hop_number)


def session_token(using: AwsCredentials, region: str, mfa_serial: str, code: Secret) -> AwsCredentials:
    """Temporary credentials of an IAM user who has shown a code of the MFA device. Raises `AwsError` (hop 0)."""
    _check_region(region, 0)
    life = timedelta(seconds=MFA_SESSION_SECONDS)
    with _calling(0, using, hidden=code):
        return read_credentials(
            sts_client(region).get_session_token(
                DurationSeconds=MFA_SESSION_SECONDS, SerialNumber=mfa_serial, TokenCode=code.reveal()
            ),
            0,
            datetime.now(UTC),
            life,
        )


@contextmanager
def _calling(
    hop_number: int, using: AwsCredentials, hop: Hop | None = None, hidden: Secret | None = None
) -> Iterator[None]:
    """Around the call and the reading of its answer: whatever goes wrong leaves as an `AwsError`.

    Neither botocore's exception nor its frames leave with it, nor those of our reading: an error report that prints local
    variables would find the answer's secrets in them. For the same reason no answer is ever put into a variable here.
    """
    try:
        with signing_with(using):
            yield
    # The parser of a hostile answer may raise anything.
    except Exception as error:  # noqa: BLE001
        secrets = (using.secret_access_key, using.session_token, hidden)
        # A copy, since contextlib gives the very exception it was handed its old frames back.
        raise copy(translate(error, hop_number, hop, hidden=secrets)) from None


def _check_region(region: str, hop_number: int) -> None:
    try:
        validate_region(region)
    except InvalidName as error:
        raise Refused("InvalidRegion", hop_number, str(error), "Choose another region.") from None
