"""Define the “Advanced” fields of an AssumeRole call, beyond role and session name."""

from collections.abc import Mapping
from typing import Any

from django import forms

from sessions.aws import names, session_policies
from sessions.forms.fields import (
    JsonField,
    KeysField,
    LinesField,
    SwitchField,
    TagsField,
    TypedField,
)
from sessions.models import AssumerLink, SourceIdentity, TeamPolicy

SOURCE_IDENTITY_HELP = {
    SourceIdentity.OFF: "Your team's policy sends no source identity now.",
    SourceIdentity.WHERE_POSSIBLE: (
        "Tick it where the role, or what it is assumed from, does not allow sts:SetSourceIdentity."
        " Every chain through this hop then goes without one, from its first hop on. A worker ticks"
        " it by itself when AWS refuses."
    ),
    SourceIdentity.REQUIRED: (
        "Your team's policy requires one on every chain: this makes no difference now."
    ),
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
            help_text=(
                "For a role of another party: it goes into the trust policy as sts:ExternalId, so"
                " that nobody else who is served here can have their session assume that role. One"
                " of its own for each role."
            ),
            widget=forms.TextInput(
                attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}
            ),
        ),
        "without_source_identity": SwitchField(
            label="This role takes no source identity",
            help_text=SOURCE_IDENTITY_HELP[SourceIdentity(policy.source_identity)],
        ),
        "tags": TagsField(
            label="Session tags",
            allowed=allowed,
            check=names.validate_tags,
            help_text=(
                "Sent with this call; they need sts:TagSession in the role's trust policy. Blank:"
                " not sent."
            ),
        ),
        "transitive_tag_keys": KeysField(
            allowed,
            label="Passed on to later hops",
            help_text=(
                "Sessions assumed from this one inherit these tags. None of those hops may send"
                " such a tag itself."
            ),
        ),
        "policy": JsonField(
            label="Session policy",
            check=session_policies.validate_session_policy,
            help_text=(
                "An IAM policy in JSON. The session may do what both the role and this allow. At"
                " most 2048 characters."
            ),
        ),
        "policy_arns": LinesField(
            label="Managed session policies",
            check=session_policies.validate_policy_arns,
            help_text=(
                "Up to ten ARNs, one a line, AWS's own or of the role's account. They narrow the"
                " session in the same way."
            ),
        ),
        "networks": LinesField(
            label="Only from these networks",
            check=session_policies.validate_networks,
            help_text=(
                "One a line: the addresses by which AWS sees who uses the credentials (your"
                " office's or VPN's public ones, like 203.0.113.0/24), or a VPC (vpc-…), and a"
                " private range inside it. Credentials that are handed out are refused by AWS from"
                " elsewhere. "
            )
            + (f"They must also come from the team's: {bound}. " if bound else "")
            + "A session assumed from this one is not bound by it.",
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
