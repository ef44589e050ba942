"""Page lists: one convention for all of them, and the database stops at the end of a page.

A list takes `cursor` and `limit` and sends `Link: <…>; rel="next"` while there is more. Where its
answer is an object, that has the `cursor` for the next part as well.
"""

import base64
import binascii
import json
from typing import Annotated, Any, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import F, Model, Q, QuerySet
from django.db.models.functions import Lower
from django.http import HttpRequest, HttpResponse
from pydantic import Field

from sessions.api.errors import ApiError

MOST = 200
LARGEST_NUMBER = 2**63
Limit = Annotated[int, Field(ge=1, le=MOST, description=f"how many at most: 1 to {MOST}")]
Cursor = Annotated[
    str, Field(max_length=1024, description="where the part begins: sent by the part before it")
]
Row = TypeVar("Row", bound=Model)


def not_a_cursor() -> ApiError:
    return ApiError(422, "invalid", "Send the cursor of an answer.", {"cursor": ["Not a cursor."]})


def link_next(request: HttpRequest, response: HttpResponse, cursor: str | None) -> str | None:
    """Name the next part, if there is one, in a `Link` header (RFC 8288); return its cursor."""
    if cursor is not None:
        query = request.GET.copy()
        query["cursor"] = cursor
        address = request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
        response.headers["Link"] = f'<{address}>; rel="next"'
    return cursor


def page_by(
    found: QuerySet[Row, Row], text: str, cursor: str, limit: int
) -> tuple[list[Row], str | None]:
    """Read one part of some rows, in the order of a column of text in whatever case.

    Return it with the cursor for the next part, None at the end.
    """
    ordered: QuerySet[Any, Any] = found.annotate(place=Lower(text)).order_by("place", "pk")
    return _page(ordered, "place", cursor, limit)


def page_newest(
    found: QuerySet[Row, Row], moment: str, cursor: str, limit: int
) -> tuple[list[Row], str | None]:
    """Read one part of some rows, the newest by a column of time first; see `page_by`."""
    ordered: QuerySet[Any, Any] = found.annotate(place=F(moment)).order_by("-place", "-pk")
    return _page(ordered, "place", cursor, limit, newest=True)


def _page(
    ordered: QuerySet[Any, Any], place: str, cursor: str, limit: int, *, newest: bool = False
) -> tuple[list[Any], str | None]:
    if cursor:
        at, pk = _read(cursor, ordered)
        beyond = "lt" if newest else "gt"
        # The first condition alone is what an index walks to.
        ordered = ordered.filter(Q(**{f"{place}__{beyond}e": at})).filter(
            Q(**{f"{place}__{beyond}": at}) | Q(**{f"pk__{beyond}": pk})
        )
    rows = list(ordered[: limit + 1])
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], _written(getattr(last, place), last.pk)


def _written(*place: Any) -> str:
    text = json.dumps([str(each) for each in place], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(cursor: str, ordered: QuerySet[Any]) -> tuple[Any, Any]:
    """Read where the next part begins. Raises `ApiError` for what no answer has said."""
    try:
        raw = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
        at, pk = json.loads(raw)
        if not (isinstance(at, str) and isinstance(pk, str)) or "\x00" in at:
            raise ValueError
        field = ordered.query.annotations["place"].output_field
        number = ordered.model._meta.pk.to_python(pk)
        if isinstance(number, int) and not -LARGEST_NUMBER <= number < LARGEST_NUMBER:
            raise ValueError
        return field.to_python(at), number
    except (ValueError, TypeError, RecursionError, binascii.Error, ValidationError):
        raise not_a_cursor() from None
