"""Read a search of the ledger, as a page's address or the API has it."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from sessions.db.clock import database_now
from sessions.ledger.events import KINDS
from sessions.ledger.search import EventSearch

LONGEST = 2048
TIMES = "A time such as 2026-11-27 14:00 (UTC), or how long ago: 30min, 24h, 7d."
_AGO = re.compile(r"(\d{1,5})\s*(min|h|d)", re.ASCII)
_UNITS = {"min": "minutes", "h": "hours", "d": "days"}


class TimeField(forms.CharField):
    """Take a time, a date, or how long ago; cleans to a time with its zone.

    `ends`: a date stands for the end of that day, not for its beginning.
    """

    def __init__(self, *, ends: bool = False, **kwargs: Any) -> None:
        super().__init__(required=False, max_length=40, **kwargs)
        self.ends = ends

    def clean(self, value: Any) -> datetime | None:
        text = super().clean(value)
        if not text:
            return None
        try:
            return self._read(text)
        except (ValueError, OverflowError):
            raise ValidationError(TIMES, code="invalid") from None

    def _read(self, text: str) -> datetime:
        if ago := _AGO.fullmatch(text):
            moment = database_now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        else:
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            if self.ends and len(text) == len("2026-11-27"):
                moment += timedelta(days=1)
        # PostgreSQL's and Python's first and last years are not for sums.
        if not 1970 <= moment.year <= 9000:
            raise ValueError
        return moment


class EventSearchForm(forms.Form):
    """Take what events are searched for: every field is optional."""

    person = forms.CharField(required=False, max_length=150)
    session = forms.CharField(required=False, max_length=64, label="Session")
    account = forms.RegexField(
        r"[0-9]{12}",
        required=False,
        error_messages={"invalid": "An account has twelve digits."},
    )
    role = forms.CharField(required=False, max_length=LONGEST)
    name = forms.CharField(required=False, max_length=256, label="Role session name")
    key = forms.CharField(required=False, max_length=128, label="Access key ID")
    root = forms.CharField(required=False, max_length=36, label="Issued through root")
    kind = forms.CharField(required=False, max_length=40)
    address = forms.GenericIPAddressField(required=False, label="IP address")
    held = forms.CharField(required=False, max_length=150, label="Held by")
    since = TimeField(label="Since")
    until = TimeField(ends=True, label="Until")

    def clean_kind(self) -> str:
        kind = str(self.cleaned_data["kind"])
        if kind and kind not in KINDS and kind not in GROUPS:
            raise ValidationError(f"There is no kind of event {kind!r}.", code="invalid")
        return kind

    def search(self) -> EventSearch:
        """Return what to search for; call it on a valid form."""
        return EventSearch(**self.cleaned_data)

    def asked(self) -> dict[str, str]:
        """Return the fields that are filled in, as they were typed: a saved search."""
        return {
            name: value for name in self.fields if (value := str(self[name].value() or "").strip())
        }


# What stands before the dots of tags.
GROUPS = frozenset(tag.partition(".")[0] for tag in KINDS)


def search_form(typed: Mapping[str, Any]) -> EventSearchForm:
    """Return the form of a search, filled with what stands in an address."""
    return EventSearchForm({name: typed.get(name, "") for name in EventSearchForm.base_fields})
