"""Each record is told whose act it was, in any order in which records and lines arrive."""

import random
from datetime import timedelta

import pytest

from sessions.ledger.drift import follow
from sessions.ledger.drift.kinds import Kind
from sessions.models import TeamPolicy, TrailCompared
from tests.aws.cloudtrail.samples import assumed, event, role, sso, user
from tests.ledger.drift.trails import (
    assume,
    call,
    identity_of,
    issued,
    kinds,
    number,
    of_further,
    row_of,
    rows,
    said,
    stamp,
    took,
    upload,
)

pytestmark = pytest.mark.django_db
FURTHER_KEY = "ASIAFURTHERKEYEXAMPLE"


@pytest.fixture
def leaf(house):
    return house.chain(2)[-1]


def made_by_worker(minted, **more):
    """Return the record of the call by which a worker was given this."""
    return event(
        "AssumeRole",
        user(),
        eventSource="sts.amazonaws.com",
        eventTime=stamp(minted.expires_at - timedelta(hours=1)),
        eventID=number(),
        requestParameters={
            "roleArn": minted.role_arn,
            "roleSessionName": minted.role_session_name,
        },
        responseElements={
            "credentials": {"accessKeyId": minted.access_key_id},
            "assumedRoleUser": {"arn": minted.arn, "assumedRoleId": minted.principal_id},
        },
        **more,
    )


def test_a_call_with_an_issued_key_is_that_persons(house, leaf):
    minted = issued(house, leaf)
    record = call(minted)
    assert upload(house, [record]).state == "done"
    row = row_of(house, record)
    assert (row.kind, row.people, row.by_key) == (Kind.ISSUED, ["ben"], True)
    assert row.issued_for == str(leaf.pk)


def test_who_took_a_shared_credential_is_who_acted(house):
    [leaf] = house.chain(1, name="shared-name")
    house.start(leaf)
    minted = issued(house, leaf, house.bea)
    took(house, leaf, house.bea)
    record = call(minted)
    upload(house, [record])
    assert row_of(house, record).people == ["bea"]


def test_the_call_that_a_worker_made_is_chainwebs(house, leaf):
    record = made_by_worker(issued(house, leaf))
    upload(house, [record])
    assert kinds(house, record) == [Kind.ISSUED]


def test_a_console_with_a_key_of_its_own_is_found_by_its_second(house, leaf):
    minted = issued(house, leaf)
    record = call(minted, identity={"accessKeyId": "ASIACONSOLEKEYEXAMPLE"})
    upload(house, [record])
    row = row_of(house, record)
    assert (row.kind, row.people, row.by_key) == (Kind.ISSUED, ["ben"], False)


def test_a_session_of_another_second_is_not_ours_by_its_name(house, leaf):
    minted = issued(house, leaf)
    began = stamp(minted.expires_at - timedelta(minutes=55))
    other = identity_of(minted)
    other["sessionContext"]["attributes"]["creationDate"] = began
    record = call(minted, identity=other | {"accessKeyId": "ASIACONSOLEKEYEXAMPLE"})
    upload(house, [record])
    assert kinds(house, record) == [Kind.AROUND]


@pytest.mark.parametrize(
    "other",
    [
        {"arn": "arn:aws:sts::999900001111:assumed-role/X/ben", "accountId": "999900001111"},
        {"principalId": "AROAQOTHERROLEEXAMPLE:ben"},
        {"type": "IAMUser", "userName": "maria", "arn": "arn:aws:iam::111122223333:user/maria"},
        {"type": "Root", "principalId": "222222222222", "arn": "arn:aws:iam::222222222222:root"},
    ],
)
def test_an_issued_key_on_another_identity_proves_nothing(house, leaf, other):
    minted = issued(house, leaf)
    who = identity_of(minted) | other
    if other.get("type"):
        who["sessionContext"] = {}
    record = call(minted, identity=who)
    upload(house, [record])
    row = row_of(house, record)
    assert row.kind != Kind.ISSUED
    assert row.detail["doubts"]


def test_an_issued_key_after_its_end_proves_nothing(house, leaf):
    record = call(issued(house, leaf), minutes=90)
    upload(house, [record])
    assert kinds(house, record) == [Kind.AROUND]


def test_a_role_assumed_with_an_issued_key_is_around_us(house, leaf):
    minted = issued(house, leaf)
    at = minted.expires_at - timedelta(minutes=50)
    hop = assume(identity_of(minted), at, FURTHER_KEY)
    below = of_further(FURTHER_KEY, at + timedelta(minutes=1), began=at)
    upload(house, [below, hop])
    assert kinds(house, hop, below) == [Kind.ISSUED, Kind.AROUND]
    row = row_of(house, below)
    assert (row.people, row.made_by) == (["ben"], row_of(house, hop).pk)
    assert row.detail["through"]


def chain_of_four(minted):
    """Return calls each of which made the session of the next."""
    at = minted.expires_at - timedelta(minutes=50)
    caller, found = identity_of(minted), []
    for at_hop in range(4):
        key = f"ASIAFURTHERKEY{at_hop}EXAMPLE"
        began = at + timedelta(minutes=at_hop)
        found.append(assume(caller, began, key, name=f"botocore-session-170000000{at_hop}"))
        call_with = of_further(key, began, began=began, name=f"botocore-session-170000000{at_hop}")
        caller = call_with["userIdentity"]
    return [*found, call_with]


@pytest.mark.parametrize("seed", range(4))
def test_records_come_in_any_order_and_in_any_files(house, leaf, seed):
    minted = issued(house, leaf)
    records = chain_of_four(minted)
    shuffled = random.Random(seed).sample(records, len(records))
    for each in shuffled:
        assert upload(house, [each]).state == "done"
    assert kinds(house, *records) == [Kind.ISSUED, *[Kind.AROUND] * 4]
    assert all(row.people == ["ben"] for row in rows(house))


def test_a_record_may_come_before_the_ledgers_line(house, leaf, monkeypatch):
    minted = issued(house, leaf)
    lines = house.events()
    below = chain_of_four(minted)
    record, console = call(minted), call(minted, identity={"accessKeyId": "ASIACONSOLEEXAMPLE"})
    with monkeypatch.context() as patch:
        patch.setattr("sessions.ledger.drift.issued.known_of", lambda lines: {})
        upload(house, [record, console, *below])
    assert Kind.ISSUED not in kinds(house, record, console, *below)
    TrailCompared.objects.filter(pk=house.team.pk).update(seq=lines[0].seq)
    follow.follow_all(60)
    assert kinds(house, record, console) == [Kind.ISSUED] * 2
    assert kinds(house, *below) == [Kind.ISSUED, *[Kind.AROUND] * 4]
    assert row_of(house, below[-1]).people == ["ben"]


def test_who_takes_it_later_is_told_later(house):
    [leaf] = house.chain(1, name="shared-name")
    house.start(leaf)
    record = call(issued(house, leaf, house.bea))
    upload(house, [record])
    assert len(row_of(house, record).people) == 2
    took(house, leaf, house.bea)
    follow.follow_all(60)
    assert row_of(house, record).people == ["bea"]


def root_user(house):
    return user("user-1", accessKeyId=house.root.settings["access_key_id"])


@pytest.mark.parametrize(
    ("name", "more", "kind"),
    [
        ("GetCallerIdentity", {}, Kind.ISSUED),
        ("AssumeRole", {"errorCode": "AccessDenied", "errorMessage": "no"}, Kind.ISSUED),
        ("GetObject", {}, Kind.AROUND),
    ],
)
def test_a_roots_key_makes_a_few_calls_for_workers_alone(house, name, more, kind):
    record = event(name, root_user(house), eventID=number(), **more)
    upload(house, [record])
    assert kinds(house, record) == [kind]


def test_a_role_assumed_with_a_roots_key_but_not_by_us_is_around_us(house, leaf):
    issued(house, leaf)
    record = assumed(root_user(house), eventID=number())
    upload(house, [record])
    row = row_of(house, record)
    assert (row.kind, row.detail["root_key"]) == (Kind.AROUND, True)


def test_assume_root_that_repeats_the_callers_key_makes_no_circle(house, leaf):
    minted = issued(house, leaf)
    at = minted.expires_at - timedelta(minutes=50)
    hop = event(
        "AssumeRoot",
        identity_of(minted),
        eventTime=stamp(at),
        eventID=number(),
        requestParameters={"targetPrincipal": "222222222222"},
        responseElements={"credentials": {"accessKeyId": minted.access_key_id}},
    )
    root = {
        "type": "Root",
        "principalId": "222222222222",
        "arn": "arn:aws:iam::222222222222:root",
        "accountId": "222222222222",
        "accessKeyId": minted.access_key_id,
        "sessionContext": {"attributes": {"creationDate": stamp(at)}},
    }
    below = event("DeleteBucketPolicy", root, eventTime=stamp(at), eventID=number())
    upload(house, [below, hop])
    assert kinds(house, hop, below) == [Kind.ISSUED, Kind.AROUND]
    assert row_of(house, hop).by_key
    assert row_of(house, below).people == ["ben"]


def test_a_key_that_is_one_character_over_and_over_joins_nothing(house):
    at = "ASIAAAAAAAAAAAAAAAAAA"
    hop = assumed(user("maria"), key=at, eventID=number())
    other = event(identity=role("aws-sdk-1717171717", accessKeyId=at), eventID=number())
    upload(house, [hop, other])
    assert kinds(house, other) == [Kind.UNKNOWN]


def policy(house, **changes):
    TeamPolicy.objects.update_or_create(pk=house.team.pk, defaults=changes)


def test_a_name_of_nobody_breaks_a_policy_that_demands_one(house, leaf):
    policy(house, username_demanded=True)
    records = [
        call(issued(house, leaf)),
        event(identity=role("NikkiWolf"), eventID=number()),
        event(identity=role("aws-sdk-1717171717"), eventID=number()),
        event(identity=role("ben-at-work"), eventID=number()),
        event(identity=sso("someone@example.com"), eventID=number()),
        event(identity=role("i-0317f6c6b66ae9c40"), eventID=number()),
        assumed(user("maria"), "nobody-known", eventID=number()),
    ]
    upload(house, records)
    broken = [row_of(house, each).breaks_policy for each in records]
    assert broken == [False, True, True, False, False, False, True]


def test_a_missing_source_identity_is_told_where_the_policy_wants_one(house, leaf):
    policy(house, source_identity="required")
    records = [
        call(issued(house, leaf)),
        event(identity=role("NikkiWolf"), eventID=number()),
        event(identity=user("maria"), eventID=number()),
    ]
    upload(house, records)
    lacks = [row_of(house, each).lacks_identity for each in records]
    assert lacks == [not said(house).source_identity, True, False]


def test_a_changed_policy_judges_what_is_there_again(house):
    record = event(identity=role("NikkiWolf"), eventID=number())
    upload(house, [record])
    assert not row_of(house, record).breaks_policy
    policy(house, username_demanded=True, version=7)
    follow.follow_all(60)
    assert row_of(house, record).breaks_policy


def test_another_teams_ledger_says_nothing(house, sts, leaf):
    from tests.house import TeamFixture

    record = call(issued(house, leaf))
    second = TeamFixture(sts, "second")
    upload(second, [record])
    assert kinds(second, record) == [Kind.AROUND]
    assert rows(house) == []
