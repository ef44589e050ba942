"""Append-only triggers on the ledger, on both databases.

Put back after every migrate, because a SQLite migration that remakes a table drops its triggers.
"""

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from sessions.db import grants, repeated
from sessions.db.partitions import partitions_of
from sessions.ledger import periods

SQLITE_INSTALL = [
    *(
        f"CREATE TRIGGER IF NOT EXISTS ledger_no_{verb.lower()} BEFORE {verb} ON chains_event "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        for verb in ("UPDATE", "DELETE")
    ),
    *(
        f"CREATE TRIGGER IF NOT EXISTS repeated_no_{verb.lower()} BEFORE {verb} ON"
        " chains_repeateddata BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        for verb in ("UPDATE", "DELETE")
    ),
    (
        "CREATE TRIGGER IF NOT EXISTS ledger_head_stays BEFORE DELETE ON chains_ledgerhead "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    ),
    (
        "CREATE TRIGGER IF NOT EXISTS ledger_head_advances BEFORE UPDATE ON chains_ledgerhead "
        "WHEN NEW.seq <= OLD.seq OR NEW.team_id <> OLD.team_id "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    ),
]
SQLITE_REMOVE = [
    f"DROP TRIGGER IF EXISTS {name}"
    for name in (
        "ledger_no_update",
        "ledger_no_delete",
        "repeated_no_update",
        "repeated_no_delete",
        "ledger_head_stays",
        "ledger_head_advances",
    )
]
POSTGRES_INSTALL = [
    (
        "CREATE OR REPLACE FUNCTION chains_ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$"
    ),
    (
        "CREATE OR REPLACE TRIGGER repeated_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON"
        " chains_repeateddata FOR EACH STATEMENT EXECUTE FUNCTION chains_ledger_refuse()"
    ),
    (
        "CREATE OR REPLACE TRIGGER ledger_head_stays BEFORE DELETE OR TRUNCATE ON chains_ledgerhead"
        " FOR EACH STATEMENT EXECUTE FUNCTION chains_ledger_refuse()"
    ),
    (
        "CREATE OR REPLACE TRIGGER ledger_head_advances BEFORE UPDATE ON chains_ledgerhead FOR EACH"
        " ROW WHEN (NEW.seq <= OLD.seq OR NEW.team_id <> OLD.team_id) EXECUTE FUNCTION"
        " chains_ledger_refuse()"
    ),
]
# A statement that names a partition passes the triggers of the whole table.
POSTGRES_INSTALL_EACH = (
    "CREATE OR REPLACE TRIGGER ledger_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {}"
    " FOR EACH STATEMENT EXECUTE FUNCTION chains_ledger_refuse()"
)
POSTGRES_REMOVE_EACH = "DROP TRIGGER IF EXISTS ledger_no_change ON {}"
POSTGRES_REMOVE = [
    "DROP TRIGGER IF EXISTS repeated_no_change ON chains_repeateddata",
    "DROP TRIGGER IF EXISTS ledger_head_stays ON chains_ledgerhead",
    "DROP TRIGGER IF EXISTS ledger_head_advances ON chains_ledgerhead",
]


def _execute(connection: BaseDatabaseWrapper, statements: list[str], each: str = "") -> None:
    """Run the statements, and `each` for the table of events and for each of its partitions."""
    there = connection.introspection.table_names()
    if periods.TABLE not in there:
        return
    if repeated.TABLE not in there:  # before its migration
        statements = [each for each in statements if repeated.TABLE not in each]
    tables = [periods.TABLE, *partitions_of(connection, periods.TABLE)] if each else []
    named = [each.format(connection.ops.quote_name(table)) for table in tables]
    with connection.cursor() as cursor:
        for statement in [*statements, *named]:
            cursor.execute(statement)


def install(connection: BaseDatabaseWrapper) -> None:
    """Make the ledger's tables refuse UPDATE, DELETE and TRUNCATE."""
    if connection.vendor == "sqlite":
        _execute(connection, SQLITE_INSTALL)
    else:
        _execute(connection, POSTGRES_INSTALL, POSTGRES_INSTALL_EACH)


def remove(connection: BaseDatabaseWrapper) -> None:
    """Take the triggers off: for a test's flush, and for nothing else."""
    if connection.vendor == "sqlite":
        _execute(connection, SQLITE_REMOVE)
    else:
        _execute(connection, POSTGRES_REMOVE, POSTGRES_REMOVE_EACH)


def install_after_migrate(sender: AppConfig, using: str, **kwargs: Any) -> None:
    """Install the triggers when post_migrate is sent."""
    install(connections[using])
    if using == DEFAULT_DB_ALIAS:
        periods.make_next()
    # The table of the cache is no model's; this makes it where it is missing.
    call_command("createcachetable", database=using, verbosity=0)
    grants.grant(connections[using], settings.CHAINWEB_DATABASE_APP_ROLE)
