"""Let nobody act behind their own removal or suspension, by whatever route the request came."""

import itertools
import time
from urllib.parse import urlencode

import pytest
from django.db import connection, transaction
from django.test import Client

from bench import large_team, routes
from sessions.activations.start_stop import start_session
from sessions.actors import Actor, NamedActor
from sessions.ledger.events.people import MemberRemoved, MemberSuspended
from sessions.locks.team_lock import lock_team
from sessions.models import Event, Role
from sessions.monitoring import request_limits
from sessions.people.memberships import disable_member, remove_member
from sessions.people.people import add_member, create_person
from sessions.people.tokens import create_token
from tests.house import browser_of
from tests.races import Aside, wait_for_waiting

# A request that has not come to the lock by then comes behind the end, which is no worse.
MOMENT_SECONDS = 0.1
_numbers = itertools.count(1)
ENDS = {
    MemberRemoved.tag: lambda ann, admin: remove_member(ann, NamedActor("ada"), admin.user),
    MemberSuspended.tag: lambda ann, admin: disable_member(ann, NamedActor("ada"), admin.user),
}


def request_by(member, ask, team):
    """Prepare the route's request by that member, as something that can be called."""
    headers, client = dict(ask.headers), Client()
    name = f"tests {next(_numbers)}"
    kind, body = "application/json", ask.body(team)
    if ask.is_api:
        headers["Authorization"] = (
            f"Bearer {create_token(member, name, NamedActor('tests')).reveal()}"
        )
    else:
        client, kind = browser_of(member), "application/x-www-form-urlencoded"
        body = urlencode(ask.data(team), doseq=True)
    return lambda: client.generic(ask.method, ask.path(team), body, kind, headers=headers)


@pytest.mark.parametrize("kind", ENDS)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite lets either in first")
def test_nobody_acts_behind_their_end_by_whatever_route(transactional_db, sts, subtests, kind):
    team = large_team.build()
    here = team.admin.team
    mutating = [ask for ask in routes.asks() if ask.method != "GET" and ask.by]
    asks = [ask for ask in mutating if "accounts/" not in ask.route]
    assert len(asks) > 40
    for number, ask in enumerate(asks):
        with subtests.test(ask.name):
            request_limits.forget()
            ann = add_member(
                here, create_person(f"ann-{number}", None), Role.ADMIN, NamedActor("tests")
            )
            start_session(team.session, Actor(ann))
            send = request_by(ann, ask, team)
            with transaction.atomic():
                lock_team(here.pk)
                ended = Aside(lambda ann=ann: ENDS[kind](ann, team.admin))
                wait_for_waiting(1)
                answered = Aside(send)
                time.sleep(MOMENT_SECONDS)
            ended.result()
            answer = answered.result()
            lines = Event.objects.filter(team_id=str(here.pk))
            end = lines.filter(kind=kind).latest("seq")
            assert not lines.filter(seq__gt=end.seq, actor=ann.user.username).exists()
            assert answer.status_code < 500
            if answer.streaming:  # key ids, no secrets, and its own line is before the end
                continue
            if ask.is_api:  # said as to the next request
                assert answer.status_code == 401 or b"no longer in this team" not in answer.content
            # The documentation's example is what was asked about, and says nothing.
            assert b"ASIA" not in answer.content.replace(b"ASIAIOSFODNN7EXAMPLE", b"")
