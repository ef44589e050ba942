"""Offer the lists of AWS that settings of a root are picked from, after its approval."""

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest
from ninja import Query
from pydantic import BaseModel, create_model

from sessions import tasks
from sessions.api.base import ERRORS, ApiError, api, caller, session_for
from sessions.api.schemas import ProblemOut, Text
from sessions.aws.roots import ROOT_KINDS
from sessions.models import ApprovalStage
from sessions.permissions import Action
from sessions.roots import approvals, choices

PICKED: dict[str, Any] = {
    field.name: (Text, "")
    for kind in ROOT_KINDS.values()
    for field in kind.fields
    if field.from_list
}
ChosenIn: type[BaseModel] = create_model(
    "ChosenIn", __doc__="Hold what was picked from the lists before.", **PICKED
)


class ChoiceOut(BaseModel):
    """Show a value of the list, and what it is called."""

    value: str
    label: str


class ChoicesOut(BaseModel):
    """Show the list to pick `field` from; null once all are picked: save them with a PATCH.

    `pending`: a worker fetches the list, ask again in a moment.
    """

    field: str | None
    chosen: dict[str, str]
    pending: bool
    choices: list[ChoiceOut]
    problem: ProblemOut | None


@api.get(
    "/sessions/{uuid:session_id}/choices",
    response={200: ChoicesOut, **ERRORS},
    summary="List what a root's settings can be, once it is approved",
)
def list_choices(request: HttpRequest, session_id: UUID, chosen: Query[ChosenIn]) -> Any:  # type: ignore[valid-type]  # made above
    """List the values of the next setting, by those that were picked before it.

    404 for a root with nothing to pick; 409 until you have approved.
    """
    root, actor = session_for(request, session_id, Action.EDIT), caller(request)
    fields = [] if root.is_chained else choices.picked_fields(root)
    if not fields:
        raise Http404
    approval = approvals.approval_of(root, actor.member)
    if approval is None or approval.stage != ApprovalStage.GIVEN:
        raise ApiError(409, "no_approval", "Approve for this root first: POST to its /approval.")
    picks = choices.Picks.of(fields, chosen.model_dump())  # type: ignore[attr-defined]
    field = picks.next
    listed = None
    if field is not None:
        listed = choices.request_list(approval, field.name, picks.chosen)
        if listed is None:
            tasks.wake_for_approvals()
    return {
        "field": field.name if field else None,
        "chosen": picks.chosen,
        "pending": field is not None and listed is None,
        "choices": [
            {"value": each.value, "label": each.label}
            for each in (listed.choices if listed else [])
        ],
        "problem": ProblemOut.of(listed.problem) if listed else None,
    }
