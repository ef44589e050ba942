"""Deliver credentials to a token by two reads: the ledger's head, then everything else.

This is the way of tools that ask again and again. It only ever says yes, and only where `reveal`
would; whatever it is not sure of, and every refusal, is left to `reveal`.
"""

import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from sessions import ledger
from sessions.activations.deliveries import note_fetch
from sessions.activations.status import Status, state_of
from sessions.aws.credentials import AwsCredentials
from sessions.chains.requests import plan
from sessions.chains.scoping import delivers_scoped, scoped_policy_of
from sessions.credentials.payloads import open_credentials
from sessions.delivery import one_query
from sessions.delivery.reveal import told_of
from sessions.ledger import Entry, origin
from sessions.models import (
    AwsSession,
    Credential,
    GrantedRight,
    Membership,
    Scoping,
    TeamPolicy,
    Token,
)
from sessions.models.sessions import BrokenChain, load_chain
from sessions.models.tokens import Address
from sessions.monitoring import counters, token_use
from sessions.permissions import Action, PermissionChecker, has_fresh_groups
from sessions.sealing import SealingError

MOST_KNOWN = 50_000


@dataclass(frozen=True)
class Known:
    """Hold what never changes of a token: its id and its team's."""

    token_id: UUID
    team_id: UUID


@dataclass(frozen=True)
class Delivered:
    """Hold credentials and the session that they are of."""

    credentials: AwsCredentials
    session: AwsSession


@dataclass(frozen=True)
class Planned:
    """Hold what a chain asks for: the leaf, and how it is narrowed; None: it is not.

    `made_from` is a digest of all that it follows from.
    """

    made_from: bytes
    leaf: str
    scoped_policy: str | None


# By digest; and by activation.
_tokens: dict[str, Known] = {}
_planned: dict[UUID, Planned] = {}


def remember(token: Token) -> None:
    """Note a token that has been read, so that its next request begins with the ledger's head."""
    if len(_tokens) >= MOST_KNOWN:
        _tokens.clear()
    _tokens[token.digest] = Known(token.pk, token.team_id)


def known(digest: str) -> Known | None:
    """Return what is known of a token; None if it is new to this process."""
    return _tokens.get(digest)


def forget() -> None:
    """Forget what this process knows: for tests."""
    _tokens.clear()
    _planned.clear()


def reveal_to(
    digest: str, session_id: UUID, address: Address | None, *, form: str, at_least: timedelta
) -> Delivered | None:
    """Open the live credentials of a token's person, if there is no doubt; else None.

    As with `reveal`, what is read is read after the lock of the ledger's head, the event is
    committed, and then the secret is opened.
    """
    token = known(digest)
    if token is None:
        return None
    with ledger.committed():
        head = ledger.hold(token.team_id)
        facts = one_query.look(digest, session_id) if head is not None else None
        if head is None or facts is None or not _is_sure(facts, digest, address):
            return None
        planned = _plan_of(facts)
        if planned is None:
            return None
        delivery = facts.delivery if planned.scoped_policy is not None else None
        credential = _credential(facts, planned, at_least)
        via = facts.actor.token
        if credential is None or via is None:
            return None
        told = told_of(
            credential, facts.session, form=form, via=f"token {via.name}", delivery=delivery
        )
        head.read_at = facts.now
        asked_from = replace(origin.current(), token_id=str(via.pk), token=via.name)
        with origin.asked_from(lambda: asked_from):
            ledger.append(head, [Entry(told, facts.actor, facts.session)])
    try:
        credentials = open_credentials(credential)
    except SealingError:
        return None
    if credential.expires_at:
        counters.served(credential.expires_at - facts.now)
    if delivery is not None:
        note_fetch(delivery, facts.now)
    token_use.note_use(
        via.pk,
        via.last_used_at,
        facts.now,
        address=asked_from.address,
        client=asked_from.client,
    )
    return Delivered(credentials, facts.session)


def _is_sure(facts: one_query.Facts, digest: str, address: Address | None) -> bool:
    """Tell whether the token's person may have the credentials, by the rules that `reveal` asks."""
    actor, session, now = facts.actor, facts.session, facts.now
    token = actor.token
    if token is None or not hmac.compare_digest(token.digest, digest) or not token.is_valid(now):
        return False
    if not token.is_open_to(address) or not has_fresh_groups(actor.member, now):
        return False
    granted = {session.pk: {str(GrantedRight.START)}} if facts.is_granted else {}
    if not PermissionChecker(actor, [session.pk], granted).can(Action.TAKE_CREDENTIALS, session):
        return False
    if session.is_sensitive or session.deletion_id is not None or not facts.is_owned:
        return False
    return state_of(facts.activation, now).status is Status.ACTIVE


def _credential(facts: one_query.Facts, planned: Planned, at_least: timedelta) -> Credential | None:
    """Return what is delivered, if it is what the chain asks for and lives long enough."""
    leaf = facts.activation.credential
    if leaf.pk != planned.leaf:
        return None
    chosen = leaf
    if planned.scoped_policy is not None:
        delivery = facts.delivery
        if delivery is None or delivery.ends_at <= facts.now:
            return None
        chosen = delivery.credential
        said = chosen.request.get("scoped", {}).get("policy")
        if chosen.parent_id != leaf.pk or said != planned.scoped_policy:
            return None
    ends = chosen.expires_at
    is_live = chosen.is_live(facts.now) and ends is not None and ends >= facts.now + at_least
    return chosen if is_live else None


def _plan_of(facts: one_query.Facts) -> Planned | None:
    """Return what the chain asks for now; None if it cannot be said here.

    It is worked out once; afterwards what it was made from is compared.
    """
    key = facts.activation.pk
    made_from = hashlib.sha256(facts.inputs.encode()).digest()
    known = _planned.get(key)
    if known is not None and known.made_from == made_from:
        return known
    members = Membership.objects.select_related("user", "team")
    try:
        chain = load_chain(facts.session.pk)
        member = members.get(pk=facts.actor.member.pk)
        policy = TeamPolicy.of(member.team_id)
        if not chain:
            return None
        leaf = plan(chain, member, policy)[-1].fingerprint
    except (BrokenChain, ValueError):
        return None
    settings = chain[-1].link.settings
    scoped_policy = None
    if delivers_scoped(settings, policy):
        scoped_policy = scoped_policy_of(settings, policy)
    elif policy.scoping != Scoping.OFF:
        return None  # its line says why the leaf leaves
    if len(_planned) >= MOST_KNOWN:
        _planned.clear()
    _planned[key] = Planned(made_from, leaf, scoped_policy)
    return _planned[key]
