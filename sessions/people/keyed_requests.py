"""Answer a tool's request that comes again by the same `Idempotency-Key` as the first time.

A key is a token's own, for 24 hours. What was refused has changed nothing, and is not kept: the
same request may be tried again. No secret is kept, neither of a request nor of an answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from sessions.db.clock import database_now
from sessions.models import KeyedRequest, Token

KEPT = timedelta(hours=24)
# A request that has no answer by then was cut off: its process has ended.
LONGEST_ANSWER = timedelta(minutes=2)
FORGOTTEN_AT_ONCE = 500


class OtherRequest(Exception):
    """Refuse a key that another request was sent with."""


class BeingAnswered(Exception):
    """Refuse a request while the first by its key is being answered."""


@dataclass(frozen=True)
class Claim:
    """Hold a key: by its row, and by when it was taken, should another request take it over."""

    row: KeyedRequest


def claim(token: Token, key: str, digest: str) -> Claim | KeyedRequest:
    """Take a key for a request, or return the answer that it has been given before.

    Raises `OtherRequest` and `BeingAnswered`.
    """
    now = database_now()
    KeyedRequest.objects.filter(token=token, begun_at__lt=now - KEPT).delete()
    row = KeyedRequest(token=token, key=key, digest=digest, begun_at=now)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
        return Claim(row)
    except IntegrityError:
        there = KeyedRequest.objects.filter(token=token, key=key).first()
    if there is None:  # it was refused this moment
        raise BeingAnswered
    if there.digest != digest:
        raise OtherRequest
    if there.status is not None:
        return there
    cut_off = KeyedRequest.objects.filter(
        pk=there.pk, status=None, begun_at=there.begun_at, begun_at__lt=now - LONGEST_ANSWER
    )
    if not cut_off.update(begun_at=now):
        raise BeingAnswered
    there.begun_at = now
    return Claim(there)


def keep(held: Claim, status: int, headers: Mapping[str, str], body: str | None) -> None:
    """Keep the answer of a request; None: all but its body, which holds a secret."""
    _held(held).update(status=status, headers=dict(headers), body=body)


def release(held: Claim) -> None:
    """Give a key back, since its request has changed nothing."""
    _held(held).delete()


def _held(held: Claim) -> QuerySet[KeyedRequest]:
    return KeyedRequest.objects.filter(pk=held.row.pk, begun_at=held.row.begun_at, status=None)


def forget_keyed_requests() -> None:
    """Delete the answers that are kept no longer."""
    old = KeyedRequest.objects.filter(begun_at__lt=database_now() - KEPT)
    # In parts, since SQLite has one writer at a time; to find nothing, nobody waits for it.
    while some := list(old.values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE]):
        KeyedRequest.objects.filter(pk__in=some).delete()
