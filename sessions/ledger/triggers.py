"""Append-only triggers on the ledger, on both databases.

Put back after every migrate, because a SQLite migration that remakes a table drops its triggers.
"""

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from sessions.db import grants

SQLITE_INSTALL = [
    *(
        f"CREATE TRIGGER IF NOT EXISTS ledger_no_{verb.lower()} BEFORE {verb} ON chains_event "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
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
        "CREATE OR REPLACE TRIGGER ledger_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON"
        " chains_event FOR EACH STATEMENT EXECUTE FUNCTION chains_ledger_refuse()"
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
POSTGRES_REMOVE = [
    "DROP TRIGGER IF EXISTS ledger_no_change ON chains_event",
    "DROP TRIGGER IF EXISTS ledger_head_stays ON chains_ledgerhead",
    "DROP TRIGGER IF EXISTS ledger_head_advances ON chains_ledgerhead",
]


def _execute(connection: BaseDatabaseWrapper, statements: list[str]) -> None:
    if "chains_event" in connection.introspection.table_names():
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


def install(connection: BaseDatabaseWrapper) -> None:
    """Make the ledger's tables refuse UPDATE, DELETE and TRUNCATE."""
    _execute(connection, SQLITE_INSTALL if connection.vendor == "sqlite" else POSTGRES_INSTALL)


def remove(connection: BaseDatabaseWrapper) -> None:
    """Take the triggers off: for a test's flush, and for nothing else."""
    _execute(connection, SQLITE_REMOVE if connection.vendor == "sqlite" else POSTGRES_REMOVE)


def install_after_migrate(sender: AppConfig, using: str, **kwargs: Any) -> None:
    """Install the triggers when post_migrate is sent."""
    install(connections[using])
    # The table of the cache is no model's; this makes it where it is missing.
    call_command("createcachetable", database=using, verbosity=0)
    grants.grant(connections[using], settings.CHAINWEB_DATABASE_APP_ROLE)
