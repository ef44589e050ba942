"""Describe form fields as JSON Schema, so that the API's document is the forms' own declaration."""

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms

from sessions.aws.roots import ROOT_KINDS
from sessions.forms.fields import KeysField, LinesField, TagsField
from sessions.forms.sessions import AssumerField, fields_of, secret_names
from sessions.models import CHAINED

Schema = dict[str, Any]
TYPES = {str: "string", list: "array", dict: "object", bool: "boolean", int: "integer"}


def new_session() -> Schema:
    """Describe the body that creates a session: one object for each kind."""
    return {"oneOf": [_of_kind(kind) for kind in [CHAINED, *ROOT_KINDS]]}


def _of_kind(kind: str) -> Schema:
    fields = fields_of(kind)
    required = [name for name, field in fields.items() if field.required]
    # Without a kind it is a chained session.
    if kind != CHAINED:
        required.insert(0, "kind")
    schema = changed_object(kind, fields)
    schema["properties"] = {"kind": {"type": "string", "const": kind}} | schema["properties"]
    return {**schema, "required": required}


def changed_session() -> Schema:
    """Describe the body that changes a session: any of the fields of its kind."""
    version = {"version": {"type": "integer"}}
    kinds = [changed_object(kind, fields_of(kind)) for kind in [CHAINED, *ROOT_KINDS]]
    return {"anyOf": [each | {"properties": each["properties"] | version} for each in kinds]}


def declared() -> Schema:
    """Describe a document of sessions and groups, as `forms.declared` reads it."""
    names: Schema = {"type": "array", "items": {"type": "string", "minLength": 1}}
    audience: Schema = {
        "anyOf": [
            {"type": "string", "const": "everyone"},
            {
                "type": "object",
                "properties": {"people": names, "groups": names},
                "additionalProperties": False,
            },
        ]
    }
    group: Schema = {
        "type": "object",
        "title": "group",
        "properties": {"name": {"type": "string", "maxLength": 64}, "people": names},
        "required": ["name"],
        "additionalProperties": False,
    }
    sessions = {"oneOf": [_declared(kind, audience) for kind in [CHAINED, *ROOT_KINDS]]}
    return {
        "type": "object",
        "title": "Document",
        "properties": {
            "sessions": {"type": "array", "items": sessions},
            "groups": {"type": "array", "items": group},
        },
        "additionalProperties": False,
    }


def _declared(kind: str, audience: Schema) -> Schema:
    """Describe a session of a document: its assumer is an alias, and it has no secrets."""
    schema = _of_kind(kind)
    secrets = secret_names(kind)
    properties = {name: each for name, each in schema["properties"].items() if name not in secrets}
    rights = ["assume"]
    if kind == CHAINED:
        rights.insert(0, "start")
        alias = {"type": "string", "minLength": 1, "title": "Alias of the assumer session"}
        properties["assumer"] = alias
    properties["access"] = {
        "type": "object",
        "properties": dict.fromkeys(rights, audience),
        "additionalProperties": False,
    }
    required = [name for name in schema["required"] if name not in secrets]
    return {**schema, "properties": properties, "required": required}


def changed_object(title: str, fields: Mapping[str, forms.Field]) -> Schema:
    """Describe an object of any of these fields, and no others."""
    return {
        "type": "object",
        "title": title,
        "properties": {name: field_schema(field) for name, field in fields.items()},
        "additionalProperties": False,
    }


def field_schema(field: forms.Field) -> Schema:
    """Describe what a field takes. Null leaves empty what is not required.

    Every field takes text as well, as a page sends it: what is listed is JSON's own type for it.
    """
    types = [TYPES[each] for each in getattr(field, "json_types", (str,))]
    if not field.required and "boolean" not in types:
        types.append("null")
    schema: Schema = {"type": types[0] if len(types) == 1 else types}
    if isinstance(field, forms.CharField) and field.max_length is not None:
        schema["maxLength"] = field.max_length
    if isinstance(field, forms.IntegerField):
        limits = field.widget.attrs
        schema |= {"minimum": limits["min"], "maximum": limits["max"]}
    match field:
        case KeysField() | LinesField():
            schema["items"] = {"type": "string"}
        case TagsField():
            schema["additionalProperties"] = {"type": "string"}
        case AssumerField():
            schema["format"] = "uuid"
        case forms.ChoiceField():
            schema["enum"] = [*_values(field.choices), *([] if field.required else [None])]
    if field.label:
        schema["title"] = str(field.label)
    if field.help_text:
        schema["description"] = str(field.help_text)
    return schema


def _values(choices: Any) -> Iterator[str]:
    for value, label in choices:
        if isinstance(label, list | tuple):
            yield from _values(label)
        else:
            yield str(value)
