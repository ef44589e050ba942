"""Take the ledger away: as a file, and as a table of keys that a SIEM goes on reading."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Query
from pydantic import BaseModel

from sessions.api.base import ERRORS, ApiError, api, caller, caller_who_may
from sessions.api.ledger import SearchIn, asked_by, seq_of
from sessions.api.paging import MOST, Cursor, Limit, link_next
from sessions.api.schemas import one_of
from sessions.ledger.downloads import FORMATS, export
from sessions.ledger.reading import lines_for, record_search
from sessions.ledger.siem.lookup import ROWS, Row, rows_of
from sessions.monitoring import request_limits
from sessions.permissions import Action

FILES = {
    content_type: {"schema": {"type": "string"}}
    for content_type in ("text/csv", "application/x-ndjson")
}


@api.get(
    "/events/export",
    response={200: str, **ERRORS},
    summary="Take the ledger away",
    openapi_extra={"responses": {200: {"content": FILES}}},
)
def export_events(
    request: HttpRequest,
    search: Query[SearchIn],
    format: Annotated[str, one_of(*FORMATS)] = "jsonl",
) -> Any:
    """Stream what a search finds, all events as an admin, or those that are yours.

    `jsonl` is what `manage.py verify_ledger --export` verifies; `csv` is for a spreadsheet;
    `keys-csv` and `keys-jsonl` are the rows of `/keys`. The export is an event. The file ends with
    the last line before that.
    """
    actor, form = caller(request), asked_by(request)
    if format not in FORMATS:
        listed = ", ".join(FORMATS)
        raise ApiError(422, "invalid", f"format is one of {listed}.", {"format": [listed]})
    assert actor.token is not None
    request_limits.count(request_limits.EXPORT, actor.token.pk)
    file, content = export(actor, lines_for(actor, form.search()), format, form.asked())
    return StreamingHttpResponse(content, content_type=file.content_type)


@dataclass(frozen=True)
class KeyOut(Row):
    """Show a key by one line of the ledger: `event` is its issue, or a delivery to a device.

    `assumed_role_id` is CloudTrail's principalId. `chain` names sessions or roles from the root
    down. `person` names all for whom it was issued, or who took it. What is not known is empty.
    """


class KeysOut(BaseModel):
    """Show a part of the keys, the oldest first.

    `cursor`: what to send for what comes next, now or later; `more`: it is there already.
    """

    keys: list[KeyOut]
    cursor: str
    more: bool


@api.get("/keys", response={200: KeysOut, **ERRORS}, summary="List keys with their people")
def list_keys(
    request: HttpRequest,
    response: HttpResponse,
    search: Query[SearchIn],
    cursor: Cursor = "",
    limit: Limit = MOST,
) -> Any:
    """List issues and deliveries as an admin, for a table that a SIEM joins CloudTrail with.

    Filters are those of `/events`. At most 200 at a time; ask again with the last answer's cursor
    to follow what is issued.
    """
    actor = caller_who_may(request, Action.READ_LEDGER)
    form = asked_by(request)
    after = seq_of(cursor) or 0
    if not after:
        record_search(actor, {"kind": "credential", **form.asked()})
    found = lines_for(actor, form.search()).having(ROWS).oldest(limit, after=after)
    rows = rows_of(str(actor.team_id), found)
    after = found[-1].seq if found else after
    more = len(found) == limit
    link_next(request, response, str(after) if more else None)
    return {"keys": [asdict(row) for row in rows], "cursor": str(after), "more": more}
