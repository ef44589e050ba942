"""Define the forms about people.

Invitations, roles, and access to sessions.
"""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from sessions.aws import names
from sessions.aws.characters import shown
from sessions.catalog.audiences import Access, Audience
from sessions.forms.conflicts import VersionedForm
from sessions.forms.fields import AS_TYPED, Help, TypedField
from sessions.models import AwsSession, Membership, Role, Team, TeamGroup
from sessions.people.invitations import INVITATION_DAYS
from sessions.people.people import LONGEST_AWS_NAME

ROLE_HELP = Help(
    "Decides what this person may do.",
    more=(
        "Members create chains and use sessions. Admins also manage roots and "
        "people. Auditors read everything and get no credentials."
    ),
)


class EmailForm(forms.Form):
    email = forms.EmailField(
        label="Email address",
        required=False,
        help_text="Used once verified. Leave blank to remove.",
    )


class RoleForm(VersionedForm):
    role = forms.ChoiceField(label="Role", choices=Role.choices, help_text=ROLE_HELP)


class InviteForm(RoleForm):
    note = TypedField(
        label="Recipient",
        required=False,
        max_length=100,
        help_text=Help(
            "Shown to your team and in the ledger.",
            more="Anyone who has the link can use it, whatever is written here.",
        ),
    )
    days = forms.IntegerField(
        label="Valid for (days)",
        min_value=1,
        max_value=30,
        initial=INVITATION_DAYS,
        help_text="Single use; withdrawn if you leave the team.",
    )


class JoinForm(forms.Form):
    code = TypedField(
        label="Invitation code",
        max_length=100,
        widget=forms.TextInput(attrs=AS_TYPED),
        help_text="The part after # in the link.",
    )


class AwsNameForm(VersionedForm):
    aws_name = TypedField(
        label="Name in CloudTrail",
        max_length=LONGEST_AWS_NAME,
        check=names.validate_role_session_name,
        help_text=Help(
            "2 to 32 characters; unique for all time.",
            more=(
                "Letters, digits and _ + = , . @ - are allowed. A name that another person "
                "has or had is refused. Active sessions move to the new name automatically."
            ),
        ),
        widget=forms.TextInput(attrs=AS_TYPED),
    )


class PeopleField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # not generic at run time
    """List the members of a team, each by username and role."""

    def clean(self, value: Any) -> Any:
        # A number that no column holds is an error of the database's and not of the field's.
        for each in value if isinstance(value, list | tuple) else ():
            if not (str(each).isascii() and str(each).isdigit() and len(str(each)) < 19):
                message = self.error_messages["invalid_pk_value"]
                raise ValidationError(
                    message, code="invalid_pk_value", params={"pk": shown(str(each))}
                )
        return super().clean(value)

    def label_from_instance(self, member: Any) -> str:
        kind = "robot" if hasattr(member.user, "robot") else member.get_role_display()
        return f"{member.user.get_username()} ({kind})"


def people_of(team: Team) -> QuerySet[Membership]:
    """Select the people in a team, by username: its robots are none."""
    return members_of(team).filter(user__robot=None)


def members_of(team: Team) -> QuerySet[Membership]:
    """Select whom sessions can be opened to: people and robots, by username."""
    everybody = Membership.objects.filter(team=team)
    return everybody.select_related("user", "user__robot").order_by("user__username")


class GroupForm(VersionedForm):
    name = TypedField(label="Group name", max_length=64)
    members = PeopleField(
        label="People",
        queryset=Membership.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Leaving the group ends access it gave.",
    )

    def __init__(self, *args: Any, team: Team, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _field(self, "members").queryset = members_of(team)


class AccessForm(VersionedForm):
    """Take two rights, each for everyone or for those who are ticked."""

    OPEN = (
        ("everyone", "Everyone in the team"),
        ("named", "Only people and groups selected below"),
    )

    start = forms.ChoiceField(
        label="Who may start it and get its credentials", choices=OPEN, widget=forms.RadioSelect
    )
    start_groups = forms.ModelMultipleChoiceField(
        label="Groups who may start it",
        queryset=TeamGroup.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    start_people = PeopleField(
        label="People who may start it",
        queryset=Membership.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    assume = forms.ChoiceField(
        label="Who may assume roles from it",
        choices=OPEN,
        widget=forms.RadioSelect,
        help_text=Help(
            "A chain needs its owner to have this.",
            more=(
                "The person who builds a chain on this session is the chain's owner. A chain "
                "stops working if its owner loses this right. Admins always have it."
            ),
        ),
    )
    keep_assume = forms.BooleanField(
        label="Keep it open to assume from",
        required=False,
        help_text="Otherwise restricting it restricts this too.",
    )
    assume_groups = forms.ModelMultipleChoiceField(
        label="Groups who may assume from it",
        queryset=TeamGroup.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    assume_people = PeopleField(
        label="People who may assume from it",
        queryset=Membership.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, *args: Any, team: Team, session: AwsSession, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for right in ("start", "assume"):
            _field(self, f"{right}_people").queryset = members_of(team)
            _field(self, f"{right}_groups").queryset = team.groups.all()
        if not session.is_chained:  # nobody starts a root
            for name in ("start", "start_groups", "start_people", "keep_assume"):
                del self.fields[name]

    @staticmethod
    def initial_for(access: Access) -> dict[str, Any]:
        found: dict[str, Any] = {
            "keep_assume": access.assume.everyone and not access.start.everyone
        }
        for right, audience in (("start", access.start), ("assume", access.assume)):
            found[right] = "everyone" if audience.everyone else "named"
            found[f"{right}_people"] = [member.pk for member in audience.members]
            found[f"{right}_groups"] = [group.pk for group in audience.groups]
        return found

    def access(self) -> Access:
        """Return the access that the valid form asks for.

        Closing a session closes it to assume from, unless the form says otherwise.
        """
        start, assume = self._audience("start"), self._audience("assume")
        if assume.everyone and not start.everyone and not self.cleaned_data["keep_assume"]:
            assume = Audience(everyone=False)
        return Access(start, assume)

    def _audience(self, right: str) -> Audience:
        if right not in self.fields or self.cleaned_data[right] == "everyone":
            return Audience()
        people, groups = self.cleaned_data[f"{right}_people"], self.cleaned_data[f"{right}_groups"]
        return Audience(everyone=False, members=list(people), groups=list(groups))


def _field(form: forms.Form, name: str) -> Any:
    return form.fields[name]
