"""Make the form fields of a hop's settings, from their declarations."""

from collections.abc import Mapping
from typing import Any

from django import forms

from sessions.aws import parameters
from sessions.aws.hop_settings import HopSettings
from sessions.aws.parameters import Parameter, parameters_of
from sessions.forms.fields import (
    AS_TYPED,
    Help,
    JsonField,
    KeysField,
    LinesField,
    SwitchField,
    TagsField,
    TypedField,
)
from sessions.models import SourceIdentity, TeamPolicy

# The form's first part; all others are “Advanced”.
PLAIN = ("role_arn", "role_session_name")
# The others come in the order of their declaration, behind these.
FIRST = ("external_id", "without_source_identity")

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


def text_field(declared: Parameter, **options: Any) -> TypedField:
    """Make the field of a text that no browser helps with."""
    return TypedField(
        required=declared.required,
        max_length=declared.longest,
        check=declared.check,
        widget=forms.TextInput(attrs=AS_TYPED),
        **options,
    )


def plain_field(name: str) -> TypedField:
    """Make a field of the form's first part."""
    declared = parameters_of(HopSettings)[name]
    return text_field(declared, label=declared.label, help_text=_help(name, TeamPolicy()))


def advanced_fields(policy: TeamPolicy) -> dict[str, forms.Field]:
    """Return {name: field} of all others, in order, under that policy."""
    declared = parameters_of(HopSettings)
    names = [*FIRST, *(name for name in declared if name not in {*PLAIN, *FIRST})]
    return {name: _field(declared[name], policy, _help(name, policy)) for name in names}


def _field(declared: Parameter, policy: TeamPolicy, help_text: str) -> forms.Field:
    said: dict[str, Any] = {"label": declared.label, "help_text": help_text}
    if declared.check is not None and declared.kind is not parameters.TEXT:
        said["check"] = declared.check
    match declared.kind:
        case parameters.TEXT:
            return text_field(declared, **said)
        case parameters.SWITCH:
            return SwitchField(**said)
        case parameters.TAGS:
            return TagsField(allowed=policy.allowed_tags, **said)
        case parameters.TAG_KEYS:
            return KeysField(policy.allowed_tags, **said)
        case parameters.DOCUMENT:
            return JsonField(**said)
        case parameters.LINES:
            return LinesField(**said)
    raise NotImplementedError(f"There is no form field for {declared.kind.name}.")


def _help(name: str, policy: TeamPolicy) -> str:
    """Return a field's help as it is declared, or as a team's policy changes it."""
    declared = parameters_of(HopSettings)[name]
    more = declared.more
    if name == "without_source_identity":
        return SOURCE_IDENTITY_HELP[SourceIdentity(policy.source_identity)]
    if name == "networks" and policy.networks:
        more += f" They must also come from the team's networks: {', '.join(policy.networks)}."
    return Help(declared.help, more=more) if more else declared.help


def settings_of(cleaned: Mapping[str, Any]) -> HopSettings:
    """Return the settings that these fields' values are; what is missing or None is left empty."""
    return HopSettings(
        **{name: cleaned[name] for name in parameters_of(HopSettings) if cleaned.get(name)}
    )
