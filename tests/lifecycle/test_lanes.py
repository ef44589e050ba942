"""Fair turns between accounts: one that is dead, slow or throttled delays no other."""

import time

import pytest

from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import Refused, Throttled, Unavailable
from sessions.lifecycle import lanes
from sessions.lifecycle.lanes import FAILURES_TO_SHUT, Call, Lanes
from sessions.models import Credential
from sessions.secret import Secret

BASE = AwsCredentials("AKIAIOSFODNN7EXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))
DEAD, WELL = "111122223333", "444455556666"


@pytest.fixture(autouse=True)
def everybody_is_well(settings):
    settings.CHAINWEB_CALLS_PER_SECOND = 0
    settings.CHAINWEB_STS_THREADS = 8
    lanes.forget()
    yield
    lanes.forget()


def ready(**accounts):
    found = Lanes(asked=False)
    for account, count in ((name[1:], number) for name, number in accounts.items()):
        for number in range(count):
            row = Credential(
                fingerprint=f"{account}-{number}", parent_id=f"parent-{account}", region="eu-west-1"
            )
            found.add(account, Call(row, BASE))
    return found


def outage():
    return Unavailable("ConnectTimeoutError", 1, "AWS could not be reached in time.", "Check the network.")


def shut(found, account):
    """Lets that account's calls fail until its lane is shut."""
    for _ in range(FAILURES_TO_SHUT):
        [(lane, _)] = [each for each in found.next_calls(1) if each[0].account == account]
        found.finished(lane, outage())


def test_one_account_alone_may_use_all_there_is_and_two_share_the_threads():
    assert len(list(ready(a1=20).next_calls(16))) == 16
    taken = [lane.account for lane, _ in ready(a1=20, a2=20).next_calls(16)]
    assert (taken.count("1"), taken.count("2")) == (4, 4)


def test_lanes_take_turns_so_that_a_long_one_starves_none():
    assert [lane.account for lane, _ in ready(a1=20, a2=1).next_calls(3)] == ["1", "2", "1"]


def test_after_calls_without_an_answer_a_lane_is_shut_and_the_rest_is_told_why():
    found = ready(a111122223333=10, a444455556666=2)
    dead = found.lanes[DEAD, "eu-west-1"]
    for _ in range(FAILURES_TO_SHUT):
        dead.handed_over += 1
        found.finished(dead, outage())
    assert {lane.account for lane, _ in found.next_calls(8)} == {WELL}
    told = list(found.shut_out())
    assert len(told) == 10
    assert all(error.code == "ConnectTimeoutError" and left.total_seconds() > 0 for _, error, left in told)


def test_a_lane_that_has_just_failed_is_tried_with_few_calls_and_one_answer_makes_it_well():
    found = ready(a1=20)
    [(lane, _)] = found.next_calls(1)
    found.finished(lane, outage())
    cautious = list(found.next_calls(8))
    assert len(cautious) == 2
    found.finished(lane, None)
    found.finished(lane, Refused("AccessDenied", 1, "No.", "Check the trust policy."))
    assert len(list(found.next_calls(8))) == 8


def test_after_its_time_a_shut_lane_is_tried_with_one_call(monkeypatch):
    found = ready(a1=20)
    lane = found.lanes["1", "eu-west-1"]
    for _ in range(FAILURES_TO_SHUT):
        lane.handed_over += 1
        found.finished(lane, outage())
    assert list(found.next_calls(8)) == []
    later = time.monotonic() + 3600
    monkeypatch.setattr(lanes.time, "monotonic", lambda: later)
    assert len(list(found.next_calls(8))) == 1


def test_what_was_handed_over_goes_on_unless_its_lane_is_throttled_or_shut_meanwhile():
    found = ready(a1=20)
    taken = list(found.next_calls(8))
    lane, since = taken[0][0], time.monotonic()
    assert lane.may_go_on(since)
    found.finished(lane, Throttled("Throttling", 1, "Rate exceeded", ""))
    assert not lane.may_go_on(since)
    assert lane.may_go_on(time.monotonic())
    for _ in range(FAILURES_TO_SHUT):
        found.finished(lane, outage())
    assert not lane.may_go_on(time.monotonic())


def test_a_call_that_was_not_made_has_used_up_its_permit_and_gives_back_its_place():
    found = ready(a1=2)
    [(lane, _)] = found.next_calls(1)
    before = lane.permits
    found.not_made(lane)
    assert (lane.permits, lane.handed_over) == (before, 0)


def test_a_lane_is_held_up_when_it_fails_has_no_permit_or_brings_no_answer(monkeypatch):
    found = ready(a1=3, a2=3, a3=3, a4=3)
    failing, poor, slow, well = found.lanes.values()
    failing.health.failed(outage())
    poor.next_permit_at = time.monotonic() + 5
    list(found.next_calls(4))
    slow.moved_at -= lanes.SLOW_AFTER_SECONDS + 0.1
    assert {call.row.pk.split("-")[0] for call in found.held_up()} == {"1", "2", "3"}
    found.finished(slow, None)
    assert {call.row.pk.split("-")[0] for call in found.held_up()} == {"1", "2"}
    assert not well.is_held_up()


def test_a_throttle_asks_the_budget_for_less(monkeypatch):
    cut = []
    monkeypatch.setattr(lanes.budget, "throttled", cut.append)
    found = ready(a1=2)
    [(lane, _)] = found.next_calls(1)
    found.finished(lane, Throttled("Throttling", 1, "Rate exceeded", ""))
    assert cut == ["1"]
    assert not lane.health.failures


def test_what_is_assumed_from_a_broken_parent_is_taken_out_and_the_rest_stays():
    found = ready(a1=3, a2=2)
    assert len(list(found.take_out("parent-1"))) == 3
    assert len(found) == 2
