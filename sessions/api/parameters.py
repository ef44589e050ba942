"""Refuse parameters of an address that its operation does not have."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest

from sessions.api.errors import ApiError

# A message names so many, each by so many characters.
NAMED, LETTERS = 20, 64


def only_known_parameters(view: Callable[..., Any]) -> Callable[..., Any]:
    """Make an operation answer 422 where its address has parameters that it does not read.

    A filter with a typing error would otherwise find everything.
    """
    known = {
        name
        for model in view._ninja_operation.models  # type: ignore[attr-defined]  # set by the library
        if model.__ninja_param_source__ == "query"
        for name in model.__ninja_flatten_map__
    }

    @wraps(view)
    def checked(request: HttpRequest, **values: Any) -> Any:
        if unknown := sorted(set(request.GET) - known)[:NAMED]:
            names = [each[:LETTERS] for each in unknown]
            has = f"It has: {', '.join(sorted(known))}." if known else "It has none."
            raise ApiError(
                422,
                "invalid",
                f"This address has no parameter {', '.join(f'“{each}”' for each in names)}. {has}",
                {each: ["Unknown parameter."] for each in names},
            )
        return view(request, **values)

    return checked
