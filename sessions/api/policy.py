"""Serve the team's policy, and the sessions whose names do not say who somebody was."""

from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler

from sessions import tasks
from sessions.activations.moves import progress
from sessions.actors import Actor
from sessions.api.base import ERRORS, TRIES, ApiError, api, caller_who_may, etag, seen_version
from sessions.api.schemas import described_as, one_of
from sessions.catalog.team_policy import PolicyDraft
from sessions.chains.names import may_be_unnamed, unnamed_sessions
from sessions.forms.fields import wrong_types
from sessions.forms.json_schema import changed_object
from sessions.forms.team_policy import TeamPolicyForm, policy_values
from sessions.locks.versions import Changed
from sessions.models import Scoping, SourceIdentity, TeamPolicy
from sessions.models.sessions import load_chains
from sessions.monitoring import request_limits
from sessions.permissions import Action


class MovingOut(BaseModel):
    """Show how many activations have followed the last change: `done` of `of`.

    The others hand nothing out yet.
    """

    done: int
    of: int


class PolicyOut(BaseModel):
    """Show a team's policy.

    `tags` are the allowed ones, each with its values, none of them meaning any; `networks` those
    that delivered credentials are bound to, as AWS sees them; `activation_hours` how long what is
    started is renewed; `token_days` how long a new token is valid at most. `scoping`,
    `snippet_minutes`, `read_only`, `without_iam`, `regions` and `scope_policy` say how what is
    delivered is narrowed. `moving`: how far active sessions have followed the last change, left out
    once all have.
    """

    role_session_name: str
    username_demanded: bool
    names_locked: bool
    source_identity: Annotated[str, one_of(*SourceIdentity.values)]
    tags: dict[str, list[str]]
    networks: list[str]
    tokens_take_sensitive: bool
    activation_hours: int
    token_days: int
    scoping: Annotated[str, one_of(*Scoping.values)]
    snippet_minutes: int
    read_only: bool
    without_iam: bool
    regions: list[str]
    scope_policy: str
    moving: MovingOut | None = None


class PolicyPatch(BaseModel):
    """Take any of the policy's fields; what is left out stays."""

    model_config = ConfigDict(extra="allow")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: Any, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return described_as(cls, changed_object(cls.__name__, TeamPolicyForm.base_fields))


class UnnamedOut(BaseModel):
    """Show a session whose role session name does not identify a person.

    `shows`: the member whose own name it is, if any.
    """

    id: UUID
    alias: str
    template: str
    has_source_identity: bool
    shows: str


@api.get(
    "/policy", response={200: PolicyOut, **ERRORS}, exclude_none=True, summary="The team's policy"
)
def get_policy(request: HttpRequest, response: HttpResponse) -> Any:
    """Return the policy. `ETag` is its version."""
    actor = caller_who_may(request, Action.READ_POLICY)
    policy = TeamPolicy.of(actor.team_id)
    response.headers["ETag"] = etag(policy.version)
    return _as_json(policy, actor)


def _as_json(policy: TeamPolicy, actor: Actor) -> dict[str, Any]:
    values = policy_values(PolicyDraft.of(policy))
    return {**values, "moving": progress(actor.team_id)}


@api.patch(
    "/policy",
    response={200: PolicyOut, **ERRORS},
    exclude_none=True,
    summary="Change the team's policy",
)
def patch_policy(request: HttpRequest, response: HttpResponse, payload: PolicyPatch) -> Any:
    """Change the policy; 422, naming the session, if a chain could not be assumed under it.

    With `If-Match` it is refused (412) where somebody has changed the policy since. Without, the
    fields that are sent win, and what others have saved in other fields stays.
    """
    actor, sent = caller_who_may(request, Action.EDIT_POLICY), payload.model_dump()
    request_limits.count(request_limits.POLICY, actor.user_id)
    for attempt in range(TRIES):
        policy = TeamPolicy.of(actor.team_id)
        seen = seen_version(request, policy.version)
        form = _checked_form(policy, actor, sent)
        form.seen = policy.version
        try:
            saved = form.save() if form.is_valid() else None
        except Changed:
            if seen is not None or attempt == TRIES - 1:
                raise
            continue  # somebody came in between: the same change of what is stored now
        break
    if saved is None:
        fields = {
            name: [str(message) for message in messages] for name, messages in form.errors.items()
        }
        raise ApiError(422, "invalid", next(iter(fields.values()))[0], fields)
    tasks.wake_after_change()
    response.headers["ETag"] = etag(saved.version)
    return _as_json(saved, actor)


def _checked_form(policy: TeamPolicy, actor: Actor, sent: dict[str, Any]) -> TeamPolicyForm:
    form = TeamPolicyForm(policy_values(PolicyDraft.of(policy)) | sent, actor=actor, policy=policy)
    if unknown := sorted(set(sent) - set(form.fields)):
        fields = {name: ["Unknown field."] for name in unknown}
        raise ApiError(422, "invalid", "There are fields that a policy does not have.", fields)
    if wrong := wrong_types(form, sent):
        raise ApiError(422, "invalid", "There are values of the wrong type.", wrong)
    return form


@api.get(
    "/policy/unnamed",
    response={200: list[UnnamedOut], **ERRORS},
    summary="List the sessions whose names do not identify a person",
)
def list_unnamed(request: HttpRequest) -> Any:
    actor = caller_who_may(request, Action.READ_POLICY)
    policy = TeamPolicy.of(actor.team_id)
    chains = load_chains(may_be_unnamed(actor.team, policy), broken=True).values()
    return [
        {
            "id": each.session.pk,
            "alias": each.session.alias,
            "template": each.template,
            "has_source_identity": each.has_source_identity,
            "shows": each.shows,
        }
        for each in unnamed_sessions(chains, policy, actor.team)
    ]
