"""Name drift: import CloudTrail's records, and read what they turned out to be."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from ninja import File, Status
from ninja.files import UploadedFile
from pydantic import BaseModel

from sessions import tasks
from sessions.actors import Actor
from sessions.api.base import ERRORS, ApiError, api, caller, caller_who_may, session_for
from sessions.api.paging import Cursor, Limit, link_next, not_a_cursor
from sessions.api.schemas import one_of
from sessions.exceptions import Refused
from sessions.forms.trail import lookup_form
from sessions.ledger.drift import imports
from sessions.ledger.drift.kinds import Finding, Kind
from sessions.ledger.drift.search import (
    CALLS,
    TrailSearch,
    cursor_of,
    imports_of,
    record_of_team,
    record_read,
    records_of,
)
from sessions.ledger.drift.words import session_label, why
from sessions.models import TrailImport, TrailRecord, TrailSource, TrailState
from sessions.permissions import Action


class ImportOut(BaseModel):
    """Show one import and how far it has come. Its records count if `is_shown`.

    `known` of the `records` were there before. `reason` says why it failed, with line and column.
    """

    id: UUID
    source: Annotated[str, one_of(*TrailSource.values)]
    state: Annotated[str, one_of(*TrailState.values)]
    is_shown: bool
    name: str
    person: str
    created_at: datetime
    ended_at: datetime | None
    size: int
    position: int
    records: int
    known: int
    reason: str
    region: str
    since: datetime | None
    until: datetime | None

    @classmethod
    def of(cls, row: TrailImport) -> dict[str, Any]:
        names = ImportOut.model_fields
        return {"id": row.pk} | {name: getattr(row, name) for name in names if name != "id"}


class ImportsOut(BaseModel):
    """Show a part of the imports, the newest first; `cursor` is for the next part."""

    imports: list[ImportOut]
    cursor: str | None = None


class RecordOut(BaseModel):
    """Show one record: what it says, and what it turned out to be.

    `people`: who acted, the likeliest first. `why` says by what. `event`: the ledger's line that
    issued what was used, `issued_for` the session of that line, `by_key` that the call was made
    under exactly that key. `made_by`: the record of the call that made the session.
    """

    id: int
    import_id: UUID
    event_id: str
    at: datetime
    event_name: str
    event_source: str
    region: str
    account: str
    address: str
    client: str
    access_key_id: str
    principal_id: str
    session: str
    source_identity: str
    changes: bool
    denied: bool
    failed: bool
    error: str
    kind: Annotated[str, one_of(*(each.value for each in Kind))]
    findings: list[Annotated[str, one_of(*(each.value for each in Finding))]]
    people: list[str]
    why: str
    doubts: list[str]
    event: int | None
    issued_for: str
    by_key: bool
    made_by: int | None

    @classmethod
    def of(cls, row: TrailRecord) -> dict[str, Any]:
        own = {name: getattr(row, name) for name in RecordOut.model_fields if hasattr(row, name)}
        findings = [
            finding.value
            for finding, is_so in (
                (Finding.BREAKS_POLICY, row.breaks_policy),
                (Finding.LACKS_IDENTITY, row.lacks_identity),
            )
            if is_so
        ]
        return own | {
            "import_id": row.trail_import_id,
            "event_id": row.detail["event_id"],
            "client": row.detail["agent"],
            "session": session_label(row),
            "error": row.detail["error"],
            "findings": findings,
            "why": why(row),
            "doubts": row.detail.get("doubts", []),
            "event": row.line,
        }


class RecordsOut(BaseModel):
    """Show a part of the records, the newest first; `cursor` is for the next part."""

    records: list[RecordOut]
    cursor: str | None = None


@api.get(
    "/drift/imports",
    response={200: ImportsOut, **ERRORS},
    exclude_none=True,
    summary="List imports of CloudTrail's records",
)
def list_imports(
    request: HttpRequest, response: HttpResponse, cursor: Cursor = "", limit: Limit = 50
) -> Any:
    """List the team's imports, as one who may read its ledger."""
    actor = caller_who_may(request, Action.READ_LEDGER)
    try:
        before = datetime.fromisoformat(cursor) if cursor else None
        if before is not None and before.tzinfo is None:
            raise ValueError
    except ValueError:
        raise not_a_cursor() from None
    found = imports_of(actor.team_id, limit + 1, before=before)
    last = found[limit - 1].created_at.isoformat() if len(found) > limit else None
    return {
        "imports": [ImportOut.of(each) for each in found[:limit]],
        "cursor": link_next(request, response, last),
    }


@api.post(
    "/drift/imports",
    response={202: ImportOut, **ERRORS},
    summary="Import a log file of CloudTrail",
)
def import_file(request: HttpRequest, file: File[UploadedFile | None] = None) -> Any:
    """Upload a file as `multipart/form-data`: JSON, JSON lines or CSV, plain or gzip.

    A worker reads it as a whole or not at all; the import says how far it has come.
    """
    actor = caller_who_may(request, Action.IMPORT_TRAIL)
    if file is None:
        raise _invalid("file", "Send a log file as “file”, in multipart/form-data.")
    try:
        taken = imports.take_file(actor, file.name or "", file.chunks())
    except Refused as refused:
        raise _invalid("file", refused.message) from None
    tasks.wake_for_trail()
    return Status(202, ImportOut.of(TrailImport.objects.get(pk=taken.pk)))


class LookupIn(BaseModel):
    """Ask for a walk through LookupEvents with a session that you have started.

    `since` and `until` are times, dates, or how long ago: `24h`, `7d`; without `until` it is now.
    """

    session: str
    region: str
    since: str
    until: str = ""


@api.post(
    "/drift/lookups", response={202: ImportOut, **ERRORS}, summary="Look CloudTrail's records up"
)
def look_up(request: HttpRequest, asked: LookupIn) -> Any:
    """Have workers read the management events of a region, at AWS's pace."""
    actor = caller_who_may(request, Action.IMPORT_TRAIL)
    form = lookup_form(asked.model_dump())
    if not form.is_valid():
        errors = form.problems()
        raise ApiError(422, "invalid", next(iter(errors.values()))[0], errors)
    said = form.cleaned_data
    session = session_for(request, said["session"], Action.TAKE_CREDENTIALS)
    try:
        taken = imports.start_lookup(actor, session, said["region"], said["since"], said["until"])
    except Refused as refused:
        raise _invalid(refused.field or "__all__", refused.message) from None
    tasks.wake_for_trail()
    return Status(202, ImportOut.of(taken))


@api.get(
    "/drift/imports/{uuid:import_id}", response={200: ImportOut, **ERRORS}, summary="One import"
)
def get_import(request: HttpRequest, import_id: UUID) -> Any:
    """Read how far an import has come."""
    return ImportOut.of(_import(caller_who_may(request, Action.READ_LEDGER), import_id))


@api.delete(
    "/drift/imports/{uuid:import_id}",
    response={204: None, **ERRORS},
    summary="Delete an import with its records",
)
def delete_import(request: HttpRequest, import_id: UUID) -> Any:
    """Take an import's records out of sight at once; workers clear them away."""
    actor = caller_who_may(request, Action.IMPORT_TRAIL)
    imports.delete_import(actor, _import(actor, import_id).pk)
    tasks.wake_for_trail()
    return Status(204, None)


@api.get(
    "/drift/records",
    response={200: RecordsOut, **ERRORS},
    exclude_none=True,
    summary="Read imported records and what they turned out to be",
)
def list_records(
    request: HttpRequest,
    response: HttpResponse,
    finding: str = "",
    import_id: str = "",
    key: str = "",
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Any:
    """Search by a kind or a `finding`, and by the `key` (access key id) that was used."""
    caller_who_may(request, Action.READ_LEDGER)
    search = _search(finding=finding, import_id=import_id, key=key, cursor=cursor)
    return _answer(request, response, search, limit)


@api.get(
    "/drift/records/{int:record_id}", response={200: RecordOut, **ERRORS}, summary="One record"
)
def get_record(request: HttpRequest, record_id: int) -> Any:
    """Read one imported record."""
    actor = caller_who_may(request, Action.READ_LEDGER)
    row = record_of_team(actor.team_id, record_id)
    if row is None:
        raise Http404
    record_read(actor, {"record": row.detail["event_id"] or str(row.pk)})
    return RecordOut.of(row)


@api.get(
    "/sessions/{uuid:session_id}/calls",
    response={200: RecordsOut, **ERRORS},
    exclude_none=True,
    summary="What was done with a session",
)
def list_calls(
    request: HttpRequest,
    response: HttpResponse,
    session_id: UUID,
    call: str = "",
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Any:
    """Read the imported records of calls under exactly the keys issued for a session.

    `call`: `denied`, `failed` or `changes` alone.
    """
    session = session_for(request, session_id, Action.READ_LEDGER)
    caller_who_may(request, Action.READ_LEDGER)
    search = replace(_search(call=call, cursor=cursor), session=str(session.pk))
    return _answer(request, response, search, limit)


def _answer(
    request: HttpRequest, response: HttpResponse, search: TrailSearch, limit: int
) -> dict[str, Any]:
    actor = caller(request)
    found = records_of(actor.team_id, search, limit + 1)
    if search.after is None:
        record_read(actor, search.asked())
    last = cursor_of(found[limit - 1]) if len(found) > limit else None
    return {
        "records": [RecordOut.of(each) for each in found[:limit]],
        "cursor": link_next(request, response, last),
    }


def _search(**said: str) -> TrailSearch:
    try:
        return TrailSearch.read(**said)
    except ValueError:
        kinds = ", ".join(each.value for each in (*Kind, *Finding))
        message = f"Use one of {kinds}, of calls {', '.join(CALLS)}, and a cursor as it was given."
        raise _invalid("__all__", message) from None


def _import(actor: Actor, import_id: UUID) -> TrailImport:
    found = TrailImport.objects.filter(pk=import_id, team=actor.team_id)
    row = found.exclude(state=TrailState.DELETING).first()
    if row is None:
        raise Http404
    return row


def _invalid(field: str, message: str) -> ApiError:
    return ApiError(422, "invalid", message, {field: [message]})
