"""Define form fields for pages and API: text from a page, JSON's lists and objects from the API."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from sessions.aws.characters import refuse_unseen, shown, trimmed, unseen_in


class Help(str):
    """Say a field's help in at most eight words; `more` stands behind a "?" beside it."""

    more: str

    def __new__(cls, text: str, *, more: str) -> "Help":
        help_text = super().__new__(cls, text)
        help_text.more = more
        return help_text


# For what is typed exactly: no browser completes, corrects or capitalises it.
AS_TYPED = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}


class TypedField(forms.CharField):
    """Take text on one line, checked by a validator that returns it or raises ValueError.

    Unseen characters around it (from pasting) go; one inside is named, with its place.
    """

    def __init__(self, *, check: Callable[[str], str] | None = None, **kwargs: Any) -> None:
        super().__init__(strip=False, **kwargs)
        self.check = check

    def to_python(self, value: Any) -> str:
        return trimmed(str(super().to_python(value)))

    def validate(self, value: str) -> None:
        super().validate(value)
        checked(refuse_unseen, value)

    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        if text and self.check is not None:
            return str(checked(self.check, text))
        return text


class ListedField(forms.ChoiceField):
    """Take one of the listed values.

    Characters pasted around it go; one inside is named.
    """

    default_error_messages = {"invalid_choice": "%(value)s is not one of the choices."}

    def to_python(self, value: Any) -> str:
        return trimmed(str(super().to_python(value)))

    def validate(self, value: str) -> None:
        checked(refuse_unseen, value)
        if value and not self.valid_value(value):
            raise ValidationError(
                self.error_messages["invalid_choice"],
                code="invalid_choice",
                params={"value": shown(value)},
            )
        super().validate(value)


def checked(check: Callable[[Any], Any], value: Any) -> Any:
    """Run a validator; its ValueError becomes the form's."""
    try:
        return check(value)
    except ValueError as error:
        raise ValidationError(str(error), code="invalid") from None


class LinesField(forms.Field):
    """Take one value per line, or a list.

    `check` takes them all. Cleans to what `check` returns, by default a tuple.
    """

    json_types: tuple[type, ...] = (list,)

    def __init__(
        self, *, check: Callable[[tuple[str, ...]], Any] = tuple, rows: int = 3, **kwargs: Any
    ) -> None:
        area = forms.Textarea(attrs={"rows": rows, **AS_TYPED})
        super().__init__(required=False, widget=area, **kwargs)
        self.check = check

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> tuple[str, ...]:
        if isinstance(value, list | tuple):
            if not all(isinstance(each, str) for each in value):
                raise ValidationError("Every item must be text.", code="invalid")
            return tuple(map(trimmed, value))
        lines = (trimmed(line) for line in str(value or "").replace("\r\n", "\n").split("\n"))
        return tuple(line for line in lines if line)

    def validate(self, value: tuple[str, ...]) -> None:
        super().validate(value)
        for number, line in enumerate(value, start=1):
            if found := unseen_in(line):
                where = f"Line {number}" if len(value) > 1 else "It"
                raise ValidationError(f"{where} contains {found}.", code="invalid")

    def clean(self, value: Any) -> Any:
        lines = self.to_python(value)
        self.validate(lines)
        return checked(self.check, lines)


class WordsField(LinesField):
    """Take words with commas between them, or a list; clean to what `check` returns."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.widget = forms.TextInput(attrs=AS_TYPED)
        self.widget.is_required = False

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> tuple[str, ...]:
        if isinstance(value, list | tuple):
            return super().to_python(value)
        return tuple(word for part in str(value or "").split(",") if (word := trimmed(part)))


class Typed(str):
    """Keep a text as typed, to show it again unchanged, doubled names included."""


class JsonField(TypedField):
    """Take a JSON document, as text or as itself; show it with its lines indented."""

    json_types: tuple[type, ...] = (dict,)

    def __init__(self, *, check: Callable[[str], str], **kwargs: Any) -> None:
        area = forms.Textarea(attrs={"rows": 6, **AS_TYPED})
        super().__init__(check=check, required=False, widget=area, **kwargs)

    def to_python(self, value: Any) -> str:
        if isinstance(value, dict):
            try:
                return json.dumps(value)
            except RecursionError:
                raise ValidationError("This is nested too deeply.", code="invalid") from None
        return super().to_python(value)

    def validate(self, value: str) -> None:
        forms.CharField.validate(
            self, value
        )  # it has lines, and the check looks at every character

    def bound_data(self, data: Any, initial: Any) -> Any:
        return Typed(data) if isinstance(data, str) else data

    def prepare_value(self, value: Any) -> Any:
        if not value or isinstance(value, Typed):
            return value
        try:
            return json.dumps(json.loads(value), indent=2, ensure_ascii=False)
        except (TypeError, ValueError, RecursionError):
            return value  # what was typed, so that it can be mended


class TagsWidget(forms.Widget):
    """Show one input per allowed key, a choice where its values are given.

    Their names in a page's form are `tags.<key>`.
    """

    use_fieldset = True

    def __init__(self, allowed: Mapping[str, Iterable[str]]) -> None:
        super().__init__()
        self.allowed = {key: list(values) for key, values in allowed.items()}

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        if name in data:
            return data[name]
        # Also those that the policy does not allow: the rules say so, instead of nobody noticing
        # that they are gone.
        keys = [
            *self.allowed,
            *(each.removeprefix(f"{name}.") for each in data if each.startswith(f"{name}.")),
        ]
        typed = {key: trimmed(str(data.get(f"{name}.{key}", ""))) for key in dict.fromkeys(keys)}
        return {key: value for key, value in typed.items() if value}

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return not any(each == name or each.startswith(f"{name}.") for each in data)

    def id_for_label(self, id_: str | None) -> str:
        return ""  # a group of inputs: each has its own label

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        values = value if isinstance(value, dict) else {}
        rows = []
        for number, key in enumerate(dict.fromkeys([*self.allowed, *values])):
            stored, choices = values.get(key, ""), self.allowed.get(key, [])
            # What is there already is shown, be it allowed or no longer.
            shown_choices = (
                [*choices, stored] if choices and stored and stored not in choices else choices
            )
            row = {"key": key, "name": f"{name}.{key}", "id": f"id_{name}_{number}"}
            rows.append(row | {"value": stored, "values": shown_choices})
        invalid = bool((attrs or {}).get("aria-invalid"))
        return SafeString(
            render_to_string("components/_tags_widget.html", {"rows": rows, "invalid": invalid})
        )


class TagsField(forms.Field):
    """Take session tags as an object of texts; clean them to a tuple of pairs."""

    json_types: tuple[type, ...] = (dict,)

    def __init__(
        self,
        *,
        allowed: Mapping[str, Iterable[str]],
        check: Callable[[Iterable[tuple[str, str]]], tuple[tuple[str, str], ...]],
        **kwargs: Any,
    ) -> None:
        super().__init__(required=False, widget=TagsWidget(allowed), **kwargs)
        self.check = check

    def clean(self, value: Any) -> Any:
        if value in (None, ""):
            return ()
        if not isinstance(value, dict) or not all(
            isinstance(part, str) for pair in value.items() for part in pair
        ):
            raise ValidationError('Tags are an object like {"cost-center": "42"}.', code="invalid")
        return checked(self.check, tuple(value.items()))


class SwitchField(forms.BooleanField):
    """Take a box to tick, or true and false."""

    json_types: tuple[type, ...] = (bool,)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)


class WholeNumberField(forms.IntegerField):
    """Take a whole number, as text or JSON's own.

    `check` as in `TypedField`, `bounds` for whoever steps through the numbers.
    """

    json_types: tuple[type, ...] = (int,)

    def __init__(self, *, check: Callable[[int], int], bounds: range, **kwargs: Any) -> None:
        super().__init__(
            widget=forms.NumberInput(attrs={"min": bounds[0], "max": bounds[-1]}), **kwargs
        )
        self.check = check

    def clean(self, value: Any) -> int:
        return int(checked(self.check, super().clean(value)))


class KeysField(forms.MultipleChoiceField):
    """Take some of the given keys, as boxes to tick or as a list."""

    json_types: tuple[type, ...] = (list,)

    def __init__(self, keys: Iterable[str], **kwargs: Any) -> None:
        super().__init__(
            required=False,
            choices=[(key, key) for key in keys],
            widget=forms.CheckboxSelectMultiple,
            **kwargs,
        )

    def clean(self, value: Any) -> tuple[str, ...]:
        return tuple(super().clean(value or []))


def wrong_types(form: forms.Form, sent: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return {field: reason} for JSON of a wrong type. Text and null are always taken."""
    found = {}
    for name, value in sent.items():
        types = (str, *getattr(form.fields[name], "json_types", ()))
        if value is not None and (
            not isinstance(value, types) or (isinstance(value, bool) and bool not in types)
        ):
            known = " or ".join(_JSON_NAMES[each] for each in types)
            found[name] = [f"Must be {known}."]
    return found


_JSON_NAMES = {
    str: "text",
    list: "a list",
    dict: "an object",
    bool: "true or false",
    int: "a whole number",
}
