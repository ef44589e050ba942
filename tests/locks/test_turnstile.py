"""Whoever meets a row that somebody holds is told so soon, and nobody else notices."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections
from django.db.backends.signals import connection_created
from django.test import Client
from django.urls import reverse

from sessions.db.limits import limit_idle_transactions, limit_waits, set_tcp_timeouts
from sessions.locks import turnstile
from sessions.models import AwsSession, Credential, Event, LedgerHead, Team, User
from tests.house import PASSWORD, TeamFixture, browser_of
from tests.races import held, row_of

# On a quiet machine it is 2 s and a little; without a bound it would be as long as the row is held.
MOST_SECONDS = 8.0

on_postgresql = pytest.mark.skipif(
    "postgresql" not in settings.DATABASES["default"]["ENGINE"],
    reason="SQLite has one lock, not one a row",
)


@pytest.fixture
def bounded(lasting_house):
    """Make a team, and this process bounded as the web's is."""
    database = connections["default"].settings_dict
    before = {**database["OPTIONS"]}
    limit_waits(database, lock_seconds=settings.LOCK_TIMEOUT_SECONDS, statement_seconds=10)
    connection.close()
    yield lasting_house
    connection.close()
    database["OPTIONS"] = before


def waiting_for_locks():
    """Count the connections to this database that wait for a lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND"
            " wait_event_type = 'Lock'"
        )
        return cursor.fetchone()[0]


def timed(request):
    begun = time.monotonic()
    response = request()
    return response, time.monotonic() - begun


def is_refused(request):
    response, seconds = timed(request)
    assert response.status_code == 503, response.content
    assert response.headers["Retry-After"]
    assert seconds < MOST_SECONDS
    return response


def is_served(request, *statuses):
    response, seconds = timed(request)
    assert response.status_code in statuses or response.status_code < 400, response.content
    assert seconds < MOST_SECONDS
    return response


@on_postgresql
@pytest.mark.parametrize("what", ["ledger head", "team"])
def test_a_held_team_is_a_503_soon_for_it_and_nothing_for_others(bounded, sts, what):
    house, other = bounded, TeamFixture(sts, slug="other")
    leaf, foreign = house.chained("Leaf"), other.chained("Foreign")
    for each, session in ((house, leaf), (other, foreign)):
        each.start(session)
        each.work()
    token, foreign_token = house.token().reveal(), other.token().reveal()
    page, foreign_page = browser_of(house.ben), browser_of(other.ben)
    api = Client(raise_request_exception=False)
    page.raise_request_exception = foreign_page.raise_request_exception = False

    def credentials(session, bearer):
        return api.get(
            f"/api/v1/sessions/{session.pk}/credentials?format=process",
            headers={"Authorization": f"Bearer {bearer}"},
        )

    model, key = (LedgerHead, house.team.pk) if what == "ledger head" else (Team, house.team.pk)
    told = set(Event.objects.filter(team_id=house.team.pk).values_list("pk", flat=True))
    with held(*row_of(model, key)):
        if model is LedgerHead:  # who takes credentials waits for this lock alone
            answer = is_refused(lambda: credentials(leaf, token))
            assert answer.json()["code"] == "unavailable"
            assert b"SessionToken" not in answer.content
            is_refused(lambda: page.post(reverse("reveal_snippet", args=[leaf.pk, "posix"])))
        is_refused(lambda: page.post(reverse("stop_session", args=[leaf.pk])))
        # Who only reads waits for nobody, of this team or another.
        is_served(lambda: page.get(reverse("session_list", args=[house.team.slug])))
        is_served(lambda: page.get(reverse("session", args=[leaf.pk])))
        is_served(lambda: page.get("/healthz"))
        assert is_served(lambda: credentials(foreign, foreign_token)).json()["SessionToken"]
        is_served(lambda: foreign_page.post(reverse("stop_session", args=[foreign.pk])))
    # Nothing of what was refused is there, and all goes on.
    kinds = (
        Event.objects.filter(team_id=house.team.pk)
        .exclude(pk__in=told)
        .values_list("kind", flat=True)
    )
    assert set(kinds) <= ({"credential.revealed"} if model is Team else set())
    assert house.state(leaf).status.value == "active"
    assert credentials(leaf, token).json()["SessionToken"]


@on_postgresql
def test_a_held_session_credential_or_person_is_a_503_soon(bounded):
    house = bounded
    leaf = house.chained("Leaf", member=house.ben)
    house.start(leaf)
    house.work()
    page, nobody = browser_of(house.ben), Client(raise_request_exception=False)
    page.raise_request_exception = False
    held_rows = [
        (AwsSession, leaf.pk, lambda: page.post(reverse("delete_session", args=[leaf.pk]))),
        (
            Credential,
            Credential.objects.filter(level=1).get().pk,
            lambda: page.post(reverse("stop_session", args=[leaf.pk])),
        ),
        (
            User,
            house.bea.user.pk,
            lambda: nobody.post(
                "/accounts/login/", {"login": house.bea.user.get_username(), "password": PASSWORD}
            ),
        ),
    ]
    for model, key, request in held_rows:
        with held(*row_of(model, key)):
            is_refused(request)
            is_served(lambda: page.get("/healthz"))
    assert house.state(leaf).status.value == "active"


@on_postgresql
def test_a_held_log_in_is_a_503_soon_for_whoever_it_is(bounded):
    page, other = browser_of(bounded.ben), browser_of(bounded.bea)
    page.raise_request_exception = False
    with held(*row_of(Session, page.session.session_key)):
        is_refused(lambda: page.post("/accounts/logout/"))
        is_served(lambda: page.get(reverse("session_list", args=[bounded.team.slug])))
        is_served(lambda: other.post("/accounts/logout/"))
    assert page.get(reverse("session_list", args=[bounded.team.slug])).status_code == 200


@on_postgresql
def test_a_held_team_leaves_threads_for_the_others(bounded, sts):
    house, leaf = bounded, bounded.chained("Leaf")
    house.start(leaf)
    house.work()
    token = house.token().reveal()

    def take(_):
        try:
            return timed(
                lambda: Client(raise_request_exception=False).get(
                    f"/api/v1/sessions/{leaf.pk}/credentials?format=process",
                    headers={"Authorization": f"Bearer {token}"},
                )
            )
        finally:
            connection.close()

    turnstile.enable()
    try:
        with held(*row_of(LedgerHead, house.team.pk)), ThreadPoolExecutor(12) as threads:
            asked = [threads.submit(take, None) for _ in range(24)]
            waiting = [waiting_for_locks()]
            while not all(each.done() for each in asked):
                waiting.append(waiting_for_locks())
                time.sleep(0.05)
        told = [each.result() for each in asked]
        assert {response.status_code for response, _ in told} == {503}
        assert all(response.headers["Retry-After"] for response, _ in told)
        assert 0 < max(waiting) <= turnstile.PLACES
        assert take(None)[0].status_code == 200
        # Whoever comes all at once, and finds nothing held, is served.
        with ThreadPoolExecutor(2 * turnstile.PLACES) as threads:
            told = list(threads.map(take, range(12)))
        assert {response.status_code for response, _ in told} == {200}, told
        assert not turnstile._queues
    finally:
        turnstile.disable()


@on_postgresql
def test_whoever_waits_for_a_held_team_keeps_nobody_from_its_credentials(bounded):
    house, leaf = bounded, bounded.chained("Leaf")
    house.start(leaf)
    house.work()
    api = Client(
        headers={"Authorization": f"Bearer {house.token().reveal()}"}, raise_request_exception=False
    )

    def change(_):
        try:
            return api.post(f"/api/v1/sessions/{leaf.pk}/stop").status_code
        finally:
            connection.close()

    turnstile.enable()
    try:
        with held(*row_of(Team, house.team.pk)), ThreadPoolExecutor(12) as threads:
            changes = [threads.submit(change, None) for _ in range(2 * turnstile.PLACES)]
            while waiting_for_locks() < turnstile.PLACES and not all(
                each.done() for each in changes
            ):
                time.sleep(0.02)
            answers = [
                api.get(f"/api/v1/sessions/{leaf.pk}/credentials").status_code for _ in range(5)
            ]
        assert answers == [200] * 5
        assert {each.result() for each in changes} == {503}
    finally:
        turnstile.disable()


@pytest.mark.parametrize(
    "command",
    [
        ["token", "ben", "--team=platform", "--name=x"],
        ["setup", "--team=platform", "--admin=bea"],
        ["person", "ben", "--disable"],
    ],
    ids=lambda command: command[0],
)
def test_a_command_that_meets_a_held_team_says_so_soon(lasting_house, monkeypatch, command):
    monkeypatch.setattr("sessions.management.commands.setup.IS_EMBEDDED", False)
    lock = (
        row_of(Team, lasting_house.team.pk) if connection.vendor == "postgresql" else ("SELECT 1",)
    )
    with held(*lock):
        begun = time.monotonic()
        with pytest.raises(CommandError, match="Another change is in progress"):
            call_command(*command)
        assert time.monotonic() - begun < MOST_SECONDS
    assert not lasting_house.team.tokens.exists()
    call_command(*command)


@on_postgresql
def test_a_transaction_that_stands_still_is_ended_and_told_as_a_503(bounded, monkeypatch):
    page = browser_of(bounded.ben)
    page.raise_request_exception = False
    leaf = bounded.chained("Leaf")

    def dawdle(*arguments, **options):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 100")
        time.sleep(0.5)
        raise_if_ended()

    def raise_if_ended():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    monkeypatch.setattr("sessions.activations.start_stop.database_now", dawdle)
    answer = page.post(reverse("start_session", args=[leaf.pk]))
    assert answer.status_code == 503
    connection.close()


@pytest.mark.skipif(
    "sqlite3" not in settings.DATABASES["default"]["ENGINE"], reason="PostgreSQL has its own"
)
def test_a_statement_that_takes_too_long_is_stopped_on_sqlite(transactional_db):
    receivers = list(connection_created.receivers)
    database = {"ENGINE": "django.db.backends.sqlite3", "OPTIONS": {}}
    limit_waits(database, lock_seconds=2, statement_seconds=60)
    limit_waits(database, lock_seconds=2, statement_seconds=0.2)  # what is said last counts
    other = connections.create_connection("default")
    endless = (
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
    )
    try:
        for _ in range(2):
            begun = time.monotonic()
            with pytest.raises(OperationalError, match="interrupted"), other.cursor() as cursor:
                cursor.execute(endless)
            assert 0.15 < time.monotonic() - begun < MOST_SECONDS
            with other.cursor() as cursor:
                assert cursor.execute("SELECT 1").fetchone() == (1,)
            other.close()
    finally:
        other.close()
        connection_created.receivers = receivers
        connection_created.sender_receivers_cache.clear()


@pytest.mark.skipif(
    "sqlite3" not in settings.DATABASES["default"]["ENGINE"], reason="about SQLite's one lock"
)
def test_who_cannot_write_to_sqlite_is_told_so_soon_and_reads_go_on(bounded):
    house = bounded
    leaf = house.chained("Leaf")
    house.start(leaf)
    house.work()
    page = browser_of(house.ben)
    page.raise_request_exception = False
    with held("SELECT 1"):
        is_refused(lambda: page.post(reverse("reveal_snippet", args=[leaf.pk, "posix"])))
        is_refused(lambda: page.post(reverse("stop_session", args=[leaf.pk])))
        is_served(lambda: page.get(reverse("session", args=[leaf.pk])))
        is_served(lambda: page.get("/healthz"))
    assert page.post(reverse("reveal_snippet", args=[leaf.pk, "posix"])).status_code == 200


def test_what_an_address_says_itself_goes_before_our_bounds():
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "OPTIONS": {"options": "-c lock_timeout=7000"},
    }
    limit_waits(database, lock_seconds=2, statement_seconds=10)
    limit_idle_transactions(database, idle_seconds=30)
    assert (
        database["OPTIONS"]["options"]
        == "-c idle_in_transaction_session_timeout=30000 -c lock_timeout=2000 -c"
        " statement_timeout=10000 -c lock_timeout=7000"
    )


def test_a_server_that_is_gone_without_a_word_is_given_up_in_time():
    database = {"ENGINE": "django.db.backends.postgresql", "OPTIONS": {"connect_timeout": "2"}}
    set_tcp_timeouts(database)
    options = database["OPTIONS"]
    assert options["connect_timeout"] == "2"  # the address says so
    assert options["tcp_user_timeout"] == 10_000
    assert (
        options["keepalives_idle"] + options["keepalives_interval"] * options["keepalives_count"]
        <= 30
    )
