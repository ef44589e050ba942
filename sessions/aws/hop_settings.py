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
        help=(
            "The role that the active session refers to, for example"
            " arn:aws:iam::111122223333:role/Deploy."
        ),
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
        help=(
            "For a role of another party: it goes into the trust policy as sts:ExternalId, so"
            " that nobody else who is served here can have their session assume that role. One"
            " of its own for each role."
        ),
        check=names.validate_external_id,
        longest=1224,
        sent_as="ExternalId",
    )
    tags: tuple[tuple[str, str], ...] = parameter(
        TAGS,
        "Session tags",
        help=(
            "Sent with this call; they need sts:TagSession in the role's trust policy. Blank:"
            " not sent."
        ),
        check=names.validate_tags,
        sent_as="Tags",
        sent=lambda tags: [{"Key": key, "Value": value} for key, value in tags],
        is_set=True,
    )
    transitive_tag_keys: tuple[str, ...] = parameter(
        TAG_KEYS,
        "Passed on to later hops",
        help=(
            "Sessions assumed from this one inherit these tags. None of those hops may send"
            " such a tag itself."
        ),
        sent_as="TransitiveTagKeys",
        sent=list,
        is_set=True,
    )
    policy: str = parameter(
        DOCUMENT,
        "Session policy",
        help=(
            "An IAM policy in JSON. The session may do what both the role and this allow. At"
            " most 2048 characters."
        ),
        check=session_policies.validate_session_policy,
        sent_as="Policy",
    )
    policy_arns: tuple[str, ...] = parameter(
        LINES,
        "Managed session policies",
        help=(
            "Up to ten ARNs, one a line, AWS's own or of the role's account. They narrow the"
            " session in the same way."
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
        help=(
            "What CloudTrail and other logs show for what is done with this session. {username},"
            " {alias} and {team} are filled in for each person. Blank: your team's default,"
            " whatever it is then."
        ),
        check=validate_name_template,
        longest=128,
    )
    without_source_identity: bool = parameter(
        SWITCH,
        "This role takes no source identity",
        help=(
            "The role, or what it is assumed from, does not allow sts:SetSourceIdentity: chains"
            " through this hop go without one where the team's policy lets them."
        ),
    )
    networks: tuple[str, ...] = parameter(
        LINES,
        "Only from these networks",
        help=(
            "Public addresses or ranges, or VPCs with their private ranges. Credentials that are"
            " handed out are refused by AWS from elsewhere."
        ),
        check=session_policies.validate_networks,
    )
