"""Do one thing to many sessions, each for itself: what is refused of one stops no other."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from pydantic import BaseModel, ConfigDict, Field

from sessions import tasks
from sessions.activations.start_stop import rotate_session, start_sessions, stop_sessions
from sessions.actors import Actor
from sessions.api.base import ERRORS, ApiError, api, caller, require_startable
from sessions.api.presenting import all_described
from sessions.api.saving import delete_one, patch_fields
from sessions.api.schemas import SessionOut
from sessions.catalog.finding import sessions_seen_by
from sessions.exceptions import ActorGone, NotThere, Refused
from sessions.locks.versions import Changed
from sessions.models import AwsSession
from sessions.models.labels import load_labels
from sessions.monitoring import request_limits
from sessions.permissions import NO_OWNER, Action, NotAllowed, PermissionChecker, orphaned_among

MOST = 200


class BulkAction(StrEnum):
    """Name what can be done to many sessions."""

    START = "start"
    STOP = "stop"
    ROTATE = "rotate"
    DELETE = "delete"
    LABEL = "label"
    REGION = "region"


class BulkIn(BaseModel):
    """Choose at most 200 sessions by id, and what is done to each.

    `label` takes `add` and `remove`, names of labels; `region` takes `region`; `delete` takes
    `dependants`, without which a session that others are assumed from is refused.
    """

    model_config = ConfigDict(extra="forbid")

    action: BulkAction
    ids: Annotated[list[UUID], Field(max_length=MOST)]
    add: list[str] = []
    remove: list[str] = []
    region: str = ""
    dependants: bool = False


class BulkResultOut(BaseModel):
    """Show what became of one session: the status that it alone would have been answered.

    `code` and `message` say why it was refused.
    """

    id: UUID
    status: Annotated[int, Field(ge=200, le=599)]
    code: str | None = None
    message: str | None = None
    session: SessionOut | None = None


class BulkOut(BaseModel):
    """Hold a result for each id, in their order."""

    results: list[BulkResultOut]


@api.post(
    "/sessions/bulk",
    response={200: BulkOut, **ERRORS},
    summary="Do one thing to many sessions, with a result for each",
)
def bulk(request: HttpRequest, payload: BulkIn) -> Any:
    """Start, stop, rotate, delete, label sessions, or move them to another region."""
    actor = caller(request)
    request_limits.count(request_limits.SEVERAL, actor.user_id)
    _require_fitting(payload)
    ids = list(dict.fromkeys(payload.ids))
    found = sessions_seen_by(actor).filter(pk__any_of=ids).in_bulk()
    run = _Run(actor, payload, found)
    results = {pk: run.refusal_of(partial(run.look_at, pk)) for pk in ids}
    allowed = [found[pk] for pk in ids if results[pk] is None]
    for pk, refused in run.act(allowed).items():
        results[pk] = refused
    done = [found[pk] for pk in ids if results[pk] is None]
    shown: dict[Any, Any] = {}
    if payload.action is not BulkAction.DELETE:
        there = sessions_seen_by(actor).filter(pk__any_of=[each.pk for each in done])
        shown = {each["id"]: each for each in all_described(actor, list(there))}
    return {
        "results": [
            {
                "id": pk,
                "status": error.status if error else 200 if pk in shown else 204,
                "code": error.code if error else None,
                "message": error.message if error else None,
                "session": shown.get(pk),
            }
            for pk, error in results.items()
        ]
    }


def _require_fitting(payload: BulkIn) -> None:
    """Refuse what belongs to another action. Raises `ApiError`."""
    takes = {BulkAction.LABEL: {"add", "remove"}, BulkAction.REGION: {"region"}}
    takes[BulkAction.DELETE] = {"dependants"}
    given = payload.model_fields_set - {"action", "ids"}
    fitting = takes.get(payload.action, set())
    if unfit := sorted(given - fitting):
        fields = {name: [f"“{payload.action}” does not take it."] for name in unfit}
        raise ApiError(422, "invalid", "There are fields that this action does not take.", fields)
    if payload.action is BulkAction.LABEL and not (payload.add or payload.remove):
        text = "Name labels to add or to remove."
        raise ApiError(422, "invalid", text, {"add": [text]})
    if payload.action is BulkAction.REGION and not payload.region:
        text = "Name the region."
        raise ApiError(422, "invalid", text, {"region": [text]})


class _Run:
    def __init__(self, actor: Actor, payload: BulkIn, found: dict[UUID, AwsSession]) -> None:
        self.actor, self.payload, self.found = actor, payload, found
        self.rights = PermissionChecker(actor, list(found))
        self.orphaned: set[Any] = set()
        if payload.action is BulkAction.START:
            self.orphaned = orphaned_among(found.values())
        if payload.action is BulkAction.LABEL:
            load_labels(found.values())

    def refusal_of(self, act: Callable[[], object]) -> ApiError | None:
        """Do it; return why it was refused, None if it was not."""
        try:
            act()
        except ActorGone:
            raise
        except ApiError as error:
            return error
        except request_limits.TooOften as error:
            return ApiError(429, "too_many", f"Again in {error.retry_after_seconds:.0f} s.")
        except Changed as error:
            return ApiError(409, "changed", error.message)
        except (NotThere, Http404):
            return ApiError(404, "not_found", "Not found in this team.")
        except PermissionDenied as error:
            return ApiError(403, "forbidden", getattr(error, "message", "") or str(error))
        except Refused as error:
            return ApiError(422 if error.field else 409, "refused", error.message)
        return None

    def look_at(self, pk: UUID) -> None:
        """Raise why the actor may not do it to that session."""
        session = self.found.get(pk)
        if session is None:
            raise Http404
        match self.payload.action:
            case BulkAction.START | BulkAction.STOP | BulkAction.ROTATE:
                require_startable(session, self.rights)
                if pk in self.orphaned:
                    raise ApiError(409, "cut_off", NO_OWNER)
            case BulkAction.DELETE:
                self._require(Action.DELETE, session)
            case _:
                self._require(Action.EDIT, session)

    def _require(self, action: Action, session: AwsSession) -> None:
        if not self.rights.can(action, session):
            raise NotAllowed(self.actor, action, session)

    def act(self, sessions: list[AwsSession]) -> dict[UUID, ApiError | None]:
        """Do it to these, together where that is possible; return what was refused of which."""
        together = {BulkAction.START: start_sessions, BulkAction.STOP: stop_sessions}
        at_once = together.get(self.payload.action)
        if (
            at_once is not None
            and sessions
            and not self.refusal_of(lambda: at_once(sessions, self.actor))
        ):
            refused: dict[UUID, ApiError | None] = {}
        else:
            refused = {each.pk: self.refusal_of(partial(self._one, each)) for each in sessions}
        self._wake()
        return refused

    def _one(self, session: AwsSession) -> None:
        payload, actor = self.payload, self.actor
        match payload.action:
            case BulkAction.START:
                start_sessions([session], actor)
            case BulkAction.STOP:
                stop_sessions([session], actor)
            case BulkAction.ROTATE:
                request_limits.count(request_limits.ROTATE, actor.user_id, session.pk)
                if not rotate_session(session, actor):
                    raise ApiError(409, "inactive", "You have not started this session.")
            case BulkAction.DELETE:
                self._delete(session)
            case BulkAction.LABEL:
                patch_fields(session, actor, {"labels": self._labels(session)})
            case BulkAction.REGION:
                patch_fields(session, actor, {"region": payload.region})

    def _delete(self, session: AwsSession) -> None:
        # It may have gone with another of them.
        if not AwsSession.objects.filter(pk=session.pk, team=self.actor.team_id).exists():
            return
        delete_one(session, self.actor, dependants=self.payload.dependants)

    def _labels(self, session: AwsSession) -> list[str]:
        gone = {name.lower() for name in self.payload.remove}
        kept = [each.name for each in session.labels_shown if each.name.lower() not in gone]
        has = {name.lower() for name in kept}
        return [*kept, *(name for name in self.payload.add if name.lower() not in has)]

    def _wake(self) -> None:
        match self.payload.action:
            case BulkAction.START | BulkAction.ROTATE:
                tasks.wake_for_start()
            case BulkAction.DELETE:
                tasks.wake_after_deletion()
            case BulkAction.REGION:
                tasks.wake_after_change()
