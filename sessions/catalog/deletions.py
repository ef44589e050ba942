"""Delete a session and all sessions assumed from it.

One short transaction decides it; many rows are cleared away in parts.

What is decided holds for everybody at once: the session loses its team and its link, so that
whatever is assumed from it leads nowhere, and nothing of it is issued or delivered. In parts the
others lose their team as well, so that no page, no rule and no worker finds them. What is left of
them nobody has a use for, and any worker clears it away.
"""

import hashlib
import random
import time
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from sessions import ledger
from sessions.activations.ending import delete_probes, end_activations_of, mark_ended
from sessions.actors import Actor, AnyActor, NamedActor
from sessions.catalog.sessions import told_of
from sessions.credentials.needs import needs_of
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.ledger import Entry
from sessions.ledger.events.sessions import SessionDeleted
from sessions.locks import parts
from sessions.locks.busy_teams import busy_teams, skip_if_busy
from sessions.locks.team_lock import begin, lock_team
from sessions.locks.versions import Changed, expect
from sessions.models import (
    Activation,
    AssumerLink,
    AwsSession,
    Credential,
    Deletion,
    KeyRotation,
    Move,
    Probe,
)
from sessions.models.labels import load_labels
from sessions.permissions import Action, not_to_change

NAMED = 5


def mark_of(ids: Iterable[UUID]) -> str:
    """Make a short text of the ids of sessions, which is another one for any others."""
    return hashlib.sha256(",".join(sorted(map(str, ids))).encode()).hexdigest()[:16]


def delete_session(
    session: AwsSession,
    actor: Actor,
    *,
    seen: int | None = None,
    below_seen: str | None = None,
) -> int:
    """Delete a session and everything assumed from it, at all levels.

    Returns how many sessions that were.

    Of many, the rows stay for `work_off`: the caller wakes a worker. `below_seen`: `mark_of` the
    dependants that were confirmed; raises `Changed` if they are others by now. Raises `Refused` for
    what the member may not delete.
    """
    count, deletion = decide(session, actor, seen=seen, below_seen=below_seen)
    if deletion is not None:
        take_from_everybody(deletion)
    return count


def take_from_everybody(deletion: Deletion) -> None:
    """Take all that a decided deletion is of from everybody, in parts. Outside of a transaction."""
    with skip_if_busy():  # else a worker goes on
        _in_parts(deletion, _mark_part, parts.MARKED_AT_ONCE, float("inf"))


@transaction.atomic
def decide(
    session: AwsSession,
    actor: Actor,
    *,
    seen: int | None = None,
    below_seen: str | None = None,
) -> tuple[int, Deletion | None]:
    """Decide a deletion: see `delete_session`. Return how many sessions go, and, where they are
    many, what is to be worked off.
    """
    actor = begin(actor, Action.DELETE, session)
    expect(session.version, seen)
    dependants = session.with_dependants().exclude(pk=session.pk).order_by()
    ids = list(dependants.values_list("pk", flat=True))
    if below_seen is not None and mark_of(ids) != below_seen:
        raise Changed(
            "", "The sessions assumed from it have changed since you looked.", session.version
        )
    others = not_to_change(actor, dependants).order_by("alias")
    if forbidden := list(others.values_list("alias", flat=True)[:NAMED]):
        raise Refused(
            "",
            f"Only an admin can delete this: sessions of others are assumed from it"
            f" ({', '.join(forbidden)}).",
        )
    if len(ids) < parts.AT_ONCE:
        doomed = [*reversed([below for below, _ in session.dependants()]), session]
        entries = end_activations_of(doomed, actor)
        told = [_told(each, session.alias, actor) for each in _with_links(doomed)]
        ledger.append(actor.team_id, [*entries, *told])
        _clear(doomed)
        return len(doomed), None
    return len(ids) + 1, _cut(session, actor, len(ids))


def _cut(session: AwsSession, actor: Actor, below: int) -> Deletion:
    """Take a session from everybody, and so the ground from all below it, whoever clears it away.

    Under the team's lock.
    """
    now, was = database_now(), told_of(session)
    deletion = Deletion.objects.create(
        team_id=actor.team_id,
        session_id=session.pk,
        alias=session.alias,
        actor=actor.username,
        at=now,
    )
    _mark(deletion, [session.pk])
    AssumerLink.objects.filter(session=session.pk).delete()
    # A worker that is just minting for them comes too late.
    minting = Credential.objects.filter(team=actor.team_id, lease_until__gt=now)
    unneeded = [
        pk
        for pk, needs in needs_of(list(minting.values_list("pk", flat=True))).items()
        if not needs
    ]
    minting.filter(pk__any_of=unneeded).update(
        fence=None, lease_until=None, due_at=None, asked_at=None
    )
    if not session.is_chained:
        AwsSession.objects.filter(pk=session.pk).update(sealed_secrets=None)
        KeyRotation.objects.filter(root=session.pk).delete()
        nothing: dict[str, Any] = dict.fromkeys(
            ("sealed", "problem", "due_at", "asked_at", "fence")
        )
        Credential.objects.filter(root=session.pk, level=0).update(**nothing, lease_until=None)
    deleted = SessionDeleted(deleted_with=session.alias, below=below, before=was)
    ledger.append(actor.team_id, [Entry(deleted, actor, session)])
    return deletion


def _with_links(sessions: list[AwsSession]) -> list[AwsSession]:
    """Return these sessions with their links, assumers and labels, at the cost of two queries."""
    stored = AwsSession.objects.select_related("link__assumer").defer("sealed_secrets")
    found = stored.filter(pk__any_of=[each.pk for each in sessions]).in_bulk()
    load_labels(found.values())
    return [found[each.pk] for each in sessions]


def _told(session: AwsSession, deleted_with: str, actor: AnyActor) -> Entry:
    deleted = SessionDeleted(deleted_with=deleted_with, before=told_of(session))
    return Entry(deleted, actor, session)


@transaction.atomic
def _mark_part(deletion: Deletion, size: int) -> int:
    """Take the next sessions, at most so many, from everybody. 0: none is left."""
    lock_team(deletion.team_id)
    below = AwsSession.objects.filter(link__assumer__deletion=deletion.pk, deletion=None)
    some = list(below.order_by().values_list("pk", flat=True)[:size])
    _mark(deletion, some)
    return len(some)


def _mark(deletion: Deletion, ids: list[UUID]) -> None:
    AwsSession.objects.filter(pk__any_of=ids).update(team=None, deletion=deletion)
    mark_ended(Activation.objects.filter(session_id__any_of=ids))
    Move.objects.filter(session_id__any_of=ids).delete()
    probes = Q(session_id__any_of=ids) | Q(assumer_id__any_of=ids)
    delete_probes(Probe.objects.filter(probes))


def is_due() -> bool:
    """Check whether any deletion is still to be cleared away."""
    return Deletion.objects.exists()


def work_off(seconds: float) -> int:
    """Clear away deleted rows for about so long (in a worker).

    Returns how many sessions went.
    """
    until, cleared = time.monotonic() + seconds, 0
    waiting = list(Deletion.objects.exclude(team__in=list(map(UUID, busy_teams()))))
    random.shuffle(waiting)  # where one does not come to its end, the others do
    for deletion in waiting:
        with skip_if_busy(deletion.team_id):
            # Whoever decided it may not have come to the end of it.
            _in_parts(deletion, _mark_part, parts.MARKED_AT_ONCE, until)
            cleared += _in_parts(deletion, _clear_part, parts.AT_ONCE, until)
    return cleared


def _in_parts(
    deletion: Deletion, step: Callable[[Deletion, int], int], most: int, until: float
) -> int:
    """Take that step, a transaction each time, until it finds no session; how many it has found."""
    pace, found = parts.Pace(most), 0
    while time.monotonic() < until:
        pace.begin()
        some = step(deletion, pace.size)
        if not some:
            break
        pace.end()
        found += some
        time.sleep(parts.PAUSE_SECONDS)
    return found


@transaction.atomic
def _clear_part(deletion: Deletion, size: int) -> int:
    """Clear away at most so many sessions, from the ends of the chains upwards.

    0: all of them are gone.
    """
    lock_team(deletion.team_id)
    built_on = Exists(AssumerLink.objects.filter(assumer=OuterRef("pk")))
    left = AwsSession.objects.filter(~built_on, deletion=deletion.pk).order_by("pk")
    some = list(left.select_related("link__assumer").defer("sealed_secrets")[:size])
    if not some:
        Deletion.objects.filter(pk=deletion.pk).delete()
        return 0
    actor = NamedActor(deletion.actor)
    load_labels(some)
    entries = end_activations_of(some, actor)
    for each in some:
        if each.pk != deletion.session_id:  # whose line was written when it was decided
            entries.append(_told(each, deletion.alias, actor))
    ledger.append(deletion.team_id, entries)
    _clear(some)
    return len(some)


def _clear(sessions: list[AwsSession]) -> None:
    """Delete these rows, on which nothing but each other rests.

    Of a root, also the credentials issued below it.
    """
    roots = [each.pk for each in sessions if not each.is_chained]
    childless = ~Exists(Credential.objects.filter(parent=OuterRef("pk")))
    while roots and Credential.objects.filter(childless, root__in=roots).delete()[0]:
        pass
    ids = [each.pk for each in sessions]
    AssumerLink.objects.filter(session_id__any_of=ids).delete()
    AwsSession.objects.filter(pk__any_of=ids).delete()
