"""Describe one GetScopedCredentials request, and the fingerprint of its credential."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from sessions.aws.arn import RoleArn
from sessions.aws.hop import sha256_of
from sessions.aws.names import InvalidName
from sessions.aws.session_policies import LONGEST_POLICY

LONGEST_DESCRIPTION = 256
SCOPED = "scoped"
# Answers that are about the call, not about what a delivery wants of it.
REFUSALS = frozenset(
    {
        *("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"),
        *("InvalidAction", "UnknownOperationException", "UnsupportedOperation"),
        *("InvalidSubjectCredentials", "InvalidSubjectCredentialsException"),
    }
)
# The model's own; a line would end at a tab or a line feed.
_OUTSIDE = re.compile(r"[^\u0020-\u007e\u00a1-\u00ff]")


@dataclass(frozen=True)
class ScopedRequest:
    """Hold what one delivery's call says, apart from its signer.

    `seconds` is the longest life that is wanted; 0: the rest of the caller's. The role, name and
    source identity are the caller's, which stay.
    """

    policy: str
    description: str
    seconds: int
    role_arn: str
    role_session_name: str
    source_identity: str = ""

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read it as a credential's row stores it."""
        return cls(
            **stored[SCOPED],
            role_arn=stored["role_arn"],
            role_session_name=stored["role_session_name"],
            source_identity=stored.get("source_identity", ""),
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as a credential's row stores it: what is the caller's stands as in a hop's."""
        said = asdict(self)
        scoped = {name: said.pop(name) for name in ("policy", "description", "seconds")}
        return {SCOPED: scoped, **{name: value for name, value in said.items() if value}}

    def validate(self) -> None:
        """Check for what AWS would reject. Raises `InvalidName`."""
        if not 0 < len(self.policy) <= LONGEST_POLICY:
            raise InvalidName(
                f"The policy of scoped credentials has {len(self.policy)} characters; AWS accepts"
                f" {LONGEST_POLICY}."
            )

    def request(self, seconds_left: float) -> dict[str, Any]:
        """Return the parameters of STS's call for a caller that lives so long.

        Without a duration the child ends with its caller, whatever the clocks say.
        """
        sent: dict[str, Any] = {
            "Policy": self.policy,
            "ScopedSessionDescription": self.description,
        }
        if 0 < self.seconds < seconds_left - 60:
            sent["DurationSeconds"] = self.seconds
        return sent

    def assumed_role_arn(self) -> str:
        """Return the ARN that AWS must answer: the caller's own."""
        return RoleArn.parse(self.role_arn).assumed_role_arn(self.role_session_name)

    def fingerprint(self, team_id: str, parent_fingerprint: str) -> str:
        """Return 64 hex digits that name this request, from that parent, for that team alone."""
        return sha256_of(SCOPED, team_id, parent_fingerprint, self.to_json())


def describe(team: str, delivery_id: object, person: str, device: str) -> str:
    """Return the description that CloudTrail keeps of a delivery; of any names a legal one."""
    words = (
        _OUTSIDE.sub("?", word) for word in ("chainweb", team, str(delivery_id), person, device)
    )
    return " ".join(words)[:LONGEST_DESCRIPTION].rstrip()
