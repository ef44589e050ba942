"""Fair turns between accounts: one that is dead, slow or throttled delays no other."""

import time

import pytest

from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import ClockSkewed, Rejected, Throttled, Unavailable
from sessions.aws.names import partitions
from sessions.aws.proof import About
from sessions.aws.regions import ENABLED_BY_DEFAULT
from sessions.credentials import endpoints
from sessions.credentials.endpoints import FAILURES_TO_OPEN, route_for
from sessions.engine import account_queues
from sessions.engine.account_queues import AccountQueues, Call
from sessions.models import Credential
from sessions.secret import Secret

BASE = AwsCredentials("AKIAIOSFODNN7EXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))
HOME, NEXT, AFTER = "eu-west-1", "eu-west-2", "eu-west-3"
DEAD, WELL = "111122223333", "444455556666"


@pytest.fixture(autouse=True)
def everybody_is_well(settings):
    settings.CHAINWEB_CALLS_PER_SECOND = 0
    settings.CHAINWEB_STS_THREADS = 8
    endpoints.reset_breakers()
    yield
    endpoints.reset_breakers()


def ready(*, stand_ins=False, **accounts):
    found = AccountQueues(asked=False)
    for account, count in ((name[1:], number) for name, number in accounts.items()):
        for number in range(count):
            row = Credential(fingerprint=f"{account}-{number}", parent_id=f"parent-{account}")
            found.add(route_for(account, HOME, of_sts=stand_ins), Call(row, BASE))
    return found


def fail(way, region=HOME):
    """Let calls at that region fail until its breaker opens."""
    while not way.breaker(region).is_open():
        way.record(region, outage())


def outage():
    return Unavailable(
        "ConnectTimeoutError", 1, "AWS could not be reached in time.", "Check the network."
    )


def test_one_account_alone_may_use_all_there_is_and_two_share_the_threads():
    assert len(list(ready(a1=20).next_calls(16))) == 16
    taken = [queue.account for queue, _ in ready(a1=20, a2=20).next_calls(16)]
    assert (taken.count("1"), taken.count("2")) == (4, 4)


def test_queues_take_turns_so_that_a_long_one_starves_none():
    assert [queue.account for queue, _ in ready(a1=20, a2=1).next_calls(3)] == ["1", "2", "1"]


def test_calls_without_an_answer_open_a_breaker_and_the_rest_is_told_why():
    found = ready(a111122223333=10, a444455556666=2)
    fail(found.by_account[DEAD, HOME].route)
    assert {queue.account for queue, _ in found.next_calls(8)} == {WELL}
    told = list(found.take_unavailable())
    assert len(told) == 10
    assert all(
        error.code == "ConnectTimeoutError" and left.total_seconds() > 0 for _, error, left in told
    )


def test_a_failed_queue_is_tried_with_few_calls_and_one_answer_heals_it():
    found = ready(a1=20)
    [(queue, call)] = found.next_calls(1)
    found.finished(queue, call, outage())
    cautious = [call for _, call in found.next_calls(8)]
    assert len(cautious) == 2
    found.finished(queue, cautious[0], None)
    found.finished(
        queue, cautious[1], Rejected("AccessDenied", 1, "No.", "Check the trust policy.")
    )
    assert len(list(found.next_calls(8))) == 8


def test_after_its_time_an_open_breaker_is_tried_with_one_call(monkeypatch):
    found = ready(a1=20)
    fail(found.by_account["1", HOME].route)
    assert list(found.next_calls(8)) == []
    later = time.monotonic() + 3600
    monkeypatch.setattr(endpoints.time, "monotonic", lambda: later)
    assert len(list(found.next_calls(8))) == 1


def test_submitted_calls_go_on_unless_throttled_or_unavailable():
    found = ready(a1=20)
    taken = list(found.next_calls(8))
    (queue, call), since = taken[0], time.monotonic()
    assert queue.may_still_call(call, since)
    found.finished(queue, call, Throttled("Throttling", 1, "Rate exceeded", ""))
    assert not queue.may_still_call(call, since)
    assert queue.may_still_call(call, time.monotonic())
    fail(queue.route)
    assert not queue.may_still_call(call, time.monotonic())


def test_a_call_not_made_uses_up_its_permit_and_returns_its_place():
    found = ready(a1=2)
    [(queue, call)] = found.next_calls(1)
    before = queue.permits
    found.cancelled(queue, call)
    assert (queue.permits, queue.in_flight.total()) == (before, 0)


def test_a_queue_stalls_when_it_fails_has_no_permit_or_brings_no_answer(monkeypatch):
    found = ready(a1=3, a2=3, a3=3, a4=3)
    failing, poor, slow, well = found.by_account.values()
    failing.route.record(HOME, outage())
    poor.next_permit_at = time.monotonic() + 5
    calls = {queue.account: call for queue, call in found.next_calls(4)}
    slow.moved_at -= account_queues.SLOW_AFTER_SECONDS + 0.1
    assert {call.row.pk.split("-")[0] for call in found.stalled()} == {"1", "2", "3"}
    found.finished(slow, calls["3"], None)
    assert {call.row.pk.split("-")[0] for call in found.stalled()} == {"1", "2"}
    assert not well.is_stalled()


def test_a_throttle_lowers_the_rate_limit(monkeypatch):
    cut = []
    monkeypatch.setattr(account_queues.rate_limit, "slow_down", cut.append)
    found = ready(a1=2)
    [(queue, call)] = found.next_calls(1)
    found.finished(queue, call, Throttled("Throttling", 1, "Rate exceeded", ""))
    assert cut == ["1"]
    assert not queue.route.breaker(HOME).failures


def test_what_a_broken_parent_blocks_is_taken_out_and_the_rest_stays():
    found = ready(a1=3, a2=2)
    assert len(list(found.take_children_of("parent-1"))) == 3
    assert len(found) == 2


def regions(found, number):
    return [call.region for _, call in found.next_calls(number)]


def test_a_shut_regions_calls_go_to_the_next_a_few_until_one_answers():
    found = ready(stand_ins=True, a1=20)
    way = found.by_account["1", HOME].route
    assert regions(found, 1) == [HOME]
    fail(way)
    assert regions(found, 8) == [NEXT, NEXT]
    way.record(NEXT, None)
    assert regions(found, 4) == [NEXT] * 4
    assert list(found.take_unavailable()) == []


def test_one_failure_shuts_a_region_that_stands_in_and_the_next_is_tried():
    found = ready(stand_ins=True, a1=20)
    way = found.by_account["1", HOME].route
    fail(way)
    way.record(NEXT, outage())
    assert regions(found, 1) == [AFTER]


def test_a_region_that_is_not_there_for_the_account_does_not_stand_in():
    way = route_for("1", HOME)
    fail(way)
    no = Rejected("InvalidClientTokenId", 2, "No.", "Enable it.", about=About.REGION)
    way.record(NEXT, no)
    assert way.current_region() == AFTER
    assert way.goes_elsewhere(NEXT, no)


def test_one_call_tries_the_first_region_again_and_brings_all_back(monkeypatch):
    found = ready(stand_ins=True, a1=20)
    queue = found.by_account["1", HOME]
    fail(queue.route)
    queue.route.record(NEXT, None)
    later = time.monotonic() + 3600
    monkeypatch.setattr(endpoints.time, "monotonic", lambda: later)
    tried = list(found.next_calls(5))
    assert [call.region for _, call in tried] == [HOME, NEXT, NEXT, NEXT, NEXT]
    assert queue.route.current_region() == NEXT
    found.finished(*tried[0], None)
    assert regions(found, 3) == [HOME] * 3


def test_without_any_region_what_waits_is_told_what_the_first_said():
    found = ready(stand_ins=True, a1=3)
    way = found.by_account["1", HOME].route
    fail(way)
    for region in way.regions[1:]:
        way.record(region, Unavailable("SSLError", 1, "Not secure.", ""))
    assert regions(found, 3) == []
    assert {error.code for _, error, _ in found.take_unavailable()} == {"ConnectTimeoutError"}


def test_a_wrong_clock_is_as_wrong_for_every_region():
    way = route_for("1", HOME)
    for _ in range(FAILURES_TO_OPEN):
        way.record(HOME, ClockSkewed("SignatureDoesNotMatch", 1, "16 min behind", ""))
    assert way.is_unavailable()
    assert way.next_region({}) is None


def test_what_a_region_that_stands_in_rejects_is_not_final():
    way = route_for("1", HOME)
    denied = Rejected("AccessDenied", 1, "User: x is not authorized.", "Check the trust policy.")
    assert way.judged(HOME, denied) is denied
    told = way.judged(NEXT, denied)
    assert (told.code, told.retryable, told.about) == ("AccessDenied", True, About.MOMENT)
    assert HOME in told.message
    assert NEXT in told.message
    assert "not authorized" in told.message
    wrong = Rejected("ValidationError", 1, "Too long.", "Check the session's fields.")
    assert way.judged(NEXT, wrong) is wrong


def test_a_region_alone_in_its_partition_has_none_that_stands_in():
    assert route_for("1", "eusc-de-east-1").regions == ("eusc-de-east-1",)
    assert route_for("1", "cn-north-1").regions == ("cn-north-1", "cn-northwest-1")


def test_every_partition_has_regions_that_need_not_be_enabled():
    assert set(ENABLED_BY_DEFAULT) == set(partitions())


def test_a_call_outside_of_a_run_is_repeated_once_at_the_next_region():
    asked = []

    def call(region):
        asked.append(region)
        raise outage()

    with pytest.raises(Unavailable):
        endpoints.call_with_fallback(route_for("1", HOME), call)
    assert asked == [HOME, NEXT]


def test_a_call_outside_of_a_run_finds_the_first_region_well_again(monkeypatch):
    asked = []
    way = route_for("1", HOME)
    fail(way)
    endpoints.call_with_fallback(way, asked.append)
    later = time.monotonic() + 3600
    monkeypatch.setattr(endpoints.time, "monotonic", lambda: later)
    endpoints.call_with_fallback(way, asked.append)
    assert asked == [NEXT, HOME]
