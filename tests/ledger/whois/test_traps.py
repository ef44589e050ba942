"""A key, a name or a second alone proves nothing: what else the record says has to fit."""

from datetime import timedelta

import pytest

from sessions.ledger.events.credentials import CredentialMinted, CredentialRevealed
from sessions.ledger.origin import Origin
from sessions.ledger.whois import Certainty, clues_of, whois
from sessions.models import Event, LedgerHead
from tests.ledger.whois.calls import (
    assume_role,
    began,
    call,
    clues_in,
    issued_for,
    record,
    take,
)

pytestmark = pytest.mark.django_db
ELSEWHERE = Origin(address="198.51.100.4", client="Boto3/1.41", token_id="2", token="bea-desktop")
OTHER_KEY = {"accessKeyId": "ASIACONSOLEKEYEXAMPLE"}


@pytest.fixture
def leaf(house):
    """Make a chain of two that ben has started."""
    made = house.chain(2)[-1]
    house.start(made)
    house.work()
    return made


@pytest.fixture
def shared(house):
    """Make a session of one name and key for ben and bea, which both have taken."""
    [made] = house.chain(1, name="shared-name")
    house.start(made)
    house.start(made, house.bea)
    house.work()
    take(made, house.ben)
    take(made, house.bea, ELSEWHERE)
    return made


def add_line(house, data, *, minutes=0, actor="worker"):
    """Add a line like the last issue or the first delivery, past the chain of hashes."""
    issues, deliveries = house.events(CredentialMinted), house.events(CredentialRevealed)
    like = issues[-1] if actor == "worker" else deliveries[0]
    head = LedgerHead.objects.get(pk=like.team_id)
    at = like.at + timedelta(minutes=minutes)
    data = like.data | data
    if actor == "worker" and minutes:
        data["expires_at"] = (at + timedelta(hours=1)).isoformat(timespec="seconds")
    Event.objects.create(
        team_id=like.team_id, seq=head.seq + 1, at=at, kind=like.kind, actor=actor, data=data
    )
    LedgerHead.objects.filter(pk=like.team_id).update(seq=head.seq + 1)


def ask(house, clues):
    return whois(house.team.pk, clues)


def test_a_session_of_our_name_that_began_in_another_second_is_not_ours(house, leaf):
    issued = issued_for(house)
    take(leaf, house.ben)
    for key in (OTHER_KEY, {}):
        other = began(issued.expires_at - timedelta(minutes=50))
        found = ask(house, record(issued, identity=key | other))
        assert found.certainty is Certainty.NOBODY
        assert found.people == ()
    assert "The session began at" in found.doubts[0]


def test_a_key_nobody_issued_and_no_second_leave_the_name_alone(house, leaf):
    said = call(issued_for(house), identity=OTHER_KEY)
    del said["userIdentity"]["sessionContext"]["attributes"]
    found = ask(house, clues_in(said))
    assert (found.certainty, found.people) == (Certainty.POSSIBLE, ("ben",))
    assert "only the names fit" in found.doubts[0]


def test_a_console_that_switched_to_our_role_is_no_session_of_ours(house, leaf):
    said = call(
        issued_for(house),
        eventName="SwitchRole",
        eventSource="signin.amazonaws.com",
        additionalEventData={"SwitchFrom": "arn:aws:iam::111122223333:user/ben"},
        identity={"accessKeyId": ""},
    )
    assert ask(house, clues_in(said)).certainty is Certainty.NOBODY


@pytest.mark.parametrize("role", ["AWSReservedSSO_Admin_1234567890abcdef", "AWSServiceRoleForECS"])
def test_another_role_under_one_of_our_names_is_not_ours(house, leaf, role):
    issued = issued_for(house)
    identity = {
        "arn": f"arn:aws:sts::{issued.arn.split(':')[4]}:assumed-role/{role}/ben",
        "principalId": "AROAQOTHERROLEEXAMPLE:ben",
        "sessionContext": {"sessionIssuer": {"type": "Role", "userName": role}},
    }
    found = ask(house, record(issued, identity=identity | OTHER_KEY))
    assert (found.certainty, found.people) == (Certainty.NOBODY, ())


def test_two_people_of_one_name_who_began_in_one_second_are_both_possible(house, leaf):
    issued = issued_for(house)
    add_line(house, {"for": ["bea"], "access_key_id": "ASIAOTHER"})
    found = ask(house, record(issued, identity=OTHER_KEY))
    assert (found.certainty, set(found.people)) == (Certainty.POSSIBLE, {"ben", "bea"})
    assert len(found.matches) == 2


@pytest.mark.parametrize(
    "identity",
    [
        {"type": "Root", "arn": "arn:aws:iam::222222222222:root", "accountId": "222222222222"},
        {"type": "IAMUser", "arn": "arn:aws:iam::222222222222:user/ben", "userName": "ben"},
        {"type": "FederatedUser", "principalId": "222222222222:ben"},
        {"type": "IdentityCenterUser"},
        {"type": "AWSService"},
    ],
    ids=lambda each: each["type"],
)
def test_our_key_at_an_identity_that_is_no_role_session_proves_nothing(house, leaf, identity):
    key = take(leaf, house.ben)
    found = ask(house, clues_in({"userIdentity": identity | {"accessKeyId": key}}))
    assert found.certainty is Certainty.NOBODY
    assert "made the call" in found.doubts[0]


def test_assume_root_that_repeats_the_callers_key_is_the_callers(house, leaf):
    key = take(leaf, house.ben)
    said = call(
        issued_for(house),
        eventName="AssumeRoot",
        eventSource="sts.amazonaws.com",
        requestParameters={"targetPrincipal": "222222222222"},
        responseElements={"credentials": {"accessKeyId": key}},
    )
    found = ask(house, clues_in(said))
    assert (found.certainty, found.people) == (Certainty.CERTAIN, ("ben",))
    assert found.issue.access_key_id == key


@pytest.mark.parametrize(
    "changed",
    [
        {"eventTime": "2019-01-01T00:00:00Z"},
        {"userIdentity": {"type": "IAMUser", "accessKeyId": "AKIASOMEBODYELSEXAMPLE"}},
        {"requestParameters": {"roleArn": "arn:aws:iam::1:role/X", "roleSessionName": "ben"}},
        {"requestParameters": {}},
        {"eventName": "GetFederationToken"},
    ],
    ids=str,
)
def test_a_call_that_only_repeats_our_key_in_its_answer_is_not_ours(house, leaf, changed):
    found = ask(house, clues_in(assume_role(issued_for(house)) | changed))
    assert found.certainty is Certainty.NOBODY


def test_who_took_a_key_after_the_call_has_not_made_it(house, shared):
    assert ask(house, record(issued_for(house))).certainty is Certainty.POSSIBLE
    last = house.events(CredentialRevealed)[0]
    add_line(house, {"for": ["ben", "bea"], "access_key_id": "ASIALATER"}, minutes=-10)
    add_line(house, last.data | {"access_key_id": "ASIALATER"}, minutes=-9, actor="ben")
    add_line(house, last.data | {"access_key_id": "ASIALATER"}, actor="bea")
    issued = issued_for(house)
    then = f"{last.at - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
    found = ask(house, record(issued, eventTime=then))
    assert (found.certainty, found.people) == (Certainty.CERTAIN, ("ben",))
    assert [each.person for each in found.deliveries] == ["ben", "bea"]


def test_of_several_people_who_was_at_the_calls_address_comes_first(house, shared):
    for address, person in (("192.0.2.17", "ben"), (ELSEWHERE.address, "bea")):
        found = ask(house, record(issued_for(house), sourceIPAddress=address))
        assert found.certainty is Certainty.POSSIBLE
        told = [(each.person, each.same_address) for each in found.candidates]
        assert told[0] == (person, True)
        assert not told[1][1]


def test_a_call_from_where_nobody_took_the_key_is_said(house, leaf):
    take(leaf, house.ben)
    found = ask(house, record(issued_for(house), sourceIPAddress="203.0.113.9"))
    assert found.people == ("ben",)
    assert "203.0.113.9" in found.next_steps[-1]
    quiet = ask(house, record(issued_for(house), sourceIPAddress="s3.amazonaws.com"))
    assert quiet.next_steps == ()


def test_a_key_that_only_workers_have_is_not_used_for_other_calls(house, leaf):
    found = ask(house, record(issued_for(house, 0)))
    assert found.certainty is Certainty.POSSIBLE
    assert "never left Chainweb's workers" in found.doubts[0]
    signed = record(issued_for(house, 0), eventSource="sts.amazonaws.com", eventName="AssumeRole")
    assert ask(house, signed).certainty is Certainty.CERTAIN


def test_a_roots_key_in_a_call_that_workers_never_make_is_nobodys(house, leaf):
    said = {
        "eventName": "GetObject",
        "eventSource": "s3.amazonaws.com",
        "userIdentity": {
            "type": "IAMUser",
            "accessKeyId": house.root.settings["access_key_id"],
        },
    }
    found = ask(house, clues_in(said))
    assert (found.certainty, found.people) == (Certainty.NOBODY, ())
    assert "Rotate" in found.next_steps[0]
    signed = ask(house, clues_in(said | {"eventSource": "sts.amazonaws.com"}))
    assert signed.certainty is Certainty.POSSIBLE


def test_what_else_lived_for_the_role_is_told(house):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.start(leaf, house.bea)
    house.work()
    key = take(leaf, house.ben)
    found = ask(house, clues_of(key))
    assert [each.people for each in found.alive] == [("bea",)]


def test_a_bare_name_may_be_a_session_name_and_a_source_identity(house, leaf):
    names = {"source_identity": "ben", "role_session_name": "build-17"}
    add_line(house, names | {"for": ["bea"], "access_key_id": "ASIAOTHER"})
    found = ask(house, clues_of("ben"))
    assert (found.certainty, set(found.people)) == (Certainty.POSSIBLE, {"ben", "bea"})


@pytest.mark.parametrize("text", ["AROADBQP57FF2AEXAMPLE", "AIDACKCEVSQ6C2EXAMPLE"])
def test_an_id_that_is_no_credential_says_what_it_is(house, leaf, text):
    found = ask(house, clues_of(text))
    assert (found.certainty, found.clues.what) == (Certainty.NOBODY, "unique id")
    assert found.next_steps
