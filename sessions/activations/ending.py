"""End activations: overdue ones by the clock, others at once or with their session."""

import random
import time
from collections.abc import Iterable

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from sessions import ledger
from sessions.activations.cleanup import delete_activations, erase_all_unneeded
from sessions.actors import CLOCK, AnyActor
from sessions.db.clock import database_now
from sessions.ledger import Entry, Subject
from sessions.ledger.events.sessions import (
    SessionEnded,
    SessionStopped,
)
from sessions.locks import parts
from sessions.locks.busy_teams import busy_teams, skip_if_busy
from sessions.locks.team_lock import lock_team
from sessions.models import (
    Activation,
    AwsSession,
    Probe,
)
from sessions.permissions import working_members

# The clock goes on to its other work after so long, and comes back.
LONGEST_ENDING_SECONDS = 2.0


def end_overdue() -> int:
    """End activations that are past their time, team by team. Run by the clock."""
    return _end_by_the_clock(Activation.objects.filter(ends_at__lte=database_now()))


def end_of_people_who_left() -> int:
    """End activations of people who left the team, or may not start anything any more.

    Run by the clock, for those who left through an identity provider: a removal here ends them at
    once.
    """
    members = working_members(user=OuterRef("user"), team=OuterRef("session__team"))
    return _end_by_the_clock(Activation.objects.filter(~Exists(members)))


def _end_by_the_clock(over: QuerySet[Activation]) -> int:
    """End these in parts, each a transaction: workers need the team's lock in between."""
    until, ended = time.monotonic() + LONGEST_ENDING_SECONDS, 0
    # What a deletion has ended is cleared away with it.
    over = over.filter(session__deletion=None)
    teams = list(over.values_list("session__team_id", flat=True).distinct())
    random.shuffle(
        teams
    )  # where there is too much for one round, it is another team's turn each time
    held = busy_teams()
    for team_id in [each for each in teams if str(each) not in held]:
        pace = parts.Pace(parts.AT_ONCE)
        while time.monotonic() < until:
            entries: list[Entry] = []
            pace.begin()
            with skip_if_busy(team_id), transaction.atomic():
                lock_team(team_id)
                some = over.filter(session__team_id=team_id).order_by("ends_at")[: pace.size]
                entries = end_as(some, SessionEnded, CLOCK)
                ledger.append(team_id, entries)
            ended += len(entries)
            if len(entries) < pace.size:
                break
            pace.end()
            time.sleep(parts.PAUSE_SECONDS)
    return ended


def end_at_once(activations: QuerySet[Activation], actor: AnyActor) -> list[Entry]:
    """End activations now, under the team's lock; return the events.

    Many are only marked as ended, which is enough: the clock deletes them in parts, with its own
    events.
    """
    # Looked for once: what loses its right is found by a walk through the team.
    ids = list(activations.order_by().values_list("pk", flat=True))
    found = Activation.objects.filter(pk__any_of=ids)
    if len(ids) > parts.AT_ONCE:
        mark_ended(found)
        return []
    return end_activations(found, actor)


def mark_ended(activations: QuerySet[Activation]) -> None:
    """End these activations now, however many; the clock deletes them later in parts."""
    activations.update(ends_at=database_now())


def end_as(
    activations: QuerySet[Activation], kind: type[SessionStopped | SessionEnded], actor: AnyActor
) -> list[Entry]:
    # Plain values, and all that goes in a few statements: thousands end together that were started
    # together.
    ended = list(
        activations.values_list(
            "pk", "credential_id", "session_id", "session__alias", "user__username"
        )
    )
    delete_activations([row[0] for row in ended])
    erase_all_unneeded(row[1] for row in ended)
    return [
        Entry(kind(credential=credential_id, owner=person), actor, Subject(session_id, alias))
        for _, credential_id, session_id, alias, person in ended
    ]


def end_activations_of(sessions: Iterable[AwsSession], actor: AnyActor) -> list[Entry]:
    """End everybody's activations of sessions that are about to be deleted."""
    return end_activations(
        Activation.objects.filter(session_id__any_of=[s.pk for s in sessions]), actor
    )


def end_activations(activations: QuerySet[Activation], actor: AnyActor) -> list[Entry]:
    """End these activations and erase what only they needed.

    The caller holds the team's lock and writes the events.
    """
    return end_as(activations, SessionStopped, actor)


def delete_probes(probes: QuerySet[Probe]) -> int:
    """Delete these probes and erase what only they needed; return how many there were.

    Under the team's lock.
    """
    found = dict(probes.values_list("pk", "credential_id"))
    Probe.objects.filter(pk__any_of=found).delete()
    erase_all_unneeded(each for each in found.values() if each)
    return len(found)
