"""The form of a team's policy; the page and the API go through the same one."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse

from sessions.aws import names, session_policies
from sessions.aws.characters import trimmed
from sessions.aws.name_template import validate_name_template
from sessions.catalog.team_policy import HOURS, PolicyDraft, save_policy, validate_hours
from sessions.exceptions import NotThere, Refused, RightLost
from sessions.forms import picking
from sessions.forms.conflicts import VersionedForm
from sessions.forms.fields import LinesField, SwitchField, TypedField, WholeNumberField, checked
from sessions.forms.picking import SessionPicker
from sessions.locks.versions import Changed
from sessions.models import Membership, SourceIdentity, TeamPolicy


class AllowedTagsField(LinesField):
    """`key` or `key = value, value` a line; or an object of lists. Cleans to {key: values}."""

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


class TeamPolicyForm(VersionedForm):
    """Take a team's policy: names, tags, networks, and how long sessions are renewed."""

    role_session_name = TypedField(
        label="Default role session name",
        max_length=128,
        check=validate_name_template,
        help_text=(
            "Of every session without one of its own. {username} is the person's name in"
            " CloudTrail, {alias} the session's, {team} yours."
        ),
    )
    username_demanded = SwitchField(
        label="Demand {username} in every role session name",
        help_text=(
            "A name without it is refused. Sessions that have one already go by the default from"
            " now on."
        ),
    )
    names_locked = SwitchField(
        label="Lock it: every hop uses the default, whatever its session says",
        help_text="Each session keeps its own name in store, for when the lock is opened.",
    )
    source_identity = forms.ChoiceField(
        label="Source identity",
        choices=[
            (SourceIdentity.OFF, "Off"),
            (
                SourceIdentity.WHERE_POSSIBLE,
                (
                    "Where possible: left out on chains through a role that takes none. The session"
                    " of that role is marked so by hand, or by a worker when AWS refuses; the"
                    " ledger and the session's page then say it."
                ),
            ),
            (SourceIdentity.REQUIRED, "Required: such chains fail."),
        ],
        widget=forms.RadioSelect,
        help_text=(
            "The person's name, sent at a chain's first hop: it stays on every later hop and in"
            " every CloudTrail line, and nobody can change it. Every hop of the chain then needs"
            " sts:SetSourceIdentity, in the policy of who assumes and in the role's trust policy,"
            " and the console's Switch Role cannot enter a role that demands one. Hops that people"
            " shared are minted for each of them."
        ),
    )
    tags = AllowedTagsField(
        label="Allowed session tags",
        rows=4,
        help_text=(
            "One a line: a key alone takes any value, “stage = test, live” takes these. Other tags"
            " cannot be sent."
        ),
    )
    networks = LinesField(
        label="Bind delivered credentials to these networks",
        rows=4,
        check=session_policies.validate_networks,
        help_text=(
            "One a line: the addresses by which AWS sees your people (the office's or VPN's public"
            " ones, like 203.0.113.0/24; not those inside your network), or a VPC with an endpoint"
            " (vpc-…), and a private range inside it. AWS then refuses the credentials from"
            " elsewhere. Hops that the workers assume from are not bound. Blank: not bound."
        ),
    )
    activation_hours = WholeNumberField(
        label="Hours that a started session is kept fresh",
        check=validate_hours,
        bounds=HOURS,
        help_text=(
            f"{HOURS[0]} to {HOURS[-1]}, unless its person stops or extends it. What is started"
            " already keeps its end."
        ),
    )

    def __init__(
        self, data: Mapping[str, Any] | None, *, member: Membership, policy: TeamPolicy
    ) -> None:
        self.member = member
        super().__init__(data, initial=policy_values(PolicyDraft.of(policy)))
        template = self.fields["role_session_name"]
        template.widget.attrs.update(autocomplete="off", spellcheck="false", autocapitalize="off")

    def draft(self) -> PolicyDraft:
        return PolicyDraft(**self.cleaned_data)

    def save_seen(self, seen: int | None) -> TeamPolicy | None:
        """Make it the policy as one that was made from that version."""
        self.seen = seen
        return self.save()

    def save(self) -> TeamPolicy | None:
        """Save the policy; None, with the reason on its field, if a rule or a session is against
        it.
        """
        try:
            return save_policy(self.draft(), self.member, seen=self.seen)
        except (Changed, NotThere, RightLost):
            raise
        except Refused as refused:
            self.add_error(refused.field if refused.field in self.fields else None, refused.message)
            return None


def preview_picker(member: Membership) -> SessionPicker:
    """Make the choice of the chain that the policy's preview shows."""
    url = reverse("session_choices", args=[member.team.slug, "preview"])
    return SessionPicker(picking.chained(member), empty_label="", url=url)


def policy_values(draft: PolicyDraft) -> dict[str, Any]:
    """Return what the form shows and the API answers."""
    return {
        "role_session_name": draft.role_session_name,
        "username_demanded": draft.username_demanded,
        "names_locked": draft.names_locked,
        "source_identity": draft.source_identity,
        "tags": {key: list(values) for key, values in draft.tags.items()},
        "networks": list(draft.networks),
        "activation_hours": draft.activation_hours,
    }
