"""Define the part of a team's policy that is about what delivered credentials may do."""

from django import forms

from sessions.aws import limits, session_policies
from sessions.catalog.team_policy import SNIPPET_MINUTES, validate_snippet_minutes
from sessions.forms.fields import Help, JsonField, LinesField, SwitchField, WholeNumberField
from sessions.models import Scoping


class DeliveryLimitsForm(forms.Form):
    """Take how what is delivered is narrowed: by GetScopedCredentials, and to what."""

    scoping = forms.ChoiceField(
        label="Scoped credentials",
        choices=[
            (Scoping.OFF, "Off: the role's own credentials are delivered"),
            (Scoping.WHERE_ALLOWED, "Where AWS allows it: elsewhere the role's own"),
            (Scoping.REQUIRED, "Required: elsewhere nothing is delivered"),
        ],
        widget=forms.RadioSelect,
        help_text=Help(
            "A key of its own for each delivery.",
            more=(
                "Each page and each token gets its own access key by sts:GetScopedCredentials, with"
                " its own end and the limits below. The ARN and the name in CloudTrail stay, and"
                " the hops stay shared. Whoever finds such a key in CloudTrail is led to the person"
                " and the device. The role has to allow sts:GetScopedCredentials. Where AWS refuses"
                " it, that is tried again once a day."
            ),
        ),
    )
    snippet_minutes = WholeNumberField(
        label="Minutes that pasted credentials work",
        check=validate_snippet_minutes,
        bounds=SNIPPET_MINUTES,
        help_text=f"{SNIPPET_MINUTES[0]} to {SNIPPET_MINUTES[-1]}; only scoped credentials.",
    )
    read_only = SwitchField(
        label="Limit delivered credentials to reading",
        help_text=Help(
            "Of common services; all else is denied.",
            more=(
                "Describe, Get and List of the usual services. Values of secrets cannot be read,"
                " and services that are not on the list cannot be used at all."
            ),
        ),
    )
    without_iam = SwitchField(
        label="Deny changes in IAM and Organizations",
        help_text="Reading them, and passing roles, stays allowed.",
    )
    regions = LinesField(
        label="Limit delivered credentials to these regions",
        check=limits.validate_regions,
        help_text=Help(
            "One per line; blank: all regions.",
            more="Services without regions, such as IAM, STS and Route 53, stay allowed.",
        ),
    )
    scope_policy = JsonField(
        label="Policy for delivered credentials",
        check=session_policies.validate_session_policy,
        help_text=Help(
            "JSON that narrows every role's permissions.",
            more=(
                "An IAM policy. Delivered credentials may do only what both the role and this"
                " policy allow, less the limits above. All together has at most 2048 characters."
            ),
        ),
    )
