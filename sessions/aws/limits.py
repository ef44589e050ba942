"""Write the policies that narrow what is delivered: networks, read-only, regions, no IAM writes.

Each limit but a policy of the team's own is a denial, so that it can stand in any policy: in a
scoped credential's, or in the session policy of a leaf that AWS does not let be scoped.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sessions.aws import names, session_policies
from sessions.aws.names import InvalidName

MOST_REGIONS = 20
ALLOW_ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}
# A service cannot be a wildcard in a policy, so what counts as reading is listed; whatever is not
# listed is denied, and services of later years with it. Secrets' values are no reading.
_READING = {
    "Des": "acm autoscaling cloudformation cloudtrail cloudwatch dynamodb ec2 ecr ecs eks"
    " elasticache elasticloadbalancing kms logs organizations rds secretsmanager ssm states",
    "Get": "acm athena cloudformation cloudfront cloudtrail cloudwatch ec2 ecr iam lambda logs"
    " route53 s3 sns sqs ssm sts tag",
    "List": "acm athena cloudformation cloudfront cloudtrail cloudwatch dynamodb ecr ecs eks"
    " iam kms lambda organizations rds route53 s3 secretsmanager sns sqs ssm states",
    "BatchGet": "dynamodb ecr",
}
READING = (
    *(f"{service}:{verb}*" for verb, those in _READING.items() for service in those.split()),
    *("cloudtrail:LookupEvents", "dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan"),
    *("kms:Decrypt", "logs:FilterLogEvents", "logs:StartQuery"),
)
# By their first letters, so that actions of later years are among them: IAM's others are Generate,
# Get, List, PassRole and Simulate, those of Organizations Describe and List.
IDENTITY_WRITES = (
    *(f"iam:{begins}*" for begins in ("A", "C", "D", "E", "Pu", "R", "Se", "T", "U")),
    *(f"organizations:{begins}*" for begins in ("A", "C", "Dec", "Del", "Der", "Det", "Di", "E")),
    *(f"organizations:{begins}*" for begins in ("I", "Le", "M", "P", "R", "T", "U")),
)
# Services that answer for all regions at one, which is not among the chosen ones.
GLOBAL_SERVICES = (
    *("account", "budgets", "ce", "cloudfront", "globalaccelerator", "health", "iam"),
    *("organizations", "route53", "shield", "sts", "support", "waf"),
)


@dataclass(frozen=True)
class Limits:
    """Hold a team's presets for what is delivered.

    `policy` is one of its own, in its shortest form. Nothing set: no limit.
    """

    read_only: bool = False
    without_iam: bool = False
    regions: tuple[str, ...] = ()
    policy: str = ""


def validate_regions(regions: Iterable[str]) -> tuple[str, ...]:
    """Return the regions that credentials are limited to, each once. Raises `InvalidName`."""
    checked = tuple(dict.fromkeys(names.validate_region(each) for each in regions))
    if len(checked) > MOST_REGIONS:
        raise InvalidName(f"There can be at most {MOST_REGIONS} regions.")
    return checked


def scoped_policy(lists: Iterable[Sequence[str]], limits: Limits) -> str:
    """Return a scoped credential's policy: the team's own, or everything, less what is denied.

    `lists` are those of networks, each of which binds.
    """
    allowed = limits.policy or session_policies.with_statements("", [ALLOW_ALL])
    limited = session_policies.with_statements(allowed, _denials(limits))
    return session_policies.bind_to_networks(limited, (), lists)


def limited_policy(
    policy: str, policy_arns: Sequence[str], lists: Iterable[Sequence[str]], limits: Limits
) -> str:
    """Return the session policy of a leaf that is itself delivered, under the same limits.

    Raises `InvalidName` where it has a policy of its own beside the team's: AWS would allow what
    either of the two does.
    """
    if limits.policy and (policy or policy_arns):
        raise InvalidName(
            "AWS does not let this role's sessions be scoped, and the team's own policy cannot be"
            " joined with the session policy. Allow sts:GetScopedCredentials to the role, or remove"
            " one of the two policies."
        )
    denials = _denials(limits)
    base = policy or limits.policy
    if denials:
        allowing = [] if base or policy_arns else [ALLOW_ALL]
        base = session_policies.with_statements(base, [*allowing, *denials])
    return session_policies.bind_to_networks(base, policy_arns, lists)


def _denials(limits: Limits) -> list[dict[str, Any]]:
    denials: list[dict[str, Any]] = []
    if limits.read_only:
        denials.append({"Effect": "Deny", "NotAction": list(READING), "Resource": "*"})
    elif limits.without_iam:  # which are no reading
        denials.append({"Effect": "Deny", "Action": list(IDENTITY_WRITES), "Resource": "*"})
    if limits.regions:
        denials.append(
            {
                "Effect": "Deny",
                "NotAction": [f"{service}:*" for service in GLOBAL_SERVICES],
                "Resource": "*",
                "Condition": {"StringNotEquals": {"aws:RequestedRegion": list(limits.regions)}},
            }
        )
    return denials
