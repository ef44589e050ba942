"""Show both versions to the second of two people who edit one form; nothing is lost.

The page carries the version that its reader saw, and what was stored then. If another is stored by
the time it is sent, the form comes back as it was typed: beside each field that differs stands what
the other person saved, and a box that takes it. A box is ticked beforehand where the reader had
changed nothing.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import QueryDict

from sessions.exceptions import NotThere, Refused, RightLost
from sessions.locks.versions import Changed
from sessions.models import Event

Saved = TypeVar("Saved")
# What is stored now: its version, the form's values of it, and who changed it last.
Stored = tuple[int, Mapping[str, Any], Event | None]


class VersionedForm(forms.Form):
    """Extend a form of something stored, once `open_at` has been called."""

    # The version that was seen by whoever has filled it in; None: they did not say.
    seen: int | None = None
    # What the page carries.
    version: int | None = None
    began: Mapping[str, Any] = {}
    conflict: Mapping[str, Any] | None = None

    def open_at(self, version: int, stored: Mapping[str, Any]) -> None:
        """Take note of what is stored, and of what the page that was sent says about it."""
        self.version, self.began = version, stored
        if not isinstance(self.data, QueryDict) or not self.is_bound:
            return
        typed = self.data.get("version", "")
        if not (typed.isascii() and typed.isdigit() and len(typed) < 10):
            return
        self.seen = self.version = int(typed)
        self.began = _read(self.data.get("began", ""))
        if theirs := [
            each for each in self.data.getlist("theirs") if each in self.fields and each in stored
        ]:
            data = self.data.copy()
            for name in theirs:
                _put(data, self.add_prefix(name), self.fields[name], stored[name])
            self.data = data

    @property
    def began_json(self) -> str:
        return json.dumps(self.began, default=str)

    def save_or_show(
        self, save: Callable[[int | None], Saved | None], read_again: Callable[[], Stored]
    ) -> Saved | None:
        """Save the form if nobody else has since.

        Otherwise the form shows both versions, and None is returned.

        None as well, with the reason on its field, where the rules refuse it.
        """
        try:
            try:
                return save(self.seen)
            except Changed:
                version, stored, change = read_again()
                if self._show(version, stored, change):
                    return None
                return save(version)  # they agree on everything
        except (NotThere, RightLost):
            raise
        except Refused as refused:
            self.add_error(refused.field if refused.field in self.fields else None, refused.message)
            return None

    def _show(self, version: int, stored: Mapping[str, Any], change: Event | None) -> bool:
        """Put what is stored beside what was typed.

        Returns whether they differ in anything, or a secret is lost.
        """
        differs = False
        for name, field in self.fields.items():
            bound = self[name]
            if name not in stored:
                if bound.data:
                    differs = True
                    self.add_error(name, "Pages never show secrets: enter it again.")
                continue
            if _same(field, stored[name], bound.data):
                continue
            differs = True
            bound.theirs = _shown(field, stored[name])  # type: ignore[attr-defined]  # read by the template
            bound.takes_theirs = name in self.began and _same(  # type: ignore[attr-defined]
                field, self.began[name], bound.data
            )
        self.version, self.began = version, stored
        self.conflict = {"by": change.actor if change else "", "at": change.at if change else None}
        return differs


def status_of(form: VersionedForm) -> int:
    """Return a form page's status: 409 where somebody was quicker, 422 for what is wrong in it."""
    return 409 if form.conflict else 422 if form.errors else 200


def _read(text: str) -> Mapping[str, Any]:
    try:
        began = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return began if isinstance(began, dict) else {}


def _put(data: QueryDict, key: str, field: forms.Field, value: Any) -> None:
    """Put a stored value where the page's own would stand."""
    if getattr(field.widget, "allow_multiple_selected", False):
        data.setlist(key, [str(each) for each in value])
    elif value is None or value is False:
        data.pop(key, None)
    elif value is True:
        data[key] = "on"
    else:
        # The widgets of lists and tags take these as they come.
        taken: Any = value if isinstance(value, dict | list | tuple) else str(value)
        data.setlist(key, [taken])


def _same(field: forms.Field, one: Any, other: Any) -> bool:
    try:
        return bool(_plain(field.clean(one)) == _plain(field.clean(other)))
    except (ValidationError, TypeError, ValueError):
        return False


def _plain(value: Any) -> Any:
    return {each.pk for each in value} if isinstance(value, QuerySet) else value


def _shown(field: forms.Field, value: Any) -> str:
    """Write a stored value as a person reads it."""
    if isinstance(field, forms.ModelMultipleChoiceField):
        return "\n".join(field.label_from_instance(each) for each in field.clean(value)) or "nobody"
    if isinstance(field, forms.ModelChoiceField):
        return str(field.clean(value))
    if isinstance(field, forms.ChoiceField):
        wanted = value if isinstance(value, list | tuple) else [value]
        labels = dict(_flat(field.choices))
        return "\n".join(str(labels.get(each, each)) for each in wanted) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(field.prepare_value(value) if not isinstance(value, Model) else value) or "nothing"


def _flat(choices: Any) -> list[tuple[Any, Any]]:
    """List the choices of a field without their groups."""
    found: list[tuple[Any, Any]] = []
    for value, label in choices:
        found += label if isinstance(label, list | tuple) else [(value, label)]
    return found
