"""Let the application's role of PostgreSQL write the ledger on, and not change what is written.

Two roles share the work: one owns the tables and runs `migrate`; web and workers connect as the
other. Only an owner or a superuser can take triggers off, so neither is to be the application's.
"""

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from sessions.db.partitions import partitions_of

# Table → columns that the application may change in a row that is there.
APPEND_ONLY = {
    "chains_event": (),
    "chains_repeateddata": (),
    "chains_ledgerhead": ("seq", "hash"),
    "chains_checkpoint": ("filed_at", "posted_at"),
    "chains_tombstone": ("filed_at", "posted_at"),
    "django_migrations": (),
}


def grant(connection: BaseDatabaseWrapper, role: str) -> None:
    """Give a role what web and workers need, as the owner of the tables; on SQLite nothing.

    In one transaction: whoever is connected as the role meanwhile never has more or less.
    """
    if connection.vendor != "postgresql" or not role:
        return
    quote = connection.ops.quote_name
    to, schema = quote(role), _current_schema(connection)
    statements = [
        f"GRANT USAGE ON SCHEMA {quote(schema)} TO {to}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {quote(schema)} TO {to}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {quote(schema)} TO {to}",
    ]
    parts = partitions_of(connection, "chains_event")
    there = connection.introspection.table_names()
    for table, columns in APPEND_ONLY.items():
        if table not in there:  # before its migration
            continue
        statements.append(f"REVOKE ALL ON {quote(table)} FROM {to}")
        statements.append(f"GRANT SELECT, INSERT ON {quote(table)} TO {to}")
        if columns:
            listed = ", ".join(map(quote, columns))
            statements.append(f"GRANT UPDATE ({listed}) ON {quote(table)} TO {to}")
    # Through the table of events alone: by itself no partition is anybody's.
    statements += [f"REVOKE ALL ON {quote(each)} FROM {to}" for each in parts]
    statements.append(f"GRANT EXECUTE ON FUNCTION chains_event_partition(date) TO {to}")
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _current_schema(connection: BaseDatabaseWrapper) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        return str(cursor.fetchone()[0])


def excess(connection: BaseDatabaseWrapper) -> list[str]:
    """Say what the connected role may do to written events; empty if nothing, or on SQLite.

    Of a database that does not answer, or has no tables yet, nothing is said.
    """
    if connection.vendor != "postgresql":
        return []
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT bool_or(rolsuper), bool_or(pg_has_role(relowner, 'MEMBER')),"
                " bool_or(has_any_column_privilege(pg_class.oid, 'UPDATE')),"
                " bool_or(has_table_privilege(pg_class.oid, 'DELETE')),"
                " bool_or(has_table_privilege(pg_class.oid, 'TRUNCATE'))"
                " FROM pg_class, pg_roles WHERE rolname = current_user AND (pg_class.oid ="
                " to_regclass('chains_event') OR pg_class.oid IN (SELECT inhrelid FROM pg_inherits"
                " WHERE inhparent = to_regclass('chains_event')))"
            )
            found = cursor.fetchone() or ()
    except DatabaseError:
        return []
    if found and found[0]:
        return ["is a superuser"]
    says = (
        *("owns the table of events", "may update events"),
        *("may delete events", "may truncate their table"),
    )
    return [say for may, say in zip(found[1:], says, strict=False) if may]
