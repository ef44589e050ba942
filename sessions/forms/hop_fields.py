"""Define the “Advanced” fields of an AssumeRole call, beyond role and session name."""

from collections.abc import Mapping
from typing import Any

from django import forms

from sessions.aws import names, session_policies
from sessions.forms.fields import (
    Help,
    JsonField,
    KeysField,
    LinesField,
    SwitchField,
    TagsField,
    TypedField,
)
from sessions.models import AssumerLink, SourceIdentity, TeamPolicy

SOURCE_IDENTITY_HELP = {
    SourceIdentity.OFF: "The team's policy sends none at present.",
    SourceIdentity.WHERE_POSSIBLE: Help(
        "Select if the role disallows sts:SetSourceIdentity.",
        more=(
            "Select this if the role, or the session it is assumed from, does not allow "
            "sts:SetSourceIdentity. Every chain through this hop then sends no source "
            "identity, from its first hop on. A worker selects it automatically when AWS "
            "rejects the source identity."
        ),
    ),
    SourceIdentity.REQUIRED: "No effect: the team's policy requires one.",
}


DRAFT_FIELDS = (
    *("external_id", "without_source_identity", "tags", "transitive_tag_keys"),
    *("policy", "policy_arns", "networks"),
)


def advanced_fields(policy: TeamPolicy) -> dict[str, forms.Field]:
    """{name: field}, in order, under that policy."""
    allowed = policy.allowed_tags
    bound = ", ".join(policy.networks)
    return {
        "external_id": TypedField(
            label="External ID",
            required=False,
            max_length=1224,
            check=names.validate_external_id,
            help_text=Help(
                "For roles of another company.",
                more=(
                    "The role's trust policy names it as sts:ExternalId, so that no other user "
                    "of this installation can assume the role. Use a different external ID for "
                    "each role."
                ),
            ),
            widget=forms.TextInput(
                attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}
            ),
        ),
        "without_source_identity": SwitchField(
            label="This role accepts no source identity",
            help_text=SOURCE_IDENTITY_HELP[SourceIdentity(policy.source_identity)],
        ),
        "tags": TagsField(
            label="Session tags",
            allowed=allowed,
            check=names.validate_tags,
            help_text=Help(
                "The trust policy must allow sts:TagSession.",
                more=(
                    "The tags are sent with this hop's call. A tag that is left blank is not sent."
                ),
            ),
        ),
        "transitive_tag_keys": KeysField(
            allowed,
            label="Passed on to later hops",
            help_text=Help(
                "Inherited by sessions assumed from this one.",
                more="Later hops of the chain cannot send these tags themselves.",
            ),
        ),
        "policy": JsonField(
            label="Session policy",
            check=session_policies.validate_session_policy,
            help_text=Help(
                "JSON that narrows the role's permissions.",
                more=(
                    "An IAM policy. The session may do only what both the role and this policy "
                    "allow. At most 2048 characters."
                ),
            ),
        ),
        "policy_arns": LinesField(
            label="Managed session policies",
            check=session_policies.validate_policy_arns,
            help_text=Help(
                "Up to ten ARNs, one per line.",
                more=(
                    "Policies of AWS or of the role's account. They narrow the role's "
                    "permissions like the session policy."
                ),
            ),
        ),
        "networks": LinesField(
            label="Only from these networks",
            check=session_policies.validate_networks,
            help_text=Help(
                "Addresses or VPCs, one per line.",
                more="The public addresses of your office or VPN, like 203.0.113.0/24, or a VPC"
                " (vpc-…), and a private range inside it. AWS then rejects credentials that are"
                " used from elsewhere. "
                + (f"They must also come from the team's networks: {bound}. " if bound else "")
                + "Sessions assumed from this one are not bound by it.",
            ),
        ),
    }


def stored_hop_values(link: AssumerLink) -> dict[str, Any]:
    """Return what these fields show of a link, for form and API."""
    return {
        "external_id": link.external_id,
        "without_source_identity": link.without_source_identity,
        "tags": dict(link.tags),
        "transitive_tag_keys": list(link.transitive_tag_keys),
        "policy": link.policy,
        "policy_arns": list(link.policy_arns),
        "networks": list(link.networks),
    }


def hop_draft(cleaned: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a `Draft` that these fields are."""
    return {name: cleaned[name] for name in DRAFT_FIELDS}
