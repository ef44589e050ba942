"""Import AWS config files and their like: a preview first, then all that is chosen or nothing."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from pydantic import BaseModel, ConfigDict, Field

from sessions import tasks
from sessions.actors import Actor
from sessions.api.base import ERRORS, ApiError, api, caller, caller_who_may
from sessions.api.schemas import one_of
from sessions.forms.imports.exporting import export
from sessions.forms.imports.preview import Preview, Row, preview
from sessions.forms.imports.saving import Imported, NotImported, import_chosen
from sessions.imports.exporting import FORMATS as EXPORTS
from sessions.imports.plan import Note
from sessions.imports.reading import FORMATS, File, read
from sessions.models import AwsSession, TeamPolicy
from sessions.permissions import Action, visible_to
from sessions.secret import Secret

MOST_FILES = 10


class FileIn(BaseModel):
    """Hold one file; without a format it is told by its name and content."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: str = Field("config", max_length=200)
    format: Annotated[str, one_of("", *FORMATS)] = ""
    text: str = Field(max_length=1024 * 1024)


class KeyIn(BaseModel):
    """Hold an IAM user's key, as its form takes it; it is never answered."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    access_key_id: str = Field("", max_length=2048)
    secret_access_key: str = Field("", max_length=2048)


class ImportIn(BaseModel):
    """Ask for a preview, or for the import of what is chosen.

    `choose`: the keys of rows; left out, all that is new and can be imported. `keys`: keys of IAM
    users by row. `use`: ids of sessions of your team that stand in for rows.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    files: list[FileIn] = Field(min_length=1, max_length=MOST_FILES)
    dry_run: bool = True
    choose: list[str] | None = None
    keys: dict[str, KeyIn] = {}
    use: dict[str, UUID] = {}


class NoteOut(BaseModel):
    """Say something of a line of a file; `field` is the setting, if it is about one."""

    file: str
    line: int
    message: str
    field: str = ""

    @classmethod
    def of(cls, note: Note) -> "NoteOut":
        return cls(file=note.file, line=note.line, message=note.message, field=note.field)


class ChangeOut(BaseModel):
    """Show a field that the file has otherwise than the team's session."""

    field: str
    was: str
    becomes: str


class RowOut(BaseModel):
    """Show what a profile or role becomes, and what it is compared with.

    `state`: new, same, differs or refused; then `problems` say why. `needs`: what has to be sent
    in `keys`. `session`: the team's session that it is compared with.
    """

    key: str
    name: str
    file: str
    line: int
    state: Annotated[str, one_of("new", "same", "differs", "refused")]
    kind: str
    values: dict[str, Any]
    source: str
    assumer: str
    session: UUID | None
    changes: list[ChangeOut]
    problems: list[NoteOut]
    notes: list[NoteOut]
    needs: list[str]
    chosen: bool

    @classmethod
    def of(cls, row: Row, chosen: bool) -> "RowOut":
        item = row.item
        return cls(
            key=row.key,
            name=item.name,
            file=item.file,
            line=item.line,
            state=row.state,
            kind=item.kind,
            values=row.values,
            source=item.source,
            assumer=row.assumer_alias,
            session=row.existing.pk if row.existing is not None else None,
            changes=[
                ChangeOut(field=each.field, was=each.was, becomes=each.becomes)
                for each in row.changes
            ],
            problems=[NoteOut.of(each) for each in row.problems],
            notes=[NoteOut.of(each) for each in row.notes],
            needs=list(row.needs),
            chosen=chosen,
        )


class ImportOut(BaseModel):
    """Show a preview, and after an import the sessions that it saved.

    `refused` are files that cannot be read, with the line. `kept` counts sections that are no
    session and that an export gives back to you.
    """

    dry_run: bool
    rows: list[RowOut]
    refused: list[NoteOut]
    remarks: list[NoteOut]
    kept: int
    created: list[UUID]
    changed: list[UUID]

    @classmethod
    def of(cls, shown: Preview, chosen: set[str], done: Imported | None) -> "ImportOut":
        return cls(
            dry_run=done is None,
            rows=[RowOut.of(row, row.key in chosen) for row in shown.rows.values()],
            refused=[NoteOut.of(each) for each in shown.plan.refused],
            remarks=[NoteOut.of(each) for each in shown.plan.remarks],
            kept=len(shown.plan.kept),
            created=[each.pk for each in done.created] if done else [],
            changed=[each.pk for each in done.changed] if done else [],
        )


@api.post("/import", response={200: ImportOut, **ERRORS}, summary="Import AWS config files")
def import_files(request: HttpRequest, payload: ImportIn) -> Any:
    """Preview files of AWS tools (`dry_run`, the default), or import what is chosen.

    All is imported or nothing. A member imports chained sessions on assumers open to them, an
    admin roots as well. Commands in the files are never run.
    """
    actor = caller_who_may(request, Action.CREATE_CHAINED)
    if unknown := [each.format for each in payload.files if each.format not in {"", *FORMATS}]:
        raise ApiError(
            422,
            "invalid",
            f"There is no format {unknown[0][:40]!r}.",
            {"format": [f"One of: {', '.join(FORMATS)}."]},
        )
    plan = read(File(each.name, each.text, each.format) for each in payload.files)
    shown = preview(plan, actor, TeamPolicy.of(actor.team_id), _standing_in(actor, payload.use))
    chosen = shown.usual_choice() if payload.choose is None else set(payload.choose)
    if payload.dry_run:
        return ImportOut.of(shown, chosen, None)
    if plan.refused:
        first = plan.refused[0]
        raise ApiError(
            422,
            "invalid",
            f"{first.file}, line {first.line}: {first.message} Nothing is imported.",
            {"files": [f"{each.file}, line {each.line}: {each.message}" for each in plan.refused]},
        )
    typed = {
        key: {
            "access_key_id": Secret(each.access_key_id),
            "secret_access_key": Secret(each.secret_access_key),
        }
        for key, each in payload.keys.items()
    }
    try:
        done = import_chosen(shown, actor, chosen, typed)
    except NotImported as refused:
        first_message = next(iter(refused.errors.values()))[0]
        raise ApiError(
            422, "invalid", f"Nothing is imported. {first_message}", refused.errors
        ) from None
    tasks.wake_after_change()
    return ImportOut.of(shown, chosen, done)


@api.get(
    "/export",
    response={200: str, **ERRORS},
    summary="Export the team's chains",
    openapi_extra={"responses": {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}},
)
def export_chains(
    request: HttpRequest, format: Annotated[str, one_of(*EXPORTS)] = "aws-config"
) -> Any:
    """Write the team's chains in the format of another tool. Secrets are never in it.

    `aws-config` gives back what else was in the files that you imported yourself.
    """
    actor = caller(request)
    if format not in EXPORTS:
        listed = ", ".join(EXPORTS)
        raise ApiError(422, "invalid", f"format is one of {listed}.", {"format": [listed]})
    return HttpResponse(export(actor, format), content_type="text/plain; charset=utf-8")


def _standing_in(actor: Actor, use: Mapping[str, UUID]) -> dict[str, AwsSession]:
    ids = list(set(use.values()))
    found = visible_to(actor.user).filter(pk__any_of=ids, team=actor.team_id).in_bulk()
    if lacking := [key for key, each in use.items() if each not in found]:
        raise ApiError(
            422,
            "invalid",
            "Your team has no such session.",
            {"use": [f"{lacking[0][:80]}: your team has no such session."]},
        )
    return {key: found[each] for key, each in use.items()}
