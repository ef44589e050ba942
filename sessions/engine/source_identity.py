"""Drop the source identity where AWS rejects it and the policy makes it optional."""

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import F

from sessions import ledger
from sessions.activations.moves import follow
from sessions.actors import WORKER
from sessions.aws import proof
from sessions.credentials.needs import with_all_below
from sessions.credentials.outcomes import Outcome, Rejection, tries_before
from sessions.db.clock import database_now
from sessions.ledger import Entry
from sessions.ledger.events.sessions import SourceIdentityDropped
from sessions.locks.busy_teams import skip_if_busy
from sessions.locks.team_lock import lock_team
from sessions.models import (
    Activation,
    AssumerLink,
    AwsSession,
    Credential,
    SourceIdentity,
    TeamPolicy,
)
from sessions.models.sessions import load_chains

ACTION = "sts:SetSourceIdentity"


# A hop that has taken a source identity before is rejected so often in a row before it is left out:
# IAM tells its places of a change one after the other, so a rejection of a renewal may pass.
TRIES = 3


def is_rejected(row: Credential, outcome: Outcome) -> bool:
    """Tell whether AWS keeps rejecting this hop because of its chain's source identity."""
    return (
        isinstance(outcome, Rejection)
        and outcome.error.code in proof.DENIED
        and ACTION in outcome.error.message
        and (row.generation == 0 or tries_before(row, outcome.problem) >= TRIES - 1)
    )


def drop_source_identity(rejected: Iterable[Credential]) -> None:
    """Mark these hops' links as taking no source identity; move what is active on them.

    Nothing happens under a policy that requires it: there the rejection stands. A link that a test
    before saving has tried is not stored yet, so it cannot be marked. Call it with no transaction
    open.
    """
    by_team: dict[Any, list[Credential]] = {}
    for row in rejected:
        by_team.setdefault(row.team_id, []).append(row)
    for team_id, rows in by_team.items():
        with skip_if_busy(team_id), transaction.atomic():
            lock_team(team_id)
            if TeamPolicy.of(team_id).source_identity == SourceIdentity.WHERE_POSSIBLE:
                _mark(team_id, rows)


def _mark(team_id: Any, rows: Iterable[Credential]) -> None:
    entries: list[Entry] = []
    marked_now: list[AwsSession] = []
    for row in rows:
        for session in _sessions_at(row):
            marked = AssumerLink.objects.filter(session=session, without_source_identity=False)
            if not marked.update(without_source_identity=True):
                continue
            AwsSession.objects.filter(pk=session.pk).update(version=F("version") + 1)
            marked_now.append(session)
            dropped = SourceIdentityDropped(
                hop=row.level, role_arn=row.request["role_arn"], refused=ACTION
            )
            entries.append(Entry(dropped, WORKER, session))
    for session in marked_now:
        follow(team_id, database_now(), below=session, asked=True)
    ledger.append(team_id, entries)


def _sessions_at(row: Credential) -> list[AwsSession]:
    """Return the sessions that are this hop in started chains."""
    resting = Activation.objects.filter(credential_id__any_of=with_all_below([row.pk]))
    started = AwsSession.objects.filter(pk__in=resting.values("session_id"), deletion=None)
    found = {}
    for chain in load_chains(started, broken=True).values():
        # It may have been edited, or what it rests on deleted, since the call was made.
        is_whole = not chain[0].is_chained and len(chain) > row.level
        if is_whole and chain[row.level].link.role_arn == row.request["role_arn"]:
            found[chain[row.level].pk] = chain[row.level]
    return list(found.values())
