"""Read the JSON of a request's body, and nothing that two readers could take for two things."""

import json
import math
from typing import Any

from django.http import HttpRequest
from ninja.parser import Parser


class BadBody(ValueError):
    """Say what of a body is not JSON as it should be; it repeats names, never values."""


class StrictParser(Parser):
    """Parse strict JSON (RFC 8259).

    Each name occurs once, numbers are numbers and text is Unicode.
    """

    def parse_body(self, request: HttpRequest) -> Any:
        return strict_json(request.body)


def strict_json(text: bytes) -> Any:
    """Read JSON; raises ValueError, `BadBody` if it is JSON that could be taken for two things."""
    body = json.loads(
        text, object_pairs_hook=_object, parse_constant=_no_number, parse_float=_number
    )
    if b"\\u" in text:
        # What Python reads of "\\ud800" alone is no text: no database and no encoder takes it.
        try:
            json.dumps(body, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise BadBody(
                "The body has half a surrogate pair in it, which is not Unicode."
            ) from None
    return body


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadBody(f"The body has “{twice[:64]}” twice.")
    return found


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise BadBody("The body has a number that is too large.")
    return number


def _no_number(text: str) -> Any:
    raise BadBody(f"The body has {text}, which is not JSON.")
