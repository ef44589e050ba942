"""Take log files in, and say what became of them; delete imports.

An uploaded file is kept in the database, in parts, until a worker has read it: web and workers may
be on different machines, and share nothing else that lasts.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from sessions.actors import WORKER, Actor, AnyActor
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.ledger.chain import Entry, append
from sessions.ledger.drift import follow
from sessions.ledger.events import EventData
from sessions.ledger.events.trail import (
    TrailDeleted,
    TrailImportStarted,
    TrailRefused,
)
from sessions.models import (
    Activation,
    AwsSession,
    TrailImport,
    TrailPart,
    TrailSource,
    TrailState,
)

LARGEST_UPLOAD = 256 * 1024 * 1024
PART_BYTES = 256 * 1024
# An upload whose request has ended in the middle is cleared away after this.
UPLOAD_TAKES = timedelta(hours=1)
# Of a team at once; each may hold a file of the largest size.
MOST_WAITING = 200
LONGEST_REASON = 500
LOOKED_BACK = timedelta(days=90)

UNFINISHED = (TrailState.UPLOADING, TrailState.WAITING, TrailState.READING)


def take_file(actor: Actor, name: str, chunks: Iterable[bytes]) -> TrailImport:
    """Store an uploaded file for a worker to read. Raises `Refused`."""
    waiting = TrailImport.objects.filter(team=actor.team_id, state__in=UNFINISHED).count()
    if waiting >= MOST_WAITING:
        raise Refused("", f"{waiting} imports are not finished yet: wait for them.")
    now = database_now()
    taken = TrailImport.objects.create(
        team_id=actor.team_id,
        source=TrailSource.FILE,
        state=TrailState.UPLOADING,
        name=file_name(name),
        person=actor.username,
        created_at=now,
        due_at=now + UPLOAD_TAKES,
    )
    try:
        taken.size = _store(taken, chunks)
    except BaseException:
        TrailPart.objects.filter(trail_import=taken).delete()
        TrailImport.objects.filter(pk=taken.pk).delete()
        raise
    with transaction.atomic():
        TrailImport.objects.filter(pk=taken.pk).update(
            size=taken.size, state=TrailState.WAITING, due_at=database_now()
        )
        told = TrailImportStarted(**names_of(taken), size=taken.size)
        append(actor.team_id, [Entry(told, actor)])
    return taken


def start_lookup(
    actor: Actor, session: AwsSession, region: str, since: datetime, until: datetime
) -> TrailImport:
    """Have workers walk through LookupEvents with a session that the actor has started.

    Raises `Refused`. Its records count as they come: AWS gives each page as it is.
    """
    if settings.SIMULATED:
        raise Refused("session", "The simulated AWS keeps no CloudTrail. Import log files instead.")
    now = database_now()
    until = min(until, now)
    since = max(since, now - LOOKED_BACK)
    if since >= until:
        raise Refused("since", "CloudTrail looks back 90 days, and this time has no length.")
    started = Activation.objects.filter(session=session, user=actor.user, ends_at__gt=now)
    if not started.exists():
        raise Refused("session", f"Start “{session.alias}” first: its credentials sign.")
    follow.begin(actor.team_id)
    with transaction.atomic():
        taken = TrailImport.objects.create(
            team_id=actor.team_id,
            source=TrailSource.LOOKUP,
            state=TrailState.WAITING,
            is_shown=True,
            name=f"{session.alias}, {region}",
            person=actor.username,
            created_at=now,
            due_at=now,
            session=session,
            region=region,
            since=since,
            until=until,
            size=int((until - since).total_seconds()),
        )
        told = TrailImportStarted(**names_of(taken), region=region, since=since, until=until)
        append(actor.team_id, [Entry(told, actor, session)])
    return taken


def _store(taken: TrailImport, chunks: Iterable[bytes]) -> int:
    size = number = 0
    part = b""
    for chunk in chunks:
        size += len(chunk)
        if size > LARGEST_UPLOAD:
            most = LARGEST_UPLOAD // (1024 * 1024)
            raise Refused("file", f"A file of more than {most} MB is too large: split it.")
        part += chunk
        while len(part) >= PART_BYTES:
            TrailPart.sealed(taken, number, part[:PART_BYTES]).save()
            part, number = part[PART_BYTES:], number + 1
    if part:
        TrailPart.sealed(taken, number, part).save()
    if not size:
        raise Refused("file", "The file is empty.")
    return size


def file_name(name: str) -> str:
    """Return a file's own name, fit to be shown."""
    own = name.replace("\\", "/").rpartition("/")[2]
    printable = "".join(each if each.isprintable() else " " for each in own[:400])
    return " ".join(printable.split())[:200] or "records"


def delete_import(actor: Actor, import_id: UUID) -> None:
    """Take an import's records out of sight at once; a worker clears them away in parts."""
    with transaction.atomic():
        row = (
            TrailImport.objects.select_for_update()
            .filter(pk=import_id, team=actor.team_id)
            .exclude(state=TrailState.DELETING)
            .first()
        )
        if row is None:
            return
        # Whoever reads it now has lost it.
        row.state, row.is_shown, row.fence, row.lease_until = TrailState.DELETING, False, None, None
        row.due_at = database_now()
        row.save(update_fields=["state", "is_shown", "fence", "lease_until", "due_at"])
        told = TrailDeleted(**names_of(row), records=max(row.records - row.known, 0))
        append(actor.team_id, [Entry(told, actor)])


def refuse(row: TrailImport, reason: str, actor: AnyActor = WORKER) -> None:
    """End a held import without success; a worker clears its rows away first."""
    with transaction.atomic():
        held = row.release(
            state=TrailState.FAILED,
            reason=reason[:LONGEST_REASON],
            ended_at=database_now(),
            due_at=None,
        )
        if held:
            told = TrailRefused(**names_of(row), reason=reason[:LONGEST_REASON])
            tell(row, told, actor)


def tell(row: TrailImport, told: EventData, actor: AnyActor = WORKER) -> None:
    """Write an event about an import, in the caller's transaction."""
    append(row.team_id, [Entry(told, actor)])


def names_of(row: TrailImport) -> dict[str, Any]:
    """Return what an event about an import calls it."""
    return {"import_id": str(row.pk), "source": str(row.source), "name": row.name}
