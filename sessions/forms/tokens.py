"""Define the form of a new token, of a person or a robot."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse

from sessions.actors import Actor
from sessions.forms import picking
from sessions.forms.fields import AS_TYPED, Help, LinesField, TypedField, WholeNumberField
from sessions.forms.picking import SessionPicker
from sessions.models import AwsSession, Label, Scope, Team, TeamPolicy
from sessions.models.tokens import validate_source_networks
from sessions.people.tokens import TOKEN_DAYS, Limits

MOST_SESSIONS = 200


class SessionsField(LinesField):
    """Take sessions of a team by alias or id, one a line; clean to the sessions."""

    team: Team

    def clean(self, value: Any) -> list[AwsSession]:
        lines = super().clean(value)
        try:
            return sessions_named(self.team, lines)
        except ValueError as error:
            raise ValidationError(str(error), code="invalid") from None


def sessions_named(team: Team, names: Iterable[str]) -> list[AwsSession]:
    """Find the sessions of a team by alias or id. Raises ValueError, naming one that is missing."""
    wanted = list(dict.fromkeys(names))
    if len(wanted) > MOST_SESSIONS:
        raise ValueError(f"At most {MOST_SESSIONS} sessions. A label takes in more.")
    ids = [found for name in wanted if (found := _id(name))]
    lower = [name.lower() for name in wanted]
    rows = AwsSession.objects.filter(team=team).annotate(lower=Lower("alias"))
    by_name: dict[str, AwsSession] = {}
    for session in rows.filter(Q(pk__in=ids) | Q(lower__in=lower)):
        by_name[str(session.pk)] = by_name[session.alias.lower()] = session
    for name in wanted:
        if name.lower() not in by_name:
            raise ValueError(f"The team {team.slug} has no session “{name[:100]}”.")
    return list(dict.fromkeys(by_name[name.lower()] for name in wanted))


def labels_named(team: Team, names: Iterable[str]) -> list[Label]:
    """Find the labels of a team by name. Raises ValueError, naming one that is missing."""
    stored = {each.name.lower(): each for each in Label.objects.filter(team=team)}
    for name in names:
        if name.lower() not in stored:
            raise ValueError(f"The team {team.slug} has no label “{name[:100]}”.")
    return list(dict.fromkeys(stored[name.lower()] for name in names))


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


class ReachForm(forms.Form):
    """Take what a token or a robot reaches: some sessions of the team, or no limit."""

    sessions = SessionsField(
        label="Only for these sessions",
        help_text="One alias per line. Blank: all of them.",
    )

    labels = forms.ModelMultipleChoiceField(
        label="Or with these labels",
        queryset=Label.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Sessions labelled later are included.",
    )

    def __init__(self, *args: Any, team: Team, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["sessions"]
        field.team = team
        labels: Any = self.fields["labels"]
        labels.queryset = Label.objects.filter(team=team)
        if not labels.queryset.exists():
            del self.fields["labels"]

    def labels_wanted(self) -> tuple[Label, ...]:
        """Return the labels that are ticked; none where the team has none."""
        return tuple(self.cleaned_data.get("labels", ()))


class TokenForm(ReachForm):
    name = TypedField(
        label="Token name",
        max_length=64,
        help_text="Shown in the ledger. One live token each.",
    )
    device = TypedField(
        label="Device",
        max_length=64,
        required=False,
        help_text="Where you keep it, such as laptop.",
        widget=forms.TextInput(attrs=AS_TYPED),
    )
    scopes = forms.MultipleChoiceField(
        label="Permissions",
        choices=Scope.choices,
        initial=[Scope.READ, Scope.CREDENTIALS],
        widget=forms.CheckboxSelectMultiple,
        help_text="Never exceeds your own permissions.",
    )
    session = forms.ModelChoiceField(
        label="Only for one session",
        queryset=AwsSession.objects.none(),
        required=False,
    )
    networks = LinesField(
        label="Only from these networks",
        check=validate_source_networks,
        help_text=Help(
            "Such as 203.0.113.0/24, one per line.",
            more=(
                "As this server sees them: behind a proxy or VPN, that one's address. Requests "
                "from elsewhere are refused and written to the ledger."
            ),
        ),
    )
    days = WholeNumberField(label="Valid for (days)", check=int, bounds=range(1, 3651))

    field_order = (
        *("name", "device", "scopes", "session"),
        *("sessions", "labels", "networks", "days"),
    )

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, team=actor.team, **kwargs)
        session: Any = self.fields["session"]
        session.queryset = AwsSession.objects.filter(team=actor.team)
        session.widget = token_picker(actor)
        self.fields["sessions"].label = "Or for these sessions"
        limit_days(self.fields["days"], TeamPolicy.of(actor.team_id).token_days)

    def limits(self) -> Limits:
        """Return where the token of the valid form is good."""
        wanted = self.cleaned_data
        one = [wanted["session"]] if wanted["session"] else []
        return Limits(
            sessions=tuple(dict.fromkeys([*one, *wanted["sessions"]])),
            labels=self.labels_wanted(),
            networks=wanted["networks"],
            device=wanted["device"],
        )


class ConnectForm(forms.Form):
    """Take what the command that connects a laptop needs."""

    device = TypedField(
        label="Device",
        max_length=64,
        help_text="Such as laptop; also names the token.",
        widget=forms.TextInput(attrs=AS_TYPED),
    )
    scopes = forms.MultipleChoiceField(
        label="Permissions",
        choices=Scope.choices,
        initial=[Scope.READ, Scope.USE, Scope.CREDENTIALS],
        widget=forms.CheckboxSelectMultiple,
        help_text="Never exceeds your own permissions.",
    )
    days = WholeNumberField(label="Valid for (days)", check=int, bounds=range(1, 3651))

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limit_days(self.fields["days"], TeamPolicy.of(actor.team_id).token_days)


def limit_days(field: Any, most: int) -> None:
    """Have a field take the days that the team allows, and say so."""

    def check(days: int) -> int:
        if not 1 <= days <= most:
            raise ValueError(f"Your team allows 1 to {most} days.")
        return days

    field.check, field.initial = check, min(TOKEN_DAYS, most)
    field.widget.attrs |= {"min": 1, "max": most}
    field.help_text = f"At most {most}, by the team's policy."


def token_picker(actor: Actor) -> SessionPicker:
    """Make the choice of the one session that a token is good for."""
    url = reverse("session_choices", args=[actor.team.slug, "token"])
    return SessionPicker(
        picking.any_of_team(actor), empty_label="All sessions that you may use", url=url
    )
