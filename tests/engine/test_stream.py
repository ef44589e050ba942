"""Stream claims, calls and commits: starts first, nothing slow delays others, no rest."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from django.test import Client
from kombu.exceptions import OperationalError

from sessions import tasks
from sessions.activations.ending import end_of_people_who_left
from sessions.activations.start_stop import start_sessions
from sessions.activations.status import Status
from sessions.actors import Actor
from sessions.aws.errors import Unavailable
from sessions.catalog.sessions import Draft, save_session
from sessions.credentials.endpoints import FAILURES_TO_OPEN, route_for
from sessions.credentials.needs import needs_of
from sessions.credentials.payloads import root_credentials
from sessions.db.clock import database_now
from sessions.engine import call_pool, claims, inbox, rotation, tree, watchdog
from sessions.engine.account_queues import Call
from sessions.engine.commit import commit
from sessions.ledger.events.sessions import SessionStarted
from sessions.models import Activation, AwsSession, Credential, Heartbeat, MetricCounter
from sessions.monitoring import redis
from sessions.secret import Secret
from tests.house import first_call_lies_too_long

pytestmark = pytest.mark.django_db


def test_starts_are_claimed_apart_from_the_bulk(house):
    first, second = house.chained("First"), house.chained("Second")
    house.start(first)
    house.start(second)
    Credential.objects.filter(pk=Activation.objects.get(session=first).credential_id).update(
        asked_at=None
    )
    claim = claims.Claim()
    assert [row.pk for row in claims.claim_due(claim, 10, asked_only=True)] == [
        Activation.objects.get(session=second).credential_id
    ]
    assert len(claims.claim_due(claim, 10)) == 1


def test_a_minted_credential_is_asked_for_no_more(house):
    [leaf] = house.chain(1)
    house.start(leaf)
    rotation.run(asked_only=True)
    assert house.state(leaf).status is Status.ACTIVE
    assert not Credential.objects.filter(asked_at__isnull=False).exists()


def test_a_refused_parent_serves_its_children_while_its_old_one_lives(house, sts):
    hub = house.chained("Hub")
    leaf = house.chained("Leaf", hub)
    house.start(hub)
    house.work()
    house.start(leaf)
    Credential.objects.filter(level=1).update(due_at=database_now())
    sts.add_role(hub.link.role_arn, trusts=[])
    house.work()
    assert house.state(hub).problem.code == "AccessDenied"
    assert house.state(leaf).status is Status.ACTIVE


def test_what_a_run_could_not_begin_is_as_due_as_it_was(house, sts):
    leaves = [house.chained(f"Leaf {number}") for number in range(3)]
    start_sessions(leaves, Actor(house.ben))
    assert rotation.run(seconds=0.0) == 0
    claim = claims.Claim()
    assert len(claims.claim_due(claim, 10)) == 3
    claims.release(claim, list(Credential.objects.filter(level=1).values_list("pk", flat=True)))
    house.work()
    assert {state.status for state in house.states(leaves)} == {Status.ACTIVE}


def test_what_waits_for_an_account_without_answers_is_told_at_its_own_hop(house, sts):
    [hub] = house.chain(1)
    house.start(hub)
    house.work()
    leaf = house.chained("Leaf", hub)
    house.start(leaf)
    gone = Unavailable(
        "ConnectTimeoutError", 1, "AWS could not be reached in time.", "Check the network."
    )
    way = route_for("111122223333", "eu-west-1")
    for region in way.regions:
        for _ in range(FAILURES_TO_OPEN):
            way.record(region, gone)
    house.work()
    assert (house.state(leaf).problem.code, house.state(leaf).problem.hop) == (
        "ConnectTimeoutError",
        2,
    )


def test_an_account_without_answers_leaves_the_others_untouched(house, sts):
    sts.down = True
    [dead] = house.chain(1, prefix="Dead")
    house.start(dead)
    rotation.run()
    state = house.state(dead)
    assert (state.status, state.problem.retrying) == (Status.PENDING, True)
    assert state.next_rotation_at > database_now() - timedelta(seconds=1)
    sts.down = False
    Credential.objects.filter(level=1).update(due_at=database_now())
    house.work()
    assert house.state(dead).status is Status.ACTIVE


def test_several_started_together_end_their_profiles_and_share_a_hop(house, sts):
    hub = house.chained("Hub")
    old = house.chained("Old", profile="work")
    new = [
        house.chained("New", hub, profile="work"),
        *(house.chained(f"Leaf {n}", hub) for n in range(9)),
    ]
    house.start(old)
    house.work()
    sts.calls.clear()
    start_sessions(new, Actor(house.ben))
    house.work()
    assert house.state(old).status is Status.INACTIVE
    assert {state.status for state in house.states(new)} == {Status.ACTIVE}
    assert len(sts.calls) == 11


def test_starting_again_extends(house):
    [leaf] = house.chain(1)
    house.start(leaf)
    Activation.objects.update(ends_at=database_now() + timedelta(minutes=5))
    house.start(leaf)
    assert Activation.objects.get().ends_at > database_now() + timedelta(hours=11)
    assert house.events(SessionStarted)[-1].data["again"]


def test_the_clock_ends_what_people_who_left_had_started(house):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    house.ben.delete()
    assert end_of_people_who_left() == 1
    assert not Activation.objects.exists()
    assert not Credential.objects.exists()


def test_chains_of_many_sessions_load_with_one_query_per_level(house, django_assert_num_queries):
    from sessions.models.sessions import load_chains

    leaves = [house.chain(3, prefix=f"Chain {number}")[-1] for number in range(4)]
    fresh = list(AwsSession.objects.filter(pk__in=[leaf.pk for leaf in leaves]))
    with django_assert_num_queries(3):
        chains = load_chains(fresh)
    assert {len(chain) for chain in chains.values()} == {4}


def test_calls_and_what_sharing_has_saved_are_counted_for_metrics(house, sts):
    hub = house.chained("Hub")
    leaves = [house.chained(f"Leaf {number}", hub) for number in range(4)]
    start_sessions(leaves, Actor(house.ben))
    house.work()
    calls = MetricCounter.objects.filter(name="sts_calls", outcome="ok").values_list(
        "value", flat=True
    )
    assert sum(calls) == 5
    assert MetricCounter.objects.get(name="calls_saved").value == 3
    text = Client().get("/metrics").content.decode()
    assert f'chainweb_calls_saved_total{{team="{house.team.pk}"}} 3.0' in text
    assert "chainweb_active_sessions 4.0" in text
    page = house.browser().get(f"/teams/{house.team.slug}/").content.decode()
    assert "has saved this team 3 calls" in page
    assert "chainweb_rotation_lag_seconds 0.0" in text


def test_the_life_left_when_served_is_counted(house):
    from sessions.delivery.reveal import reveal
    from sessions.monitoring import counters

    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    counters.write()
    before = served()
    reveal(leaf, Actor(house.ben), form="process", via="page")
    counters.write()
    assert served() == before + 1


def served():
    for line in Client().get("/metrics").content.decode().splitlines():
        if line.startswith("chainweb_life_left_when_served_seconds_count"):
            return float(line.split()[-1])
    raise AssertionError("the histogram is missing")


def test_a_wake_up_that_is_under_way_speaks_for_all(valkey, settings, monkeypatch):
    # An earlier test may have found no broker, which is then left alone for a while.
    monkeypatch.setattr(tasks, "_broker_rests_until", 0.0)
    settings.CELERY_BROKER_URL = settings.REDIS_URL
    sent = []

    class Task:
        name = "sessions.tasks.pretended"

        def apply_async(self, **options):
            sent.append(options)

    tasks._publish(Task())
    tasks._publish(Task())
    assert len(sent) == 1
    tasks._forget_wake(Task.name)
    tasks._publish(Task())
    assert len(sent) == 2


def test_a_page_does_not_wait_for_a_broker_that_is_away(settings, monkeypatch, caplog):
    nowhere = redis.connect("redis://127.0.0.1:1/0")
    monkeypatch.setattr(tasks, "client", lambda: nowhere)
    monkeypatch.setattr(tasks, "_broker_rests_until", 0.0)
    tasks.wake_for_start()
    assert tasks._broker_rests_until > 0
    asked = []
    monkeypatch.setattr(tasks, "client", lambda: asked.append(1))
    tasks.wake()
    assert asked == []


def test_a_worker_sends_itself_the_sweep_when_the_clock_is_silent(valkey, monkeypatch):
    sent = []
    monkeypatch.setattr(
        watchdog.current_app, "send_task", lambda name, **options: sent.append(name), raising=False
    )
    checking = watchdog.Watchdog()
    checking.check()
    assert sent == ["sessions.tasks.sweep"]
    assert checking.silent_checks == 1
    for taken in ("clock", "sweep"):
        Heartbeat.objects.filter(name__in=("clock", "sweep")).delete()
        tasks.stamp(taken)
        checking.check()
        assert (len(sent), checking.silent_checks) == (1, 0)


def test_a_worker_sweeps_the_database_when_no_message_arrives(valkey, monkeypatch):
    swept, ended = [], []
    monkeypatch.setattr(
        watchdog.current_app, "send_task", lambda name, **options: None, raising=False
    )
    monkeypatch.setattr(watchdog.Watchdog, "_start_sweeper", lambda self: swept.append(1))
    monkeypatch.setattr(watchdog.Watchdog, "_stop_sweeper", lambda self: ended.append(1))
    checking = watchdog.Watchdog()
    checking.check()
    assert swept == []
    checking.check()
    assert swept == [1]
    tasks.stamp("sweep")
    checking.check()
    assert (swept, ended) == ([1], [1])


def test_busy_bulk_is_not_taken_for_a_broker_that_brings_nothing(valkey, monkeypatch):
    sent, swept = [], []
    monkeypatch.setattr(
        watchdog.current_app, "send_task", lambda name, **options: sent.append(name), raising=False
    )
    monkeypatch.setattr(watchdog.Watchdog, "_start_sweeper", lambda self: swept.append(1))
    checking = watchdog.Watchdog()
    tasks.rotate_due()
    assert not Heartbeat.objects.filter(name="bulk").exists()
    tasks.rotate_due.apply()
    for _ in range(3):
        checking.check()
    assert swept == []
    assert sent == ["sessions.tasks.sweep"] * 3


def test_whatever_goes_wrong_in_a_check_the_next_one_comes(monkeypatch):
    checks = []

    def check(self):
        checks.append(1)
        if len(checks) > 2:
            raise SystemExit
        raise OperationalError("the broker went between the ping and the message")

    monkeypatch.setattr(watchdog.Watchdog, "check", check)
    monkeypatch.setattr(watchdog.time, "sleep", lambda seconds: None)
    with pytest.raises(SystemExit):
        watchdog._watch_for_ever()
    assert len(checks) == 3


def test_a_tick_wakes_the_starter_for_a_start_whose_wake_up_was_lost(house, monkeypatch):
    woken = []
    monkeypatch.setattr(tasks, "wake", lambda: True)
    monkeypatch.setattr(tasks, "wake_for_start", lambda: woken.append(1) or True)
    tasks.tick()
    assert woken == []
    house.start(house.chained("Lost"))
    tasks.tick()
    assert woken == [1]


def test_a_sweep_without_the_broker_does_what_people_wait_for_first(house, monkeypatch):
    done = []
    monkeypatch.setattr(tasks, "rotate_due", lambda: done.append("bulk"))
    monkeypatch.setattr(tasks, "rotate_asked", lambda: done.append("asked"))
    house.start(house.chained("Waited for"))
    tasks.sweep_now()
    assert done == ["asked", "bulk"]


def test_a_tick_leaves_bulk_to_a_message_or_does_it_without_a_broker(monkeypatch):
    done = []
    monkeypatch.setattr(tasks, "rotate_due", lambda: done.append("bulk"))
    for goes_out, expected in ((True, []), (False, ["bulk"])):
        done.clear()
        monkeypatch.setattr(tasks, "wake", lambda goes_out=goes_out: goes_out)
        tasks.tick()
        assert done == expected


def test_bulk_does_not_stay_for_what_falls_due_one_by_one(monkeypatch):
    monkeypatch.setattr(tasks, "LINGER_SECONDS", 0.0)
    runs = []
    monkeypatch.setattr(tasks.rotation, "run", lambda **options: runs.append(1) or 1)
    monkeypatch.setattr(tasks, "next_due_at", lambda **options: database_now())
    tasks.rotate_due()
    assert len(runs) == 1


def test_tasks_are_sent_by_our_own_application_from_every_process():
    assert tasks.rotate_due.app.main == "chainweb"
    queue = tasks.rotate_asked.app.amqp.router.route({}, tasks.rotate_asked.name)["queue"]
    assert (queue.name, queue.routing_key) == ("chainweb-starts", "chainweb-starts")


def test_what_is_started_while_a_worker_gives_it_back_stays_due(house, sts, monkeypatch):
    [leaf] = house.chain(1)
    house.start(leaf)
    activation = Activation.objects.get()
    Activation.objects.all().delete()
    nobody = inbox.needs_of

    def started_just_then(fingerprints):
        found = nobody(fingerprints)
        activation.save(force_insert=True)
        return found

    monkeypatch.setattr(inbox, "needs_of", started_just_then)
    rotation.run()
    monkeypatch.setattr(inbox, "needs_of", nobody)
    house.work()
    assert house.state(leaf).status is Status.ACTIVE


def test_what_nobody_needs_is_not_minted_and_not_due_any_more(house, sts):
    [leaf] = house.chain(1)
    house.start(leaf)
    Activation.objects.all().delete()
    house.work()
    assert sts.calls == []
    assert not Credential.objects.filter(due_at__isnull=False).exists()


def test_a_parent_minted_between_read_and_claim_is_not_minted_again(house, sts, monkeypatch):
    hub = house.chained("Hub")
    first, second = house.chained("First", hub), house.chained("Second", hub)
    house.start(first)
    house.start(second)
    grasp = claims.claim_expired

    def minted_meanwhile(claim, fingerprints):
        if fingerprints:
            monkeypatch.setattr(claims, "claim_expired", grasp)
            Credential.objects.filter(pk__in=fingerprints).update(due_at=database_now())
            rotation.run(limit=1)
        return grasp(claim, fingerprints)

    Credential.objects.filter(level=1).update(due_at=None)
    monkeypatch.setattr(claims, "claim_expired", minted_meanwhile)
    rotation.run(limit=1)
    house.work()
    assert [call["role_arn"] for call in sts.calls].count(hub.link.role_arn) == 1
    assert {house.state(each).status for each in (first, second)} == {Status.ACTIVE}


def held_elsewhere(hub):
    """Another run's claim of that session's credential, and its row."""
    claim = claims.Claim()
    [row] = claims.claim_expired(
        claim, [Credential.objects.get(request__role_arn=hub.link.role_arn).pk]
    )
    return claim, row


def test_a_parent_that_another_run_is_minting_is_waited_for(house, sts, monkeypatch):
    hub, leaf = house.chain(2)
    house.start(leaf)
    claim, row = held_elsewhere(hub)
    look = tree.Tree.look_for_parents
    looks = []

    def minted_at_the_third_look(waiting):
        looks.append(waiting.expected)
        if len(looks) == 3:
            answered = call_pool.assume(
                Call(row, root_credentials(house.root, "eu-west-1"), region="eu-west-1")
            )
            commit(claim, [(row, answered)], needs_of([row.pk]))
        look(waiting)

    monkeypatch.setattr(tree.Tree, "look_for_parents", minted_at_the_third_look)
    assert rotation.run(asked_only=True) == 1
    assert house.state(leaf).status is Status.ACTIVE
    assert [call["role_arn"] for call in sts.calls] == [hub.link.role_arn, leaf.link.role_arn]


def test_children_of_a_missing_parent_are_released_soon_and_stay_asked(house, sts, monkeypatch):
    monkeypatch.setattr(tree, "LONGEST_FOR_PARENTS_SECONDS", 0.1)
    hub, leaf = house.chain(2)
    house.start(leaf)
    held_elsewhere(hub)
    begun = database_now()
    released = []
    monkeypatch.setattr(claims, "release", lambda claim, rows: released.extend(rows))
    assert rotation.run(limit=1, seconds=0.5) > 0
    child = Credential.objects.get(level=2)
    assert (sts.calls, released) == ([], [])
    assert (child.lease_until, child.problem) == (None, None)
    assert child.due_at > begun + timedelta(seconds=0.2)
    assert child.asked_at is not None


def test_waiting_for_another_run_delays_nothing_else_within_reason(house, monkeypatch):
    hub = house.chained("Hub")
    middle = house.chained("Middle", hub)
    waiting = [house.chained(f"Waiting {number}", middle) for number in range(4)]
    start_sessions(waiting, Actor(house.ben))
    held_elsewhere(hub)
    run = rotation.Run(asked_only=False)
    run.tree.admit(run.inbox.claim_due(5, ()))
    assert len(run.inbox.rows) == 5
    assert run.tree.workable() == 0
    also = house.chained("Also")
    house.start(also)
    monkeypatch.setattr(inbox, "MOST_BATCHES_HELD", 2)
    run._take_in(2, time.monotonic() + 60)
    assert len(run.inbox.rows) == 5
    monkeypatch.setattr(inbox, "MOST_BATCHES_HELD", 4)
    run._take_in(2, time.monotonic() + 60)
    assert len(run.inbox.rows) == 6


@pytest.mark.parametrize("called", [False, True])
def test_a_slow_parent_delays_no_other_account(house, called):
    slow = house.chained("Slow")
    start_sessions(
        [house.chained(f"Below {number}", slow) for number in range(9)], Actor(house.ben)
    )
    run = rotation.Run(asked_only=False)
    run._take_in(10, time.monotonic() + 60)
    start_sessions([house.chained("Other", house.iam_user("Other key"))], Actor(house.ben))
    run._take_in(10, time.monotonic() + 60)
    assert len(run.inbox.rows) == 10  # for what it knows, it has enough to do
    [queue] = run.queues.by_account.values()
    queue.next_permit_at = time.monotonic() + 60
    if called:
        queue.in_flight["eu-west-1"], run.pool.called = 1, {queue.calls.popleft().row.pk: queue}
    run.inbox.looked_at -= 60
    run._take_in(10, time.monotonic() + 60)
    assert len(run.inbox.rows) == 11


def test_a_throttled_account_delays_no_other_account(house, sts, settings):
    settings.CHAINWEB_CALLS_PER_SECOND = 4
    hub = house.chained("Hub", arn=house.role_arn("Hub", account="222222222222"))
    other = house.chained("Other hub", arn=house.role_arn("OtherHub", account="333333333333"))
    many = [house.chained(f"Many {number}", hub) for number in range(40)]
    few = [house.chained(f"Few {number}", other) for number in range(2)]
    start_sessions(many, Actor(house.ben))
    start_sessions(few, Actor(house.ben))
    rotation.run(limit=10, seconds=2.0)
    assert {state.status for state in house.states(few)} == {Status.ACTIVE}
    assert Activation.objects.filter(credential__sealed=None).count() > 20


def test_a_call_that_has_lain_in_line_too_long_is_not_made_and_comes_again(house, sts, monkeypatch):
    [leaf] = house.chain(1)
    house.start(leaf)
    made = first_call_lies_too_long(monkeypatch)
    house.work()
    assert made == [False, True]
    assert len(sts.calls) == 1
    assert house.state(leaf).status is Status.ACTIVE


def test_a_parent_that_has_ended_is_made_anew_also_after_an_outage(house, sts):
    _, leaf = house.chain(2)
    house.start(leaf)
    house.work()
    rows = Credential.objects.filter(level=2)
    for fault in ("Throttling", "ExpiredTokenException"):
        rows.update(due_at=database_now())
        sts.fail_next(fault)
        rotation.run()
    assert rows.get().due_at is not None
    rows.update(due_at=database_now())
    sts.calls.clear()
    house.work()
    assert [call["role_session_name"] for call in sts.calls] == ["ben", "ben"]
    assert house.state(leaf).problem is None


def test_a_key_that_is_refused_for_one_root_is_tried_for_another(house, sts):
    """Use two roots that take what the worker's environment has.

    It may be good for one of them.
    """
    key = sts.add_user("shared", account="111122223333")
    roots = []
    for alias, secret in (("Mistyped", Secret("x" * 40)), ("Right", key.secret_access_key)):
        root = house.iam_user(alias)
        settings = {**root.settings, "access_key_id": key.access_key_id}
        draft = Draft(
            "iam-user", alias, root.profile, root.region, settings, {"secret_access_key": secret}
        )
        roots.append(save_session(draft, Actor(house.ada), root))
    wrong, right = (house.chained(f"Leaf of {root.alias}", root) for root in roots)
    house.start(wrong)
    wrongs = Activation.objects.get(session=wrong).credential.parent_id
    house.work()
    assert house.state(wrong).problem.code == "SignatureDoesNotMatch"
    house.start(right)
    run = rotation.Run(asked_only=False)
    run.pool.rejected_keys.add((wrongs, key.access_key_id))
    run.work(10, time.monotonic() + 5)
    assert house.state(right).status is Status.ACTIVE


def test_a_run_ends_though_calls_come_back_again_and_again(house, sts, monkeypatch):
    monkeypatch.setattr(call_pool, "LONGEST_QUEUED_SECONDS", -1)
    [leaf] = house.chain(1)
    house.start(leaf)
    rotation.run(seconds=0.3)
    row = Credential.objects.get(level=1)
    assert (sts.calls, row.lease_until) == ([], None)
    assert row.due_at <= database_now()


def test_a_request_that_this_version_cannot_read_is_told_and_tried_again(house, sts, caplog):
    [leaf] = house.chain(1)
    house.start(leaf)
    Credential.objects.filter(level=1).update(
        request={"role_arn": "x", "role_session_name": "y", "new": "z"}
    )
    rotation.run()
    problem = house.state(leaf).problem
    assert (problem.code, problem.hop, problem.retrying) == ("InternalError", 1, True)
    assert "TypeError" in problem.message


def test_nothing_is_signed_with_a_parent_that_aws_called_expired(house, sts, settings):
    settings.CHAINWEB_STS_THREADS = 48
    hub = house.chained("Hub")
    leaves = [house.chained(f"Leaf {number}", hub) for number in range(80)]
    start_sessions(leaves, Actor(house.ben))
    house.work()
    hub_key = Credential.objects.get(level=1).access_key_id
    sts.rules.keys[hub_key] = replace(sts.rules.keys[hub_key], expires=1.0)
    Credential.objects.filter(level=2).update(due_at=database_now())
    sts.calls.clear()
    rotation.run()
    Credential.objects.filter(level=2, problem__isnull=False).update(due_at=database_now())
    house.work()
    assert sum(call["code"].startswith("ExpiredToken") for call in sts.calls) <= 48
    assert {state.status for state in house.states(leaves)} == {Status.ACTIVE}
    assert not Credential.objects.filter(problem__isnull=False).exists()
    assert sum(call["role_arn"] == hub.link.role_arn for call in sts.calls) == 1
