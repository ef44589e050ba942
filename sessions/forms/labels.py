"""Define the form of a team's label."""

from typing import Self

from django import forms

from sessions.catalog.labels import LONGEST_LABEL, validate_labels
from sessions.forms.fields import AS_TYPED, ListedField, SwitchField, TypedField
from sessions.models import Colour, Label


def validate_label(text: str) -> str:
    """Return the name of a label. Raises ValueError."""
    (name,) = validate_labels([text])
    return name


class LabelForm(forms.Form):
    """Take a label's name and colour, and whether it makes its sessions sensitive."""

    name = TypedField(label="Name", max_length=LONGEST_LABEL, check=validate_label)
    colour = ListedField(label="Colour", choices=Colour.choices)
    is_sensitive = SwitchField(label="Sensitive")

    @classmethod
    def of(cls, label: Label) -> Self:
        """Make the form of a stored label."""
        stored = {
            "name": label.name,
            "colour": label.colour,
            "is_sensitive": label.is_sensitive,
        }
        form = cls(initial=stored, auto_id=f"id_{label.pk}_%s")
        form.fields["name"].widget.attrs |= AS_TYPED
        return form
