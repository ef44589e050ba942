"""Read what of CloudTrail is to be looked up, as a page's form or the API has it."""

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from sessions.aws.names import InvalidName, validate_region
from sessions.db.clock import database_now
from sessions.forms.ledger import TimeField


class LookupForm(forms.Form):
    """Take a session, a region of AWS and a time; without an end it is now."""

    session = forms.UUIDField(error_messages={"invalid": "Choose a session."})
    region = forms.CharField(max_length=32)
    since = TimeField(label="Since")
    until = TimeField(ends=True, label="Until")

    def clean_region(self) -> str:
        try:
            return validate_region(str(self.cleaned_data["region"]))
        except InvalidName as error:
            raise ValidationError(str(error), code="invalid") from None

    def clean_since(self) -> datetime:
        since: datetime | None = self.cleaned_data["since"]
        if since is None:
            raise ValidationError("Say since when.", code="required")
        return since

    def clean_until(self) -> datetime:
        until: datetime | None = self.cleaned_data["until"]
        return until or database_now()

    def problems(self) -> dict[str, list[str]]:
        """Return what is wrong, by field."""
        return {field: [str(each) for each in said] for field, said in self.errors.items()}


def lookup_form(typed: Any) -> LookupForm:
    """Return the form filled with what was typed; anything but text is none."""
    texts = {name: typed.get(name, "") for name in LookupForm.base_fields}
    return LookupForm(
        {name: value if isinstance(value, str) else "" for name, value in texts.items()}
    )
