"""Answer what a root asks a person for: a code, an approval in the browser."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Status as Answer
from pydantic import BaseModel, ConfigDict

from sessions import tasks
from sessions.actors import Actor
from sessions.api.base import ERRORS, ApiError, api, caller, session_for
from sessions.api.schemas import ProblemOut, one_of
from sessions.db.clock import database_now
from sessions.exceptions import NotThere, Refused, RightLost
from sessions.models import Approval, ApprovalStage, AwsSession
from sessions.monitoring import request_limits
from sessions.permissions import Action, NotAllowed, may_answer
from sessions.roots import approvals
from sessions.roots.codes import code_challenges, submit_codes


class AnswerIn(BaseModel):
    """Accept what the root asks for, by name: for an IAM user with MFA `code`, six digits."""

    model_config = ConfigDict(extra="allow")


Stage = Annotated[str, one_of("none", *ApprovalStage.values)]


class ApprovalOut(BaseModel):
    """Show the caller's approval: none, asked, open, given, over.

    While it is open, go to `url` and compare `user_code`.
    """

    stage: Stage
    url: str = ""
    user_code: str = ""
    page_ends_at: datetime | None = None
    problem: ProblemOut | None = None


def _root_for(request: HttpRequest, session_id: UUID) -> tuple[AwsSession, Actor]:
    session, actor = session_for(request, session_id), caller(request)
    if not may_answer(actor, session):
        raise NotAllowed(actor, Action.START, session)
    return session.chain()[0], actor


@api.post(
    "/sessions/{uuid:session_id}/answer",
    response={204: None, **ERRORS},
    summary=(
        "Submit the code that a session's root waits for; it serves all sessions under that root"
    ),
)
def give_answer(request: HttpRequest, session_id: UUID, payload: AnswerIn) -> Any:
    root, actor = _root_for(request, session_id)
    request_limits.count(request_limits.CODE, actor.user_id, root.pk)
    sent = payload.model_dump()
    unknown = sorted(set(sent) - {challenge.name for challenge in code_challenges(root)})
    if code_challenges(root) and unknown:
        raise ApiError(
            422,
            "invalid",
            "The root does not need this.",
            {name: ["Unknown field."] for name in unknown},
        )
    if no_text := sorted(name for name, value in sent.items() if not isinstance(value, str)):
        raise ApiError(
            422, "invalid", "Every field is text.", {name: ["Must be text."] for name in no_text}
        )
    try:
        submit_codes(root, actor, sent)
    except (NotThere, RightLost):
        raise
    except Refused as refused:
        if not refused.field:
            raise ApiError(409, "not_waiting", refused.message) from None
        raise ApiError(
            422, "invalid", refused.message, {refused.field: [refused.message]}
        ) from None
    tasks.wake_for_start()
    return Answer(204, None)


def _as_json(approval: Approval | None) -> dict[str, Any]:
    if approval is None:
        return {"stage": "none"}
    return {
        "stage": str(approval.stage),
        "url": approval.url,
        "user_code": approval.user_code,
        "page_ends_at": approval.page_ends_at,
        "problem": ProblemOut.of(approval.problem),
    }


def _approving(request: HttpRequest, session_id: UUID) -> tuple[AwsSession, Actor]:
    root, actor = _root_for(request, session_id)
    if not approvals.asks_for_approval(root):
        raise ApiError(409, "no_approval", "The session's root needs no approval.")
    return root, actor


@api.get(
    "/sessions/{uuid:session_id}/approval",
    response={200: ApprovalOut, **ERRORS},
    summary="Read the state of your approval for a session's root",
)
def get_approval(request: HttpRequest, session_id: UUID) -> Any:
    root, actor = _approving(request, session_id)
    approval = approvals.approval_of(root, actor.member)
    if approval and approval.due_at and approval.due_at <= database_now():
        tasks.wake_for_approvals()
    return _as_json(approval)


@api.delete(
    "/sessions/{uuid:session_id}/approval",
    response={204: None, **ERRORS},
    summary="Delete your approval for a session's root",
)
def forget_approval(request: HttpRequest, session_id: UUID) -> Any:
    """Forget what you have approved; what was issued with it works until it expires."""
    root, actor = _approving(request, session_id)
    approvals.end_approval(root, actor)
    return Answer(204, None)


@api.post(
    "/sessions/{uuid:session_id}/approval",
    response={202: ApprovalOut, **ERRORS},
    summary=("Request an approval page; read the approval again for its address and code"),
)
def ask_for_approval(request: HttpRequest, session_id: UUID) -> Any:
    root, actor = _approving(request, session_id)
    request_limits.count(request_limits.APPROVAL, actor.user_id, root.pk)
    approval = approvals.ask_approval(root, actor)
    tasks.wake_for_approvals()
    return api.create_response(request, _as_json(approval), status=202)
