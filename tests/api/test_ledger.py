"""The ledger through the API: the same search as on the page, by cursor, and who may read what."""

import pytest

from sessions.actors import Actor, NamedActor
from sessions.catalog.sessions import save_session
from sessions.db.clock import database_now
from sessions.delivery.reveal import reveal
from sessions.ledger.events.credentials import CredentialRevealed
from sessions.ledger.events.ledger import LedgerSearched
from sessions.ledger.events.sessions import SessionEdited, SessionStarted
from sessions.people.tokens import create_token
from tests.api.tool import Api
from tests.house import draft_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(house):
    return Api(house.token(house.ada))


@pytest.fixture
def ben(house):
    return Api(house.token(house.ben))


@pytest.fixture
def used(house):
    """Make a chain that ben and bea have started, and ada has not."""
    [session] = house.chain(1)
    house.start(session, house.ben)
    house.start(session, house.bea)
    house.work()
    return session


def kinds(answer):
    assert answer.status_code == 200, answer.content
    return [each["kind"] for each in answer.json()["events"]]


def test_an_admin_reads_everybodys_events_newest_first(house, ada, used):
    ada("GET", "/events")  # a token was made; it is a line too
    answer = ada("GET", "/events?limit=200").json()
    lines = house.events()[::-1]
    assert [each["seq"] for each in answer["events"]] == [each.seq for each in lines]
    assert [each["hash"] for each in answer["events"]] == [each.hash for each in lines]
    assert answer["events"][0]["data"] == lines[0].data
    assert "cursor" not in answer


def test_a_member_reads_what_they_did_and_what_was_done_for_them(house, ben, used):
    read = ben("GET", "/events?limit=200").json()["events"]
    seqs = {each["seq"] for each in read}
    theirs = {
        each.seq
        for each in house.events()
        if each.actor == "ben" or "ben" in each.data.get("for", ())
    }
    assert seqs == theirs
    assert "credential.minted" in {each["kind"] for each in read}
    assert ben("GET", "/events?person=bea&kind=session").json() == {"events": []}
    [start] = [e for e in house.events(SessionStarted) if e.actor == "bea"]
    assert ben("GET", f"/events/{start.seq}").status_code == 404


def test_a_cursor_leads_through_all_that_was_found(house, ada, used):
    seqs, cursor = [], ""
    while cursor is not None:
        answer = ada("GET", f"/events?kind=session&limit=1&cursor={cursor}").json()
        seqs += [each["seq"] for each in answer["events"]]
        cursor = answer.get("cursor")
    assert seqs == [each.seq for each in house.events() if each.kind.startswith("session.")][::-1]


def test_an_event_is_read_by_its_number(house, ada, used):
    line = house.events(SessionStarted)[0]
    answer = ada("GET", f"/events/{line.seq}").json()
    assert answer["session_id"] == str(used.pk)
    assert answer["summary"].startswith("started the session until")
    assert (answer["previous"], answer["next"]) == (line.seq - 1, line.seq + 1)
    for seq in (10**6, 2**63, 10**40):
        assert ada("GET", f"/events/{seq}").status_code == 404


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("kind=session.teleported", "kind"),
        ("account=1", "account"),
        ("address=here", "address"),
        ("since=yesterday", "since"),
        ("until=0001-01-01", "until"),
        ("since=99999d", "since"),
        ("persn=ada", "persn"),
        ("cursor=x", "cursor"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("person=%00", "person"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused_by_field(ada, query, field):
    answer = ada("GET", f"/events?{query}")
    assert answer.status_code == 422
    assert list(answer.json()["fields"]) == [field]


def test_times_are_dates_times_and_how_long_ago(ada, used):
    everything = len(kinds(ada("GET", "/events?limit=200&since=2020-01-01")))
    assert everything > 5
    for since in ("30min", "24h", "7d", "2020-01-01T00:00", "2020-01-01T00:00%2B01:00"):
        assert len(kinds(ada("GET", f"/events?limit=200&since={since}"))) >= everything
        assert kinds(ada("GET", f"/events?limit=200&until={since}")) == []
    today = f"{database_now():%Y-%m-%d}"
    assert len(kinds(ada("GET", f"/events?limit=200&since={today}&until={today}"))) >= everything


def test_a_search_of_others_events_is_an_event_once(house, ada, ben, used):
    ada("GET", "/events")
    ada("GET", "/events?person=ada")
    ben("GET", "/events?kind=session")
    assert house.events(LedgerSearched) == []
    answer = ada("GET", "/events?person=ben&limit=1").json()
    ada("GET", f"/events?person=ben&limit=1&cursor={answer['cursor']}")
    [line] = house.events(LedgerSearched)
    assert (line.actor, line.data["search"]) == ("ada", {"person": "ben"})


def test_a_token_for_some_sessions_reads_no_ledger(house, used):
    bound = create_token(house.ada, "bound", NamedActor("tests"), sessions=[used])
    assert Api(bound)("GET", "/events").status_code == 403
    assert Api(bound)("GET", "/events/1").status_code == 403


def test_an_event_says_what_it_changed_and_what_belongs_to_it(house, ada, used):
    save_session(draft_of(used, region="eu-central-1"), Actor(house.ada), used)
    [edit] = house.events(SessionEdited)
    answer = ada("GET", f"/events/{edit.seq}").json()
    assert answer["changes"] == [
        {"field": "region", "before": "eu-west-1", "after": "eu-central-1"}
    ]
    reveal(used, Actor(house.ben), form="posix", via="page")
    [taken] = house.events(CredentialRevealed)
    issue = ada("GET", f"/events/{taken.seq}").json()["issued_by"]
    answer = ada("GET", f"/events/{issue}").json()
    assert answer["kind"] == "credential.minted"
    assert answer["taken_by"] == [taken.seq]
    assert (answer["signed_by"], answer["signs"], answer["changes"]) == (None, [], [])
