"""Hold uploaded files between preview and import: sealed, for their uploader, for minutes."""

import json
from collections.abc import Iterable
from uuid import UUID

from sessions.actors import Actor
from sessions.db.clock import database_now
from sessions.exceptions import NotThere
from sessions.imports.reading import File
from sessions.models import PendingImport
from sessions.models.imports import PREVIEW_LIVES
from sessions.sealing import SealingError, open_sealed, seal
from sessions.secret import Secret


def hold(files: Iterable[File], actor: Actor) -> PendingImport:
    """Seal uploaded files until they are imported, a new upload comes, or their time is over."""
    drop_pending(actor)
    ends = database_now() + PREVIEW_LIVES
    row = PendingImport(team=actor.team, user=actor.user, expires_at=ends)
    text = json.dumps([[each.name, each.text, each.format] for each in files])
    row.sealed = seal(Secret(text), row.seal_context)
    row.save(force_insert=True)
    return row


def held(actor: Actor, import_id: UUID) -> list[File] | None:
    """Open the actor's own uploaded files; None if their time is over.

    Raises `NotThere` for files that are not theirs, or are gone.
    """
    mine = PendingImport.objects.filter(pk=import_id, team=actor.team_id, user=actor.user_id)
    row = mine.first()
    if row is None:
        raise NotThere("", "The preview has ended.")
    if row.expires_at <= database_now():
        return None
    try:
        parts = json.loads(open_sealed(row.sealed, row.seal_context).reveal())
    except SealingError:
        return None
    return [File(name, text, form) for name, text, form in parts]


def drop_pending(actor: Actor) -> None:
    """Delete what the actor has uploaded in their team."""
    PendingImport.objects.filter(team=actor.team_id, user=actor.user_id).delete()


def delete_overdue() -> int:
    """Delete files whose preview nobody confirmed in time. Run by the clock."""
    return PendingImport.objects.filter(expires_at__lte=database_now()).delete()[0]
