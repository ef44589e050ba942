"""Define the form of a team's policy, for the page and the API."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse

from sessions.actors import Actor
from sessions.aws import names, session_policies
from sessions.aws.characters import trimmed
from sessions.aws.name_template import validate_name_template
from sessions.catalog.team_policy import (
    HOURS,
    TOKEN_DAYS,
    PolicyDraft,
    save_policy,
    validate_hours,
    validate_token_days,
)
from sessions.exceptions import NotThere, Refused, RightLost
from sessions.forms import picking
from sessions.forms.conflicts import VersionedForm
from sessions.forms.delivery_limits import DeliveryLimitsForm
from sessions.forms.fields import (
    AS_TYPED,
    Help,
    LinesField,
    SwitchField,
    TypedField,
    WholeNumberField,
    checked,
)
from sessions.forms.picking import SessionPicker
from sessions.locks.versions import Changed
from sessions.models import SourceIdentity, TeamPolicy


class AllowedTagsField(LinesField):
    """Take `key` or `key = value, value` a line, or an object of lists; clean to {key: values}."""

    json_types: tuple[type, ...] = (dict, list)

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return super().prepare_value(value)
        return "\n".join(
            f"{key} = {', '.join(values)}" if values else key for key, values in value.items()
        )

    def clean(self, value: Any) -> dict[str, tuple[str, ...]]:
        if isinstance(value, Mapping):
            if not all(
                isinstance(key, str)
                and isinstance(values, list)
                and all(isinstance(each, str) for each in values)
                for key, values in value.items()
            ):
                raise ValidationError(
                    'Tags are an object like {"stage": ["test", "live"], "ticket": []}.'
                )
            found = {key: tuple(values) for key, values in value.items()}
        else:
            found = {}
            lines = self.to_python(value)
            self.validate(lines)
            for line in lines:
                key, _, rest = (trimmed(part) for part in line.partition("="))
                if key in found:
                    raise ValidationError(f"The tag “{key}” is there twice.")
                found[key] = tuple(each for part in rest.split(",") if (each := trimmed(part)))
        checked(names.validate_tags, [(key, "") for key in found])
        return found


class TeamPolicyForm(DeliveryLimitsForm, VersionedForm):
    """Take a team's policy: names, tags, networks, limits, how long sessions are renewed."""

    role_session_name = TypedField(
        label="Default role session name",
        max_length=128,
        check=validate_name_template,
        help_text=Help(
            "For sessions without a name of their own.",
            more=(
                "{username} is the person's name in CloudTrail, {alias} the session's alias "
                "and {team} the team's short name."
            ),
        ),
    )
    username_demanded = SwitchField(
        label="Require {username} in every role session name",
        help_text=Help(
            "Other names are refused.",
            more="Sessions whose name has no {username} use the default from now on.",
        ),
    )
    names_locked = SwitchField(
        label="Lock it: every hop uses the default",
        help_text="Session names are restored if you unlock.",
    )
    source_identity = forms.ChoiceField(
        label="Source identity",
        choices=[
            (SourceIdentity.OFF, "Off"),
            (
                SourceIdentity.WHERE_POSSIBLE,
                "Where possible: left out where a role accepts none",
            ),
            (SourceIdentity.REQUIRED, "Required: chains through such a role fail"),
        ],
        widget=forms.RadioSelect,
        help_text=Help(
            "The person's name, fixed for the whole chain.",
            more=(
                "It is sent at the first hop. AWS keeps it on every later hop and shows it "
                "in every CloudTrail event; nobody can change it. Every hop then needs "
                "sts:SetSourceIdentity, in the caller's policy and in the role's trust "
                "policy, and the console's Switch Role cannot enter a role that requires "
                "one. Each person gets a separate credential at every hop. “Where possible” "
                "leaves it out on chains through a session that is marked as accepting none: "
                "by a person, or by a worker when AWS rejects it. The ledger and the "
                "session's page then say so."
            ),
        ),
    )
    tags = AllowedTagsField(
        label="Allowed session tags",
        rows=4,
        help_text=Help(
            "One per line, such as: stage = test, live",
            more=(
                "A key alone allows any value; “stage = test, live” allows these two. Other "
                "tags cannot be sent."
            ),
        ),
    )
    networks = LinesField(
        label="Bind delivered credentials to these networks",
        rows=4,
        check=session_policies.validate_networks,
        help_text=Help(
            "Addresses or VPCs, one per line.",
            more=(
                "The public addresses of your office or VPN, like 203.0.113.0/24, not those "
                "inside your network; or a VPC with an endpoint (vpc-…), and a private range "
                "inside it. AWS then rejects the credentials from elsewhere. Hops that the "
                "workers assume from are not bound. If it is blank, credentials are not "
                "bound."
            ),
        ),
    )
    activation_hours = WholeNumberField(
        label="Hours that a started session is renewed",
        check=validate_hours,
        bounds=HOURS,
        help_text=f"{HOURS[0]} to {HOURS[-1]}; active sessions keep their end.",
    )

    token_days = WholeNumberField(
        label="Days that a new token is valid at most",
        check=validate_token_days,
        bounds=TOKEN_DAYS,
        help_text="Existing tokens keep their end.",
    )
    tokens_take_sensitive = SwitchField(
        label="Tokens get credentials of sensitive sessions",
        help_text=Help(
            "Nobody confirms what a token fetches.",
            more=(
                "Each delivery of a sensitive session on a page wants a passkey or password. A "
                "token cannot confirm anything, so it gets none, unless you allow it here."
            ),
        ),
    )

    def __init__(self, data: Mapping[str, Any] | None, *, actor: Actor, policy: TeamPolicy) -> None:
        self.actor = actor
        super().__init__(data, initial=policy_values(PolicyDraft.of(policy)))
        template = self.fields["role_session_name"]
        template.widget.attrs |= AS_TYPED

    def draft(self) -> PolicyDraft:
        return PolicyDraft(**self.cleaned_data)

    def save_seen(self, seen: int | None) -> TeamPolicy | None:
        """Make it the policy as one that was made from that version."""
        self.seen = seen
        return self.save()

    def save(self) -> TeamPolicy | None:
        """Save the policy.

        None, with the reason on its field, if a rule or a session is against it.
        """
        try:
            return save_policy(self.draft(), self.actor, seen=self.seen)
        except (Changed, NotThere, RightLost):
            raise
        except Refused as refused:
            self.add_error(refused.field if refused.field in self.fields else None, refused.message)
            return None


def preview_picker(actor: Actor) -> SessionPicker:
    """Make the choice of the chain that the policy's preview shows."""
    url = reverse("session_choices", args=[actor.team.slug, "preview"])
    return SessionPicker(picking.chained(actor), empty_label="", url=url)


def policy_values(draft: PolicyDraft) -> dict[str, Any]:
    """Return what the form shows and the API answers."""
    return {
        "role_session_name": draft.role_session_name,
        "username_demanded": draft.username_demanded,
        "names_locked": draft.names_locked,
        "source_identity": draft.source_identity,
        "tags": {key: list(values) for key, values in draft.tags.items()},
        "networks": list(draft.networks),
        "tokens_take_sensitive": draft.tokens_take_sensitive,
        "activation_hours": draft.activation_hours,
        "token_days": draft.token_days,
        "scoping": draft.scoping,
        "snippet_minutes": draft.snippet_minutes,
        "read_only": draft.read_only,
        "without_iam": draft.without_iam,
        "regions": list(draft.regions),
        "scope_policy": draft.scope_policy,
    }
