"""Let one worker at a time work on a row: a lease says until when, a fence says who.

The fence is a random value for each hold. Every later write asks for it: a worker that was stopped
past its lease and comes back finds another fence, or no row, and changes nothing.
"""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Self, TypeVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from sessions.db.clock import database_now
from sessions.models.problems import ProblemField

_Row = TypeVar("_Row", bound="Leased")


def lease_from(now: datetime) -> datetime:
    """Return when a lease ends that is taken or extended now."""
    return now + timedelta(seconds=settings.CHAINWEB_LEASE_SECONDS)


class LeasedQuerySet(models.QuerySet[_Row]):
    """Hold rows, and change those that are still held."""

    def free(self, now: datetime) -> Self:
        """Select the rows that nobody works on."""
        return self.filter(Q(lease_until=None) | Q(lease_until__lt=now))

    def due(self, now: datetime) -> Self:
        """Select the rows to be worked on that nobody works on."""
        return self.free(now).filter(due_at__lte=now)

    def held(self, fence: uuid.UUID) -> Self:
        """Select the rows that this fence covers."""
        return self.filter(fence=fence)

    def hold(self, pk: Any, *, due: bool = False) -> _Row | None:
        """Take a row of these under a lease and a new fence; None if somebody else has it.

        `due`: only if nobody has worked on it or put it off meanwhile.
        """
        now, fence = database_now(), uuid.uuid4()
        free = self.due(now) if due else self.free(now)
        if not free.filter(pk=pk).update(fence=fence, lease_until=lease_from(now)):
            return None
        return self.held(fence).filter(pk=pk).first()

    def hold_due(self, most: int) -> Iterator[_Row]:
        """Hold one due row after the other, the longest overdue first."""
        due = self.due(database_now())
        for pk in list(due.order_by("due_at").values_list("pk", flat=True)[:most]):
            if (row := self.hold(pk, due=True)) is not None:
                yield row

    def write(self, fence: uuid.UUID, /, **changes: Any) -> int:
        """Change the rows that the fence covers, and extend their leases. Returns how many."""
        return self.held(fence).update(lease_until=lease_from(database_now()), **changes)

    def release(self, fence: uuid.UUID, /, **changes: Any) -> int:
        """Change the rows that the fence covers, and end their leases. Returns how many."""
        return self.held(fence).update(lease_until=None, **changes)


class Leased(models.Model):
    """Describe a row that workers hold by `lease_until` and `fence`."""

    lease_until = models.DateTimeField(null=True)
    fence = models.UUIDField(null=True)

    objects = LeasedQuerySet.as_manager()

    class Meta:
        abstract = True

    def write(self, **changes: Any) -> bool:
        """Change the held row and extend its lease; False: it is not ours and stays as it is."""
        assert self.fence is not None
        rows = type(self).objects.filter(pk=self.pk)
        return bool(rows.write(self.fence, **changes))

    def release(self, **changes: Any) -> bool:
        """Change the held row and end its lease; False: it is not ours and stays as it is."""
        assert self.fence is not None
        rows = type(self).objects.filter(pk=self.pk)
        return bool(rows.release(self.fence, **changes))


class Retried(Leased):
    """Describe a leased row that is worked on from `due_at` on (null: not until something changes).

    `problem`: what stands in the way since the last try.
    """

    due_at = models.DateTimeField(null=True, db_index=True)
    problem = ProblemField(null=True)

    class Meta:
        abstract = True
