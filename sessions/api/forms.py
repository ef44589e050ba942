"""Check the API's bodies by the pages' own forms: their rules and words."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django import forms

from sessions.api.errors import ApiError
from sessions.exceptions import NotThere, Refused, RightLost
from sessions.locks.versions import Changed

Done = TypeVar("Done")


def valid(kind: type[forms.Form], values: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """Return what a form makes of values. Raises `ApiError`, with the reasons by field."""
    form = kind({name: value for name, value in values.items() if value is not None}, **options)
    if not form.is_valid():
        raise form_errors(form)
    return form.cleaned_data


def form_errors(form: forms.Form) -> ApiError:
    """Make the refusal of a form that is not valid."""
    fields = {name: [str(each) for each in said] for name, said in form.errors.items()}
    return ApiError(422, "invalid", next(iter(fields.values()))[0], fields)


def do(act: Callable[[], Done], code: str = "refused") -> Done:
    """Do it; what the rules refuse is an error of its field (422), or a conflict (409)."""
    try:
        return act()
    except (Changed, NotThere, RightLost):
        raise
    except Refused as error:
        raise refused(error, code) from None


def refused(error: Refused, code: str = "refused") -> ApiError:
    """Make a refusal of the rules: of a field (422), or of what stands against it now (409)."""
    if error.field:
        return ApiError(422, "invalid", error.message, {error.field: [error.message]})
    return ApiError(409, code, error.message)
