"""Describe one AssumeRole request of a chain, and the fingerprint of its credential."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from sessions.aws import names, session_policies
from sessions.aws.arn import RoleArn
from sessions.aws.hop_settings import HopParameters
from sessions.aws.names import InvalidName
from sessions.aws.parameters import TEXT, parameter, parameters_of

# The cap for a chained role, and never more than any role's own maximum (which is at least one
# hour).
DURATION_SECONDS = 3600


@dataclass(frozen=True)
class Hop(HopParameters):
    """Hold all that one AssumeRole call says, apart from its signer. Empty values are not sent.

    `role_session_name` and `policy` are as they are sent for one person.
    """

    source_identity: str = parameter(
        TEXT,
        "Source identity",
        check=names.validate_source_identity,
        sent_as="SourceIdentity",
    )

    @classmethod
    def of(cls, settings: HopParameters, **resolved: str) -> Self:
        """Return the hop of these settings, with what is `resolved` for a person."""
        own = parameters_of(cls)
        sent = {name: value for name, value in settings.values().items() if name in own}
        return cls(**sent | resolved)

    def validate(self) -> None:
        """Check a hop for what AWS would reject or misread.

        Raises `InvalidArn` or `InvalidName`, both ValueErrors.
        """
        for name, each in parameters_of(type(self)).items():
            value = getattr(self, name)
            if each.check is not None and (value or each.required):
                each.check(value)
        if not {key for key, _ in self.tags}.issuperset(self.transitive_tag_keys):
            raise InvalidName("A transitive tag key must be the key of one of the tags.")
        size = session_policies.plain_size(self.policy, self.policy_arns)
        if size > session_policies.LONGEST_POLICY:
            raise InvalidName(
                f"Session policies have at most {session_policies.LONGEST_POLICY} characters"
                f" together, the managed ones' ARNs included; these have {size}."
            )

    def request(self) -> dict[str, Any]:
        """Return the parameters of STS's AssumeRole."""
        sent = {
            each.sent_as: each.sent(getattr(self, name))
            for name, each in parameters_of(type(self)).items()
            if getattr(self, name)
        }
        return {"DurationSeconds": DURATION_SECONDS, **sent}

    def assumed_role_arn(self) -> str:
        """Return the ARN that AWS must answer for the session."""
        return RoleArn.parse(self.role_arn).assumed_role_arn(self.role_session_name)

    def fingerprint(self, team_id: str, parent_fingerprint: str) -> str:
        """Return 64 hex digits that name this request, from that parent, for that team alone.

        Tags and policies are sets to AWS, so their order makes no difference. A field that is left
        empty is not in it: one that is added to this class later changes no fingerprint.
        """
        said = self.to_json()
        for name, each in parameters_of(type(self)).items():
            if each.is_set and name in said:
                said[name] = sorted(said[name])
        return sha256_of("hop", team_id, parent_fingerprint, said)


def root_fingerprint(
    team_id: str,
    session_id: str,
    kind: str,
    secret_version: int,
    settings: Mapping[str, Any],
    person: str = "",
) -> str:
    """Return 64 hex digits that name a root's own credentials.

    `person` is an id where the kind is per person, else empty.
    """
    return sha256_of("root", team_id, session_id, kind, secret_version, dict(settings), person)


def sha256_of(*parts: Any) -> str:
    """Return 64 hex digits that name these parts."""
    # One JSON list keeps the parts apart whatever is in them; sorted keys and ASCII make its bytes
    # canonical.
    text = json.dumps(
        parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False
    )
    return hashlib.sha256(text.encode("ascii")).hexdigest()
