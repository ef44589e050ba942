"""LookupEvents is walked page by page, at AWS's pace, and goes on where it was left."""

from datetime import timedelta

import pytest

from sessions.activations.start_stop import stop_session
from sessions.actors import Actor
from sessions.db.clock import database_now
from sessions.engine import trail, trail_lookups
from sessions.exceptions import Refused
from sessions.ledger.drift import imports
from sessions.ledger.drift.kinds import Kind
from sessions.ledger.events.credentials import CredentialRevealed
from sessions.ledger.events.trail import TrailImported, TrailImportStarted, TrailRefused
from sessions.models import Role, TrailImport
from sessions.people.memberships import remove_member
from tests.aws.cloudtrail.samples import event, user
from tests.harness.cloudtrail import FakeCloudTrail
from tests.ledger.drift.trails import call, issued, kinds, number, rows, stamp, upload

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def server():
    with FakeCloudTrail() as running:
        yield running


@pytest.fixture
def cloudtrail(server, monkeypatch):
    server.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDTRAIL", server.url)
    monkeypatch.setattr(trail_lookups, "BETWEEN_CALLS", 0.0)
    return server


@pytest.fixture
def leaf(house):
    [made] = house.chain(1)
    house.start(made, house.ada)
    house.work()
    return made


def some(amount):
    now = database_now()
    return [
        event(f"Call{at}", user("maria"), eventID=number(), eventTime=stamp(now - at * _STEP))
        for at in range(1, amount + 1)
    ]


_STEP = timedelta(minutes=1)


def look_up(house, leaf, hours=24, member=None):
    now = database_now()
    since = now - timedelta(hours=hours)
    return imports.start_lookup(Actor(member or house.ada), leaf, "eu-west-1", since, now)


def now_is(taken):
    return TrailImport.objects.get(pk=taken.pk)


def due_again():
    past = database_now() - timedelta(seconds=1)
    TrailImport.objects.exclude(due_at=None).update(due_at=past)


def test_all_pages_are_read_with_the_sessions_credentials(house, cloudtrail, leaf):
    cloudtrail.records = some(5)
    taken = look_up(house, leaf)
    trail.work_off(10)
    done = now_is(taken)
    assert (done.state, done.records, done.known, done.cursor) == ("done", 5, 0, "")
    assert done.position == done.size
    assert len(rows(house)) == 5
    [reveal] = house.events(CredentialRevealed)
    key = CredentialRevealed.read(reveal.data).access_key_id
    assert {each["signed_with"] for each in cloudtrail.asked} == {key}
    assert len(cloudtrail.asked) == 3
    [begun], [ended] = house.events(TrailImportStarted), house.events(TrailImported)
    assert (begun.actor, begun.session_id) == ("ada", str(leaf.pk))
    assert TrailImported.read(ended.data).records == 5


def test_records_are_compared_as_those_of_files(house, cloudtrail, leaf):
    [other] = house.chain(1, prefix="Other")
    minted = issued(house, other)
    record = call(minted, minutes=0)
    cloudtrail.records = [record, *some(1)]
    look_up(house, leaf)
    trail.work_off(10)
    assert kinds(house, *cloudtrail.records) == [Kind.ISSUED, Kind.AROUND]


def test_calls_keep_their_distance(house, cloudtrail, leaf, monkeypatch):
    monkeypatch.setattr(trail_lookups, "BETWEEN_CALLS", 0.2)
    cloudtrail.records = some(6)
    look_up(house, leaf)
    trail.work_off(10)
    # Each call is timed where it begins; a busy machine may take one in late.
    assert len(cloudtrail.times) == 3
    assert cloudtrail.times[2] - cloudtrail.times[0] >= 0.3


def test_the_pace_is_below_two_calls_a_second():
    assert trail_lookups.BETWEEN_CALLS > 0.5


def test_a_worker_that_dies_is_taken_over_behind_its_page(house, cloudtrail, leaf, monkeypatch):
    cloudtrail.records = some(6)
    taken = look_up(house, leaf)
    stored = trail_lookups._store

    def die(row, page, comparison):
        stored(row, page, comparison)
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(trail_lookups, "_store", die)
        with pytest.raises(SystemExit):
            trail.work_off(10)
    assert (now_is(taken).records, len(rows(house))) == (2, 2)
    TrailImport.objects.update(lease_until=database_now() - timedelta(seconds=1))
    trail.work_off(10)
    assert (now_is(taken).state, now_is(taken).records) == ("done", 6)
    assert len(cloudtrail.asked) == 3


def test_a_forgotten_cursor_goes_on_at_the_last_time(house, cloudtrail, leaf, monkeypatch):
    cloudtrail.records = some(6)
    taken = look_up(house, leaf)
    with monkeypatch.context() as patch:
        patch.setattr(trail_lookups, "BETWEEN_CALLS", 0.03)
        patch.setattr(trail_lookups, "LONGEST_RUN", 0.02)
        trail.work_off(0.01)
    assert now_is(taken).records == 2
    cloudtrail.forget_cursors()
    trail.work_off(10)
    assert now_is(taken).state == "done"
    assert len(rows(house)) == 6


def test_a_run_lets_others_have_the_process(house, cloudtrail, leaf, monkeypatch):
    cloudtrail.records = some(6)
    taken = look_up(house, leaf)
    monkeypatch.setattr(trail_lookups, "BETWEEN_CALLS", 0.03)
    monkeypatch.setattr(trail_lookups, "LONGEST_RUN", 0.02)
    trail.work_off(0.01)
    left = now_is(taken)
    assert (left.state, left.records, left.lease_until) == ("reading", 2, None)
    assert left.due_at <= database_now()
    assert 0 < left.position < left.size


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalFailure"])
def test_a_busy_aws_is_asked_again_later(house, cloudtrail, leaf, code):
    cloudtrail.records, cloudtrail.faults = some(4), ["", code]
    taken = look_up(house, leaf)
    trail.work_off(10)
    waiting = now_is(taken)
    assert (waiting.state, waiting.records) == ("reading", 2)
    assert waiting.reason
    due_again()
    trail.work_off(10)
    assert (now_is(taken).state, now_is(taken).reason) == ("done", "")
    assert len(rows(house)) == 4


def test_a_role_that_may_not_look_up_says_so(house, cloudtrail, leaf):
    cloudtrail.faults = ["AccessDeniedException"]
    taken = look_up(house, leaf)
    trail.work_off(10)
    assert now_is(taken).state == "failed"
    assert "cloudtrail:LookupEvents" in now_is(taken).reason
    assert len(house.events(TrailRefused)) == 1


def test_a_stopped_session_waits_until_it_is_started_again(house, cloudtrail, leaf):
    cloudtrail.records = some(1)
    taken = look_up(house, leaf)
    stop_session(leaf, Actor(house.ada))
    trail.work_off(10)
    assert "start it again" in now_is(taken).reason
    assert cloudtrail.asked == []
    house.start(leaf, house.ada)
    house.work()
    due_again()
    trail.work_off(10)
    assert now_is(taken).state == "done"


def test_whoever_has_left_has_nothing_looked_up(house, cloudtrail, leaf):
    eli = house.person("eli", Role.ADMIN)
    house.start(leaf, eli)
    house.work()
    taken = look_up(house, leaf, member=eli)
    remove_member(eli, actor=Actor(house.ada))
    trail.work_off(10)
    assert now_is(taken).state == "failed"
    assert cloudtrail.asked == []


def test_a_session_that_is_not_started_is_refused(house, cloudtrail):
    [other] = house.chain(1, prefix="Other")
    with pytest.raises(Refused, match="Start"):
        look_up(house, other)


def test_what_was_imported_before_is_known(house, cloudtrail, leaf):
    records = some(3)
    upload(house, records)
    cloudtrail.records = records
    taken = look_up(house, leaf)
    trail.work_off(10)
    assert (now_is(taken).records, now_is(taken).known) == (3, 3)
    assert len(rows(house)) == 3


def test_an_event_that_cannot_be_read_stops_nothing(house, cloudtrail, leaf):
    cloudtrail.records = ['{"broken', *some(1)]
    look_up(house, leaf)
    trail.work_off(10)
    assert len(rows(house)) == 1
