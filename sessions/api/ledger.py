"""Search the team's ledger, and read one event with what it changed."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from ninja import Query
from pydantic import BaseModel

from sessions.api.base import ERRORS, ApiError, ErrorOut, api, caller
from sessions.api.paging import Cursor, Limit, link_next, not_a_cursor
from sessions.forms.ledger import EventSearchForm, search_form
from sessions.ledger import events
from sessions.ledger.reading import lines_for, record_search
from sessions.ledger.removed import removed_of
from sessions.ledger.search import Lines
from sessions.ledger.story import story_of
from sessions.models import Event


class SearchIn(BaseModel):
    """List what a search of the ledger can ask for; `asked_by` reads it, as the pages do.

    `person` is a username; `session` an id or an alias; `role` an ARN or a name; `name` a role
    session name; `root` the id of the session that chains begin at; `kind` a kind of event, or what
    stands before its dot. `since` and `until` are times (UTC unless they say otherwise), dates, or
    how long ago: `24h`, `7d`. `held` is who took credentials that were valid after `since` and were
    taken before `until`: all that somebody held then.
    """

    person: str = ""
    session: str = ""
    account: str = ""
    role: str = ""
    name: str = ""
    key: str = ""
    root: str = ""
    kind: str = ""
    address: str = ""
    held: str = ""
    since: str = ""
    until: str = ""


class EventOut(BaseModel):
    """Show one line. `data` has the fields of its kind; `hash` follows from all the rest."""

    seq: int
    at: datetime
    kind: str
    actor: str
    summary: str
    session_id: str
    session_alias: str
    data: dict[str, Any]
    prev: str
    hash: str

    @classmethod
    def of(cls, line: Event) -> dict[str, Any]:
        said = events.read(line.kind, line.data)
        fields = {name: getattr(line, name) for name in EventOut.model_fields if name != "summary"}
        return fields | {"summary": said.summary()}


class ChangeOut(BaseModel):
    """Show one field that an event changed, as the pages say it; `before` is null if unknown."""

    field: str
    before: str | None
    after: str


class StoryOut(EventOut):
    """Show one event with the numbers of those that belong to it.

    `previous` and `next` are its neighbours among what you may read; `signed_by` issued the key
    that signed this credential's call, `signs` are the calls that it signed; `issued_by` issued the
    key that was taken here, `taken_by` are the events that took it.
    """

    changes: list[ChangeOut]
    previous: int | None
    next: int | None
    signed_by: int | None
    issued_by: int | None
    signs: list[int]
    taken_by: list[int]


class EventsOut(BaseModel):
    """Show a part of what was found, the newest first.

    `cursor`: what to send for the next part; left out with the last one. `removed_upto` is in that
    one, if the ledger's first events up to that number were removed.
    """

    events: list[EventOut]
    cursor: str | None = None
    removed_upto: int | None = None


@api.get(
    "/events",
    response={200: EventsOut, **ERRORS},
    exclude_none=True,
    summary="Search the ledger",
)
def list_events(
    request: HttpRequest,
    response: HttpResponse,
    search: Query[SearchIn],
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Any:
    """Search all events as an admin, or those that are yours.

    `person` is a username; `session` an id or an alias; `role` an ARN or a name; `name` a role
    session name; `root` the id of the session that chains begin at; `kind` a kind of event, or what
    stands before its dot. `since` and `until` are times (UTC unless they say otherwise), dates, or
    how long ago: `24h`, `7d`. `held` is who took credentials that were valid after `since` and were
    taken before `until`: all that somebody held then. At most 200 events at a time.
    """
    actor, form = caller(request), asked_by(request)
    before = seq_of(cursor)
    lines = lines_for(actor, form.search())
    if before is None:
        record_search(actor, form.asked())
    found = lines.newest(limit, before=before)
    last = str(found[-1].seq) if len(found) == limit else None
    removed = removed_of(actor.team_id) if last is None else None
    return {
        "events": [EventOut.of(each) for each in found],
        "cursor": link_next(request, response, last),
        "removed_upto": removed.seq if removed else None,
    }


def asked_by(request: HttpRequest) -> EventSearchForm:
    """Read a search of the ledger. Raises `ApiError`."""
    form = search_form(request.GET)
    if not form.is_valid():
        errors = {field: [str(each) for each in said] for field, said in form.errors.items()}
        raise ApiError(422, "invalid", next(iter(errors.values()))[0], errors)
    return form


def _missing(lines: Lines, seq: int) -> Exception:
    """Say that an event is not there, or that it was removed."""
    removed = removed_of(lines.team_id)
    if removed is None or seq > removed.seq:
        return Http404()
    when = f"on {removed.at:%Y-%m-%d} by {removed.by}"
    return ApiError(410, "removed", f"The events up to {removed.seq} were removed {when}.")


def seq_of(text: str) -> int | None:
    """Read a cursor, the number of a line; None for none. Raises `ApiError`."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise not_a_cursor()
    return int(text)


@api.get(
    "/events/{int:seq}", response={200: StoryOut, 410: ErrorOut, **ERRORS}, summary="One event"
)
def get_event(request: HttpRequest, seq: int) -> Any:
    """Read an event by its number in the team's ledger, with what it changed and its neighbours."""
    lines = lines_for(caller(request))
    line = lines.get(seq)
    if line is None:
        raise _missing(lines, seq)
    story = story_of(line, lines)

    def number(each: Event | None) -> int | None:
        return each.seq if each is not None else None

    return EventOut.of(line) | {
        "changes": [asdict(each) for each in story.changes],
        "previous": number(story.before),
        "next": number(story.after),
        "signed_by": number(story.signed_by),
        "issued_by": number(story.issued),
        "signs": [each.seq for each in story.signs],
        "taken_by": [each.seq for each in story.taken],
    }
