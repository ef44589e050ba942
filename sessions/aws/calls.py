"""Sign each call to AWS with the right credentials and turn every failure into an `AwsError`."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from copy import copy

from sessions.aws.clients import signing_with
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import Rejected, translate
from sessions.aws.hop import Hop
from sessions.aws.names import InvalidName, validate_region
from sessions.aws.proof import Asked
from sessions.secret import Secret


@contextmanager
def calling(
    hop_number: int,
    using: AwsCredentials | None = None,
    hop: Hop | None = None,
    *,
    asked: Asked,
    hidden: Secret | None = None,
) -> Iterator[None]:
    """Surround the call and the reading of its answer.

    Without `using` the call is one that AWS takes unsigned. `asked` says
    what an error answer would prove anything about.

    Neither botocore's exception nor its frames leave with the error, nor those of our reading: an
    error report that prints local variables would find the answer's secrets in them. For the same
    reason no answer that holds one is ever put into a variable inside.
    """
    try:
        with signing_with(using) if using else nullcontext():
            yield
    # The parser of a hostile answer may raise anything.
    except Exception as error:  # noqa: BLE001
        secrets = (using.secret_access_key, using.session_token, hidden) if using else (hidden,)
        # A copy, since contextlib gives the very exception it was handed its old frames back.
        raise copy(translate(error, hop_number, hop, asked=asked, hidden=secrets)) from None


def check_region(region: str, hop_number: int) -> None:
    """Refuse (code InvalidRegion) what is no region, before a host name is made of it."""
    try:
        validate_region(region)
    except InvalidName as error:
        raise Rejected("InvalidRegion", hop_number, str(error), "Choose another region.") from None
