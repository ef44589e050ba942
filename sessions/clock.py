"""The one clock that decides: the database's, so that a worker with a wrong clock decides nothing."""

from datetime import UTC, datetime

from django.db import connection


def database_now() -> datetime:
    """The database server's wall clock, aware, UTC. With SQLite that is this machine's own."""
    if connection.vendor == "sqlite":
        return datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now
