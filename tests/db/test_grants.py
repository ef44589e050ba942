"""The application's role of PostgreSQL writes the ledger on and changes nothing of it."""

import os
import shutil
import subprocess
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, transaction
from psycopg import sql

from sessions.checks import written_events_stay
from sessions.db import grants
from sessions.ledger import periods, signing, verify
from sessions.models import Checkpoint, Event
from tests.harness import servers
from tests.ledger.attacks import TEAM, write
from tests.ledger.checkpoint_keys import PRIVATE, PUBLIC
from tests.ledger.test_retention import remove, write_at

postgres_only = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no roles")


def run(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def role(transactional_db):
    """Make a role like that of the application, granted what `migrate` grants it."""
    name = f"chainweb_app_{uuid.uuid4().hex[:8]}"
    run(f"CREATE ROLE {name}")
    try:
        grants.grant(connection, name)
        yield name
    finally:
        run("RESET ROLE")
        run(f"DROP OWNED BY {name}")
        run(f"DROP ROLE {name}")


@contextmanager
def acting_as(role):
    run(f"SET ROLE {role}")
    try:
        yield
    finally:
        run("RESET ROLE")


@postgres_only
def test_the_application_appends_verifies_and_signs(role, settings, tmp_path):
    settings.CHAINWEB_CHECKPOINT_KEY, settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY = PRIVATE, PUBLIC
    settings.CHAINWEB_CHECKPOINT_FILE = str(tmp_path / "checkpoints.jsonl")
    with acting_as(role):
        write(3)
        signing.sign_and_send()
        assert verify(TEAM) is None
        assert Checkpoint.objects.exclude(filed_at=None).count() == 1


REFUSED = [
    "UPDATE chains_event SET actor = 'eve'",
    "DELETE FROM chains_event",
    "TRUNCATE chains_event",
    "ALTER TABLE chains_event DISABLE TRIGGER ALL",
    "DROP TRIGGER ledger_no_change ON chains_event",
    "CREATE RULE r AS ON UPDATE TO chains_event DO INSTEAD NOTHING",
    "DROP TABLE chains_event CASCADE",
    "SET session_replication_role = replica",
    "UPDATE chains_ledgerhead SET team_id = 'x'",
    "DELETE FROM chains_ledgerhead",
    "TRUNCATE chains_ledgerhead",
    "UPDATE chains_checkpoint SET text = ''",
    "DELETE FROM chains_checkpoint",
    "DELETE FROM django_migrations",
]


@postgres_only
@pytest.mark.parametrize("statement", REFUSED)
def test_the_application_may_not_change_what_is_written(statement, role):
    write(3)
    with (
        acting_as(role),
        pytest.raises(ProgrammingError, match=r"permission denied|must be owner"),
        transaction.atomic(),
    ):
        run(statement)
    assert Event.objects.filter(actor="ada").count() == 3


@postgres_only
def test_the_application_has_next_months_partition_made_and_no_right_to_it(role):
    write(1)
    part = f"chains_event_{Event.objects.get().at:%Y%m}"
    with acting_as(role):
        periods.make_next()
        for statement in ("SELECT", "INSERT", "UPDATE", "DELETE"):
            with connection.cursor() as cursor:
                cursor.execute("SELECT has_table_privilege(%s, %s)", [part, statement])
                assert cursor.fetchone() == (False,)
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            run("SELECT chains_event_guard('chains_event_mine')")


@postgres_only
def test_the_application_cannot_remove_events(role, settings, tmp_path):
    settings.CHAINWEB_CHECKPOINT_KEY, settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY = PRIVATE, PUBLIC
    settings.CHAINWEB_CHECKPOINT_FILE = str(tmp_path / "checkpoints.jsonl")
    write_at(datetime(2026, 5, 1, tzinfo=UTC))
    signing.sign_and_send()
    with acting_as(role), pytest.raises(CommandError, match="runs as the owner"):
        remove(tmp_path, before="2026-06")
    assert Event.objects.count() == 3
    assert "lines 1 to 3 removed" in remove(tmp_path, before="2026-06")


@postgres_only
def test_check_says_what_the_role_may_do_to_written_events(role):
    [found] = written_events_stay()
    assert found.id == "chains.W014"
    assert "is a superuser" in found.msg
    with acting_as(role):
        assert written_events_stay() == []
    for privilege, power in (
        ("UPDATE (actor)", "may update events"),
        ("DELETE", "may delete events"),
        ("TRUNCATE", "may truncate their table"),
    ):
        run(f"GRANT {privilege} ON chains_event TO {role}")
        with acting_as(role):
            assert [power in each.msg for each in written_events_stay()] == [True]
        grants.grant(connection, role)  # as the next `migrate` does
        with acting_as(role):
            assert written_events_stay() == []
    run(f"GRANT DELETE ON chains_event_rest TO {role}")
    with acting_as(role):
        assert ["may delete events" in each.msg for each in written_events_stay()] == [True]


@postgres_only
def test_migrate_grants_what_it_is_told(role, settings):
    run(f"GRANT DELETE ON chains_event TO {role}")
    settings.CHAINWEB_DATABASE_APP_ROLE = role
    call_command("migrate", verbosity=0)
    with acting_as(role):
        assert grants.excess(connection) == []


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has roles")
@pytest.mark.django_db
def test_sqlite_has_nothing_to_grant():
    grants.grant(connection, "anybody")
    assert written_events_stay() == []


@postgres_only
@pytest.mark.skipif(not shutil.which("psql"), reason="needs psql")
def test_the_script_of_the_image_makes_both_roles_of_any_database(tmp_path):
    mark = uuid.uuid4().hex[:8]
    owner, app = f"chainweb_owner_{mark}", f"chainweb_app_{mark}"
    (tmp_path / "database_owner_password").write_text("it's \\ the owner's\n")
    (tmp_path / "database_password").write_text("app\n")
    user, _, place = servers.PG.partition("@")
    host, _, port = place.partition(":")
    environ = {
        "PATH": os.environ["PATH"],
        "PGHOST": host,
        "PGPORT": port,
        "SECRETS": str(tmp_path),
        "OWNER": owner,
        "APP": app,
        "POSTGRES_USER": user,
    }
    script = settings.BASE_DIR / "deploy" / "postgres" / "roles.sh"
    try:
        with servers.scratch_database("chainweb_roles") as url, servers.connect(url) as old:
            environ["POSTGRES_DB"] = old.info.dbname
            # As an installation has it whose application was the superuser.
            old.execute("CREATE TABLE chains_event (id bigint GENERATED ALWAYS AS IDENTITY)")
            old.execute("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
            for _ in range(2):
                subprocess.run([script], env=environ, check=True)
            found = old.execute(
                "SELECT rolname, rolsuper, rolcanlogin, rolcreaterole, rolcreatedb"
                " FROM pg_roles WHERE rolname = ANY(%s) ORDER BY rolname",
                [[owner, app]],
            ).fetchall()
            assert found == [(each, False, True, False, False) for each in (app, owner)]
            owners = old.execute(
                "SELECT relowner::regrole::text FROM pg_class"
                " WHERE relname LIKE 'chains_event%'"
                " UNION ALL SELECT proowner::regrole::text FROM pg_proc WHERE proname = 'f'"
                " UNION ALL SELECT datdba::regrole::text FROM pg_database"
                " WHERE datname = current_database()"
            ).fetchall()
            assert set(owners) == {(owner,)}
    finally:
        for each in (owner, app):
            servers.administer(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(each)))
