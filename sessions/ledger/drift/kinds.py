"""Name what a record of CloudTrail turns out to be."""

from enum import StrEnum

from sessions.aws.cloudtrail.actors import Actor
from sessions.aws.cloudtrail.reading import Reading


class Kind(StrEnum):
    """Name whose act a record is: each record has one."""

    ISSUED = "issued"
    AROUND = "around"
    SERVICE = "service"
    PROGRAM = "program"
    ROOT = "root"
    UNKNOWN = "unknown"
    NO_CALL = "no-call"


class Finding(StrEnum):
    """Name what may be wrong with the name of a session, whosever it is."""

    BREAKS_POLICY = "breaks-policy"
    LACKS_IDENTITY = "no-source-identity"


LABELS: dict[Kind | Finding, str] = {
    Kind.ISSUED: "issued by Chainweb",
    Kind.AROUND: "person around Chainweb",
    Finding.BREAKS_POLICY: "name breaks the policy",
    Finding.LACKS_IDENTITY: "source identity missing",
    Kind.SERVICE: "service",
    Kind.PROGRAM: "program",
    Kind.ROOT: "root of the account",
    Kind.UNKNOWN: "unknown",
    Kind.NO_CALL: "not a call",
}

_KINDS = {
    Actor.PERSON: Kind.AROUND,
    Actor.SERVICE: Kind.SERVICE,
    Actor.WORKLOAD: Kind.PROGRAM,
    Actor.ROOT: Kind.ROOT,
    Actor.NOBODY: Kind.UNKNOWN,
    Actor.NO_CALL: Kind.NO_CALL,
}


def kind_alone(reading: Reading) -> Kind:
    """Tell whose act a record is as far as it says so itself.

    A sign-in that failed shows nobody present.
    """
    absent = reading.who.actor is Actor.PERSON and not reading.present
    return Kind.UNKNOWN if absent else _KINDS[reading.who.actor]
