"""Start, stop, rotate and end activations, and erase the credentials that nobody needs then."""

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from sessions import ledger
from sessions.activations.cleanup import PLANS_AT_ONCE, erase_all_unneeded, erase_unneeded
from sessions.actors import CLOCK, Actor, AnyActor
from sessions.aws.names import InvalidName
from sessions.chains.identity import IdentityEdit, identity_of, notify_ended, started_identities
from sessions.chains.requests import (
    PlannedHop,
    affected_by_edit,
    ensure_all_credentials,
    ensure_credentials,
    plan,
)
from sessions.credentials.timing import LEAST_LIFE
from sessions.db.clock import database_now
from sessions.ledger import Entry, Subject
from sessions.ledger.events.sessions import (
    RotationAsked,
    SessionEnded,
    SessionStarted,
    SessionStopped,
)
from sessions.locks import parts
from sessions.locks.authority import begin, lock_team
from sessions.locks.held_up import passed_over, teams_held_up
from sessions.models import (
    Activation,
    AwsSession,
    Credential,
    Ended,
    Membership,
    Move,
    Probe,
    TeamPolicy,
)
from sessions.models.sessions import load_chains
from sessions.permissions import Action, working_members

# What a person starts costs more than what ends.
STARTED_AT_ONCE = parts.AT_ONCE // 2
# The clock goes on to its other work after so long, and comes back.
LONGEST_ENDING_SECONDS = 2.0


def start_session(session: AwsSession, actor: Actor) -> Activation:
    """Start a session for a member and renew it for the team's hours.

    Another session on the same named profile stops.

    Starting again extends it, and asks once more where AWS refused. The caller wakes a worker on
    commit.
    """
    return start_sessions([session], actor)[0]


def start_sessions(sessions: Sequence[AwsSession], actor: Actor) -> list[Activation]:
    """Start several sessions, many of them in parts.

    Of those on one named profile the last wins, as if started one by one.

    Each part is all or nothing; where one is refused, because a right has ended meanwhile, those
    before it are started.
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
    """End the member's own activation.

    What nobody else needs is erased in the same transaction: stop wins.
    """
    return stop_sessions([session], actor) > 0


def stop_sessions(sessions: Sequence[AwsSession], actor: Actor) -> int:
    """Stop several, many of them in parts; how many of them were started."""
    return sum(_stop(some, actor) for some in parts.in_parts(sessions))


@transaction.atomic
def _stop(sessions: Sequence[AwsSession], actor: Actor) -> int:
    team = lock_team(actor.team_id)
    ids = [session.pk for session in sessions]
    theirs = Activation.objects.filter(user=actor.user, session_id__any_of=ids)
    entries = _end(theirs, SessionStopped, actor)
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
    started = _end_other_identities(list(mine), {session.pk: chain}, None, now)
    if not started:
        return False
    leaf = ensure_credentials(plan(chain, actor.member, TeamPolicy.of(team.pk)), now, force=True)
    _move(started[0], leaf)
    asked = RotationAsked(credential=leaf.pk)
    ledger.append(team.pk, [Entry(asked, actor, session)])
    return True


def dismiss_notice(session: AwsSession, actor: Actor) -> None:
    """Forget that an edit has ended what the member had started."""
    Ended.objects.filter(session=session, user=actor.user).delete()


def end_overdue() -> int:
    """Ends activations that are past their time, team by team. Run by the clock."""
    return _end_by_the_clock(Activation.objects.filter(ends_at__lte=database_now()))


def end_of_people_who_left() -> int:
    """End activations of people who left the team, or may not start anything any more.

    Run by the clock, for whatever way they left by: who is removed here has theirs ended at once.
    """
    members = working_members(user=OuterRef("user"), team=OuterRef("session__team"))
    return _end_by_the_clock(Activation.objects.filter(~Exists(members)))


def _end_by_the_clock(over: QuerySet[Activation]) -> int:
    """End one part in each transaction.

    Workers need the team's lock meanwhile, to commit and to keep their claims.
    """
    until, ended = time.monotonic() + LONGEST_ENDING_SECONDS, 0
    # What a deletion has ended is cleared away with it.
    over = over.filter(session__deletion=None)
    teams = list(over.values_list("session__team_id", flat=True).distinct())
    random.shuffle(
        teams
    )  # where there is too much for one round, it is another team's turn each time
    held = teams_held_up()
    for team_id in [each for each in teams if str(each) not in held]:
        pace = parts.Pace(parts.AT_ONCE)
        while time.monotonic() < until:
            entries: list[Entry] = []
            pace.begin()
            with passed_over(team_id), transaction.atomic():
                lock_team(team_id)
                some = over.filter(session__team_id=team_id).order_by("ends_at")[: pace.size]
                entries = _end(some, SessionEnded, CLOCK)
                ledger.append(team_id, entries)
            ended += len(entries)
            if len(entries) < pace.size:
                break
            pace.end()
            time.sleep(parts.PAUSE_SECONDS)
    return ended


def end_at_once(activations: QuerySet[Activation], actor: AnyActor) -> list[Entry]:
    """End these at this moment, under the team's lock; return the lines for the ledger.

    Many are only marked as over, which is all that matters, and the clock clears them away in
    parts, with its own lines.
    """
    # Looked for once: what loses its right is found by a walk through the team.
    ids = list(activations.order_by().values_list("pk", flat=True))
    found = Activation.objects.filter(pk__any_of=ids)
    if len(ids) > parts.AT_ONCE:
        leave_to_the_clock(found)
        return []
    return end_activations(found, actor)


def leave_to_the_clock(activations: QuerySet[Activation]) -> None:
    """End these activations now, however many; the clock deletes them later in parts."""
    activations.update(ends_at=database_now())


def replan_activations(
    started: QuerySet[Activation],
    now: datetime,
    *,
    asked: bool = False,
    edit: IdentityEdit | None = None,
) -> int:
    """Point these activations at the credentials that their chains ask for now; count the moved.

    Call it under the team's lock; after an edit call `moves.follow`. `asked`: people wait for it.
    An activation stays as it is if its chain leads to no root or has no name to send: nothing of it
    is delivered. It ends if its chain leads to another identity than was started, with a notice
    about `edit`.
    """
    activations = list(started.select_related("session", "user", "credential"))
    sessions = {each.session_id: each.session for each in activations}
    chains = load_chains(sessions.values(), broken=True)
    activations = _end_other_identities(activations, chains, edit, now)
    teams = {each.session.team_id for each in activations}
    policies = {team_id: TeamPolicy.of(team_id) for team_id in teams}
    memberships = Membership.objects.filter(
        team__in=teams, user__in=[each.user_id for each in activations]
    )
    members: dict[tuple[UUID | None, int], Membership] = {
        (each.team_id, each.user_id): each for each in memberships.select_related("team", "user")
    }
    replanned = [
        (each, planned)
        for each in activations
        if (member := members.get((each.session.team_id, each.user_id)))
        and (planned := _planned(chains[each.session_id], member, policies[member.team_id]))
    ]
    affected = affected_by_edit([planned for _, planned in replanned])
    stale = []
    for activation, planned in replanned:
        held = activation.credential
        is_unchanged = (
            planned[-1].fingerprint == held.pk and held.due_at and held.is_live(now + LEAST_LIFE)
        )
        if not is_unchanged or any(step.fingerprint in affected for step in planned):
            stale.append((activation, planned))
    moved: list[Activation] = []
    left: list[str] = []
    for at in range(0, len(stale), PLANS_AT_ONCE):
        some = stale[at : at + PLANS_AT_ONCE]
        leaves = ensure_all_credentials([planned for _, planned in some], now, asked=asked)
        for (activation, _), leaf in zip(some, leaves, strict=True):
            if activation.credential_id != leaf.pk:
                left.append(activation.credential_id)
                activation.credential = leaf
                moved.append(activation)
    Activation.objects.bulk_update(moved, ["credential"], batch_size=PLANS_AT_ONCE)
    erase_all_unneeded(left)
    return len(moved)


def _end_other_identities(
    activations: Sequence[Activation],
    chains: Mapping[UUID, Sequence[AwsSession]],
    edit: IdentityEdit | None,
    now: datetime,
) -> list[Activation]:
    """End activations whose chain leads to another identity by now; return the others."""
    held = started_identities(activations)
    kept: list[Activation] = []
    ended: list[Activation] = []
    for each in activations:
        chain = chains[each.session_id]
        is_same = chain[0].is_chained or identity_of(chain) == held[each.pk]
        (kept if is_same else ended).append(each)
    by_team: dict[UUID | None, list[Activation]] = {}
    for each in ended:
        by_team.setdefault(each.session.team_id, []).append(each)
    for team_id, some in by_team.items():
        Activation.objects.filter(pk__any_of=[each.pk for each in some]).delete()
        erase_all_unneeded(each.credential_id for each in some)
        known = edit or _identity_edit(chains[some[0].session_id])
        ledger.append(team_id, notify_ended(some, known, now))
    return kept


def _identity_edit(chain: Sequence[AwsSession]) -> IdentityEdit | None:
    """Find the edit of a chain that a worker has still to follow; None: nobody knows any more."""
    edits = Move.objects.filter(session_id__any_of=[each.pk for each in chain], why__isnull=False)
    said = edits.order_by("-created_at").values_list("why", flat=True).first()
    return IdentityEdit(**said) if said else None


def _planned(
    chain: Sequence[AwsSession], member: Membership, policy: TeamPolicy
) -> Sequence[PlannedHop] | None:
    if chain[0].is_chained:
        return None
    try:
        return plan(chain, member, policy)
    except InvalidName:
        return None


def _move(activation: Activation, leaf: Credential) -> bool:
    old = activation.credential
    if old.pk == leaf.pk:
        return False
    activation.credential = leaf
    activation.save(update_fields=["credential"])
    erase_unneeded(old)
    return True


def _end(
    activations: QuerySet[Activation], kind: type[SessionStopped | SessionEnded], actor: AnyActor
) -> list[Entry]:
    # Plain values, and all that goes in a few statements: thousands end together that were started
    # together.
    ended = list(
        activations.values_list(
            "pk", "credential_id", "session_id", "session__alias", "user__username"
        )
    )
    Activation.objects.filter(pk__any_of=[row[0] for row in ended]).delete()
    erase_all_unneeded(row[1] for row in ended)
    return [
        Entry(kind(credential=credential_id, owner=person), actor, Subject(session_id, alias))
        for _, credential_id, session_id, alias, person in ended
    ]


def end_activations_of(sessions: Iterable[AwsSession], actor: AnyActor) -> list[Entry]:
    """Ends everybody's activations of these sessions: they are about to be deleted."""
    return end_activations(
        Activation.objects.filter(session_id__any_of=[s.pk for s in sessions]), actor
    )


def end_activations(activations: QuerySet[Activation], actor: AnyActor) -> list[Entry]:
    """End these activations and erase what only they needed.

    The caller holds the team's lock and writes the events.
    """
    return _end(activations, SessionStopped, actor)


def delete_probes(probes: QuerySet[Probe]) -> int:
    """Delete these probes and erase what only they needed; return how many there were.

    Under the team's lock.
    """
    found = dict(probes.values_list("pk", "credential_id"))
    Probe.objects.filter(pk__any_of=found).delete()
    erase_all_unneeded(each for each in found.values() if each)
    return len(found)
