"""Tell whose it was from what Chainweb itself has issued and delivered."""

from datetime import timedelta

import pytest

from sessions.ledger.events.credentials import CredentialMinted
from sessions.ledger.origin import Origin
from sessions.ledger.whois import Certainty, clues_of, whois
from sessions.models import Event, LedgerHead
from tests.house import TeamFixture
from tests.ledger.whois.calls import LAPTOP, assume_role, clues_in, issued_for, record, take

pytestmark = pytest.mark.django_db


def ask(house, text):
    return whois(house.team.pk, clues_of(text))


def add_line(like, data):
    """Make a line that no worker writes, past the chain of hashes."""
    Event.objects.create(
        team_id=like.team_id,
        seq=like.seq + 1000,
        at=like.at,
        kind=like.kind,
        actor="worker",
        data=data,
    )
    LedgerHead.objects.filter(pk=like.team_id).update(seq=like.seq + 1000)


@pytest.fixture
def chain(house):
    """Make a chain of three that ben has started and ada has not."""
    made = house.chain(3)
    house.start(made[-1])
    house.work()
    return made


def test_a_key_that_one_person_took_is_certainly_theirs(house, chain):
    key = take(chain[-1], house.ben)
    found = ask(house, key)
    assert (found.certainty, found.people) == (Certainty.CERTAIN, ("ben",))
    [delivery] = found.deliveries
    assert (delivery.person, delivery.origin, delivery.form) == ("ben", LAPTOP, "process")


def test_the_chain_is_told_with_all_hops_and_keys(house, chain):
    found = ask(house, take(chain[-1], house.ben))
    assert [each.hop for each in found.chain] == [1, 2, 3]
    assert [each.access_key_id for each in found.chain[:-1]] == [
        each.parent_access_key_id for each in found.chain[1:]
    ]
    assert found.root_key_id == house.root.settings["access_key_id"]


def test_a_key_that_nobody_took_was_a_workers_for_somebody(house, chain):
    first = CredentialMinted.read(house.events(CredentialMinted)[0].data)
    found = ask(house, first.access_key_id)
    assert (found.certainty, found.people, found.deliveries) == (Certainty.CERTAIN, ("ben",), ())
    assert [each.hop for each in found.below] == [2]


def test_a_key_that_two_people_took_is_possibly_eithers(house):
    [leaf] = house.chain(1, name="shared-name")
    house.start(leaf)
    house.start(leaf, house.bea)
    house.work()
    key = take(leaf, house.ben)
    assert take(leaf, house.bea, Origin(address="198.51.100.4")) == key
    found = ask(house, key)
    assert found.certainty is Certainty.POSSIBLE
    assert {each.person for each in found.candidates} == {"ben", "bea"}


def test_a_key_that_was_shared_but_taken_by_one_is_certainly_theirs(house):
    [leaf] = house.chain(1, name="shared-name")
    house.start(leaf)
    house.start(leaf, house.bea)
    house.work()
    assert ask(house, take(leaf, house.bea)).people == ("bea",)


def test_what_else_the_person_held_at_that_moment_is_told(house, chain):
    [other] = house.chain(1, prefix="Other")
    house.start(other)
    house.work()
    beside = take(other, house.ben)
    found = ask(house, take(chain[-1], house.ben))
    assert [each.access_key_id for each in found.also_held] == [beside]


@pytest.mark.parametrize("by", ["arn", "principal_id", "role_session_name"])
def test_an_arn_a_principal_id_and_a_name_lead_to_the_person(house, chain, by):
    found = ask(house, getattr(issued_for(house), by))
    assert (found.certainty, found.people) == (Certainty.CERTAIN, ("ben",))


def test_a_name_that_two_people_used_is_possibly_eithers(house):
    leaf, other = house.chain(2, name="deploy")
    house.start(leaf)
    house.start(other, house.bea)
    house.work()
    found = ask(house, "deploy")
    assert (found.certainty, set(found.people)) == (Certainty.POSSIBLE, {"ben", "bea"})


def test_a_source_identity_leads_to_its_person(house, chain):
    line = house.events(CredentialMinted)[-1]
    said = line.data | {"source_identity": "ben-at-work", "role_session_name": "build-17"}
    add_line(line, said)
    assert ask(house, "ben-at-work").people == ("ben",)


def test_an_address_leads_to_who_acted_from_it(house, chain):
    take(chain[-1], house.ben)
    found = ask(house, "192.0.2.17")
    assert (found.certainty, found.people) == (Certainty.POSSIBLE, ("ben",))
    assert ask(house, "192.0.2.18").certainty is Certainty.NOBODY


@pytest.mark.parametrize(
    "unknown",
    [
        "ASIAQNEVERSEENEXAMPLE",
        "AKIAQNEVERSEENEXAMPLE",
        "arn:aws:sts::444455556666:assumed-role/Nobody/nobody",
        "AROAQNEVERSEENEXAMPLE:nobody",
        "nobody-here",
    ],
)
def test_what_was_never_issued_is_nobodys_and_says_where_to_look(house, chain, unknown):
    found = ask(house, unknown)
    assert (found.certainty, found.people) == (Certainty.NOBODY, ())
    assert found.next_steps


def test_a_record_of_cloudtrail_leads_to_the_person(house, chain):
    take(chain[-1], house.ben)
    found = whois(house.team.pk, record(issued_for(house)))
    assert (found.certainty, found.people, found.doubts) == (Certainty.CERTAIN, ("ben",), ())


def test_a_console_with_a_key_of_its_own_is_found_by_the_second_it_began(house, chain):
    issued = issued_for(house)
    clues = record(issued, identity={"accessKeyId": "ASIACONSOLEKEYEXAMPLE"})
    found = whois(house.team.pk, clues)
    assert (found.certainty, found.people) == (Certainty.CERTAIN, ("ben",))
    assert found.issue.access_key_id == issued.access_key_id


@pytest.mark.parametrize(
    "other",
    [
        {"arn": "arn:aws:sts::999900001111:assumed-role/Hop311/ben", "accountId": "999900001111"},
        {"principalId": "AROAQOTHERROLEEXAMPLE:ben"},
        {"principalId": "AROAQOTHERROLEEXAMPLE:eve", "arn": "arn:aws:sts::1:assumed-role/X/eve"},
    ],
)
def test_a_known_key_in_a_record_of_another_identity_proves_nothing(house, chain, other):
    take(chain[-1], house.ben)
    found = whois(house.team.pk, record(issued_for(house), identity=other))
    assert found.certainty is not Certainty.CERTAIN
    assert found.doubts


def test_a_known_key_used_after_its_end_proves_nothing(house, chain):
    issued = issued_for(house)
    late = f"{issued.expires_at + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    found = whois(house.team.pk, record(issued, eventTime=late))
    assert found.certainty is Certainty.NOBODY
    assert "lived from" in found.doubts[0]


def test_the_call_that_made_a_hop_leads_to_whom_it_was_made_for(house, chain):
    issued = issued_for(house)
    found = whois(house.team.pk, clues_in(assume_role(issued)))
    assert (found.certainty, found.people) == (Certainty.CERTAIN, ("ben",))


def test_a_roots_key_leads_to_whom_workers_signed_for(house, chain):
    found = ask(house, house.root.settings["access_key_id"])
    assert (found.certainty, found.people) == (Certainty.POSSIBLE, ("ben",))
    assert "root's key" in found.next_steps[0]


def test_another_teams_keys_are_unknown(house, chain, sts):
    key = take(chain[-1], house.ben)
    assert whois(TeamFixture(sts, "second").team.pk, clues_of(key)).certainty is Certainty.NOBODY


def test_a_key_that_is_its_own_parent_makes_no_endless_chain(house, chain):
    line = house.events(CredentialMinted)[-1]
    said = line.data | {
        "access_key_id": "ASIAROUNDANDROUND",
        "parent_access_key_id": "ASIAROUNDANDROUND",
    }
    add_line(line, said)
    assert len(ask(house, "ASIAROUNDANDROUND").chain) == 1


@pytest.mark.parametrize("year", ["0001", "1970", "9999"])
def test_a_record_of_an_impossible_time_is_read_without_it(house, chain, year):
    clues = record(issued_for(house), eventTime=f"{year}-12-31T23:59:59Z")
    assert clues.at is None
    assert whois(house.team.pk, clues).people == ("ben",)


@pytest.mark.parametrize("odd", ["a\0b", "a\ud800", "x" * 5000])
def test_text_that_no_ledger_holds_is_nobodys(house, chain, odd):
    clues = record(issued_for(house), identity={"accessKeyId": odd, "arn": odd, "principalId": odd})
    assert whois(house.team.pk, clues).certainty is Certainty.NOBODY
