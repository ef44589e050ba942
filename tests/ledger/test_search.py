"""A search finds what a line says, on both databases, the newest first, page by page."""

from datetime import timedelta

import pytest
from django.db import connection

from sessions.ledger.search import TERMS, EventSearch, Lines
from sessions.ledger.terms import BLOCK, KIND, account_in, term, terms_of
from tests.ledger.samples import STORED, line_of
from tests.ledger.stored import MINTED, NOON, OTHER, SESSION, TEAM, line, store

pytestmark = pytest.mark.django_db


@pytest.fixture
def lines(db):
    store(
        line(1, "credential.minted", MINTED, actor="worker", session_id=SESSION, session_alias="D"),
        line(2, "credential.revealed", {"access_key_id": "ASIAIOSFODNN7EXAMPLE"}, actor="ben"),
        line(3, "member.role", {"member": "ben", "role": "admin", "before": "member"}),
        line(4, "group.changed", {"group_id": SESSION, "people": ["ben"]}),
        line(
            5,
            "session.stopped",
            {"of": "ben", "origin": {"address": "192.0.2.17"}},
            session_id=OTHER,
        ),
        line(6, "root.verified", {"identity": "arn:aws:iam::444455556666:user/hub"}),
        line(7, "key.step", {"old_key_id": "AKIAI44QH8DHBEXAMPLE", "new_key_id": "AKIANEW"}),
        line(8, "session.edited", {"role_session_name": "x", "source_identity": 7}),
        line(1, "credential.minted", MINTED, team=OTHER, actor="ben"),
    )


def found(own="", **wanted):
    return [each.seq for each in Lines.of(TEAM, EventSearch(**wanted), own=own).newest(50)]


@pytest.mark.parametrize(
    ("wanted", "seqs"),
    [
        ({}, [8, 7, 6, 5, 4, 3, 2, 1]),
        ({"person": "ben"}, [5, 3, 2, 1]),
        ({"person": "Jörg"}, [1]),
        ({"person": "be"}, []),
        ({"person": "worker"}, [1]),
        ({"session": SESSION}, [4, 1]),
        ({"session": "D"}, [1]),
        ({"account": "111122223333"}, [1]),
        ({"account": "444455556666"}, [6]),
        ({"role": "arn:aws:iam::111122223333:role/teams/Deploy"}, [1]),
        ({"role": "Deploy"}, [1]),
        ({"name": "ben@laptop"}, [1]),
        ({"name": "7"}, []),
        ({"key": "ASIAIOSFODNN7EXAMPLE"}, [2, 1]),
        ({"key": "AKIAI44QH8DHBEXAMPLE"}, [7, 1]),
        ({"root": MINTED["root"]}, [1]),
        ({"root": SESSION}, []),
        ({"kind": "credential.minted"}, [1]),
        ({"kind": "credential"}, [2, 1]),
        ({"kind": "session.st"}, []),
        ({"address": "192.0.2.17"}, [5]),
        ({"person": "ben", "kind": "credential"}, [2, 1]),
        ({"person": "ben", "account": "444455556666"}, []),
        ({"since": NOON + timedelta(minutes=6)}, [8, 7, 6]),
        ({"until": NOON + timedelta(minutes=3)}, [2, 1]),
        ({"person": "ben", "since": NOON + timedelta(minutes=3)}, [5, 3]),
    ],
    ids=str,
)
def test_a_search_finds_the_lines_that_say_all_it_asks_for(lines, wanted, seqs):
    assert found(**wanted) == seqs


def test_ones_own_lines_are_what_one_did_and_what_was_done_for_one(lines):
    assert found(own="ben") == [2, 1]
    assert found(own="ben", person="ada") == []
    assert found(own="ada", person="ben") == [5, 3]


def test_pages_follow_one_another_in_both_directions(lines):
    some = Lines.of(TEAM, EventSearch(person="ben"))
    assert [each.seq for each in some.newest(2)] == [5, 3]
    assert [each.seq for each in some.newest(2, before=3)] == [2, 1]
    assert some.newest(2, before=1) == []
    assert [each.seq for each in some.oldest(2)] == [1, 2]
    assert [each.seq for each in some.oldest(2, after=2)] == [3, 5]
    assert some.oldest(2, after=8) == []
    assert [each.seq for each in some.each()] == [1, 2, 3, 5]
    assert some.seqs(3) == [5, 3, 2]
    assert [each.seq for each in Lines(TEAM).each()] == list(range(1, 9))


def test_one_line_is_read_if_it_is_among_those_that_are_selected(lines):
    some = Lines.of(TEAM, EventSearch(), own="ben")
    assert some.get(2).seq == 2
    assert [some.get(seq) for seq in (3, 99, 0, -1, 2**63, 10**40)] == [None] * 6


def test_what_somebody_held_was_taken_before_and_valid_after():
    def taken(seq, minute, *, life=60, actor="ben"):
        at = NOON + timedelta(minutes=minute)
        ends = (at + timedelta(minutes=life)).isoformat(timespec="seconds")
        data = {"access_key_id": f"ASIA{seq}", "expires_at": ends}
        return line(seq, "credential.revealed", data, at=at, actor=actor)

    store(
        taken(1, -700, life=720),
        taken(2, -30),
        taken(3, -10, actor="ada"),
        taken(4, 0),
        line(5, "credential.minted", MINTED | {"expires_at": None}, at=NOON),
        line(6, "credential.revealed", {"expires_at": None}, at=NOON, actor="ben"),
        taken(7, 45),
        taken(8, 90),
    )
    times = {"since": NOON + timedelta(minutes=40), "until": NOON + timedelta(minutes=50)}
    assert found(held="ben", **times) == [7, 4]
    assert found(held="ben", since=NOON, until=NOON + timedelta(minutes=1)) == [4, 2, 1]
    assert found(held="ben") == [8, 7, 6, 4, 2, 1]
    assert found(own="ada", held="ben", **times) == []
    some = Lines.of(TEAM, EventSearch(held="ben", since=NOON, until=NOON + timedelta(minutes=60)))
    assert [each.seq for each in some.newest(2)] == [7, 4]
    assert [each.seq for each in some.newest(2, before=4)] == [2, 1]
    assert [each.seq for each in some.each()] == [1, 2, 4, 7]


def test_a_clock_that_was_set_back_hides_no_line():
    ats = [0, 10, 20, 30, 12, 14, 40, 50]
    store(*(line(n, at=NOON + timedelta(minutes=at)) for n, at in enumerate(ats, start=1)))
    for since, until in ((11, 31), (13, 15), (25, 60), (0, 13)):
        wanted = [n for n, at in enumerate(ats, start=1) if since <= at < until]
        times = [NOON + timedelta(minutes=each) for each in (since, until)]
        assert found(since=times[0], until=times[1]) == wanted[::-1]
        assert found(since=times[0], until=times[1], person="ada") == wanted[::-1]


def test_a_search_goes_on_across_blocks_and_missing_lines():
    ends = (1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 5 * BLOCK - 1)
    store(*(line(seq, actor=("ada", "ben")[n % 2]) for n, seq in enumerate(ends)))
    for person, seqs in (("ada", ends[::2]), ("ben", ends[1::2])):
        assert found(person=person) == list(seqs)[::-1]
        some = Lines.of(TEAM, EventSearch(person=person))
        assert [each.seq for each in some.oldest(50)] == list(seqs)
        assert [each.seq for each in some.newest(2)] == list(seqs)[::-1][:2]
    since = NOON + timedelta(minutes=BLOCK)
    assert found(since=since) == list(ends[:1:-1])


def test_a_team_without_a_ledger_has_no_lines():
    assert found() == found(person="ada") == []
    assert list(Lines(TEAM).each()) == []


def test_a_term_is_found_by_kind_and_by_what_stands_before_its_dot():
    assert {term(KIND, "key.step"), term(KIND, "key")} <= terms_of(line(1, "key.step"))
    assert account_in("arn:aws:sts::111122223333:assumed-role/A/b") == "111122223333"
    assert account_in("Deploy") == account_in("arn:aws") == ""


ODD = [
    *(line_of(each, each["data"]) for each in STORED),
    line(9, "member.role", {"member": None, "for": "ben", "role_arn": ""}),
    line(10, "credential.minted", {"for": ["ben", ""], "role_arn": "a:b:c/d:e", "arn": "::::7/x"}),
    line(11, "credential.minted", MINTED, session_id=SESSION, session_alias="É\u2028"),
]


@pytest.mark.skipif(connection.vendor == "sqlite", reason="only PostgreSQL has the index")
def test_postgresql_indexes_lines_by_the_same_terms():
    for seq, odd in enumerate(ODD, start=BLOCK):
        odd.team_id, odd.seq = TEAM, seq
    store(*ODD)
    for odd in ODD:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {TERMS}, (SELECT array_agg(hashtextextended(%s::text || said, 0)) FROM"
                " unnest(%s::text[]) AS said) FROM chains_event WHERE seq = %s",
                [f"{TEAM}|1|", list(terms_of(odd)), odd.seq],
            )
            indexed, named = cursor.fetchone()
        # It may have some more, of values that are no text: the line itself says what is found.
        assert set(indexed) >= set(named)
        assert len(set(indexed)) <= len(set(named)) + 1
