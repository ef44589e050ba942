"""One AssumeRole request of a chain, and the fingerprint that names the credential it leads to."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from sessions.aws import names, session_policies
from sessions.aws.arn import RoleArn
from sessions.aws.names import InvalidName

# The cap for a chained role, and never more than any role's own maximum (which is at least one
# hour).
DURATION_SECONDS = 3600


@dataclass(frozen=True)
class Hop:
    """Hold all that one AssumeRole call says, apart from its signer. Empty values are not sent."""

    role_arn: str
    role_session_name: str
    external_id: str = ""
    source_identity: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    transitive_tag_keys: tuple[str, ...] = ()
    policy: str = ""
    policy_arns: tuple[str, ...] = ()

    def validate(self) -> None:
        """Raise `InvalidArn` or `InvalidName`, both ValueErrors, for what AWS would refuse or
        misread.
        """
        RoleArn.parse(self.role_arn)
        names.validate_role_session_name(self.role_session_name)
        if self.external_id:
            names.validate_external_id(self.external_id)
        if self.source_identity:
            names.validate_source_identity(self.source_identity)
        keys = {key for key, _ in names.validate_tags(self.tags)}
        if not keys.issuperset(self.transitive_tag_keys):
            raise InvalidName("A transitive tag key must be the key of one of the tags.")
        if self.policy:
            session_policies.validate_session_policy(self.policy)
        session_policies.validate_policy_arns(self.policy_arns)
        size = session_policies.plain_size(self.policy, self.policy_arns)
        if size > session_policies.LONGEST_POLICY:
            raise InvalidName(
                f"Session policies have at most {session_policies.LONGEST_POLICY} characters"
                f" together, the managed ones' ARNs included; these have {size}."
            )

    def request(self) -> dict[str, Any]:
        """The parameters of STS's AssumeRole."""
        asked = {
            "RoleArn": self.role_arn,
            "RoleSessionName": self.role_session_name,
            "DurationSeconds": DURATION_SECONDS,
            "ExternalId": self.external_id,
            "SourceIdentity": self.source_identity,
            "Tags": [{"Key": key, "Value": value} for key, value in self.tags],
            "TransitiveTagKeys": list(self.transitive_tag_keys),
            "Policy": self.policy,
            "PolicyArns": [{"arn": arn} for arn in self.policy_arns],
        }
        return {name: value for name, value in asked.items() if value}

    def assumed_role_arn(self) -> str:
        """Return the ARN that AWS must answer for the session."""
        return RoleArn.parse(self.role_arn).assumed_role_arn(self.role_session_name)

    def fingerprint(self, team_id: str, parent_fingerprint: str) -> str:
        """64 hex digits that name this request, made from that parent for that team, and no other.

        Tags and policies are sets to AWS, so their order makes no difference. A field that is left
        empty is not in it: one that is added to this class later changes no fingerprint.
        """
        said = self.to_json()
        for name in ("tags", "transitive_tag_keys", "policy_arns"):
            if name in said:
                said[name] = sorted(said[name])
        return _sha256("hop", team_id, parent_fingerprint, said)

    def to_json(self) -> dict[str, Any]:
        """Plain strings and lists, without what is empty."""
        said = {name: value for name, value in asdict(self).items() if value}
        if self.tags:
            said["tags"] = [list(tag) for tag in self.tags]
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in said.items()
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        """The hop of which `to_json` said that."""
        parts: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in said.items()
        }
        if "tags" in parts:
            parts["tags"] = tuple((key, value) for key, value in parts["tags"])
        return cls(**parts)


def root_fingerprint(
    team_id: str,
    session_id: str,
    kind: str,
    secret_version: int,
    settings: Mapping[str, Any],
    person: str = "",
) -> str:
    """Return 64 hex digits that name a root's base credentials.

    `person` is an id where the kind is per person, else empty.
    """
    return _sha256("root", team_id, session_id, kind, secret_version, dict(settings), person)


def _sha256(*parts: Any) -> str:
    # One JSON list keeps the parts apart whatever is in them; sorted keys and ASCII make its bytes
    # canonical.
    text = json.dumps(
        parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False
    )
    return hashlib.sha256(text.encode("ascii")).hexdigest()
