"""Declare the events about roots: their credentials, codes, approvals and keys."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sessions.ledger.events import Changing, EventData, ForPeople, event, moment, shared, stored_as


@event
class RootVerified(ForPeople, Changing):
    """Record who a root is at AWS, or the problem that kept AWS from saying so.

    `before`: who a stored root was, where the answer changed that.
    """

    tag = "root.verified"
    label = "root tested"

    kind: str
    identity: str | None = None
    problem: Mapping[str, Any] | None = None

    def summary(self) -> str:
        found = self.identity or (self.problem or {}).get("message", "no answer")
        return f"tested the root{self.for_people()}: {found}"


@shared
class _RootCredential(ForPeople):
    credential: str


@event
class RootOpened(_RootCredential):
    """Record root credentials. `sts_region` is left out where STS was not asked for them."""

    tag = "root.opened"
    label = "root credentials issued"

    access_key_id: str
    expires_at: datetime | None
    sts_region: str | None = None

    def summary(self) -> str:
        until = f", valid until {moment(self.expires_at)}" if self.expires_at else ""
        return f"issued root credentials {self.access_key_id}{self.for_people()}{until}"


@event
class RootWaits(_RootCredential):
    tag = "root.waits"
    label = "root waits for a person"

    code: str
    message: str

    def summary(self) -> str:
        return f"waits for a person: {self.message}"


@event
class RootRejected(_RootCredential):
    tag = "root.refused"
    label = "root credentials rejected"

    code: str
    message: str

    def summary(self) -> str:
        return f"was rejected at the root: {self.code}"


@event
class RootAnswered(EventData):
    """Record that a person typed codes for a root. `what` names them; no code is kept."""

    tag = "root.answered"
    label = "code given for a root"

    credential: str
    what: tuple[str, ...]

    def summary(self) -> str:
        return f"gave {', '.join(self.what).replace('_', ' ')} for the root"


@event
class ApprovalAsked(EventData):
    tag = "approval.asked"
    label = "approval requested"

    kind: str

    def summary(self) -> str:
        return f"requested an approval ({self.kind})"


@event
class ApprovalGiven(ForPeople):
    """Record an approval. `scope`: what it is good for, such as a start URL."""

    tag = "approval.given"
    label = "approval given"

    kind: str
    scope: str

    def summary(self) -> str:
        return f"approved {self.scope} ({self.kind})"


@event
class ApprovalEnded(EventData):
    """Record the end of an approval: a worker's says for whom and of what, a person's only why."""

    tag = "approval.ended"
    label = "approval ended"

    kind: str
    scope: str | None = None
    people: tuple[str, ...] | None = stored_as("for", default=None)
    why: str

    def concerns(self, username: str) -> bool:
        return username in (self.people or ())

    def summary(self) -> str:
        return f"ended the approval ({self.kind}): {self.why}"


@event
class KeyRotationAsked(EventData):
    """Record a request to replace a root's key, to go on with it (`again`) or to withdraw it."""

    tag = "key.asked"
    label = "key rotation requested"

    old_key_id: str
    withdraw: bool | None = None
    again: bool = False

    def summary(self) -> str:
        verb = "withdrew" if self.withdraw else "resumed" if self.again else "requested"
        return f"{verb} the rotation of the key {self.old_key_id}"


@shared
class _KeyRotation(ForPeople):
    old_key_id: str
    new_key_id: str


@event
class KeyRotationStep(_KeyRotation):
    tag = "key.step"
    label = "key rotation step done"

    step: str

    def summary(self) -> str:
        return f"rotated the key {self.old_key_id}, step done: {self.step}"


@event
class KeyRotationRejected(_KeyRotation):
    tag = "key.refused"
    label = "key rotation rejected"

    code: str
    message: str

    def summary(self) -> str:
        return f"could not rotate the key {self.old_key_id}: {self.code}: {self.message}"


@event
class KeyRotationEnded(_KeyRotation):
    tag = "key.ended"
    label = "key rotation ended"

    step: str

    def summary(self) -> str:
        return f"ended the rotation of the key {self.old_key_id}: {self.step}"
