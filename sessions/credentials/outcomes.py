"""Describe what can become of a claimed credential, and word it for people."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import AwsError, Rejected, Throttled, Unavailable, WaitingForPerson
from sessions.aws.proof import About, Signed
from sessions.credentials.timing import DEFERRED_FOR
from sessions.models import Credential, KeyRotation, Problem
from sessions.secret import Secret

# A device shows another code every half minute, and AWS takes the one before as well. An older one
# is of no use to anybody.
CODE_LIFE = timedelta(minutes=1)


@dataclass(frozen=True)
class TypedCode:
    """Hold a code that a worker has consumed: who typed it for which challenge, and when."""

    name: str
    code: Secret
    by: str
    at: datetime

    @property
    def ends_at(self) -> datetime:
        """Return when AWS takes it no longer."""
        return self.at + CODE_LIFE


@dataclass(frozen=True)
class Minted:
    """Hold AWS's answer with credentials; `region` is where, and where CloudTrail has the call.

    `principal_id` is the assumed-role id, `request_id` names the call.
    """

    credentials: AwsCredentials
    parent_access_key_id: str
    arn: str
    packed_policy_size: int | None = None
    region: str = ""
    principal_id: str = ""
    request_id: str = ""


@dataclass(frozen=True)
class Rejection:
    """Hold a rejection of this very hop, by AWS or on the way there.

    `tried` and `home`: when, and at which STS region, where it was about the root. `signed_with`:
    the access key of the call. `codes`: what people had typed for it; `unanswered`: AWS may have
    taken them.
    """

    error: AwsError
    tried: datetime | None = None
    home: str = ""
    signed_with: str = ""
    codes: tuple[TypedCode, ...] = ()
    unanswered: bool = False

    @property
    def problem(self) -> Problem:
        return problem_of(self.error)


@dataclass(frozen=True)
class Blocked:
    """Hold a problem of a hop further up, which is tried at `due_at`; None: when something changes.

    `finds_out`: nothing up there is retried on its own, so this row's call finds out whether the
    problem is over; with `passes` it is likely to be soon.
    """

    problem: Problem
    due_at: datetime | None
    finds_out: bool = False
    passes: bool = False


@dataclass(frozen=True)
class Deferred:
    """Say that another worker is minting the parent, so the row is tried again in a moment."""

    wait: timedelta


Outcome = Minted | Rejection | Blocked | Deferred


def tries_before(row: Credential | KeyRotation, problem: Problem) -> int:
    """Count the tries in a row that ended by this cause, so that an outage delays no other."""
    return row.attempts if row.problem and row.problem.cause == problem.cause else 0


def cannot_open(level: int, reason: str) -> AwsError:
    """Report a sealed value that this worker cannot open."""
    return Unavailable(
        code="CannotOpen",
        hop=level,
        message=reason,
        check="Check CHAINWEB_SEAL_KEYS and CHAINWEB_ROOT_KEYS in the workers' environment.",
    )


def wrong_pointer(level: int) -> AwsError:
    """Report a row that points to another team or request: the table was tampered with."""
    return Rejected(
        code="WrongPointer",
        hop=level,
        message="The stored credential points to what does not belong to it.",
        check=(
            "Somebody changed the database by hand: look into its logs, then stop and start the"
            " session."
        ),
    )


def problem_of(error: AwsError, since: datetime | None = None) -> Problem:
    """Word an error for people."""
    waiting = isinstance(error, WaitingForPerson)
    passes = error.retryable or error.about is About.REGION
    return Problem(
        error.code,
        error.hop,
        error.message,
        error.check,
        since,
        retrying=error.retryable,
        rejected=not error.retryable and not waiting,
        waiting=waiting,
        cause=error.about.value if passes else f"{error.hop} {error.code}",
    )


def as_proved(error: AwsError, row: Credential, signed: Signed) -> AwsError:
    """Limit what a rejection proves by what happened before.

    Where the caller's credential has just been issued again because of the same answer, it is not
    the credential that AWS does not want. One that a person has typed a code for is given up only
    when the same call is rejected twice.
    """
    is_second = row.problem is not None and row.problem.code == error.code
    if error.about is About.CALLER and signed.by_code:
        if is_second:
            return type(error)(
                error.code, error.hop, error.message, error.check, retryable=True, about=error.about
            )
        check = "This is tried once more before a new code is asked for."
        return Rejected(
            error.code, row.level, error.message, check, retryable=True, about=About.HOP
        )
    if error.about is not About.CALLER or not is_second:
        return error
    return Rejected(
        error.code,
        row.level,
        error.message,
        "Issuing the assumer's credentials again did not help: check that its account has"
        " enabled the region where STS is called, and that nothing on the way changes requests.",
    )


def is_about_the_signer(error: AwsError) -> bool:
    """Tell whether whatever else is signed with the same credentials would be rejected as well."""
    return error.about in {About.CALLER, About.KEY}


def trips_breaker(error: AwsError) -> bool:
    """Tell if calls of the same account have no better chance for a while.

    Throttling is not counted: the rate limit reacts to it.
    """
    return error.about in {About.MOMENT, About.CLOCK} and not isinstance(
        error, Throttled | Rejected
    )


def is_unanswered(error: AwsError) -> bool:
    """Tell if AWS said nothing to the call, and may have carried it out.

    Another region may answer.
    """
    return trips_breaker(error) and error.about is not About.CLOCK


def blocked_by_parent(outcome: Outcome, parent: Credential | None = None) -> Outcome:
    """Return what a parent's failure means for the row below it.

    `parent` is a row that is minted by itself, as it was stored with that: what rests on it is
    tried when it is. Without it the row below finds out.
    """
    match outcome:
        case Rejection() | Blocked() if parent is not None:
            # Without a problem it is somebody else's by now.
            return (
                Blocked(parent.problem, parent.due_at) if parent.problem else Deferred(DEFERRED_FOR)
            )
        case Rejection(error):
            return Blocked(outcome.problem, due_at=None, finds_out=True, passes=error.retryable)
        case Blocked() | Deferred():
            return outcome
        case _:
            return Deferred(DEFERRED_FOR)
