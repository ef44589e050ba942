"""No line, no secret: whatever fails at the ledger, each way out is closed and opens no seal."""

import re
import threading
import uuid
from contextlib import contextmanager

import pytest
from django.core.management import call_command
from django.db import connection
from django.urls import reverse

from sessions import sealing
from sessions.actors import Actor
from sessions.credentials.payloads import open_credentials
from sessions.db import grants
from sessions.db.limits import bounded
from sessions.delivery import by_token
from sessions.models import Activation, Event, Invitation, Token
from sessions.models.token_text import PERSON
from sessions.monitoring import request_limits
from sessions.people.robots import RobotDraft, create_robot
from tests.api.tool import Api
from tests.delivery.forms import SECRET_FORMATS
from tests.house import browser_of
from tests.ledger.test_every_change import WRITES
from tests.races import Aside, held_head

IS_POSTGRES = connection.vendor == "postgresql"
WAIT_SECONDS = 0.2


def execute(*statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


# --- faults ---------------------------------------------------------------------------------------


@contextmanager
def trigger(table, when, body, *, deferred=False):
    """Have PostgreSQL run that at each line, or at the commit of one."""
    kind = "CONSTRAINT TRIGGER" if deferred else "TRIGGER"
    late = "DEFERRABLE INITIALLY DEFERRED" if deferred else ""
    execute(
        "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN {body}; RETURN NEW; END $$",
        f"CREATE {kind} fault {when} ON {table} {late} FOR EACH ROW EXECUTE FUNCTION fault()",
    )
    try:
        yield
    finally:
        execute("DROP FUNCTION fault CASCADE")


def at_each_line(body):
    return lambda house: trigger("chains_event", "BEFORE INSERT", body)


def at_the_commit(body):
    return lambda house: trigger("chains_ledgerhead", "AFTER UPDATE", body, deferred=True)


@contextmanager
def head_is_held(house):
    """Somebody else holds the head for longer than anybody waits for it."""
    with held_elsewhere(house), bounded(connection, WAIT_SECONDS):
        yield


@contextmanager
def held_elsewhere(house):
    held, release = threading.Event(), threading.Event()

    def hold():
        with held_head(house.team):
            held.set()
            release.wait(60)

    other = Aside(hold)
    assert held.wait(10)
    try:
        yield
    finally:
        release.set()
        other.result()


@contextmanager
def privilege_is_revoked(house):
    """Take the right to write events from the application's role."""
    role = f"chainweb_app_{uuid.uuid4().hex[:8]}"
    execute(f"CREATE ROLE {role}")
    try:
        grants.grant(connection, role)
        execute(f"REVOKE INSERT ON chains_event FROM {role}", f"SET ROLE {role}")
        yield
    finally:
        execute("RESET ROLE", f"DROP OWNED BY {role}", f"DROP ROLE {role}")


@contextmanager
def read_only(house):
    execute("SET default_transaction_read_only = on")
    try:
        yield
    finally:
        execute("SET default_transaction_read_only = off")


POSTGRES = {
    "a line is refused": at_each_line("RAISE EXCEPTION 'no lines now'"),
    "a line is refused as a duplicate": at_each_line("RAISE unique_violation"),
    "a line is swallowed": at_each_line("RETURN NULL"),
    "the head is held": head_is_held,
    "the head does not move": lambda house: trigger(
        "chains_ledgerhead", "BEFORE UPDATE", "RETURN NULL"
    ),
    "the commit fails": at_the_commit("RAISE EXCEPTION 'not this one'"),
    "the commit fails at a constraint": at_the_commit("RAISE unique_violation"),
    "the privilege is revoked": privilege_is_revoked,
    "the disk is full": at_each_line("RAISE EXCEPTION 'No space left' USING ERRCODE = '53100'"),
    "the disk is full at the commit": at_the_commit(
        "RAISE EXCEPTION 'No space left' USING ERRCODE = '53100'"
    ),
    "the database is restarted at a line": at_each_line(
        "PERFORM pg_terminate_backend(pg_backend_pid())"
    ),
    "the database is restarted at the commit": at_the_commit(
        "PERFORM pg_terminate_backend(pg_backend_pid())"
    ),
    "the database is read-only": read_only,
}


def sqlite_trigger(body):
    @contextmanager
    def fault(house):
        execute(f"CREATE TRIGGER fault BEFORE INSERT ON chains_event BEGIN {body}; END")
        try:
            yield
        finally:
            execute("DROP TRIGGER fault")

    return fault


@contextmanager
def sqlite_commit_fails(house):
    """Each line leaves something that a constraint forbids at the commit."""
    execute(
        "CREATE TABLE fault_parent (id integer PRIMARY KEY)",
        "CREATE TABLE fault_child (parent integer REFERENCES fault_parent (id)"
        " DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TRIGGER fault AFTER INSERT ON chains_event"
        " BEGIN INSERT INTO fault_child VALUES (7); END",
    )
    try:
        yield
    finally:
        execute("DROP TRIGGER fault", "DROP TABLE fault_child", "DROP TABLE fault_parent")


@contextmanager
def sqlite_pragma(on, off):
    execute(on)
    try:
        yield
    finally:
        execute(off)


@contextmanager
def sqlite_disk_is_full(house):
    """Keep the file from growing, and use up its free pages."""
    execute("CREATE TABLE fault_filler (text)")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA max_page_count")
        [before] = cursor.fetchone()
        cursor.execute("PRAGMA page_count")
        [pages] = cursor.fetchone()
        cursor.execute(f"PRAGMA max_page_count = {pages}")
    full = sqlite_trigger("INSERT INTO fault_filler VALUES (zeroblob(50000000))")
    try:
        with full(house):
            yield
    finally:
        execute(f"PRAGMA max_page_count = {before}", "DROP TABLE fault_filler")


SQLITE = {
    "a line is refused": sqlite_trigger("SELECT RAISE(ABORT, 'no lines now')"),
    "a line is swallowed": sqlite_trigger("SELECT RAISE(IGNORE)"),
    "the transaction is rolled back": sqlite_trigger("SELECT RAISE(ROLLBACK, 'no lines now')"),
    "the head is held": head_is_held,
    "the commit fails": sqlite_commit_fails,
    "the file may not be written": lambda house: sqlite_pragma(
        "PRAGMA query_only = on", "PRAGMA query_only = off"
    ),
    "the disk is full": sqlite_disk_is_full,
}
FAULTS = POSTGRES if IS_POSTGRES else SQLITE


# --- ways out -------------------------------------------------------------------------------------


def ways(house, leaf):
    """Every request that answers with a secret, as (name, the request)."""
    api = Api(house.token(house.ben))
    api.client.raise_request_exception = False
    ben, ada = browser_of(house.ben), browser_of(house.ada)
    ben.raise_request_exception = ada.raise_request_exception = False
    for form in SECRET_FORMATS:
        yield (
            f"api {form}",
            lambda form=form: api("GET", f"/sessions/{leaf.pk}/credentials?format={form}"),
        )
        for name in ("reveal_snippet", "download_snippet"):
            path = reverse(name, args=[leaf.pk, form])
            yield f"{name} {form}", lambda path=path: ben.post(path)
    for name, is_known in (("container", False), ("container, a known token", True)):
        secret = house.token(house.ben)
        if is_known:
            by_token.remember(Token.objects.get(digest=Token.digest_of(secret)))
        yield (
            name,
            lambda secret=secret: api.client.get(
                f"/container/{leaf.pk}", headers={"Authorization": secret.reveal()}
            ),
        )
    yield (
        "token",
        lambda: ben.post(
            reverse("tokens", args=[house.team.slug]),
            {"name": "t", "scopes": ["read"], "days": "1"},
        ),
    )
    yield (
        "invitation",
        lambda: ada.post(
            reverse("invite", args=[house.team.slug]), {"role": "member", "days": "7"}
        ),
    )
    team, admin = [house.team.slug], Api(house.token(house.ada))
    admin.client.raise_request_exception = False
    robot = create_robot(RobotDraft("pipeline", house.ada, sessions=[leaf]), Actor(house.ada))
    for name, path in (
        ("several", reverse("reveal_several", args=team)),
        ("several, downloaded", reverse("download_several", args=team)),
    ):
        yield name, lambda path=path: ben.post(path, {"session": [str(leaf.pk)]})
    yield (
        "token by connecting",
        lambda: ben.post(
            reverse("connect", args=team), {"device": "laptop", "scopes": ["read"], "days": "1"}
        ),
    )
    yield (
        "token of a robot",
        lambda: ada.post(
            reverse("new_robot_token", args=[*team, robot.pk]),
            {"token-name": "one", "token-scopes": ["read"], "token-days": "1"},
        ),
    )
    yield (
        "token by api",
        lambda: admin("POST", "/tokens", {"robot": str(robot.pk), "name": "two"}),
    )
    yield "invitation by api", lambda: admin("POST", "/invitations", {"role": "member"})


GIVES_A_SECRET = {"credential.revealed", "token.created", "invitation.created"}


class Opens:
    """Count how often a seal is opened."""

    def __init__(self, monkeypatch):
        self.count = 0
        for name in ("open_sealed", "open_as_worker"):
            monkeypatch.setattr(sealing, name, self._counting(getattr(sealing, name)))

    def _counting(self, opened):
        def count(*args):
            self.count += 1
            return opened(*args)

        return count


def text_of(answer):
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return f"{body.decode()}\n{answer.headers}\n{answer.cookies}"


@pytest.fixture
def leaf(lasting_house):
    [leaf] = lasting_house.chain(1)
    lasting_house.start(leaf)
    lasting_house.work()
    return leaf


def as_it_is():
    return (
        Event.objects.count(),
        Token.objects.count(),
        Invitation.objects.count(),
    )


@pytest.mark.parametrize("fault", FAULTS)
def test_no_way_out_gives_a_secret_without_its_line(
    lasting_house, leaf, monkeypatch, subtests, fault
):
    house = lasting_house
    credentials = open_credentials(Activation.objects.select_related("credential").get().credential)
    secrets = (
        credentials.secret_access_key.reveal(),
        credentials.session_token.reveal(),
        credentials.access_key_id,
        PERSON,
    )
    asked = list(ways(house, leaf))
    opens, before = Opens(monkeypatch), as_it_is()
    with FAULTS[fault](house):
        for name, ask in asked:
            with subtests.test(name):
                request_limits.forget()
                answer = ask()
                if "restarted" in fault:
                    connection.close()
                assert answer.status_code == 503
                assert answer.headers["Retry-After"]
                said = text_of(answer)
                assert not [each for each in secrets if each in said]
                assert opens.count == 0
    assert as_it_is() == before


def test_without_a_fault_each_way_gives_one_after_its_line(
    lasting_house, leaf, monkeypatch, subtests
):
    asked = list(ways(lasting_house, leaf))
    opens, asked_at = Opens(monkeypatch), set()
    for name, ask in asked:
        with subtests.test(name):
            request_limits.forget()
            lines, opened = Event.objects.count(), opens.count
            answer = ask()
            asked_at.add(answer.resolver_match.route.replace("<uuidstr:", "<uuid:"))
            assert answer.status_code in {200, 201}
            assert Event.objects.count() == lines + 1
            assert opens.count == opened + (not name.startswith(("token", "invitation")))
    assert asked_at == {
        re.sub(r"^[A-Z]+ /| (\(.*|by .*)$", "", name)
        for name, (kind, *_) in WRITES.items()
        if kind in GIVES_A_SECRET
    }


@pytest.mark.parametrize("fault", FAULTS)
def test_the_command_prints_no_token_without_its_line(lasting_house, capsys, fault):
    before = as_it_is()
    with FAULTS[fault](lasting_house):
        with pytest.raises(Exception):  # noqa: B017, PT011  (whatever the fault is)
            call_command("token", "ben", team=lasting_house.team.slug, name="laptop")
        if "restarted" in fault:
            connection.close()
    assert capsys.readouterr().out == ""
    assert as_it_is() == before
