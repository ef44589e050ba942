"""Call STS, here alone: one call, one answer or error. The caller decides about retries."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sessions.aws.calls import calling, check_region
from sessions.aws.clients import sts_client
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import Rejected
from sessions.aws.hop import DURATION_SECONDS, Hop
from sessions.aws.proof import Asked, Call, Signed, Signer
from sessions.aws.responses import (
    AssumedRole,
    CallerIdentity,
    read_assumed_role,
    read_caller_identity,
    read_credentials,
    read_scoped,
)
from sessions.aws.scoped import ScopedRequest
from sessions.secret import Secret

__all__ = [
    "AssumedRole",
    "CallerIdentity",
    "assume_role",
    "assume_role_with_web_identity",
    "caller_identity",
    "get_scoped_credentials",
    "session_token",
]

MFA_SESSION_SECONDS = 12 * 3600


def assume_role(
    hop: Hop, using: AwsCredentials, region: str, hop_number: int, *, signed: Signed | None = None
) -> AssumedRole:
    """Assume the hop's role at the region's STS.

    `hop_number` is 1 for the first hop of a chain; `signed` says whose the credentials are, and
    decides what a rejection proves. Without it a rejection is about this hop alone.

    Raises `AwsError`. A request that is not legal is refused (code ValidationError) without a call.
    """
    check_region(region, hop_number)
    try:
        hop.validate()
    except ValueError as error:
        raise Rejected(
            "ValidationError", hop_number, str(error), "Check the session's fields."
        ) from None
    with calling(
        hop_number, using, hop, asked=(signed or Signed()).asking(Call.ASSUME_ROLE, region)
    ):
        return read_assumed_role(
            sts_client(region).assume_role(**hop.request()), hop, hop_number, datetime.now(UTC)
        )


def get_scoped_credentials(
    scoped: ScopedRequest,
    using: AwsCredentials,
    region: str,
    hop_number: int,
    *,
    signed: Signed | None = None,
) -> AssumedRole:
    """Narrow the session that the credentials are of; the answer has a key of its own.

    `hop_number` is one more than the last hop's. Raises `AwsError`.
    """
    check_region(region, hop_number)
    try:
        scoped.validate()
    except ValueError as error:
        raise Rejected(
            "ValidationError", hop_number, str(error), "Check the team's policy for deliveries."
        ) from None
    now = datetime.now(UTC)
    left = using.expires_at - now if using.expires_at else timedelta(seconds=DURATION_SECONDS)
    asked = (signed or Signed()).asking(Call.SCOPED, region)
    client: Any = sts_client(region)  # the stubs do not know the call yet
    with calling(hop_number, using, asked=asked):
        return read_scoped(
            client.get_scoped_credentials(**scoped.request(left.total_seconds())),
            scoped,
            hop_number,
            datetime.now(UTC),
            left,
        )


def assume_role_with_web_identity(hop: Hop, token: Secret, region: str) -> AssumedRole:
    """Assume a role with an identity provider's token.

    The call is unsigned, so it begins a chain.

    Of the hop, the role and the session name are sent. Raises `AwsError` (hop 0).
    """
    check_region(region, 0)
    with calling(
        0, hop=hop, asked=Asked(Call.WEB_IDENTITY, Signer.NOBODY, region, region), hidden=token
    ):
        return read_assumed_role(
            sts_client(region).assume_role_with_web_identity(
                RoleArn=hop.role_arn,
                RoleSessionName=hop.role_session_name,
                DurationSeconds=DURATION_SECONDS,
                WebIdentityToken=token.reveal(),
            ),
            hop,
            0,
            datetime.now(UTC),
        )


def caller_identity(using: AwsCredentials, region: str, hop_number: int = 0) -> CallerIdentity:
    """Return who AWS takes these credentials for. Raises `AwsError`."""
    check_region(region, hop_number)
    signer = Signer.ROOT_IDENTITY if using.session_token else Signer.ROOT_KEY
    with calling(hop_number, using, asked=Asked(Call.CALLER_IDENTITY, signer, region, region)):
        return read_caller_identity(sts_client(region).get_caller_identity(), hop_number)


def session_token(
    using: AwsCredentials, region: str, mfa_serial: str, code: Secret
) -> AwsCredentials:
    """Get temporary credentials of an IAM user for a code of the MFA device.

    Raises `AwsError` (hop 0).
    """
    check_region(region, 0)
    life = timedelta(seconds=MFA_SESSION_SECONDS)
    with calling(
        0, using, asked=Asked(Call.SESSION_TOKEN, Signer.ROOT_KEY, region, region), hidden=code
    ):
        return read_credentials(
            sts_client(region).get_session_token(
                DurationSeconds=MFA_SESSION_SECONDS,
                SerialNumber=mfa_serial,
                TokenCode=code.reveal(),
            ),
            0,
            datetime.now(UTC),
            life,
        )
