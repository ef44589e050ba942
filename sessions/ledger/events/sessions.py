"""Declare the events about sessions: what they are, who may use them, who has started them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sessions.ledger.events import (
    Changing,
    EventData,
    ForPeople,
    Part,
    beside,
    event,
    moment,
    shared,
    stored_as,
)


@shared
class _Draft(EventData):
    """Hold what a draft says: of a chained session its hop, of a root its settings, never a secret.

    `hop` stands beside the fields: a new parameter of AssumeRole needs no change here.
    """

    kind: str
    region: str
    settings: Mapping[str, Any] | None = None
    secrets_changed: tuple[str, ...] | None = None
    sts_region: str = ""
    hop: Mapping[str, Any] = beside()


@shared
class _SessionSaved(_Draft):
    """Hold what a session became. `identity`: who a root is at AWS, where a test has told.

    `sensitive`: by its own mark, whatever its labels say.
    """

    alias: str
    profile: str
    identity: str = ""
    labels: tuple[str, ...] = ()
    sensitive: bool = False

    def what(self) -> str:
        """Name the session and what it is at AWS."""
        role = self.hop.get("role_arn")
        if role:
            return f"{self.alias}: {role} from {self.hop.get('assumer_alias', '')}"
        changed = f", with a new {', '.join(self.secrets_changed)}" if self.secrets_changed else ""
        return f"{self.alias} ({self.kind}){changed}".replace("_", " ")


@event
class SessionCreated(_SessionSaved):
    tag = "session.created"
    label = "session created"

    def summary(self) -> str:
        return f"created the session {self.what()}"


@event
class SessionEdited(_SessionSaved, Changing):
    """Record an edit. `owner`: who owns the chain now, where that changed."""

    tag = "session.edited"
    label = "session edited"

    owner: str = ""

    def summary(self) -> str:
        return f"edited the session {self.what()}"


@event
class SessionDeleted(Changing):
    """Record a deletion. `below`: of how many sessions the rest is cleared away by workers.

    `before`: all that the session was.
    """

    tag = "session.deleted"
    label = "session deleted"

    deleted_with: str = stored_as("with")
    below: int | None = None

    def summary(self) -> str:
        below = f" and {self.below} assumed from it" if self.below else ""
        return f"deleted the session {self.deleted_with}{below}"


@shared
class Opening(Part):
    """Hold to whom a right is open; people and groups are None where it is everyone."""

    everyone: bool
    people: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None

    def __str__(self) -> str:
        groups = (f"group {name}" for name in self.groups or ())
        return (
            "everyone" if self.everyone else ", ".join([*(self.people or ()), *groups]) or "nobody"
        )


@event
class AccessChanged(Changing):
    """Record who may use a session. `cut_off`: sessions on it whose owner may no longer."""

    tag = "session.access"
    label = "access changed"

    start: Opening
    assume: Opening
    cut_off: tuple[str, ...]

    def summary(self) -> str:
        cut = f"; stopped {', '.join(self.cut_off)}" if self.cut_off else ""
        return f"set who may start it: {self.start}; who may assume from it: {self.assume}{cut}"


@event
class SessionStarted(EventData):
    tag = "session.started"
    label = "session started"

    ends_at: datetime | None
    again: bool
    credential: str

    def summary(self) -> str:
        return f"{'extended' if self.again else 'started'} the session until {moment(self.ends_at)}"


@shared
class _SessionEnded(EventData):
    """Hold whose activation ended, and the fingerprint of what it pointed at."""

    credential: str
    owner: str = stored_as("of")


@event
class SessionStopped(_SessionEnded):
    tag = "session.stopped"
    label = "session stopped"

    def summary(self) -> str:
        return f"stopped the session for {self.owner}"


@event
class SessionEnded(_SessionEnded):
    tag = "session.ended"
    label = "session expired"

    def summary(self) -> str:
        return f"ended the session for {self.owner}: its time was up"


@event
class SessionEndedByEdit(ForPeople):
    """Record that an edit made a session another identity than its user had started."""

    tag = "session.ended_by_edit"
    label = "session ended by an edit"

    credential: str
    owner: str = stored_as("of")
    by: str
    what: str
    alias: str

    def summary(self) -> str:
        return f"ended the session for {self.owner}: {self.by} changed {self.alias or 'the chain'}"


@event
class RotationAsked(EventData):
    tag = "rotation.asked"
    label = "renewal requested"

    credential: str

    def summary(self) -> str:
        return "requested the next credential now"


@event
class ProbeAsked(_Draft):
    """Record that a draft was tried before saving."""

    tag = "probe.asked"
    label = "test before saving"

    def summary(self) -> str:
        return f"tested before saving: {self.hop.get('role_arn') or self.kind}"


@event
class SourceIdentityDropped(EventData):
    """Record that a hop goes on without a source identity. `refused`: what AWS did not allow."""

    tag = "source_identity.dropped"
    label = "source identity dropped"

    hop: int
    role_arn: str
    refused: str

    def summary(self) -> str:
        return (
            f"goes on without a source identity at hop {self.hop}: AWS rejected {self.refused} for"
            f" {self.role_arn}"
        )


@event
class PolicyChanged(EventData):
    """Record a change of the team's policy: the changed parts, as they were and as they are."""

    tag = "policy.changed"
    label = "policy changed"

    before: Mapping[str, Any]
    after: Mapping[str, Any]

    def summary(self) -> str:
        names = ", ".join(sorted(self.after)).replace("_", " ")
        return f"changed the team's policy: {names}"
