"""List the role session names in use."""

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from pydantic import BaseModel, Field

from sessions.api.base import ERRORS, ApiError, api, caller_who_may
from sessions.api.paging import MOST, Cursor, Limit, link_next, not_a_cursor
from sessions.api.schemas import Text, one_of
from sessions.ledger.names import Finding, NameSearch, names_of, uncounted
from sessions.permissions import Action


class NameOut(BaseModel):
    """Show one name: who used it, through what, when, and how many credentials it was issued for.

    `findings`: "shared" was issued for several people at once, "several-people" were using it one
    after another, "breaks-policy" does not say whose it is though the policy demands it.
    """

    name: str
    people: list[str]
    sessions: list[str]
    accounts: list[str]
    first_at: datetime
    last_at: datetime
    uses: int
    findings: list[Annotated[str, one_of(*(each.value for each in Finding))]]


class NamesOut(BaseModel):
    """Show a part of the names, the last used first.

    `cursor`: what to send for the next part; left out with the last one. `uncounted`: how many of
    the ledger's lines are not in it yet.
    """

    names: list[NameOut]
    cursor: str | None = None
    uncounted: int


@api.get(
    "/names",
    response={200: NamesOut, **ERRORS},
    exclude_none=True,
    summary="List the role session names in use",
)
def names(
    request: HttpRequest,
    response: HttpResponse,
    q: Text = "",
    finding: Annotated[str, one_of("", *(each.value for each in Finding))] = "",
    cursor: Cursor = "",
    after: Annotated[Cursor, Field(deprecated=True)] = "",
    limit: Limit = MOST,
) -> Any:
    """List them to admins and auditors; `q` is a part of the name or of a person's.

    `after` is what `cursor` was called.
    """
    actor = caller_who_may(request, Action.READ_LEDGER)
    try:
        search = NameSearch.read(q, finding, cursor or after)
    except ValueError:
        if finding in {"", *Finding}:
            raise not_a_cursor() from None
        message = f"One of: {', '.join(Finding)}."
        raise ApiError(422, "invalid", message, {"finding": [message]}) from None
    found = names_of(actor.team, search, limit + 1)
    shown = found[:limit]
    next_cursor = shown[-1].cursor if len(found) > limit else None
    return {
        "names": [{name: getattr(each, name) for name in NameOut.model_fields} for each in shown],
        "cursor": link_next(request, response, next_cursor),
        "uncounted": max(uncounted(actor.team_id), 0),
    }
