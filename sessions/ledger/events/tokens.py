"""Declare the events about tokens."""

from datetime import datetime

from sessions.ledger.events import Changing, EventData, event, moment, stored_as


@event
class TokenCreated(EventData):
    """Record a new token. One bound to a single session names it as the event's session."""

    tag = "token.created"
    label = "token created"

    owner: str = stored_as("of")
    name: str
    token_id: str
    scopes: tuple[str, ...]
    expires_at: datetime | None
    sessions: tuple[str, ...] = ()
    device: str = ""
    networks: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def summary(self) -> str:
        named = [*self.sessions, *(f"sessions with the label {each}" for each in self.labels)]
        only = f", only for {', '.join(named)}" if named else ""
        on = f" on {self.device}" if self.device else ""
        near = f", from {', '.join(self.networks)} alone" if self.networks else ""
        return (
            f"created the token {self.name} of {self.owner}{on} ({', '.join(self.scopes)})"
            f"{only}{near}, good until {moment(self.expires_at)}"
        )


@event
class TokenRevoked(Changing):
    """Record the end of a token. `before`: what it was good for, and until when."""

    tag = "token.revoked"
    label = "token revoked"

    owner: str = stored_as("of")
    name: str
    token_id: str
    reason: str | None = None

    def summary(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return f"revoked the token {self.name} of {self.owner}{why}"


@event
class TokenRefused(EventData):
    """Record that a token came from outside its networks, once in ten minutes.

    From where is the line's own origin. Who sent it is not known: it may have been stolen.
    """

    tag = "token.refused"
    label = "token refused"

    owner: str = stored_as("of")
    name: str
    token_id: str
    networks: tuple[str, ...]

    def concerns(self, username: str) -> bool:
        return username == self.owner

    def summary(self) -> str:
        return (
            f"tried the token {self.name} of {self.owner} from outside its networks"
            f" ({', '.join(self.networks)})"
        )
