"""Define the forms of robots, of their tokens, and of whom they trust."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from sessions.actors import Actor
from sessions.forms.conflicts import VersionedForm
from sessions.forms.fields import (
    AS_TYPED,
    Help,
    LinesField,
    SwitchField,
    TypedField,
    WholeNumberField,
    checked,
)
from sessions.forms.tokens import ReachForm, limit_days
from sessions.models import Membership, Robot, Scope, TeamPolicy, TrustRule
from sessions.models.robots import LONGEST_LIFE_MINUTES
from sessions.models.tokens import validate_source_networks
from sessions.people.federation.claims import validate_claims
from sessions.people.robots import RobotDraft, validate_robot_name
from sessions.permissions import working_members


class OwnerField(forms.ModelChoiceField):  # type: ignore[type-arg]  # not generic at run time
    def clean(self, value: Any) -> Any:
        # A number that no column holds is an error of the database's and not of the field's.
        if value and not (str(value).isascii() and str(value).isdigit() and len(str(value)) < 19):
            raise ValidationError(self.error_messages["invalid_choice"], code="invalid_choice")
        return super().clean(value)

    def label_from_instance(self, member: Any) -> str:
        return str(member.user.get_username())


class RobotForm(ReachForm, VersionedForm):
    name = TypedField(
        label="Robot name",
        max_length=32,
        check=validate_robot_name,
        help_text=Help(
            "Such as deploy; never changes.",
            more="It is the robot's name in the ledger and, if it is free, in CloudTrail.",
        ),
        widget=forms.TextInput(attrs=AS_TYPED),
    )
    owner = OwnerField(
        label="Owner",
        queryset=Membership.objects.none(),
        help_text="The person who answers for it.",
    )
    everything = SwitchField(
        label="It reaches everything that is open to members",
        help_text="Otherwise only what you name here.",
    )
    field_order = ("name", "owner", "everything", "sessions", "labels")

    def __init__(self, *args: Any, actor: Actor, robot: Robot | None = None, **kwargs: Any) -> None:
        self.robot = robot
        super().__init__(*args, team=actor.team, **kwargs)
        owner: Any = self.fields["owner"]
        people = working_members(team=actor.team_id, user__robot=None).select_related("user")
        owner.queryset = people.order_by("user__username")
        self.fields["sessions"].help_text = "One alias per line."
        self.fields["sessions"].label = "It reaches these sessions"
        if "labels" in self.fields:
            self.fields["labels"].label = "And sessions with these labels"
        if robot is not None:
            del self.fields["name"]
        else:
            self.fields["owner"].initial = actor.member.pk

    def clean(self) -> dict[str, Any] | None:
        found = super().clean() or self.cleaned_data
        named = found.get("sessions") or self.labels_wanted()
        if "sessions" in found and not found.get("everything") and not named:
            self.add_error("sessions", "Name a session or a label, or let it reach everything.")
        return found

    def draft(self) -> RobotDraft:
        """Return what the valid form wants the robot to be."""
        wanted = self.cleaned_data
        return RobotDraft(
            self.robot.name if self.robot else wanted["name"],
            wanted["owner"],
            wanted["everything"],
            wanted["sessions"],
            self.labels_wanted(),
        )


def robot_values(robot: Robot) -> dict[str, Any]:
    """Return what the form shows of a robot."""
    owner = Membership.objects.filter(team=robot.team_id, user=robot.owner_id).first()
    return {
        "owner": owner.pk if owner else None,
        "everything": not robot.is_bound,
        "sessions": [each.alias for each in robot.sessions.order_by("alias")],
        "labels": [each.pk for each in robot.labels.all()],
    }


class RobotTokenForm(forms.Form):
    prefix = "token"

    name = TypedField(label="Token name", max_length=64)
    device = TypedField(
        label="Device",
        max_length=64,
        required=False,
        help_text="Where it is kept.",
        widget=forms.TextInput(attrs=AS_TYPED),
    )
    scopes = forms.MultipleChoiceField(
        label="Permissions",
        choices=Scope.choices,
        initial=[Scope.READ, Scope.USE, Scope.CREDENTIALS],
        widget=forms.CheckboxSelectMultiple,
    )
    networks = LinesField(
        label="Only from these networks",
        check=validate_source_networks,
        help_text="Such as 203.0.113.0/24, one per line.",
    )
    days = WholeNumberField(label="Valid for (days)", check=int, bounds=range(1, 3651))

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limit_days(self.fields["days"], TeamPolicy.of(actor.team_id).token_days)


class ClaimsField(LinesField):
    """Take `claim = value` a line, or an object; clean to {claim: value}."""

    json_types: tuple[type, ...] = (dict,)

    def clean(self, value: Any) -> dict[str, str]:
        if isinstance(value, dict):
            if not all(isinstance(each, str) for each in value.values()):
                raise ValidationError("Every claim is text.", code="invalid")
            found = dict(value)
        else:
            found = {}
            lines = self.to_python(value)
            self.validate(lines)
            for line in lines:
                name, equals, text = (part.strip() for part in line.partition("="))
                if not equals or name in found:
                    raise ValidationError(
                        f"“{line[:100]}” is not claim = value, each claim once.", code="invalid"
                    )
                found[name] = text
        return dict(checked(validate_claims, found))


class TrustForm(forms.Form):
    prefix = "trust"

    name = TypedField(label="Rule name", max_length=64, help_text="Such as main branch of app.")
    issuer = forms.ChoiceField(label="Issuer", help_text="Those that the operator trusts.")
    audience = TypedField(
        label="Audience",
        max_length=255,
        help_text="What the token is made out to.",
        widget=forms.TextInput(attrs=AS_TYPED),
    )
    claims = ClaimsField(
        label="Claims",
        help_text=Help(
            "Such as repository = acme/app, one per line.",
            more=(
                "All have to match. A * stands for any characters, behind the owner's name alone: "
                "sub = repo:acme/app:*. GitLab: project_path = acme/app. Kubernetes: "
                "sub = system:serviceaccount:ci:deploy."
            ),
        ),
    )
    scopes = forms.MultipleChoiceField(
        label="Permissions",
        choices=Scope.choices,
        initial=[Scope.READ, Scope.USE, Scope.CREDENTIALS],
        widget=forms.CheckboxSelectMultiple,
    )
    minutes = forms.IntegerField(
        label="Valid for (minutes)",
        min_value=1,
        max_value=LONGEST_LIFE_MINUTES,
        initial=LONGEST_LIFE_MINUTES,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        issuer: Any = self.fields["issuer"]
        issuer.choices = [(each, each) for each in settings.CHAINWEB_OIDC_ISSUERS]

    def rule(self) -> TrustRule:
        """Return the rule that the valid form wants, not stored."""
        return TrustRule(**self.cleaned_data)
