"""Declare the events about robots: principals of a team that are nobody, and whom they trust."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sessions.ledger.events import Changing, EventData, event, moment, shared, stored_as
from sessions.ledger.events.people import MemberLost


@shared
class _RobotSaved(EventData):
    """Hold a robot by its username, who answers for it, and what it reaches."""

    member: str
    owner: str
    everything: bool = False
    sessions: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def reach(self) -> str:
        named = [*self.sessions, *(f"sessions with the label {each}" for each in self.labels)]
        only = "everything that is open to members" if self.everything else ", ".join(named)
        return f"{self.member} ({self.owner or 'nobody'} answers for it) for {only or 'nothing'}"


@event
class RobotCreated(_RobotSaved):
    tag = "robot.created"
    label = "robot created"

    aws_name: str

    def summary(self) -> str:
        return f"created the robot {self.reach()}, in CloudTrail {self.aws_name}"


@event
class RobotChanged(_RobotSaved, Changing):
    tag = "robot.changed"
    label = "robot changed"

    def summary(self) -> str:
        return f"changed the robot {self.reach()}"


@event
class RobotRemoved(MemberLost):
    tag = "robot.removed"
    label = "robot removed"

    def summary(self) -> str:
        return f"removed the robot {self.member}{self.handed_over()}"


@shared
class _Trust(EventData):
    """Hold whose signed tokens a robot's are given for."""

    owner: str = stored_as("of")
    name: str
    rule_id: str
    issuer: str
    audience: str
    claims: Mapping[str, Any]
    scopes: tuple[str, ...]
    minutes: int

    def terms(self) -> str:
        claims = ", ".join(f"{key} = {value}" for key, value in self.claims.items())
        return f"{self.issuer} for {self.audience} with {claims}"


@event
class TrustCreated(_Trust):
    tag = "trust.created"
    label = "trust created"

    def summary(self) -> str:
        return f"has the robot {self.owner} trust “{self.name}”: {self.terms()}"


@event
class TrustEnded(_Trust):
    tag = "trust.ended"
    label = "trust ended"

    def summary(self) -> str:
        return f"has the robot {self.owner} trust “{self.name}” no longer: {self.terms()}"


@event
class TokenExchanged(EventData):
    """Record that a signed token of an issuer was exchanged for one of a robot's.

    `subject` and `jti` are what the issuer wrote; `repeated`: that token had been exchanged before,
    which Kubernetes means to be done and a pipeline does not.
    """

    tag = "token.exchanged"
    label = "token exchanged"

    owner: str = stored_as("of")
    token_id: str
    scopes: tuple[str, ...]
    expires_at: datetime | None
    rule: str
    issuer: str
    subject: str
    jti: str = ""
    repeated: bool = False

    def summary(self) -> str:
        again = ", which was exchanged before" if self.repeated else ""
        return (
            f"exchanged a token of {self.subject} ({self.issuer}){again} by “{self.rule}”, good"
            f" until {moment(self.expires_at)}"
        )
