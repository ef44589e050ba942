"""Make the team's sessions and groups what a document says."""

from typing import Annotated, Any

from django.http import HttpRequest
from pydantic import BaseModel, WithJsonSchema

from sessions import tasks
from sessions.api.base import ERRORS, ApiError, api, caller
from sessions.api.bodies import BadBody, strict_json
from sessions.api.schemas import Text, one_of
from sessions.forms.declared.apply import apply_document
from sessions.forms.declared.changes import Made
from sessions.forms.declared.reading import LARGEST_BYTES, Document, Fault, Faulty, read
from sessions.forms.json_schema import declared
from sessions.monitoring import request_limits

# An answer names so many faults.
FAULTS_SHOWN = 50
Value = Annotated[
    Any, WithJsonSchema({"type": ["string", "boolean", "integer", "array", "object", "null"]})
]
BODY = {
    "required": True,
    "content": {kind: {"schema": declared()} for kind in ("application/json", "application/yaml")},
}


class DifferenceOut(BaseModel):
    """Show what a field was, and what it becomes."""

    before: Value = None
    after: Value = None


class ChangeOut(BaseModel):
    """Show one change: of a session, of who may use it (`access`), or of a group."""

    action: Annotated[str, one_of(*Made)]
    what: Annotated[str, one_of("session", "access", "group")]
    name: str
    fields: dict[str, DifferenceOut]


class AppliedOut(BaseModel):
    """Show what was changed, or with `dry_run` would be, and how much stays as it is."""

    applied: bool
    unchanged: int
    changes: list[ChangeOut]


@api.post(
    "/apply",
    response={200: AppliedOut, **ERRORS},
    summary="Make sessions and groups what a document says",
    openapi_extra={"requestBody": BODY},
)
def apply(request: HttpRequest, dry_run: bool = False, prune: Text = "") -> Any:
    """Create and change what the document has, all or nothing, and leave the rest as it is.

    The body is JSON, or YAML as a file for `manage.py apply` (`Content-Type: application/yaml`),
    whose lines are named in errors. `dry_run` says what would change. With `prune`, sessions with
    that label that the document does not have are deleted.
    """
    actor = caller(request)
    request_limits.count(request_limits.APPLY, actor.user_id)
    try:
        result = apply_document(_document(request), actor, prune=prune, dry_run=dry_run)
    except Faulty as faulty:
        raise _refused(faulty) from None
    if result.applied and result.changes:
        tasks.wake_after_change()
        tasks.wake_after_deletion()
    return result.to_json()


def _document(request: HttpRequest) -> Document:
    if (request.content_type or "").endswith("yaml"):
        return read(request.body)
    if len(request.body) > LARGEST_BYTES:
        raise Faulty(Fault((), None, "The document is larger than 1 MB."), status=413)
    try:
        return Document(strict_json(request.body))
    except BadBody as error:
        raise ApiError(400, "invalid", str(error)) from None
    except (ValueError, RecursionError):
        raise ApiError(400, "invalid", "Cannot parse request body") from None


def _refused(faulty: Faulty) -> ApiError:
    fields: dict[str, list[str]] = {}
    for fault in faulty.faults[:FAULTS_SHOWN]:
        fields.setdefault(fault.place, []).append(str(fault))
    code = {403: "forbidden", 413: "too_large"}.get(faulty.status, "invalid")
    return ApiError(faulty.status, code, str(faulty.faults[0]), fields)
