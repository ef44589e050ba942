"""Test a session before it is saved, as the pages' “Test” does."""

from typing import Annotated, Any
from uuid import UUID

from django.http import Http404, HttpRequest
from ninja import Status as Answer
from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler

from sessions import tasks
from sessions.actors import Actor
from sessions.api.base import ERRORS, ApiError, api, caller, session_for
from sessions.api.forms import do
from sessions.api.saving import checked_form, require_creatable
from sessions.api.schemas import ProblemOut, described_as, one_of
from sessions.catalog.probes import ProbeReport, report_on, start_probe
from sessions.catalog.team_view import view_of_sessions
from sessions.db.clock import database_now
from sessions.forms.json_schema import new_session
from sessions.forms.sessions import form_for
from sessions.models import CHAINED, AwsSession, Probe, ProbeState
from sessions.monitoring import request_limits
from sessions.permissions import Action


class ProbeIn(BaseModel):
    """Take what would create a session; with `session`, what it would be changed to.

    Of the session that is named, secrets that are left out are those that are stored.
    """

    model_config = ConfigDict(extra="allow")

    kind: str = CHAINED
    session: UUID | None = None

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: Any, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        named = {"session": {"type": ["string", "null"], "format": "uuid"}}
        kinds = [
            {**each, "properties": each["properties"] | named} for each in new_session()["oneOf"]
        ]
        return described_as(cls, {"oneOf": kinds})


class ProbeHopOut(BaseModel):
    """Show one hop of a tested chain; it waits for the one above it."""

    number: int
    alias: str
    arn: str
    state: Annotated[str, one_of("ok", "pending", "failed", "waiting")]


class ProbeOut(BaseModel):
    """Show a test: `identity` is who AWS says it would be; `problem` is what stood in the way."""

    id: UUID
    state: Annotated[str, one_of(*ProbeState.values)]
    identity: str
    hops: list[ProbeHopOut]
    problem: ProblemOut | None

    @classmethod
    def of(cls, report: ProbeReport) -> dict[str, Any]:
        return {
            "id": report.id,
            "state": str(report.state),
            "identity": report.identity,
            "hops": [
                ProbeHopOut.model_validate(each, from_attributes=True) for each in report.hops
            ],
            "problem": ProblemOut.of(report.problem),
        }


@api.post("/probes", response={202: ProbeOut, **ERRORS}, summary="Test a session before saving it")
def create_probe(request: HttpRequest, payload: ProbeIn) -> Any:
    """Have a worker try it; read the probe again for its result. It is kept for a minute."""
    actor = caller(request)
    request_limits.count(request_limits.TEST, actor.user_id)
    sent = payload.model_dump(exclude_unset=True)
    sent.pop("session", None)
    kind = sent.pop("kind", CHAINED)
    session = _edited(request, payload.session, kind)
    if session is None or not session.is_chained:
        require_creatable(actor, kind)
    view = view_of_sessions(actor, database_now())
    form = checked_form(form_for(kind, sent, view=view, session=session, is_page=False), sent)
    probe = do(lambda: start_probe(form.draft(), actor, session))
    if probe.credential_id:
        tasks.wake_for_start()
    else:
        tasks.wake_for_probe(str(probe.pk))
    return Answer(202, ProbeOut.of(report_on(probe)))


def _edited(request: HttpRequest, session_id: UUID | None, kind: str) -> AwsSession | None:
    if session_id is None:
        return None
    session = session_for(request, session_id, Action.EDIT)
    if session.kind != kind:
        text = f"“{session.alias}” is of another kind, {session.kind}."
        raise ApiError(422, "invalid", text, {"kind": [text]})
    return session


@api.get("/probes/{uuid:probe_id}", response={200: ProbeOut, **ERRORS}, summary="One test")
def get_probe(request: HttpRequest, probe_id: UUID) -> Any:
    """Read a test of your own."""
    return ProbeOut.of(report_on(_own(caller(request), probe_id)))


def _own(actor: Actor, probe_id: UUID) -> Probe:
    own = Probe.objects.filter(pk=probe_id, user=actor.user_id, team=actor.team_id)
    if actor.limited_to is not None:
        own = own.filter(session_id__any_of=list(actor.limited_to))
    probe = own.select_related("credential", "team").first()
    if probe is None:
        raise Http404
    return probe
