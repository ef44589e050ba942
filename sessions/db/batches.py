"""Read many rows in batches, each by a query of its own."""

from collections.abc import Iterator
from typing import TypeVar

from django.db.models import Model, QuerySet

AnyModel = TypeVar("AnyModel", bound=Model)


def in_batches(
    rows: QuerySet[AnyModel], key: str = "pk", *, size: int = 2000, descending: bool = False
) -> Iterator[AnyModel]:
    """Yield the rows in the order of a unique key, never more than `size` of them in memory.

    Not `QuerySet.iterator`: it leaves a cursor open in the database, and a loop that an exception
    ends leaves the closing of that cursor to the garbage collector, which does it within whatever
    transaction is open by then. On PostgreSQL that transaction is lost. Rows that are added behind
    the key while the loop runs are yielded too.
    """
    ordered = rows.order_by(f"-{key}" if descending else key)
    beyond = f"{key}__{'lt' if descending else 'gt'}"
    batch = list(ordered[:size])
    while batch:
        last = getattr(batch[-1], key)
        yield from batch
        batch = list(ordered.filter(**{beyond: last})[:size]) if len(batch) == size else []
