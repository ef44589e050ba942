"""Declare what a hop can be set to: the one place to add a parameter of AssumeRole.

Form fields, API schema, the stored link, the event, the request and the session's page derive from
these declarations. CONTRIBUTING.md has the steps.
"""

from dataclasses import dataclass

from sessions.aws import names, session_policies
from sessions.aws.arn import RoleArn
from sessions.aws.name_template import validate_name_template
from sessions.aws.parameters import (
    DOCUMENT,
    LINES,
    SWITCH,
    TAG_KEYS,
    TAGS,
    TEXT,
    Declared,
    parameter,
)


def validate_role_arn(text: str) -> str:
    """Return a role's ARN. Raises `InvalidArn`."""
    return str(RoleArn.parse(text))


@dataclass(frozen=True)
class HopParameters(Declared):
    """Hold what AssumeRole takes and a person sets. Empty values are not sent.

    A parameter that is added here later changes no fingerprint of a hop without it.
    """

    role_arn: str = parameter(
        TEXT,
        "Role ARN",
        help="Role to assume, like arn:aws:iam::111122223333:role/Deploy.",
        check=validate_role_arn,
        required=True,
        longest=2048,
        sent_as="RoleArn",
    )
    role_session_name: str = parameter(
        TEXT,
        "Role session name",
        check=names.validate_role_session_name,
        required=True,
        sent_as="RoleSessionName",
    )
    external_id: str = parameter(
        TEXT,
        "External ID",
        help="For roles of another company.",
        more=(
            "The role's trust policy names it as sts:ExternalId, so that no other user of this"
            " installation can assume the role. Use a different external ID for each role."
        ),
        check=names.validate_external_id,
        longest=1224,
        sent_as="ExternalId",
    )
    tags: tuple[tuple[str, str], ...] = parameter(
        TAGS,
        "Session tags",
        help="The trust policy must allow sts:TagSession.",
        more="The tags are sent with this hop's call. A tag that is left blank is not sent.",
        check=names.validate_tags,
        sent_as="Tags",
        sent=lambda tags: [{"Key": key, "Value": value} for key, value in tags],
        is_set=True,
    )
    transitive_tag_keys: tuple[str, ...] = parameter(
        TAG_KEYS,
        "Passed on to later hops",
        help="Inherited by sessions assumed from this one.",
        more="Later hops of the chain cannot send these tags themselves.",
        sent_as="TransitiveTagKeys",
        sent=list,
        is_set=True,
    )
    policy: str = parameter(
        DOCUMENT,
        "Session policy",
        help="JSON that narrows the role's permissions.",
        more=(
            "An IAM policy. The session may do only what both the role and this policy allow. At"
            " most 2048 characters."
        ),
        check=session_policies.validate_session_policy,
        sent_as="Policy",
    )
    policy_arns: tuple[str, ...] = parameter(
        LINES,
        "Managed session policies",
        help="Up to ten ARNs, one per line.",
        more=(
            "Policies of AWS or of the role's account. They narrow the role's permissions like the"
            " session policy."
        ),
        check=session_policies.validate_policy_arns,
        sent_as="PolicyArns",
        sent=lambda arns: [{"arn": arn} for arn in arns],
        is_set=True,
    )


@dataclass(frozen=True)
class HopSettings(HopParameters):
    """Hold what a link stores of its hop, the same for every person.

    `role_session_name` is a template here; empty, it is the team's default. What only these
    settings have is not sent as it is: it decides about other parameters.
    """

    role_session_name: str = parameter(
        TEXT,
        "Role session name",
        help="Shown in CloudTrail. Blank: the team's default.",
        more=(
            "CloudTrail and other logs show this name for everything that is done with the"
            " session. {username}, {alias} and {team} are filled in for each person. If it is left"
            " blank, the session follows the team's default, also when that changes."
        ),
        check=validate_name_template,
        longest=128,
    )
    without_source_identity: bool = parameter(
        SWITCH,
        "This role accepts no source identity",
        help="Select if the role disallows sts:SetSourceIdentity.",
    )
    networks: tuple[str, ...] = parameter(
        LINES,
        "Only from these networks",
        help="Addresses or VPCs, one per line.",
        more=(
            "The public addresses of your office or VPN, like 203.0.113.0/24, or a VPC (vpc-…), and"
            " a private range inside it. AWS then rejects credentials that are used from elsewhere."
            " Sessions assumed from this one are not bound by it."
        ),
        check=session_policies.validate_networks,
    )
