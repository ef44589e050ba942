"""Declare the events about a person's own account: logins, factors, password, address."""

from datetime import datetime

from sessions.ledger.events import EventData, ForPeople, event


@event
class LoggedIn(EventData):
    """Record a login, before it is one. `how`: by what, in order; `provider`: whose word it was.

    `confirms`: somebody logged in proved again who they are, which begins no other login.
    """

    tag = "login.done"
    label = "logged in"

    how: tuple[str, ...]
    provider: str = ""
    confirms: bool = False

    def summary(self) -> str:
        by = " and ".join(self.how) or "an unknown way"
        at = f" ({self.provider})" if self.provider else ""
        return f"{'confirmed who they are' if self.confirms else 'logged in'} by {by}{at}"


@event
class LogInFailed(ForPeople):
    """Record failed logins under a person's name, counted for up to an hour.

    `what` failed; `since` is the first of them and `until` the last. `addresses` are some of those
    they came from. Never what was typed.
    """

    tag = "login.failed"
    label = "login failed"

    what: str
    times: int
    since: datetime | None
    until: datetime | None
    addresses: tuple[str, ...] = ()

    def summary(self) -> str:
        failed = "a failed login" if self.times == 1 else f"{self.times} failed logins"
        source = f" from {', '.join(self.addresses)}" if self.addresses else ""
        return f"counted {failed}{self.for_people()} ({self.what}){source}"


@event
class LoggedOut(EventData):
    tag = "login.ended"
    label = "logged out"

    def summary(self) -> str:
        return "logged out"


@event
class OtherLogInsEnded(EventData):
    tag = "login.others_ended"
    label = "other logins ended"

    number: int

    def summary(self) -> str:
        return f"ended {self.number} other login{'' if self.number == 1 else 's'} of theirs"


@event
class FactorAdded(EventData):
    """Record a second factor. `name` is what a person calls a passkey."""

    tag = "factor.added"
    label = "second factor added"

    factor: str
    name: str = ""

    def summary(self) -> str:
        return f"added a second factor: {self.factor}{f' “{self.name}”' if self.name else ''}"


@event
class FactorRenamed(EventData):
    tag = "factor.renamed"
    label = "passkey renamed"

    name: str
    name_before: str

    def summary(self) -> str:
        return f"renamed a passkey: {self.name_before} → {self.name}"


@event
class FactorRemoved(EventData):
    """Record that a person removed a factor of their own; for others the operator does."""

    tag = "factor.removed"
    label = "second factor removed"

    factor: str
    name: str = ""

    def summary(self) -> str:
        return f"removed a second factor: {self.factor}{f' “{self.name}”' if self.name else ''}"


@event
class RecoveryCodesCreated(EventData):
    """Record new codes; those of before are void."""

    tag = "codes.created"
    label = "recovery codes created"

    def summary(self) -> str:
        return "created recovery codes"


@event
class RecoveryCodeUsed(EventData):
    tag = "codes.used"
    label = "recovery code used"

    left: int

    def summary(self) -> str:
        return f"used a recovery code; {self.left} left"


@event
class PasswordChanged(EventData):
    """Record a new password, never which. `how`: by page, by mail or by the operator."""

    tag = "password.changed"
    label = "password changed"

    member: str
    how: str

    def concerns(self, username: str) -> bool:
        return username == self.member

    def summary(self) -> str:
        return f"gave {self.member} a new password ({self.how})"


@event
class EmailAsked(EventData):
    """Record that a link went to a new address. It changes nothing until it is opened."""

    tag = "email.asked"
    label = "email change requested"

    before: str
    after: str

    def summary(self) -> str:
        return f"requested another email address: {self.before or 'none'} → {self.after}"


@event
class EmailChanged(EventData):
    """Record the address in use; the same twice was verified. Empty: there is none."""

    tag = "email.changed"
    label = "email changed"

    before: str
    after: str

    def summary(self) -> str:
        if self.before == self.after:
            return f"verified the email address {self.after}"
        return f"changed the email address: {self.before or 'none'} → {self.after or 'none'}"


@event
class IdentityConnected(EventData):
    """Record an account at an identity provider by which a person can log in from now on."""

    tag = "identity.connected"
    label = "identity connected"

    provider: str
    uid: str

    def summary(self) -> str:
        return f"connected an identity of {self.provider}: {self.uid}"


@event
class IdentityDisconnected(EventData):
    tag = "identity.removed"
    label = "identity disconnected"

    provider: str
    uid: str

    def summary(self) -> str:
        return f"disconnected an identity of {self.provider}: {self.uid}"
