"""Declare the events about credentials: issued, rejected, taken away."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sessions.ledger.events import EventData, ForPeople, event, moment, shared
from sessions.snippets import FORMATS

PAGE, DOWNLOAD, CONSOLE = "page", "download", "console"


@shared
class _AssumeRole(ForPeople):
    """Hold one hop's call. `credential` is the fingerprint of its request."""

    credential: str
    hop: int
    role_arn: str
    role_session_name: str


@event
class CredentialMinted(_AssumeRole):
    """Record what AWS issued at a hop: the line that a name in CloudTrail leads back to.

    `principal_id` is AWS's assumed-role id, `request_id` that of the call, `token_size` the
    percentage of what fits into a session token, and `root` the id of the session that the chain
    begins at. Lines of before they were kept have none of them. `delivery`: it is a scoped child of
    the parent key's session, for that delivery alone; the id stands in CloudTrail's description.
    `channel` and `device` say by which way, and to what, it leaves.
    """

    tag = "credential.minted"
    label = "credential issued"

    access_key_id: str
    parent_access_key_id: str
    arn: str
    sts_region: str
    expires_at: datetime | None
    principal_id: str = ""
    source_identity: str = ""
    tags: Mapping[str, Any] | None = None
    token_size: int | None = None
    request_id: str = ""
    root: str = ""
    delivery: str = ""
    channel: str = ""
    device: str = ""

    def summary(self) -> str:
        until = f", valid until {moment(self.expires_at)}" if self.expires_at else ""
        if self.delivery:
            to = f" on {self.device}" if self.device else ""
            return f"issued {self.access_key_id}, scoped{self.for_people()}{to}{until}"
        return f"issued {self.access_key_id} at hop {self.hop}{self.for_people()}{until}"


@event
class CredentialRejected(_AssumeRole):
    """Record a rejection, once for each reason and not for each try. `at_hop`: who was at fault."""

    tag = "credential.refused"
    label = "credential rejected"

    code: str
    at_hop: int
    message: str

    def summary(self) -> str:
        return f"was rejected at hop {self.at_hop}: {self.code}"


@event
class CredentialRevealed(EventData):
    """Record that a person took credentials away, before they get them.

    `form` is the snippet format, `via` is `page`, `download`, `console` or the token's name.
    `account` is the role's; a root's credentials, and lines of before it was kept, say none.
    `delivery`: it was issued for that delivery alone. `unscoped`: AWS's code for why it is the
    role's session itself, though the team's policy wants it scoped.
    """

    tag = "credential.revealed"
    label = "credentials delivered"

    access_key_id: str
    credential: str
    expires_at: datetime | None
    form: str
    via: str
    account: str = ""
    delivery: str = ""
    unscoped: str = ""

    def summary(self) -> str:
        form = FORMATS[self.form].label if self.form in FORMATS else self.form
        if self.via == CONSOLE:
            return f"took a console session, {self.access_key_id}"
        how = {PAGE: "copied", DOWNLOAD: "downloaded"}.get(self.via)
        taken = f"{how} credentials" if how else f"fetched credentials with the {self.via}"
        unscoped = f", unscoped ({self.unscoped})" if self.unscoped else ""
        return f"{taken} ({form}), {self.access_key_id}{unscoped}"


@event
class ScopingRefused(EventData):
    """Record that AWS does not let a role's sessions be scoped.

    Until `again_at`, when it is tried again, the role's session itself is delivered, under the same
    limits.
    """

    tag = "scoping.refused"
    label = "scoping rejected by AWS"

    role_arn: str
    code: str
    message: str
    again_at: datetime | None

    def summary(self) -> str:
        return f"found that AWS does not scope sessions of {self.role_arn}: {self.code}"


@event
class ScopingAllowed(EventData):
    """Record that AWS lets a role's sessions be scoped again."""

    tag = "scoping.allowed"
    label = "scoping accepted by AWS"

    role_arn: str

    def summary(self) -> str:
        return f"found that AWS scopes sessions of {self.role_arn} by now"


@event
class ConsoleSignedIn(EventData):
    """Record that a person opened the console with a session, before they get there.

    `destination` is the page. AWS ends what they do there when the credentials end.
    """

    tag = "console.signed_in"
    label = "console opened"

    access_key_id: str
    credential: str
    expires_at: datetime | None
    destination: str
    account: str = ""

    def summary(self) -> str:
        until = f" until {moment(self.expires_at)}" if self.expires_at else ""
        return f"opened the console at {self.destination} with {self.access_key_id}{until}"
