"""Reseal every value under the newest key, row by row, beside a running installation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from sessions import sealing
from sessions.db.batches import in_batches
from sessions.models import (
    Approval,
    AwsSession,
    ConsoleSignIn,
    Credential,
    KeptConfig,
    KeyRotation,
    Probe,
    RootAnswer,
    TrailPart,
)
from sessions.people.second_factors import reseal_seeds
from sessions.sealing import SealContext
from sessions.secret import Secret


@dataclass
class Resealed:
    """Count the values moved, already on the newest key, and not opened."""

    moved: int = 0
    already: int = 0
    unopened: int = 0


def reseal_all() -> Resealed:
    """Move every sealed value to the newest key.

    A value that changes meanwhile is left: it is new anyway.
    """
    total = Resealed()
    seal_key, root_key = sealing.newest_seal_key_id(), sealing.newest_root_key_id()
    for row in _with_value(Credential.objects.filter(level__gt=0), "sealed"):
        _move(
            row,
            "sealed",
            row.seal_context(row.generation),
            seal_key,
            sealing.open_sealed,
            sealing.seal,
            total,
        )
    for sign_in in _with_value(ConsoleSignIn.objects.all(), "sealed"):
        context = sign_in.seal_context
        _move(sign_in, "sealed", context, seal_key, sealing.open_sealed, sealing.seal, total)
    for part in in_batches(TrailPart.objects.select_related("trail_import"), size=10):
        context = part.seal_context
        _move(part, "data", context, seal_key, sealing.open_sealed, sealing.seal, total)
    for kept in in_batches(KeptConfig.objects.all(), size=100):
        context = kept.seal_context
        _move(kept, "sealed", context, seal_key, sealing.open_sealed, sealing.seal, total)
    for column, context_of, rows in _sealed_to_workers():
        for row in _with_value(rows, column):
            _move(
                row,
                column,
                context_of(row),
                root_key,
                sealing.open_as_worker,
                sealing.seal_to_workers,
                total,
            )
    moved, already, unopened = reseal_seeds(seal_key)
    return Resealed(total.moved + moved, total.already + already, total.unopened + unopened)


def _sealed_to_workers() -> list[tuple[str, Callable[[Any], SealContext], QuerySet[Any]]]:
    """List (column, the seal context of a row, the rows) of all that only workers open."""
    return [
        (
            "sealed",
            lambda row: row.seal_context(row.generation),
            Credential.objects.filter(level=0),
        ),
        ("sealed_secrets", lambda row: row.seal_context, AwsSession.objects.all()),
        ("sealed_secrets", lambda row: row.seal_context, Probe.objects.all()),
        ("sealed", lambda row: row.seal_context, RootAnswer.objects.select_related("credential")),
        ("sealed_state", lambda row: row.seal_context(row.version), Approval.objects.all()),
        ("sealed_new", lambda row: row.seal_context, KeyRotation.objects.all()),
    ]


def _with_value(rows: QuerySet[Any], column: str) -> Iterator[Any]:
    return in_batches(rows.filter(**{f"{column}__isnull": False}), size=500)


def _move(
    row: Any,
    column: str,
    context: SealContext,
    newest: str,
    unlock: Callable[[bytes, SealContext], Secret],
    lock: Callable[[Secret, SealContext], bytes],
    total: Resealed,
) -> None:
    old = bytes(getattr(row, column))
    try:
        if sealing.key_id_of(old) == newest:
            total.already += 1
            return
        new = lock(unlock(old, context), context)
    except sealing.SealingError:
        total.unopened += 1
        return
    total.moved += type(row).objects.filter(pk=row.pk, **{column: old}).update(**{column: new})
