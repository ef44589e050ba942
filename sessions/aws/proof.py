"""Decide what an AWS answer proves: one table of error code × call × signer × place.

`docs/aws.md` shows it to people.

An answer changes nothing beyond what it proves. Everything that the engine does to other rows
because of an answer (refuse them, mint their parent again, hold back their calls) follows from
`About` and from nothing else.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sessions.aws.regions import is_opt_in

THROTTLED = frozenset(
    {
        *("Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled"),
        *("RequestThrottledException", "RequestLimitExceeded", "TooManyRequestsException"),
        *("BandwidthLimitExceeded", "LimitExceededException", "SlowDown", "SlowDownException"),
        *("PriorRequestNotComplete", "ProvisionedThroughputExceededException"),
        *("TransactionInProgressException", "EC2ThrottledException"),
    }
)
PASSING = frozenset(
    {
        *(
            "RequestTimeout",
            "RequestTimeoutException",
            "RequestAbortedException",
            "InternalFailure",
        ),
        *("InternalError", "InternalServerError", "InternalServerException", "ServiceFailure"),
        *("ServiceUnavailable", "ServiceUnavailableException", "IDPCommunicationError"),
        *("ConcurrentModification", "EntityTemporarilyUnmodifiable"),
    }
)
DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException"})
UNKNOWN_KEY = frozenset(
    {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"}
)
OFF_THE_CLOCK = frozenset({"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"})
# Answers to a wrong signature quote the request that AWS saw, session token included: they are
# never passed on.
WRONG_SIGNATURE = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException"})
QUOTING = WRONG_SIGNATURE | {"IncompleteSignature"}
# What AWS answers where nothing of it can be known: no code at all.
NO_CODE = "NoCode"
# A clock that is further off than this can be why AWS did not take a signature.
SUSPECT_SKEW = timedelta(minutes=4)


class About(StrEnum):
    """Name what an answer is evidence about; each value says how far that reaches."""

    HOP = "this hop"  # this very request, and no other
    CALLER = "the caller's credential"  # whatever the same temporary credential would sign
    KEY = "the root's key"  # whatever is assumed from the same root
    REGION = "the region"  # this caller at this endpoint
    CLOCK = "the clock"  # this machine, until its clock is right
    MOMENT = "AWS at this moment"  # this attempt
    PERSON = "what a person gave"  # a code that has to be given again


class Call(StrEnum):
    ASSUME_ROLE = "AssumeRole"
    SCOPED = "GetScopedCredentials"
    WEB_IDENTITY = "AssumeRoleWithWebIdentity"
    SESSION_TOKEN = "GetSessionToken"  # noqa: S105  (the name of a call)
    CALLER_IDENTITY = "GetCallerIdentity"
    IAM = "IAM"
    PORTAL = "Identity Center"


class Signer(StrEnum):
    """Name whose credentials signed the call."""

    ROOT_KEY = "root's long-lived key"
    ROOT_IDENTITY = "workers' own temporary identity"
    ROOT_SESSION = "temporary credentials that a root keeps"
    HOP = "credentials of the hop before"
    NOBODY = "nobody"


class Where(StrEnum):
    HOME = "root's STS region"
    EVERYBODYS = "another region, enabled by default"
    OPT_IN = "another region, to be enabled"


@dataclass(frozen=True)
class Asked:
    """Describe one call: what was asked, who signed it, at which region.

    `home` is the STS region of the chain's root; `account` is
    the calling account, where it is known.
    """

    call: Call = Call.ASSUME_ROLE
    signer: Signer = Signer.HOP
    region: str = ""
    home: str = ""
    account: str = ""

    @property
    def where(self) -> Where:
        # The account behind a hop is another one than the root's: that the root may call its region
        # says nothing of it.
        if self.signer is not Signer.HOP and self.region and self.region == self.home:
            return Where.HOME
        return Where.OPT_IN if is_opt_in(self.region) else Where.EVERYBODYS


@dataclass(frozen=True)
class Signed:
    """Hold whose credentials sign a chain's call, the root's STS region, and the account if known.
    `by_code`: a person has typed a code for them.
    """

    signer: Signer = Signer.HOP
    home: str = ""
    account: str = ""
    by_code: bool = False

    def asking(self, call: Call, region: str) -> Asked:
        """Name that call at that region."""
        return Asked(call, self.signer, region, self.home, self.account)


@dataclass(frozen=True)
class Answer:
    """Hold what AWS answered.

    `skew`: how far our clock is ahead of AWS's, as far as the answer tells.
    """

    code: str
    message: str = ""
    status: int = 0
    skew: timedelta | None = None


@dataclass(frozen=True)
class Line:
    """Hold one line of the table; None matches everything. `says`: only with such a message."""

    about: About
    codes: Collection[str] | None = None
    calls: Collection[Call] | None = None
    signers: Collection[Signer] | None = None
    wheres: Collection[Where] | None = None
    says: re.Pattern[str] | None = None
    skewed: bool = False
    statuses: range | None = None

    def matches(self, answer: Answer, asked: Asked) -> bool:
        return (
            (self.codes is None or answer.code in self.codes)
            and (self.calls is None or asked.call in self.calls)
            and (self.signers is None or asked.signer in self.signers)
            and (self.wheres is None or asked.where in self.wheres)
            and (self.says is None or self.says.search(answer.message) is not None)
            and (not self.skewed or (answer.skew is not None and abs(answer.skew) >= SUSPECT_SKEW))
            and (self.statuses is None or answer.status in self.statuses)
        )


_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,100}", re.ASCII)
OUT_OF_TIME = re.compile(r"Signature (?:expired|not yet current)", re.IGNORECASE)
OTHER_REGION = re.compile(r"Credential should be scoped to", re.IGNORECASE)
ROOT_USER = re.compile(r"may not be assumed by root accounts", re.IGNORECASE)
WRONG_CODE = re.compile(r"MultiFactorAuthentication", re.IGNORECASE)

_ROOTS_OWN = (Signer.ROOT_KEY, Signer.ROOT_IDENTITY)

# The first line that matches decides. What no line names proves something about its own hop alone.
TABLE: tuple[Line, ...] = (
    Line(About.MOMENT, THROTTLED),
    Line(About.MOMENT, statuses=range(429, 430)),
    Line(About.MOMENT, PASSING),
    Line(About.MOMENT, statuses=range(500, 600)),
    Line(About.MOMENT, {NO_CODE}),
    Line(About.CLOCK, OFF_THE_CLOCK),
    Line(About.CLOCK, WRONG_SIGNATURE, says=OUT_OF_TIME),
    Line(About.REGION, WRONG_SIGNATURE, says=OTHER_REGION),
    Line(About.CLOCK, WRONG_SIGNATURE | {"AuthFailure"}, skewed=True),
    Line(About.KEY, WRONG_SIGNATURE, signers={Signer.ROOT_KEY}, wheres={Where.HOME}),
    Line(About.REGION, WRONG_SIGNATURE, signers={Signer.ROOT_KEY}),
    Line(About.HOP, WRONG_SIGNATURE),
    Line(About.MOMENT, EXPIRED, signers={Signer.NOBODY}),
    Line(About.CALLER, EXPIRED, signers={Signer.ROOT_SESSION, Signer.HOP}),
    Line(About.KEY, EXPIRED, signers={Signer.ROOT_IDENTITY}),
    Line(About.HOP, EXPIRED),
    Line(About.KEY, UNKNOWN_KEY, signers=_ROOTS_OWN, wheres={Where.HOME}),
    Line(About.CALLER, UNKNOWN_KEY, signers={Signer.ROOT_SESSION}, wheres={Where.HOME}),
    Line(About.CALLER, UNKNOWN_KEY, signers={Signer.HOP}, wheres={Where.EVERYBODYS}),
    Line(About.HOP, UNKNOWN_KEY, signers={Signer.NOBODY}),
    Line(About.REGION, UNKNOWN_KEY),
    Line(About.REGION, {"RegionDisabledException", "OptInRequired"}),
    Line(About.KEY, DENIED, signers=_ROOTS_OWN, says=ROOT_USER),
    Line(About.PERSON, DENIED, calls={Call.SESSION_TOKEN}, says=WRONG_CODE),
)


def code_of(said: str) -> str:
    """Return the error code of an answer; `NO_CODE` without a valid one.

    Where there is none, botocore puts the HTTP status in its place: then something on the way has
    answered.
    """
    return said if _CODE.fullmatch(said) and not said.isdigit() else NO_CODE


def proves(answer: Answer, asked: Asked) -> About:
    """Look up what the answer to that call is evidence about."""
    return next((line.about for line in TABLE if line.matches(answer, asked)), About.HOP)
