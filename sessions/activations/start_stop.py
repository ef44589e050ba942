"""Start, stop and rotate sessions for a person."""

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction

from sessions import ledger
from sessions.activations.cleanup import erase_all_unneeded, erase_unneeded
from sessions.activations.ending import end_as, end_at_once
from sessions.activations.replanning import end_other_identities
from sessions.actors import Actor
from sessions.chains.identity import identity_of
from sessions.chains.requests import (
    ensure_all_credentials,
    ensure_credentials,
    plan,
)
from sessions.db.clock import database_now
from sessions.ledger import Entry
from sessions.ledger.events.sessions import (
    RotationAsked,
    SessionStarted,
    SessionStopped,
)
from sessions.locks import parts
from sessions.locks.team_lock import begin, lock_team
from sessions.models import (
    Activation,
    AwsSession,
    Credential,
    Ended,
    TeamPolicy,
)
from sessions.models.sessions import load_chains
from sessions.permissions import Action

# What a person starts costs more than what ends.
STARTED_AT_ONCE = parts.AT_ONCE // 2


def start_session(session: AwsSession, actor: Actor) -> Activation:
    """Start a session for a member, to be renewed for the team's hours.

    Another session on the same named profile stops. Starting again extends it, and retries what AWS
    has rejected. The caller wakes a worker on commit.
    """
    return start_sessions([session], actor)[0]


def start_sessions(sessions: Sequence[AwsSession], actor: Actor) -> list[Activation]:
    """Start several sessions, many of them in parts.

    Of those on one named profile the last wins, as if started one by one. Each part is all or
    nothing: if one is refused, because a right has ended meanwhile, the parts before it are
    started.
    """
    chosen = list({session.profile: session for session in sessions}.values())
    return [
        each for some in parts.in_parts(chosen, STARTED_AT_ONCE) for each in _start(some, actor)
    ]


@transaction.atomic
def _start(sessions: Sequence[AwsSession], actor: Actor) -> list[Activation]:
    """Start these, each on a profile of its own."""
    actor = begin(actor, Action.START, *sessions)
    team, now = actor.team, database_now()
    chosen = {session.profile: session for session in sessions}
    started = Activation.objects.filter(user=actor.user, session__team=team)
    ids = [session.pk for session in chosen.values()]
    # By their ids: left to itself, a database looks for what is on the same profile once for each
    # that is started.
    same_profile = AwsSession.objects.filter(team=team, profile__any_of=list(chosen)).exclude(
        pk__any_of=ids
    )
    others = list(same_profile.order_by().values_list("pk", flat=True))
    entries = end_at_once(started.filter(session_id__any_of=others), actor) if others else []
    before = {
        each.session_id: each
        for each in started.filter(session_id__any_of=ids).select_related("credential")
    }
    left = [each.credential_id for each in before.values()]
    ends_at = now + timedelta(hours=team.activation_hours)
    chains, policy = load_chains(chosen.values()), TeamPolicy.of(team.pk)
    leaves = ensure_all_credentials([plan(chains[pk], actor.member, policy) for pk in ids], now)
    activations, other = [], []
    for session, leaf in zip(chosen.values(), leaves, strict=True):
        activation = before.get(session.pk)
        if activation is None:
            activation = Activation(session=session, user=actor.user, started_at=now)
        identity = identity_of(chains[session.pk])
        if (activation.credential_id, activation.identity) != (leaf.pk, identity):
            other.append(activation)
        activation.credential, activation.identity, activation.ends_at = leaf, identity, ends_at
        activations.append(activation)
        said = SessionStarted(ends_at=ends_at, again=session.pk in before, credential=leaf.pk)
        entries.append(Entry(said, actor, session))
    Activation.objects.bulk_create([each for each in activations if each.session_id not in before])
    again = {each.pk for each in before.values()}
    Activation.objects.filter(pk__any_of=again).update(ends_at=ends_at)
    Activation.objects.bulk_update(
        [each for each in other if each.pk in again], ["credential", "identity"]
    )
    Ended.objects.filter(user=actor.user, session_id__any_of=ids).delete()
    erase_all_unneeded(left)
    ledger.append(team.pk, entries)
    return activations


def stop_session(session: AwsSession, actor: Actor) -> bool:
    """End the member's own activation; tell whether there was one.

    Credentials that nobody else needs are erased in the same transaction: stop wins over a
    rotation.
    """
    return stop_sessions([session], actor) > 0


def stop_sessions(sessions: Sequence[AwsSession], actor: Actor) -> int:
    """Stop several sessions, many of them in parts; return how many were started."""
    return sum(_stop(some, actor) for some in parts.in_parts(sessions))


@transaction.atomic
def _stop(sessions: Sequence[AwsSession], actor: Actor) -> int:
    team = lock_team(actor.team_id)
    ids = [session.pk for session in sessions]
    theirs = Activation.objects.filter(user=actor.user, session_id__any_of=ids)
    entries = end_as(theirs, SessionStopped, actor)
    ledger.append(team.pk, entries)
    return len(entries)


@transaction.atomic
def rotate_session(session: AwsSession, actor: Actor) -> bool:
    """Renew the member's credential of that session now. False if it is not started."""
    actor = begin(actor, Action.START, session)
    team = actor.team
    mine = Activation.objects.filter(user=actor.user, session=session).select_related(
        "session", "user", "credential"
    )
    now, chain = database_now(), session.chain()
    # An edit that has made it somebody else ends it, also where a worker has not come to it yet.
    started = end_other_identities(list(mine), {session.pk: chain}, None, now)
    if not started:
        return False
    leaf = ensure_credentials(plan(chain, actor.member, TeamPolicy.of(team.pk)), now, force=True)
    _point_at(started[0], leaf)
    asked = RotationAsked(credential=leaf.pk)
    ledger.append(team.pk, [Entry(asked, actor, session)])
    return True


def dismiss_notice(session: AwsSession, actor: Actor) -> None:
    """Forget that an edit has ended what the member had started."""
    Ended.objects.filter(session=session, user=actor.user).delete()


def _point_at(activation: Activation, leaf: Credential) -> bool:
    old = activation.credential
    if old.pk == leaf.pk:
        return False
    activation.credential = leaf
    activation.save(update_fields=["credential"])
    erase_unneeded(old)
    return True
