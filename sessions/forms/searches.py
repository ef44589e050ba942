"""Read a search that is to be saved, as a page's form or the API has it."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from sessions.aws.characters import refuse_unseen
from sessions.forms.ledger import search_form
from sessions.ledger.drift.search import TrailSearch
from sessions.models.searches import SearchedPage


class SearchNameForm(forms.Form):
    """Take the name of a search."""

    name = forms.CharField(max_length=60, error_messages={"required": "Give the search a name."})

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        try:
            refuse_unseen(name)
        except ValueError as error:
            raise ValidationError(str(error), code="invalid") from None
        return name

    def problems(self) -> dict[str, list[str]]:
        """Return what is wrong, by field."""
        return {field: [str(each) for each in said] for field, said in self.errors.items()}


class SavedSearchForm(SearchNameForm):
    """Take a name, the page, and what stands behind `?` in its address."""

    page = forms.ChoiceField(
        choices=SearchedPage.choices, error_messages={"invalid_choice": "Choose events or drift."}
    )
    query = forms.CharField(max_length=2000, required=False)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        page, typed = cleaned.get("page"), QueryDict(str(cleaned.get("query", "")).lstrip("?"))
        if page and "query" in cleaned:
            asked = _events(typed) if page == SearchedPage.EVENTS else _drift(typed)
            cleaned["query"] = urlencode(asked)
            if not asked:
                self.add_error("query", "Search for something first: there is no filter yet.")
            elif len(cleaned["query"]) > 2000:
                self.add_error("query", "This search is too long to be saved.")
        return cleaned


def _events(typed: QueryDict) -> dict[str, str]:
    form = search_form(typed)
    if not form.is_valid():
        raise ValidationError({"query": next(iter(form.errors.values()))[0]})
    return form.asked()


def _drift(typed: QueryDict) -> dict[str, str]:
    get = typed.get
    try:
        search = TrailSearch.read(*(str(get(name, "")) for name in ("finding", "import", "key")))
    except ValueError:
        raise ValidationError({"query": "This address asks for no records."}) from None
    return search.asked()
