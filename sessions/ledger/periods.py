"""Keep the events of each month in a partition of their own, on PostgreSQL.

The table's owner alone may make one. Migration 0033 has a function for it that runs as the owner,
so that workers can have next month's made. Without it events go into the partition for the rest.
"""

from datetime import date, timedelta

import structlog
from django.db import DatabaseError, connection, transaction

from sessions.db.clock import database_now

log = structlog.get_logger(__name__)

TABLE = "chains_event"
REST = "chains_event_rest"


def first_of_next(day: date) -> date:
    """Return the first day of the month after that of a day."""
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)


def make_next() -> None:
    """Have the partitions of this month and the next made, if they are missing."""
    if connection.vendor != "postgresql":
        return
    today = database_now().date()
    try:
        # A savepoint where a transaction is open: a lock that is not to be had ends nothing else.
        with transaction.atomic(), connection.cursor() as cursor:
            for day in (today, first_of_next(today)):
                cursor.execute("SELECT chains_event_partition(%s)", [day])
    except DatabaseError as error:
        log.warning("no partition for next month's events yet", error=type(error).__name__)
