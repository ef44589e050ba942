"""Chains are rebuilt from records in any order, and what is missing or doubtful stays so."""

import random

import pytest

from sessions.aws.cloudtrail.actors import Actor
from sessions.aws.cloudtrail.joins import Joins
from sessions.aws.cloudtrail.parties import By
from tests.aws.cloudtrail.samples import (
    CHILD_KEY,
    ROLE_ID,
    SESSION_KEY,
    USER_KEY,
    assumed,
    event,
    record,
    role,
    sso,
    user,
)

FIRST_KEY = "ASIAFIRSTHOP7EXAMPLE"
SDK = "aws-go-sdk-1722375070115152000"
FIRST = record(assumed(user(), SDK, key=FIRST_KEY, eventID="e-1"))
SECOND = record(assumed(role(SDK, accessKeyId=FIRST_KEY), SDK, eventID="e-2"))
CALL = record(event(identity=role(SDK, accessKeyId=CHILD_KEY), eventID="e-3"))


@pytest.mark.parametrize("seed", range(6))
def test_a_chain_is_rebuilt_in_any_order(seed):
    records = [FIRST, SECOND, CALL]
    random.Random(seed).shuffle(records)
    joins = Joins(records)
    assert joins.chain(CALL) == (FIRST, SECOND)
    assert joins.origin(CALL).link.by is By.KEY
    assert joins.beginning(CALL).label == "Alice"


def test_who_began_a_chain_answers_for_names_that_say_nothing():
    joins = Joins([FIRST, SECOND, CALL])
    assert joins.reading(CALL).who.actor is Actor.NOBODY
    assert joins.who(CALL).name == "Alice"


def test_a_root_session_is_the_act_of_who_assumed_it():
    hop = record(
        event(
            "AssumeRoot",
            sso(),
            requestParameters={"targetPrincipal": "222222222222"},
            responseElements={"credentials": {"accessKeyId": CHILD_KEY}},
        )
    )
    root = {"type": "Root", "arn": "arn:aws:iam::222222222222:root", "accessKeyId": CHILD_KEY}
    call = record(event(identity=root))
    assert Joins([hop, call]).who(call).name == "ada@example.com"
    assert Joins([call]).who(call).actor is Actor.ROOT


def test_a_person_that_a_record_names_goes_before_the_chains():
    call = record(event(identity=role("ada@example.com", accessKeyId=FIRST_KEY)))
    assert Joins([FIRST, call]).who(call).name == "ada@example.com"


def test_a_session_that_no_call_made_has_an_unknown_origin():
    joins = Joins([FIRST, CALL])
    assert joins.origin(CALL).calls == ()
    assert joins.chain(CALL) == ()
    assert joins.who(CALL).actor is Actor.NOBODY


def test_two_copies_of_one_call_are_one_hop_and_the_callers_is_kept():
    caller = record(assumed(user(), sharedEventID="s-1", eventID="e-1"))
    other = record(assumed({"type": "AWSAccount"}, sharedEventID="s-1", eventID="e-2"))
    for records in ([caller, other, CALL], [other, caller, CALL]):
        assert Joins(records).origin(CALL).calls == (caller,)


def test_the_key_decides_between_two_sessions_of_one_second_and_name():
    one, two = (record(assumed(user(), key=key, eventID=key)) for key in (FIRST_KEY, CHILD_KEY))
    assert Joins([one, two, CALL]).origin(CALL).calls == (two,)


def test_sessions_that_nothing_tells_apart_are_all_said():
    identity = role(SDK, accessKeyId="ASIAQ5OTHEREXAMPLE12")
    call = record(event(identity=identity))
    hops = []
    for number in range(2):
        hop = assumed(user(), SDK, eventTime="2026-07-01T08:00:00Z", eventID=f"e-{number}")
        hop["responseElements"]["assumedRoleUser"]["assumedRoleId"] = f"{ROLE_ID}:{SDK}"
        hop["responseElements"]["credentials"]["accessKeyId"] = f"ASIAHOP{number}7EXAMPLE"
        hops.append(record(hop))
    joins = Joins([*hops, call])
    assert joins.origin(call).calls == tuple(hops)
    assert joins.chain(call) == ()


def test_identity_center_is_joined_though_its_keys_differ():
    saml = {"type": "SAMLUser", "userName": "ada@example.com"}
    hop = assumed(saml, "ada@example.com", eventTime="2026-07-01T08:00:00Z")
    hop["responseElements"]["assumedRoleUser"]["assumedRoleId"] = f"{ROLE_ID}:ada@example.com"
    call = record(event(identity=sso(accessKeyId="ASIAQ5OTHEREXAMPLE12")))
    assert Joins([call, made := record(hop)]).origin(call).calls == (made,)


def test_a_refused_call_is_no_origin():
    refused = record(assumed(user(), errorCode="AccessDenied"))
    assert Joins([refused, CALL]).origin(CALL).calls == ()


def test_a_long_lived_key_in_an_answer_joins_nothing():
    hop = record(assumed(role(), key=USER_KEY))
    call = record(event(identity=user()))
    assert Joins([hop, call]).origin(call).calls == ()


def test_sessions_that_made_each_other_end_in_no_circle():
    one = record(assumed(role(SDK, accessKeyId=FIRST_KEY), SDK, key=SESSION_KEY, eventID="e-1"))
    two = record(assumed(role(SDK, accessKeyId=SESSION_KEY), SDK, key=FIRST_KEY, eventID="e-2"))
    assert len(Joins([one, two]).chain(one)) == 2
    own = record(assumed(role(SDK, accessKeyId=SESSION_KEY), SDK, key=SESSION_KEY))
    assert Joins([own]).chain(own) == ()


def test_records_without_any_id_are_calls_of_their_own():
    bare = {"eventID": None, "requestID": None}
    one, two = (record(assumed(user(), SDK, key=key, **bare)) for key in (FIRST_KEY, CHILD_KEY))
    assert Joins([one, two, CALL]).origin(CALL).calls == (two,)


@pytest.mark.parametrize(
    ("identity", "kept"),
    [(user("ada", accessKeyId=SESSION_KEY), "AssumeRole"), ({"type": "AWSAccount"}, "SwitchRole")],
)
def test_switch_role_and_its_assume_role_are_one_hop(identity, kept):
    hop = assumed(identity, "ada", eventTime="2026-07-01T08:00:00Z", sharedEventID="s-1")
    hop["responseElements"]["assumedRoleUser"]["assumedRoleId"] = f"{ROLE_ID}:ada"
    switch = event(
        "SwitchRole",
        role("ada", accessKeyId="", context={"attributes": {}}),
        eventTime="2026-07-01T08:00:00Z",
        eventID="e-2",
        additionalEventData={"SwitchFrom": "arn:aws:iam::999999999999:user/ada"},
    )
    call = record(event(identity=role("ada", accessKeyId="ASIAQ5OTHEREXAMPLE12")))
    joins = Joins([record(hop), record(switch), call])
    assert [found.event_name for found in joins.origin(call).calls] == [kept]
    assert joins.beginning(call).label == "ada"
