"""List the partitions of a table of PostgreSQL."""

from django.db.backends.base.base import BaseDatabaseWrapper


def partitions_of(connection: BaseDatabaseWrapper, table: str) -> list[str]:
    """List a table's partitions by name; none on SQLite."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
            " WHERE inhparent = to_regclass(%s) ORDER BY relname",
            [table],
        )
        return [name for (name,) in cursor.fetchall()]
