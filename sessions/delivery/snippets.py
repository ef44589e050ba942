"""Deliver credentials as a snippet."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.conf import settings

from sessions.actors import Actor
from sessions.aws.hop import Hop
from sessions.aws.parameters import parameters_of
from sessions.chains.requests import plan
from sessions.delivery.reveal import NotReady, NotYours, account_of, failed, reveal
from sessions.models import Activation, AwsSession, TeamPolicy
from sessions.models.sessions import BrokenChain, load_chain
from sessions.permissions import author_role
from sessions.snippets import ChainStep, Snippet, SnippetFormat

# What a config file says of a hop in words of its own; the rest is not carried.
_SAID_OF_A_HOP = {"role_arn", "role_session_name", "external_id"}


@dataclass(frozen=True)
class Delivered:
    """Hold a snippet's text, until when it is good, and the text that takes it back."""

    text: str
    expires_at: datetime | None
    undo: str


def deliver(
    session: AwsSession,
    actor: Actor,
    chosen: SnippetFormat,
    *,
    via: str,
    base_url: str,
    delivery: UUID | None = None,
    profile: str = "",
) -> Delivered:
    """Return a snippet, after the event if it holds credentials.

    Raises `NotReady`, also for a value that the format cannot carry, or `Refused` for lost rights.
    `delivery`: as `reveal` has told. `profile` is another name than the session's own, in a file
    that has that already.

    `base_url` is this installation's own address, ending in a slash, for the snippets that call
    back.
    """
    try:
        credentials = (
            reveal(session, actor, form=chosen.key, via=via, delivery=delivery)
            if chosen.secret
            else None
        )
    except NotYours as lost:
        raise lost.why from None
    ends = credentials.expires_at if credentials else None
    if chosen.needs_end and ends is None:
        ends = _end_of_now(session, actor)
    snippet = replace(
        snippet_of(session, base_url, profile),
        credentials=credentials,
        good_until=ends,
        chain=_steps_of(session, actor) if chosen.needs_chain else (),
    )
    try:
        text, undo = chosen.render(snippet), chosen.undo(snippet) if chosen.undo else ""
    except ValueError as error:
        refused = failed("CannotCarry", str(error))
        assert refused.problem is not None
        problem = replace(refused.problem, check="Choose another format.")
        raise NotReady(replace(refused, problem=problem)) from None
    return Delivered(text=text, expires_at=ends, undo=undo)


def snippet_of(session: AwsSession, base_url: str, profile: str = "") -> Snippet:
    """Return what a format may use of a session, without credentials."""
    return Snippet(
        credentials=None,
        profile=profile or session.profile,
        region=session.region,
        endpoint_url=settings.SNIPPET_ENDPOINT_URL,
        credentials_url=f"{base_url}api/v1/sessions/{session.pk}/credentials?format=process",
        account=account_of(session),
        container_url=f"{base_url}container/{session.pk}",
        team=session.team.slug if session.team else "",
    )


def _end_of_now(session: AwsSession, actor: Actor) -> datetime | None:
    """Return when the member's credentials of now end, without opening them."""
    started = Activation.objects.filter(session=session.pk, user=actor.user)
    return started.values_list("credential__expires_at", flat=True).first()


def _steps_of(session: AwsSession, actor: Actor) -> tuple[ChainStep, ...]:
    """Return a chain as the AWS tools' own config file can say it, for this person."""
    try:
        chain = load_chain(session.pk, author_role=author_role(actor.team_id))
        policy = getattr(actor.team, "policy", None) or TeamPolicy(team_id=actor.team_id)
        planned = plan(chain, actor.member, policy)
    except BrokenChain as error:
        raise NotReady(failed("BrokenChain", error.message)) from None
    except ValueError as error:
        raise NotReady(failed("InvalidName", str(error))) from None
    root = chain[0]
    steps = [
        ChainStep(root.profile, root.region, mfa_serial=str(root.settings.get("mfa_serial") or ""))
    ]
    for step in planned[1:]:
        assert step.hop is not None
        steps.append(_step_of(step.session, step.hop))
    return tuple(steps)


def _step_of(session: AwsSession, hop: Hop) -> ChainStep:
    lost = [
        each.label.lower()
        for name, each in parameters_of(Hop).items()
        if name not in _SAID_OF_A_HOP and getattr(hop, name)
    ]
    return ChainStep(
        session.profile,
        session.region,
        role_arn=hop.role_arn,
        role_session_name=hop.role_session_name,
        external_id=hop.external_id,
        not_carried=tuple(lost),
    )
