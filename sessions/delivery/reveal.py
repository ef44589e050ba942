"""Hand out credentials: lock, read rights again, commit the event, then open the secret."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import transaction

from sessions import ledger
from sessions.activations.deliveries import begin_delivery, note_fetch
from sessions.activations.moves import follow_for
from sessions.activations.status import INACTIVE, State, Status, ended_state, notices_of, state_of
from sessions.actors import Actor
from sessions.aws.credentials import AwsCredentials
from sessions.aws.scoped import REFUSALS
from sessions.chains.requests import plan
from sessions.chains.scoping import delivers_scoped, is_current, refusal_of
from sessions.credentials.payloads import open_credentials
from sessions.exceptions import NotThere, Refused, RightLost
from sessions.ledger import Entry
from sessions.ledger.events import EventData
from sessions.ledger.events.credentials import CredentialRevealed
from sessions.ledger.terms import account_in
from sessions.locks.team_lock import LOST, actor_again, lock_team
from sessions.models import (
    Activation,
    AwsSession,
    Channel,
    Credential,
    Delivery,
    LedgerHead,
    Problem,
    Scoping,
    TeamPolicy,
)
from sessions.models.sessions import BrokenChain, load_chain
from sessions.monitoring import counters
from sessions.permissions import (
    NO_OWNER,
    Action,
    author_role,
    can,
    check_sensitive,
    is_orphaned_chain,
)
from sessions.sealing import SealingError

log = structlog.get_logger(__name__)

PENDING = State(Status.PENDING)
# What a session shows whose chain asks for something else by now, until its credentials have been
# replaced.
MOVING = Problem(
    code="Moving",
    hop=0,
    message="The session was changed; its credentials are being replaced.",
    check="Start it again if this continues.",
    retrying=True,
)
# What is renewed too soon for a tool to begin with it.
TOO_SHORT = Problem(
    code="TooShort",
    hop=0,
    message="What is left of the credentials is under 15 minutes; new ones are not issued yet.",
    check="If this continues, look at what stands in the way on the session's page.",
    retrying=True,
)


@dataclass
class NotReady(Exception):
    """Report that there is nothing to deliver now; `state` says why."""

    state: State


class Moving(NotReady):
    """Report that the chain asks for other credentials by now than the activation points at."""


@dataclass
class Preparing(NotReady):
    """Report that a worker is narrowing the credentials for this delivery; the caller wakes one."""

    delivery: UUID


class NotPrepared(NotReady):
    """Report that what is delivered has to be narrowed first, and nothing is under way yet."""


@dataclass
class NotYours(NotReady):
    """Report a right lost since the request came in; `why` is the next request's answer."""

    why: Refused


def reveal(
    session: AwsSession,
    actor: Actor,
    *,
    form: str,
    via: str,
    delivery: UUID | None = None,
    at_least: timedelta = timedelta(),
) -> AwsCredentials:
    """Open the member's own live credentials of a session.

    `form` is the snippet format, `via` page, API or token name. `delivery`: the one that a page has
    asked for before. `at_least`: how long they have to live.

    Whatever was read before counts for nothing: under the lock of the ledger's head it is read
    again, in later statements. Raises `NotReady`, or `NotYours` where the right is gone, or
    `Preparing` where a worker has to narrow them for this delivery first, which this has asked for.
    If the event cannot be written, that error is raised and nothing is opened.
    """
    try:
        return _reveal(session, actor, form, via, delivery, at_least)
    except Moving:
        # Whoever asks is not kept waiting for the thousands that a worker moves, or for an edit
        # that nobody moved.
        follow_for(session, actor.member)
        raise
    except NotPrepared as unprepared:
        raise Preparing(unprepared.state, prepare(session, actor)) from None


def _reveal(
    session: AwsSession,
    actor: Actor,
    form: str,
    via: str,
    delivery_id: UUID | None,
    at_least: timedelta,
) -> AwsCredentials:
    with taking(session, actor, delivery_id) as taken:
        credential = taken.credential
        if credential.expires_at is not None and credential.expires_at < taken.now + at_least:
            problem = _too_short(credential.problem_at(taken.now))
            raise NotReady(State(Status.PENDING, problem))
        taken.tell(taken.as_event(form, via))
    return taken.open()


@dataclass(frozen=True)
class Taken:
    """Hold what a member may take now: the leaf's own credential, or a delivery's child of it.

    `unscoped`: AWS's code for why it is the leaf's, though the team's policy wants it scoped.
    """

    actor: Actor
    session: AwsSession
    credential: Credential
    delivery: Delivery | None
    unscoped: str
    now: datetime
    head: LedgerHead | None

    def as_event(self, form: str, via: str) -> CredentialRevealed:
        """Return the event that tells of it."""
        return told_of(
            self.credential,
            self.session,
            form=form,
            via=via,
            delivery=self.delivery,
            unscoped=self.unscoped,
        )

    def tell(self, *said: EventData) -> None:
        """Write what is taken into the ledger, as lines of the member's, while its head is held."""
        if self.head is not None:
            self.head.read_at = self.now
        entries = [Entry(each, self.actor, self.session) for each in said]
        ledger.append(self.head or self.session.team_id, entries)

    def open(self) -> AwsCredentials:
        """Open it, once its line is committed. Raises `NotReady` where it does not open."""
        credential = self.credential
        try:
            credentials = open_credentials(credential)
        except SealingError as error:
            log.error("a credential does not open", credential=credential.pk, reason=str(error))
            raise NotReady(failed("CannotOpen", str(error))) from None
        if credential.expires_at:
            counters.served(credential.expires_at - self.now)
        if self.delivery is not None:
            note_fetch(self.delivery, self.now)
        return credentials


@contextmanager
def taking(session: AwsSession, actor: Actor, delivery_id: UUID | None = None) -> Iterator[Taken]:
    """Hold the ledger's head, and read again what the member may take of a session now.

    What is told inside is committed when it ends, and only then may a secret be opened. Raises as
    `reveal` does, and `NotPrepared` where a delivery has to be begun first: see `prepare`.
    """
    with ledger.committed():
        head = ledger.hold(session.team_id)
        actor, chain, now = _rights_again(session, actor)
        policy = _policy_of(actor)
        activation = _ready_activation(chain, actor, policy, now)
        delivery = _ready_delivery(chain[-1], activation, actor, policy, delivery_id, now)
        credential = delivery.credential if delivery else activation.credential
        refusal = None if delivery else refusal_of(chain[-1], policy)
        unscoped = refusal.code if refusal else ""
        yield Taken(actor, chain[-1], credential, delivery, unscoped, now, head)


def _rights_again(session: AwsSession, actor: Actor) -> tuple[Actor, list[AwsSession], datetime]:
    """Read the actor and the session's chain again under a lock. Raises `NotReady`."""
    try:
        actor, now = actor_again(actor)
        return actor, _chain_again(session, actor), now
    except Refused as why:
        raise NotYours(INACTIVE, why) from None


def _policy_of(actor: Actor) -> TeamPolicy:
    return getattr(actor.team, "policy", None) or TeamPolicy(team_id=actor.team_id)


@transaction.atomic
def prepare(session: AwsSession, actor: Actor) -> UUID:
    """Begin a delivery to that page or token, and have its credentials narrowed.

    Returns its id. Raises as `reveal` does.
    """
    lock_team(session.team_id)
    actor, chain, now = _rights_again(session, actor)
    policy = _policy_of(actor)
    activation = _ready_activation(chain, actor, policy, now)
    if not delivers_scoped(chain[-1].link.settings, policy):
        raise NotReady(PENDING)  # since a moment ago: asked again, the leaf is delivered
    activation.session, activation.user = chain[-1], actor.user
    if actor.token is not None:
        begun = begin_delivery(activation, Channel.ENDPOINT, policy, now, token=actor.token)
    else:
        seconds = 60 * policy.snippet_minutes
        begun = begin_delivery(activation, Channel.SNIPPET, policy, now, seconds=seconds)
    return begun.pk


def _ready_delivery(
    session: AwsSession,
    activation: Activation,
    actor: Actor,
    policy: TeamPolicy,
    delivery_id: UUID | None,
    now: datetime,
) -> Delivery | None:
    """Read the delivery whose narrowed credentials may be opened; None: the leaf itself is.

    Raises `Preparing` while a worker is at it, `NotPrepared` where there is none, and `NotReady`
    with what stands in its way.
    """
    hop = session.link.settings
    if not delivers_scoped(hop, policy):
        return None
    deliveries = Delivery.objects.select_related("credential").filter(
        activation=activation, token=actor.token, team=actor.team_id, ends_at__gt=now
    )
    if actor.token is not None:
        delivery = deliveries.filter(channel=Channel.ENDPOINT).first()
    else:
        found = deliveries.filter(channel=Channel.SNIPPET)
        delivery = found.filter(pk=delivery_id).first() if delivery_id is not None else None
    if delivery is None or not is_current(
        delivery.credential, activation.credential_id, hop, policy
    ):
        raise NotPrepared(PENDING)
    child = delivery.credential
    if child.is_live(now):
        return delivery
    if child.problem is not None and child.asked_at is None and not _stands_in(child, policy):
        raise NotReady(State(_status_with(child.problem), child.problem_at(now)))
    raise Preparing(PENDING, delivery.pk)


def _stands_in(child: Credential, policy: TeamPolicy) -> bool:
    """Tell whether a worker is about to have the leaf delivered in the child's place."""
    assert child.problem is not None
    return policy.scoping == Scoping.WHERE_ALLOWED and child.problem.code in REFUSALS


def _status_with(problem: Problem) -> Status:
    return Status.FAILED if problem.is_final else Status.PENDING


def _chain_again(session: AwsSession, actor: Actor) -> list[AwsSession]:
    """Read the session's chain again, root first.

    And whether the member may get its credentials.
    """
    try:
        chain = load_chain(session.pk, author_role=author_role(actor.team_id))
    except BrokenChain as error:
        raise NotReady(failed("BrokenChain", error.message)) from None
    if not chain:
        raise NotThere("", f"“{session.alias}” was deleted meanwhile.")
    if not can(actor, Action.TAKE_CREDENTIALS, chain[-1]):
        raise RightLost("", LOST)
    check_sensitive(chain[-1], actor)
    if is_orphaned_chain(chain):
        raise NotReady(failed("CutOff", NO_OWNER))
    return chain


def _ready_activation(
    chain: Sequence[AwsSession], actor: Actor, policy: TeamPolicy, now: datetime
) -> Activation:
    """Read the member's activation again, if it is live and is what its chain asks for now."""
    started = Activation.objects.select_related("credential").filter(
        session=chain[-1].pk, user=actor.user
    )
    activation = started.filter(credential__team=actor.team_id).first()
    if activation is None or activation.ends_at <= now:
        session = chain[-1]
        raise NotReady(ended_state(notices_of(actor.member, [session.pk]).get(session.pk)))
    state = state_of(activation, now)
    if state.status is not Status.ACTIVE:
        raise NotReady(state)
    try:
        planned = plan(chain, actor.member, policy)[-1].fingerprint
    except ValueError as error:
        raise NotReady(failed("InvalidName", str(error))) from None
    if activation.credential_id != planned:
        raise Moving(replace(state, status=Status.PENDING, problem=MOVING, expires_at=None))
    return activation


def told_of(
    credential: Credential,
    session: AwsSession,
    *,
    form: str,
    via: str,
    delivery: Delivery | None,
    unscoped: str = "",
) -> CredentialRevealed:
    """Return the event that a credential leaves with."""
    return CredentialRevealed(
        access_key_id=credential.access_key_id,
        credential=credential.pk,
        expires_at=credential.expires_at,
        form=form,
        via=via,
        account=account_of(session),
        delivery=str(delivery.pk) if delivery else "",
        unscoped=unscoped,
    )


def _too_short(problem: Problem | None) -> Problem:
    """Return why the rest of a credential is not delivered: what stands in the way of the next."""
    return replace(problem, retrying=True) if problem else TOO_SHORT


def account_of(session: AwsSession) -> str:
    """Return the account of a chained session's role; a root's own is not always known."""
    return account_in(session.link.role_arn) if session.is_chained else ""


def failed(code: str, message: str) -> State:
    check = "Rotate the session; if that does not help, ask an admin to look at it."
    return State(Status.FAILED, Problem(code, 0, message, check))
