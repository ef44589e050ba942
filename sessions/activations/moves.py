"""Move what is active to what its chains ask for after a change, thousands in parts.

The change itself is saved at once, and nothing is delivered that it forbids (see `reveal`). A
worker then goes through the activations of its scope in the order of their ids and holds the team's
lock for a fraction of a second each time; what is started meanwhile asks for the right thing by
itself.
"""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet, Sum

from sessions.activations.replanning import replan_activations
from sessions.chains.identity import IdentityEdit
from sessions.credentials.needs import with_all_below
from sessions.db.clock import database_now
from sessions.locks import parts
from sessions.locks.busy_teams import busy_teams, skip_if_busy
from sessions.locks.team_lock import lock_team
from sessions.models import Activation, AwsSession, Credential, Membership, Move

# So many follow in the transaction of the change itself.
AT_ONCE = 50
# So many at the most in a worker's part, and so many before what is due is issued.
MOST_IN_A_PART = 100
MOST_MOVED_FIRST = 500


def follow(
    team_id: Any,
    now: datetime,
    *,
    below: AwsSession | None = None,
    of: int | None = None,
    asked: bool = False,
    edit: IdentityEdit | None = None,
) -> None:
    """Have active sessions follow a change.

    It is a change of a team, of one session (`below`, with it) or of one person (`of`).

    Call it under the team's lock, in the transaction of the change; the caller wakes a worker.
    `asked`: people wait for it. `edit`: the edit that has changed an identity, for those whose
    activation ends by it.
    """
    scope = Q(team=team_id, session=below, user=of)
    started = _started(team_id, below, of)
    few = list(started.values_list("pk", flat=True)[: AT_ONCE + 1])
    if len(few) <= AT_ONCE:
        replan_activations(Activation.objects.filter(pk__any_of=few), now, asked=asked, edit=edit)
        return
    Move.objects.filter(scope).delete()
    Move.objects.create(
        team_id=team_id,
        session=below,
        user_id=of,
        asked=asked,
        why=edit.as_json() if edit else None,
        of=started.count(),
        created_at=now,
    )


@transaction.atomic
def follow_for(session: AwsSession, member: Membership) -> None:
    """Have one member's activation of a session follow now, ahead of what waits for a worker."""
    lock_team(session.team_id)
    mine = Activation.objects.filter(session=session, session__deletion=None, user=member.user)
    replan_activations(mine, database_now(), asked=True)


def progress(team_id: Any, below: AwsSession | None = None) -> dict[str, int] | None:
    """Tell how far a team, or `below` one session, has followed the last changes; None if fully."""
    scope = Q(team=team_id) if below is None else Q(team=team_id, session=below)
    found = Move.objects.filter(scope).aggregate(done=Sum("done"), of=Sum("of"))
    if found["of"] is None:
        return None
    return {"done": min(found["done"], found["of"]), "of": found["of"]}


def is_due() -> bool:
    """Check whether anything waits for a worker."""
    return Move.objects.free(database_now()).exists()


def work_off(seconds: float) -> int:
    """Move waiting activations for about so long (in a worker).

    Returns how many activations it has looked at.
    """
    until, looked_at = time.monotonic() + seconds, 0
    while time.monotonic() < until and (move := _hold()):
        pace = parts.Pace(MOST_IN_A_PART)
        while True:
            pace.begin()
            with skip_if_busy(move.team_id) as skipped:
                found = _part(move, pace.size)
            if skipped:  # another worker, or this one, after its lease
                break
            looked_at += found
            if not found or time.monotonic() > until:
                break
            pace.end()
            time.sleep(parts.PAUSE_SECONDS)
        if not skipped:
            move.release(fence=None)
    return looked_at


def _started(team_id: Any, below: AwsSession | None, of: int | None) -> QuerySet[Activation]:
    started = Activation.objects.filter(session__team=team_id).order_by("pk")
    if below is not None and below.is_chained:
        started = started.filter(session__in=below.with_dependants().values("pk"))
    elif below is not None:  # by index, where all of a large team may rest on it
        started = started.filter(credential__root=below)
    return started if of is None else started.filter(user=of)


def _hold() -> Move | None:
    """Hold the oldest that nobody works on; None if there is none."""
    free = Move.objects.free(database_now()).exclude(team__in=list(map(UUID, busy_teams())))
    for pk in list(free.order_by("created_at").values_list("pk", flat=True)[:10]):
        if (move := Move.objects.hold(pk)) is not None:
            return move
    return None


@transaction.atomic
def _part(move: Move, size: int) -> int:
    """Move the next activations, at most so many. 0: it is over, or another worker's."""
    lock_team(move.team_id)
    fresh = Move.objects.select_related("session").filter(pk=move.pk, fence=move.fence).first()
    if fresh is None:
        return 0
    rest = _rest_of(fresh)
    now, some = database_now(), list(rest.values_list("pk", flat=True)[:size])
    if not some:
        fresh.delete()
        return 0
    _move(fresh, Activation.objects.filter(pk__any_of=some), now)
    fresh.write(after=some[-1], done=fresh.done + len(some))
    return len(some)


def _move(move: Move, activations: QuerySet[Activation], now: datetime) -> None:
    """Point these activations at what their chains ask for since the change that the move is of."""
    replan_activations(
        activations, now, asked=move.asked, edit=IdentityEdit(**move.why) if move.why else None
    )


def _rest_of(move: Move) -> QuerySet[Activation]:
    """Find the activations that a move has not come to yet."""
    rest = _started(move.team_id, move.session, move.user_id)
    return rest if move.after is None else rest.filter(pk__gt=move.after)


def move_first(rows: Sequence[Credential]) -> set[str]:
    """Move the activations that rest on these rows (in a worker).

    The rows are about to be issued again by the settings of before a change.

    What nobody needs afterwards is not issued. Returns the rows of teams whose lock was not to be
    had: they are as due once their lease ends.
    """
    left: set[str] = set()
    for move in Move.objects.filter(team__in={row.team_id for row in rows}):
        of_team = [row.pk for row in rows if row.team_id == move.team_id]
        resting = Activation.objects.filter(credential_id__any_of=with_all_below(of_team))
        for some in parts.in_parts(list(resting.values_list("pk", flat=True)[:MOST_MOVED_FIRST])):
            with skip_if_busy(move.team_id) as skipped, transaction.atomic():
                lock_team(move.team_id)
                _ahead(move, some)
            if skipped:
                left |= {*of_team}
                break
    return left


def _ahead(move: Move, activations: Sequence[UUID]) -> None:
    fresh = Move.objects.select_related("session").filter(pk=move.pk).first()
    if fresh is not None:
        _move(fresh, _rest_of(fresh).filter(pk__any_of=activations), database_now())
