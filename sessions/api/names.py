"""List the role session names in use."""

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from pydantic import BaseModel

from sessions.api.base import ERRORS, ApiError, api, caller_who_may
from sessions.api.schemas import one_of
from sessions.ledger.names import Finding, NameSearch, names_of, uncounted
from sessions.permissions import Action

MOST = 200


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

    `cursor`: what to send as `after` for the next part; left out with the last one. `uncounted`:
    how many of the ledger's lines are not in it yet.
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
    request: HttpRequest, q: str = "", finding: str = "", after: str = "", limit: int = MOST
) -> Any:
    """List them to admins and auditors; `q` is a part of the name or of a person's."""
    actor = caller_who_may(request, Action.READ_LEDGER)
    try:
        search = NameSearch.read(q, finding, after)
    except ValueError:
        message = "Use one of the findings, and a cursor as it was given."
        raise ApiError(422, "invalid", message, {"__all__": [message]}) from None
    size = min(max(limit, 1), MOST)
    found = names_of(actor.team, search, size + 1)
    shown = found[:size]
    return {
        "names": [{name: getattr(each, name) for name in NameOut.model_fields} for each in shown],
        "cursor": shown[-1].cursor if len(found) > size else None,
        "uncounted": max(uncounted(actor.team_id), 0),
    }
