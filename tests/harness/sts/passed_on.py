"""Read what AssumeRole sends beside the role, and what the session passes on."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

SESSION_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{2,64}", re.ASCII)
LONGEST_POLICIES = 2048
# How many characters fill the packed space; AWS does not say how it packs.
PACKED_SPACE = 4000


@dataclass(frozen=True)
class PassedOn:
    """Hold a session's source identity and transitive tag keys (in lower case).

    Its own sessions inherit them.
    """

    source_identity: str = ""
    transitive: frozenset[str] = frozenset()


NOTHING = PassedOn()


@dataclass(frozen=True)
class Sent:
    """Hold the optional parts of one request."""

    source_identity: str
    tags: dict[str, str]
    transitive_tag_keys: tuple[str, ...]
    policy: str
    policy_arns: tuple[str, ...]

    @classmethod
    def parse(cls, asked: Mapping[str, str]) -> "Sent":
        if not any(".member." in name for name in asked):
            return cls(asked.get("SourceIdentity", ""), {}, (), asked.get("Policy", ""), ())
        keys = _members(asked, r"Tags\.member\.(\d+)\.Key")
        values = _members(asked, r"Tags\.member\.(\d+)\.Value")
        return cls(
            asked.get("SourceIdentity", ""),
            {key: values.get(number, "") for number, key in keys.items()},
            tuple(_members(asked, r"TransitiveTagKeys\.member\.(\d+)").values()),
            asked.get("Policy", ""),
            tuple(_members(asked, r"PolicyArns\.member\.(\d+)\.arn").values()),
        )

    def packed_percent(self) -> int | None:
        """None where there is nothing to pack."""
        parts = [self.policy, *self.policy_arns, *self.tags, *self.tags.values()]
        size = sum(map(len, parts))
        return 1 + 100 * size // PACKED_SPACE if size else None

    def refusal(self, inherited: PassedOn) -> tuple[str, str] | None:
        """Return the code and message of the first of AWS's rules that this breaks.

        Whatever the role says.
        """
        if self.source_identity and not SESSION_NAME.fullmatch(self.source_identity):
            return "ValidationError", "Value at 'sourceIdentity' failed to satisfy constraint"
        if inherited.source_identity and self.source_identity not in {
            "",
            inherited.source_identity,
        }:
            return "AccessDenied", "The source identity of a session cannot be changed"
        lower = [key.lower() for key in self.tags]
        if len(set(lower)) < len(lower):
            return (
                "InvalidParameterValue",
                "Duplicate tag keys found. Tag keys are case insensitive.",
            )
        if not inherited.transitive.isdisjoint(lower):
            return (
                "InvalidParameterValue",
                (
                    "One of the specified transitive tag keys can't be set because it conflicts"
                    " with a transitive tag key from the calling session."
                ),
            )
        if not {key.lower() for key in self.transitive_tag_keys} <= set(lower):
            return (
                "InvalidParameterValue",
                "The specified transitive tag key must be included in the requested tags.",
            )
        if len(self.policy) + sum(map(len, self.policy_arns)) > LONGEST_POLICIES:
            return (
                "ValidationError",
                "Value at 'policy' failed to satisfy constraint: at most 2048 characters",
            )
        if self.policy and not is_a_policy(self.policy):
            return "MalformedPolicyDocument", "This policy contains invalid Json"
        percent = self.packed_percent()
        if percent and percent > 100:
            return (
                "PackedPolicyTooLarge",
                f"Packed policy consumes {percent}% of allotted space, please use smaller policy.",
            )
        return None

    def actions(self, inherited: PassedOn) -> list[str]:
        """Return the caller's actions beside sts:AssumeRole; a trust policy must allow each."""
        actions = []
        if self.source_identity or inherited.source_identity:
            actions.append("sts:SetSourceIdentity")
        if self.tags or inherited.transitive:
            actions.append("sts:TagSession")
        return actions

    def passed_on(self, inherited: PassedOn) -> PassedOn:
        """Return what the new session hands down."""
        transitive = {key.lower() for key in self.transitive_tag_keys}
        return PassedOn(
            inherited.source_identity or self.source_identity,
            inherited.transitive | frozenset(transitive),
        )


def _members(asked: Mapping[str, str], pattern: str) -> dict[str, str]:
    found = {}
    for name, value in asked.items():
        if match := re.fullmatch(pattern, name):
            found[match[1]] = value
    return dict(sorted(found.items(), key=lambda item: int(item[0])))


def is_a_policy(text: str) -> bool:
    try:
        return isinstance(json.loads(text)["Statement"], list | dict)
    except (ValueError, KeyError, TypeError):
        return False
