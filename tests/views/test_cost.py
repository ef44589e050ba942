"""A request about one thing costs the same number of queries however many others exist."""

import difflib
import re
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest
from django.db import connection, reset_queries, transaction
from django.db.models.signals import post_init
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bench import large_team, routes
from sessions.activations.start_stop import start_sessions, stop_sessions
from sessions.actors import Actor
from sessions.catalog.access import set_access
from sessions.catalog.audiences import Access, Audience
from sessions.catalog.deletions import delete_session
from sessions.forms.picking import SHOWN
from sessions.locks import parts
from sessions.models import AssumerLink, AwsSession
from sessions.monitoring import request_limits
from sessions.people.memberships import disable_member, remove_member
from sessions.views.sessions.forms import DEPENDANTS_SHOWN
from sessions.views.sessions.pages import CHILDREN_SHOWN
from tests.chains.policies import set_policy
from tests.house import browser_of, crowd

pytestmark = pytest.mark.django_db
FEW, MANY = 10, 300


@contextmanager
def taken_back():
    savepoint = transaction.savepoint()
    try:
        yield
    finally:
        transaction.savepoint_rollback(savepoint)


def send(ask, team, browsers):
    """One request, and the statements it sent."""
    request_limits.forget()
    headers, client, kind = dict(ask.headers), browsers[ask.by], "application/x-www-form-urlencoded"
    body = urlencode(ask.data(team), doseq=True)
    if ask.is_api:
        client, kind, body = browsers[None], "application/json", ask.body(team)
        if ask.by:
            headers["Authorization"] = f"Bearer {team.tokens[ask.by].reveal()}"
    if ask.method == "GET":
        body = ""
    reset_queries()  # the log has room for so many, and says so once they are more
    with taken_back(), CaptureQueriesContext(connection) as captured:
        answer = client.generic(ask.method, ask.path(team), body, kind, headers=headers)
    statements = [each["sql"] for each in captured.captured_queries]
    # Counts for the metrics are written now and then, whoever happens to ask.
    return answer, [sql for sql in statements if "chains_tally" not in sql]


def difference(few, many):
    """Return the statements that one has and the other has not, by how they begin."""
    shapes = [
        sorted(re.sub(r"[0-9a-f-]{32,}|[0-9]+", "#", sql)[:300] for sql in each)
        for each in (few, many)
    ]
    return "\n".join(difflib.unified_diff(*shapes, lineterm="", n=0))


@pytest.fixture
def team(sts):
    return large_team.build()


@pytest.fixture
def browsers(team):
    return {"admin": browser_of(team.admin), "member": browser_of(team.member), None: Client()}


def test_every_route_has_a_request_or_a_reason():
    assert routes.missing() == set(), (
        "give these a request in bench/routes.py, so that their cost is measured"
    )


def test_no_two_requests_have_one_name():
    names = [ask.name for ask in routes.asks()]
    assert sorted(set(names)) == sorted(names)


def test_every_request_is_answered_as_the_table_says(team, browsers, subtests):
    for ask in routes.asks():
        with subtests.test(ask.name):
            answer, _ = send(ask, team, browsers)
            assert answer.status_code == ask.status or (
                ask.status == 0 and answer.status_code < 500
            ), answer.content[:800]


def test_a_request_about_one_thing_sends_no_more_queries_in_a_large_team(team, browsers, subtests):
    large_team.crowd(team, 1, FEW)
    for ask in routes.asks():  # what is read once a process
        send(ask, team, browsers)
    few = {ask.name: send(ask, team, browsers)[1] for ask in routes.asks()}
    large_team.crowd(team, FEW + 1, MANY)
    for ask in routes.asks():
        with subtests.test(ask.name):
            _, many = send(ask, team, browsers)
            # Fewer where what follows a change is left to a worker.
            assert len(many) <= len(few[ask.name]), difference(few[ask.name], many)


def test_deleting_many_takes_as_many_queries_as_deleting_some(house):
    taken = []
    for number in (20, parts.AT_ONCE - 1):
        hub = house.chained(f"Hub {number}")
        crowd(house, number, assumer=hub, prefix=f"Below {number}")
        with CaptureQueriesContext(connection) as captured:
            assert delete_session(hub, Actor(house.ada)) == number + 1
        taken.append(len(captured))
    assert taken[1] <= taken[0] + 2  # databases take only so many values in one statement


@contextmanager
def parameters():
    """Count the values each statement is sent; what stores new rows apart."""
    counts = []

    def count(execute, sql, params, many, context):
        if not sql.lstrip().startswith("INSERT"):
            counts.append(len(params or ()))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count):
        yield counts


def close(house, hub, leaves):
    set_access(hub, Access(Audience(False), Audience(False)), Actor(house.ada))


CHANGES = {
    "start": lambda house, hub, leaves: start_sessions(leaves, Actor(house.ben)),
    "stop": lambda house, hub, leaves: stop_sessions(leaves, Actor(house.bea)),
    "close what all rest on": close,
    "suspend who has started them": lambda house, hub, leaves: disable_member(
        house.bea, Actor(house.ada)
    ),
    "remove who answers for them": lambda house, hub, leaves: remove_member(
        house.ben, Actor(house.ada), house.ada.user
    ),
    "remove, and nobody answers": lambda house, hub, leaves: remove_member(
        house.ben, Actor(house.ada)
    ),
    "change the policy": lambda house, hub, leaves: set_policy(
        house, role_session_name="{alias}-{username}", names_locked=True
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_rests_on_a_change_is_sent_as_one_parameter(house, change):
    most = []
    for number in (5, 60, parts.AT_ONCE + 20):
        with taken_back():
            hub = house.chained("Hub")
            crowd(house, number, assumer=hub)
            AssumerLink.objects.filter(assumer=hub).update(author=house.ben.user)
            leaves = list(
                AwsSession.objects.filter(link__assumer=hub).select_related("link", "team")
            )
            start_sessions(leaves, Actor(house.bea))
            with parameters() as counts:
                CHANGES[change](house, hub, leaves)
            most.append(max(counts))
    assert max(most[1:]) <= most[0] + 5, most  # whether there are many or a few, another condition


def test_a_choice_of_sessions_stays_bounded(team, browsers):
    large_team.crowd(team, 1, MANY)
    page = browsers["admin"].get(f"/teams/{team.samples['team_slug']}/tokens/").content.decode()
    assert page.count("Crowd-") <= SHOWN


def test_a_root_with_very_many_below_lists_some_and_counts_the_rest(team, browsers):
    large_team.crowd(team, 1, MANY)
    page = browsers["admin"].get(f"/sessions/{team.big_root.pk}/").content.decode()
    assert page.count('id="below-') == CHILDREN_SHOWN
    assert f"and {MANY // 3 - CHILDREN_SHOWN} more" in page


def test_the_page_that_deletes_reads_only_the_sessions_it_lists(team, browsers):
    taken = []
    for many in (DEPENDANTS_SHOWN, MANY):
        large_team.crowd(team, 1 if many == DEPENDANTS_SHOWN else DEPENDANTS_SHOWN + 1, many)
        read = []
        with CaptureQueriesContext(connection) as captured, reading(read):
            page = browsers["admin"].get(f"/sessions/{team.big_root.pk}/delete/").content.decode()
        taken.append(len(captured))
        assert page.count('class="tree__alias"') == 1 + DEPENDANTS_SHOWN
        assert len(read) <= DEPENDANTS_SHOWN + 5
    assert f"and {MANY - DEPENDANTS_SHOWN} more" in page
    assert taken[1] <= taken[0]


@contextmanager
def reading(found):
    """Note each session that is made of a row."""

    def note(instance, **kwargs):
        if instance.pk:
            found.append(instance)

    post_init.connect(note, sender=AwsSession)
    try:
        yield
    finally:
        post_init.disconnect(note, sender=AwsSession)


def test_what_is_assumed_from_a_session_is_listed_from_the_top(house):
    hub = house.chained("Hub")
    a, b = house.chained("A", hub), house.chained("B", hub)
    aa, ba = house.chained("AA", a), house.chained("BA", b)
    whole = [(a, 1), (aa, 2), (b, 1), (ba, 2)]
    assert hub.dependants() == hub.dependants(4) == whole
    assert hub.dependants(3) == [(a, 1), (aa, 2), (b, 1)]
    assert hub.dependants(2) == [(a, 1), (b, 1)]
    assert aa.dependants(3) == []
