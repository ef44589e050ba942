"""Who works on which credential: a conditional update with a lease and a fence.

The fence is a new random value per claim. Every later write says `WHERE fence = mine`: a worker that was stopped past its
lease and comes back finds another fence, or no row, and changes nothing.
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from sessions.clock import database_now
from sessions.models import Credential


@dataclass(frozen=True)
class Claim:
    """What one run holds."""

    fence: uuid.UUID
    rows: dict[str, Credential]


def _free(now: datetime) -> QuerySet[Credential]:
    rows = Credential.objects.filter(Q(lease_until=None) | Q(lease_until__lt=now), level__gt=0)
    # Rows that another worker is just claiming are not waited for; SQLite has one writer at a time anyway.
    return rows.select_for_update(skip_locked=True)


def _take(rows: QuerySet[Credential], fence: uuid.UUID, now: datetime) -> dict[str, Credential]:
    taken = {row.pk: row for row in rows}
    lease_until = now + timedelta(seconds=settings.CHAINWEB_LEASE_SECONDS)
    Credential.objects.filter(pk__in=taken).update(fence=fence, lease_until=lease_until)
    return taken


@transaction.atomic
def claim_due(limit: int) -> Claim:
    """Takes up to `limit` due credentials, the longest overdue first, parents before children where both are due."""
    now = database_now()
    fence = uuid.uuid4()
    return Claim(
        fence, _take(_free(now).filter(due_at__lte=now).order_by("due_at", "level")[:limit], fence, now)
    )


@transaction.atomic
def claim_these(fingerprints: Collection[str], fence: uuid.UUID) -> dict[str, Credential]:
    """Takes these as well under the same fence, as far as nobody else holds them. Used for parents that have run out.

    A parent that AWS refused stays untaken until a person asks: its `due_at` is null then.
    """
    now = database_now()
    mintable = Q(problem__isnull=True) | Q(due_at__lte=now)
    return _take(_free(now).filter(mintable, pk__in=fingerprints).order_by("level"), fence, now)


def renew(claim: Claim, fingerprints: Collection[str]) -> set[str]:
    """Extends the lease of what is still to be done; returns what is still held."""
    lease_until = database_now() + timedelta(seconds=settings.CHAINWEB_LEASE_SECONDS)
    held = Credential.objects.filter(pk__in=fingerprints, fence=claim.fence)
    held.update(lease_until=lease_until)
    return set(held.values_list("pk", flat=True))


def next_due_at() -> datetime | None:
    """When the next claimable credential falls due. None: nothing is scheduled."""
    now = database_now()
    rows = Credential.objects.filter(Q(lease_until=None) | Q(lease_until__lt=now), due_at__isnull=False)
    return rows.order_by("due_at").values_list("due_at", flat=True).first()
