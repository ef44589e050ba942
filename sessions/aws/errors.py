"""Name what can go wrong on the way to a credential; each error names its hop.

The codes and what to make of them: STS's service model, and botocore's lists of throttling and
transient errors.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

from botocore import exceptions as botocore_exceptions
from botocore.exceptions import BotoCoreError, ClientError

from sessions.aws import advice, proof, skew
from sessions.aws.hop import Hop
from sessions.aws.proof import About, Answer, Asked
from sessions.secret import Secret


class AwsError(Exception):
    """Report that AWS, or the way there, said no.

    `hop` is 0 for the root and 1 for the first AssumeRole; `check` says in a sentence or two what
    to look at; `retryable` says that it can go away by itself, `about` what it proves anything
    about. Nothing in it is secret.
    """

    retryable = False
    means: ClassVar[About] = About.HOP

    def __init__(
        self,
        code: str,
        hop: int,
        message: str,
        check: str,
        *,
        retryable: bool | None = None,
        about: About | None = None,
    ) -> None:
        self.code, self.hop, self.message, self.check = code, hop, advice.clean(message), check
        if retryable is not None:
            self.retryable = retryable
        passes = self.retryable and self.means is About.HOP
        self.about = about or (About.MOMENT if passes else self.means)
        super().__init__(f"hop {hop}: {code}: {self.message}")

    def at_hop(self, hop: int) -> Self:
        """Return the same error with another hop; 0 is the root."""
        return type(self)(
            self.code, hop, self.message, self.check, retryable=self.retryable, about=self.about
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _remake, (
            type(self),
            self.code,
            self.hop,
            self.message,
            self.check,
            self.retryable,
            self.about,
        )


class Rejected(AwsError):
    """Report a rejection that stays until somebody changes something."""


class Throttled(AwsError):
    """Report that AWS wants fewer calls."""

    retryable = True
    means = About.MOMENT


class Unavailable(AwsError):
    """Report that AWS did not answer, or answered that it is not well."""

    retryable = True
    means = About.MOMENT


class ClockSkewed(AwsError):
    """Report that this machine's clock differs from AWS's, which takes no call until it agrees."""

    retryable = True
    means = About.CLOCK


class CredentialsExpired(AwsError):
    """Report expired credentials of the caller: renew these, then try this hop once more."""

    means = About.CALLER


class UnacceptableAnswer(AwsError):
    """Report an answer of AWS that is not what was asked for; nothing of it is kept."""


class WaitingForPerson(AwsError):
    """Report that a person has to give something first: a code, an approval."""

    means = About.PERSON


def translate(
    error: Exception,
    hop_number: int,
    hop: Hop | None = None,
    *,
    asked: Asked | None = None,
    hidden: Iterable[Secret | None] = (),
) -> AwsError:
    """Return our own error for one of botocore's, or for whatever its parser raised.

    `hop` is the request that was made, if it was an AssumeRole; `asked` says which call it was, who
    signed it, and where; `hidden` are secrets of the call, in case the answer quotes them. Raise
    the result `from None`: botocore's exception holds the whole answer.
    """
    if isinstance(error, AwsError):
        return error
    if isinstance(error, ClientError):
        return _answered(error, hop_number, hop, asked or Asked(), hidden)
    return _not_answered(error, hop_number)


def _answered(
    error: ClientError,
    hop_number: int,
    hop: Hop | None,
    asked: Asked,
    hidden: Iterable[Secret | None],
) -> AwsError:
    response: dict[str, Any] = dict(error.response)
    said = response.get("Error") or {}
    status = (response.get("ResponseMetadata") or {}).get("HTTPStatusCode") or 0
    message = str(said.get("Message") or "AWS gave no reason.")
    for secret in hidden:
        if secret:
            message = message.replace(secret.reveal(), "…")
    # Only now, so that no half of a secret is left; and before anything is looked for in what may
    # be very long.
    message = message[: 4 * advice.LONGEST_MESSAGE]
    code = proof.code_of(str(said.get("Code") or ""))
    answer = Answer(code, message, status, skew.seen(message, response, datetime.now(UTC)))
    about = proof.proves(answer, asked)
    # A proxy's page tells nothing to people, whatever it says.
    told, check = advice.on(answer, about, asked, hop_number, hop)
    if told.lstrip().startswith("<"):
        told = f"The answer was a web page with status {status}, and no reason of AWS."
    if code == proof.NO_CODE and status < 500:
        return UnacceptableAnswer("UnreadableAnswer", hop_number, told, check, retryable=True)
    kind = _KINDS.get(about, Rejected)
    if kind is Unavailable and (code in proof.THROTTLED or status == 429):
        kind = Throttled
    return kind(
        code if code != proof.NO_CODE else str(status), hop_number, told, check, about=about
    )


_KINDS: dict[About, type[AwsError]] = {
    About.MOMENT: Unavailable,
    About.CLOCK: ClockSkewed,
    About.CALLER: CredentialsExpired,
}


def _not_answered(error: Exception, hop_number: int) -> AwsError:
    name = type(error).__name__
    match error:
        case (
            botocore_exceptions.NoCredentialsError() | botocore_exceptions.PartialCredentialsError()
        ):
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
                "Check the workers' network, proxy and DNS; this is tried again automatically.",
            )
        case botocore_exceptions.ParamValidationError():
            return Rejected(
                "ValidationError",
                hop_number,
                "The request is not valid.",
                advice.CHECK_FIELDS,
            )
        case BotoCoreError():
            return Rejected(
                name,
                hop_number,
                "The workers' AWS settings prevent any request.",
                "Check the region and the AWS_… variables in the workers' environment.",
            )
        case _:
            # The parser choked. A proxy's page goes away by itself, so this is tried again.
            return unreadable(hop_number)


_UNREACHED = {
    "ReadTimeoutError": "AWS did not answer in time.",
    "ConnectTimeoutError": "AWS could not be reached in time.",
    "ConnectionClosedError": "The connection was closed before AWS answered.",
}


def clock_skewed(code: str, hop_number: int, by: timedelta) -> ClockSkewed:
    """Report that our clock is that far ahead of AWS's (negative: behind it)."""
    return ClockSkewed(code, hop_number, skew.in_words(by), advice.CHECK_THE_CLOCK)


def unreadable(hop_number: int) -> UnacceptableAnswer:
    """Report an answer that is empty or a page of something on the way."""
    return UnacceptableAnswer(
        "UnreadableAnswer", hop_number, advice.NOT_AWS, advice.CHECK_THE_WAY, retryable=True
    )


def no_credentials() -> Rejected:
    """Report that the worker has no AWS identity of its own."""
    return Rejected(
        "NoCredentials",
        0,
        "The workers have no AWS identity of their own.",
        "Give the workers an instance, task or pod role, or AWS_ACCESS_KEY_ID and its companions in"
        " their environment.",
    )


def _remake(
    kind: type[AwsError],
    code: str,
    hop: int,
    message: str,
    check: str,
    retryable: bool,
    about: About,
) -> AwsError:
    return kind(code, hop, message, check, retryable=retryable, about=about)
