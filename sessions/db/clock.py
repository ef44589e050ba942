"""Read the one clock that decides: the database's.

A worker with a wrong clock decides nothing.
"""

from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.db.models import DateTimeField, Func, Value


def database_now() -> datetime:
    """Return the database server's wall clock, aware, UTC; with SQLite it is this machine's."""
    if connection.vendor == "sqlite":
        return datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


class Now(Func):
    """Annotate rows with the moment of reading by the database's clock, in the same statement."""

    function = "clock_timestamp"
    arity = 0
    output_field = DateTimeField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return compiler.compile(Value(datetime.now(UTC), output_field=DateTimeField()))
