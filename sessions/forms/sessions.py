"""Define the forms of every kind of session, for the pages and the API.

What was pasted around a text goes (`fields.TypedField`); a tab, a line break or another unseen
character inside is named.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.urls import reverse

from sessions.actors import Actor
from sessions.aws import names
from sessions.aws.arn import RoleArn
from sessions.aws.characters import refuse_unseen, trimmed
from sessions.aws.roots import ROOT_KINDS, Field, RootKind
from sessions.catalog.labels import validate_labels
from sessions.catalog.sessions import Draft, save_session
from sessions.catalog.team_view import TeamView
from sessions.exceptions import NotThere, Refused, RightLost
from sessions.forms import picking
from sessions.forms.conflicts import VersionedForm
from sessions.forms.fields import AS_TYPED, Help, ListedField, SwitchField, TypedField, WordsField
from sessions.forms.hop_fields import advanced_fields, plain_field, settings_of
from sessions.forms.picking import SessionPicker
from sessions.locks.versions import Changed
from sessions.models import CHAINED, AwsSession, TeamPolicy
from sessions.secret import Secret

ALIAS_MAX = 64
# What the drafts of every kind have.
SHARED = ("alias", "profile", "region", "labels")


def validate_alias(text: str) -> str:
    """Return a friendly name in its composed form: any script, no unseen characters."""
    return unicodedata.normalize("NFC", refuse_unseen(text))


def region_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """List every region botocore knows, grouped by partition."""
    return [
        (partition, [(region, region) for region in regions])
        for partition, regions in names.regions().items()
    ]


class AssumerField(forms.ModelChoiceField):  # type: ignore[type-arg]  # not generic at run time
    default_error_messages = {"invalid_choice": "Your team has no such session."}

    def to_python(self, value: Any) -> AwsSession | None:
        found: AwsSession | None = super().to_python(
            trimmed(value) if isinstance(value, str) else value
        )
        return found


class SessionForm(VersionedForm):
    """Take what every kind has: alias, named profile, region.

    Subclasses add the rest and say what the draft is.
    """

    alias = TypedField(
        label="Session alias",
        max_length=ALIAS_MAX,
        check=validate_alias,
        help_text="A friendly name, unique in your team.",
    )
    profile = TypedField(
        label="Named profile",
        max_length=names.LONGEST_PROFILE,
        check=names.validate_profile,
        help_text=Help(
            "Only one session per profile can be active.",
            more=(
                "The profile's name in your AWS files, for use with --profile. Starting a "
                "session stops another one that you have active on the same profile."
            ),
        ),
    )
    region = ListedField(
        label="Region",
        choices=region_choices,
        help_text="The region you use it in most.",
    )
    labels = WordsField(
        label="Labels",
        check=validate_labels,
        help_text=Help(
            "Commas between them, as: production, billing.",
            more=(
                "A label that the team has not got yet is created. The list can be filtered by "
                "label. A label that an admin has marked as sensitive makes the session sensitive."
            ),
        ),
    )

    def __init__(
        self, *args: Any, actor: Actor, session: AwsSession | None = None, **kwargs: Any
    ) -> None:
        self.actor = actor
        self.session = session
        super().__init__(*args, **kwargs)
        self.fields["alias"].widget.attrs.update(autocomplete="off", spellcheck="false")
        self.fields["profile"].widget.attrs |= AS_TYPED

    def draft(self) -> Draft:
        """Return the draft that the valid form asks for."""
        raise NotImplementedError

    def save(self) -> AwsSession | None:
        """Save the draft; None, with the reason on its field, if the rules refuse it.

        Raises `Changed` if the session is not what `seen` says.
        """
        try:
            return save_session(self.draft(), self.actor, self.session, seen=self.seen)
        except (Changed, NotThere, RightLost):
            raise
        except Refused as refused:
            self.refuse(refused)
            return None

    def save_seen(self, seen: int | None) -> AwsSession | None:
        """Save the draft as one that was made from that version."""
        self.seen = seen
        return self.save()

    def refuse(self, refused: Refused) -> None:
        self.add_error(refused.field if refused.field in self.fields else None, refused.message)


class ChainedSessionForm(SessionForm):
    """Take an AWS IAM Role Chained.

    The fields of the first page, then all else the call can say.
    """

    role_arn = plain_field("role_arn")
    role_session_name = plain_field("role_session_name")
    assumer = AssumerField(
        label="Assumer session",
        queryset=AwsSession.objects.none(),
        help_text="A root, or another chained session.",
    )
    sensitive = SwitchField(
        label="Sensitive: confirm each delivery",
        help_text=Help(
            "Passkey or password each time.",
            more=(
                "Whoever gets credentials, on a page, has confirmed with a passkey or password "
                "within 5 minutes. Tokens get none, unless the team's policy lets them. Only an "
                "admin can take the mark off."
            ),
        ),
    )

    def __init__(self, *args: Any, view: TeamView, is_page: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if is_page and not self.initial.get("role_session_name"):
            self.initial["role_session_name"] = view.policy.role_session_name
        self.is_page = is_page
        assumers = self.fields["assumer"]
        assert isinstance(assumers, forms.ModelChoiceField)
        assumers.queryset = AwsSession.objects.filter(team=self.actor.team).select_related(
            "team", "link"
        )
        assumers.widget = assumer_picker(self.actor, self.session)
        assumers.widget.is_required = True
        self.policy = view.policy
        template = self.fields["role_session_name"]
        template.widget.attrs["placeholder"] = view.policy.role_session_name
        if view.policy.names_locked:
            template.help_text = f"Locked by the team's policy: {view.policy.role_session_name}"
        advanced = advanced_fields(view.policy)
        self.fields |= advanced
        self.advanced_names = list(advanced)
        self.order_fields(_with_labels_last(self.fields, "sensitive", *advanced))

    @property
    def plain_fields(self) -> list[forms.BoundField]:
        """Return the fields that every chained session has."""
        return [field for field in self.visible_fields() if field.name not in self.advanced_names]

    @property
    def advanced(self) -> list[forms.BoundField]:
        """Return the other fields; tags only where the team allows some."""
        names_shown = set(self.advanced_names)
        if not self.policy.allowed_tags and not self["tags"].value():
            names_shown -= {"tags", "transitive_tag_keys"}
        return [field for field in self.visible_fields() if field.name in names_shown]

    @property
    def advanced_is_open(self) -> bool:
        """Tell if one of the other fields has a value or an error."""
        return any(
            field.errors or field.value() for field in map(self.__getitem__, self.advanced_names)
        )

    def clean_role_session_name(self) -> str:
        """Leave the name to the team if the page's default was kept."""
        typed = str(self.cleaned_data["role_session_name"])
        own = self.session.link.role_session_name if self.session is not None else ""
        return "" if self.is_page and not own and typed == self.policy.role_session_name else typed

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        role_arn, region, assumer = (
            cleaned.get("role_arn"),
            cleaned.get("region"),
            cleaned.get("assumer"),
        )
        if role_arn and region:
            partition = RoleArn.parse(role_arn).partition
            if names.partition_of(region) != partition:
                self.add_error(
                    "region", f"{region} is not a region of the role's partition, {partition}."
                )
            if assumer and names.partition_of(assumer.region) != partition:
                self.add_error(
                    "assumer",
                    f"“{assumer.alias}” is in another partition than the role: AWS cannot assume"
                    " across.",
                )
        return cleaned

    def draft(self) -> Draft:
        cleaned = self.cleaned_data
        return Draft(
            kind=CHAINED,
            **{name: cleaned[name] for name in SHARED},
            sensitive=cleaned["sensitive"],
            assumer=cleaned["assumer"],
            hop=settings_of(cleaned),
        )


def assumer_picker(actor: Actor, editing: AwsSession | None = None) -> SessionPicker:
    """Make the choice of what a session is assumed from."""
    url = reverse("session_choices", args=[actor.team.slug, "assumer"])
    query = f"?editing={editing.pk}" if editing is not None else ""
    return SessionPicker(
        picking.assumers(actor, editing), empty_label="Choose a session…", url=f"{url}{query}"
    )


class RootSessionForm(SessionForm):
    """Take any root kind, with the kind's own fields.

    Secrets are write-only: blank keeps what is stored.
    """

    def __init__(self, *args: Any, kind: RootKind, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        self.fields |= root_fields(kind, is_stored=self.session is not None)
        self.order_fields(_with_labels_last(self.fields))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        region, sts_region = cleaned.get("region"), cleaned.get("sts_region")
        if region and sts_region and names.partition_of(region) != names.partition_of(sts_region):
            self.add_error(
                "sts_region",
                f"{sts_region} is not a region of the partition of {region},"
                f" {names.partition_of(region)}.",
            )
        if self.session is not None:
            shown = [spec.name for spec in self.kind.fields if not spec.secret and spec.required]
            secret = [spec.name for spec in self.kind.fields if spec.secret and spec.required]
            changed = any(
                cleaned.get(name) != self.session.settings.get(name)
                for name in shown
                if name in cleaned
            )
            for name in secret:
                if changed and not cleaned.get(name) and name not in self.errors:
                    self.add_error(
                        name, "A new key needs its own secret. Enter the secret as well."
                    )
        return cleaned

    def draft(self) -> Draft:
        cleaned = self.cleaned_data
        typed = {spec: str(cleaned.get(spec.name, "")) for spec in self.kind.fields}
        return Draft(
            kind=self.kind.kind,
            **{name: cleaned[name] for name in (*SHARED, "sts_region")},
            settings={
                spec.name: value for spec, value in typed.items() if not spec.secret and value
            },
            secrets={
                spec.name: Secret(value) for spec, value in typed.items() if spec.secret and value
            },
        )


def _with_labels_last(names: Iterable[str], *after: str) -> list[str]:
    """Order a form's fields: the labels behind what says who the session is, but for these."""
    last = ("labels", *after)
    return [*(name for name in names if name not in last), *last]


def root_fields(kind: RootKind, *, is_stored: bool = False) -> dict[str, forms.Field]:
    """Make the fields that a root has beside every session's: {name: field}, in order."""
    sts_region = ListedField(
        label="STS region",
        required=False,
        choices=[("", "Same as the region"), *region_choices()],
        help_text="Where AssumeRole is called for its chains.",
    )
    own = {spec.name: _root_field(spec, is_stored=is_stored) for spec in kind.fields}
    return {"sts_region": sts_region, **own}


def _root_field(spec: Field, *, is_stored: bool) -> forms.Field:
    if spec.options is not None:
        return ListedField(
            label=spec.label,
            help_text=spec.help,
            required=spec.required,
            choices=[("", "Choose…"), *((each.value, each.label) for each in spec.options())],
        )
    kept = is_stored and spec.secret
    widget = (forms.PasswordInput if spec.secret else forms.TextInput)(attrs=AS_TYPED)
    return TypedField(
        label=spec.label,
        help_text="Leave blank to keep the stored value." if kept else spec.help,
        required=spec.required and not kept,
        max_length=2048,
        check=spec.validate,
        widget=widget,
    )


def fields_of(kind: str) -> dict[str, forms.Field]:
    """Make the fields of a kind's form, as a team with the default policy sees them."""
    if kind == CHAINED:
        return {**ChainedSessionForm.base_fields, **advanced_fields(TeamPolicy())}
    return {**SessionForm.base_fields, **root_fields(ROOT_KINDS[kind])}


def secret_names(kind: str) -> set[str]:
    """Name the fields of a kind whose values nobody is shown."""
    if kind == CHAINED:
        return set()
    return {field.name for field in ROOT_KINDS[kind].fields if field.secret}


def form_for(
    kind: str,
    data: Mapping[str, Any] | None,
    *,
    view: TeamView,
    session: AwsSession | None = None,
    is_page: bool = True,
    **kwargs: Any,
) -> SessionForm:
    """Make a kind's form, for creating or, with `session`, editing.

    `is_page`: somebody saw what it begins with.
    """
    if session is not None:
        kwargs["initial"] = stored_values(session)
    if kind == CHAINED:
        return ChainedSessionForm(
            data, actor=view.actor, session=session, view=view, is_page=is_page, **kwargs
        )
    return RootSessionForm(data, actor=view.actor, session=session, kind=ROOT_KINDS[kind], **kwargs)


def stored_values(session: AwsSession) -> dict[str, Any]:
    """Return what a session's form shows of it: everything but the secrets."""
    values: dict[str, Any] = {
        "alias": session.alias,
        "profile": session.profile,
        "region": session.region,
        "labels": [each.name for each in session.labels_shown],
    }
    if not session.is_chained:
        return {**values, "sts_region": session.sts_region, **session.settings}
    values["sensitive"] = session.marked_sensitive
    return {**values, "assumer": session.link.assumer_id, **session.link.settings.typed()}
