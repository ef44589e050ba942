"""From start to active: each hop assumed once, rejections at their hop, old credentials served."""

from datetime import timedelta

import pytest
from django.db import DatabaseError

from sessions.activations.ending import end_overdue
from sessions.activations.start_stop import rotate_session, stop_session
from sessions.activations.status import Status
from sessions.actors import Actor
from sessions.aws.hop_settings import HopSettings
from sessions.catalog.sessions import Draft, save_session
from sessions.credentials.outcomes import Minted
from sessions.credentials.payloads import root_credentials
from sessions.db.clock import database_now
from sessions.delivery.reveal import NotReady, reveal
from sessions.engine import call_pool, claims, rotation
from sessions.engine.account_queues import Call
from sessions.engine.commit import commit
from sessions.ledger.events.credentials import CredentialMinted, CredentialRevealed
from sessions.ledger.events.sessions import SessionEnded
from sessions.maintenance.demo import rotate_all
from sessions.models import CHAINED, Activation, AwsSession, Credential
from tests.engine.aging import age, assumed

pytestmark = pytest.mark.django_db


def test_starting_a_chain_of_three_makes_it_active_with_three_calls(house, sts):
    *_, leaf = house.chain(3)
    house.start(leaf)
    assert house.state(leaf).status is Status.PENDING
    house.work()
    assert house.state(leaf).status is Status.ACTIVE
    assert len(assumed(sts)) == 3


def test_every_hop_carries_the_persons_name(house, sts):
    *_, leaf = house.chain(3)
    house.start(leaf)
    house.work()
    assert [call["role_session_name"] for call in assumed(sts)] == ["ben", "ben", "ben"]


def test_personal_names_share_nothing_and_a_fixed_name_everything(house, sts):
    personal = house.chain(2, prefix="Personal")[-1]
    fixed = house.chain(2, prefix="Fixed", name="automation")[-1]
    for session, calls in ((personal, 4), (fixed, 2)):
        sts.calls.clear()
        house.start(session, house.ben)
        house.work()
        house.start(session, house.bea)
        house.work()
        assert len(assumed(sts)) == calls


def test_twenty_sessions_under_one_hop_assume_it_once(house, sts):
    hop = house.chained("Hub")
    leaves = [house.chained(f"Leaf {number}", hop) for number in range(20)]
    for leaf in leaves:
        house.start(leaf)
    house.work()
    assert {state.status for state in house.states(leaves)} == {Status.ACTIVE}
    assert len(assumed(sts)) == 21


def test_a_live_parent_is_used_again_and_a_run_out_one_is_minted_first(house, sts):
    _, leaf = house.chain(2)
    house.start(leaf)
    house.work()
    age(40)
    sts.calls.clear()
    house.work()
    assert [call["role_arn"] for call in assumed(sts)] == [leaf.link.role_arn]
    age(61, level=1)
    age(40, level=2)
    sts.calls.clear()
    house.work()
    assert len(assumed(sts)) == 2


def test_nothing_is_due_before_its_time(house, sts):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    state = house.state(leaf)
    life = (state.next_rotation_at - state.minted_at) / timedelta(minutes=1)
    assert 34 < life < 41
    sts.calls.clear()
    house.work()
    assert sts.calls == []


def test_a_refusal_names_its_hop_and_what_to_check_and_is_not_hammered(house, sts):
    first = house.chained("First")
    second = house.chained("Second", first, arn=house.role_arn("Closed", trusts=[]))
    third = house.chained("Third", second)
    house.start(third)
    house.work()
    state = house.state(third)
    assert state.status is Status.FAILED
    assert (state.problem.code, state.problem.hop, state.problem.retrying) == (
        "AccessDenied",
        2,
        False,
    )
    assert "trust policy" in state.problem.check
    sts.calls.clear()
    house.work()
    assert sts.calls == []


def test_what_a_refusal_further_up_blocks_says_since_when_that_is_so(house, sts):
    hub = house.chained("Hub", arn=house.role_arn("ClosedHub", trusts=[]))
    leaf = house.chained("Leaf", hub)
    house.start(leaf)
    earlier = {
        "code": "Throttling",
        "hop": 2,
        "message": "Rate exceeded",
        "check": "",
        "retrying": True,
    }
    earlier["since"] = "2020-02-20T20:20:20+00:00"
    Credential.objects.filter(level=2).update(problem=earlier)
    house.work()
    problem = Credential.objects.get(level=2).problem
    assert problem.code == "AccessDenied"
    assert problem.since > database_now() - timedelta(minutes=1)


def test_a_mended_refusal_heals_for_all_below_when_one_person_asks_again(house, sts):
    closed = house.role_arn("Mended", trusts=[])
    middle = house.chained("Middle", arn=closed, name="team")
    leaves = [house.chained(f"Leaf {number}", middle) for number in range(3)]
    for leaf in leaves:
        house.start(leaf)
    house.work()
    assert {state.status for state in house.states(leaves)} == {Status.FAILED}
    sts.add_role(closed, trusts=["*"])
    house.start(leaves[0])
    house.work()
    assert {state.status for state in house.states(leaves)} == {Status.ACTIVE}


def test_a_failed_rotation_keeps_serving_what_still_lives_and_says_why(house, sts):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    served = reveal(leaf, Actor(house.ben), form="process", via="page")
    age(40)
    sts.fail_next("AccessDenied", times=1)
    house.work()
    state = house.state(leaf)
    assert state.status is Status.ACTIVE
    assert state.problem.code == "AccessDenied"
    assert (
        reveal(leaf, Actor(house.ben), form="process", via="page").access_key_id
        == served.access_key_id
    )


def test_an_expired_credential_is_never_handed_out(house, sts):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    age(61)
    with pytest.raises(NotReady):
        reveal(leaf, Actor(house.ben), form="process", via="page")


def test_throttling_is_tried_again_by_itself(house, sts):
    [leaf] = house.chain(1)
    house.start(leaf)
    sts.fail_next("Throttling", times=1)
    rotation.run()
    state = house.state(leaf)
    assert state.status is Status.PENDING
    assert state.problem.retrying
    assert state.next_rotation_at > database_now() - timedelta(seconds=1)
    Credential.objects.filter(level=1).update(due_at=database_now())
    house.work()
    assert house.state(leaf).status is Status.ACTIVE
    assert house.state(leaf).problem is None


def test_a_parent_that_aws_calls_expired_is_minted_anew_once(house, sts):
    _, leaf = house.chain(2)
    house.start(leaf)
    house.work()
    age(40)
    sts.calls.clear()
    sts.fail_next("ExpiredTokenException", times=1)
    rotation.run()
    Credential.objects.filter(level=2).update(due_at=database_now())
    house.work()
    assert house.state(leaf).problem is None
    assert len(assumed(sts)) == 3  # the refused one, the parent, the child


def test_stopping_wins_over_a_rotation_in_flight(house, sts, monkeypatch):
    [leaf] = house.chain(1)
    house.start(leaf)
    answer = rotation.Run._take_answers

    def stop_meanwhile(run):
        stop_session(leaf, Actor(house.ben))
        answer(run)

    # In the main thread, whose transaction this is, and while AWS is answering.
    monkeypatch.setattr(rotation.Run, "_take_answers", stop_meanwhile)
    rotation.run()
    assert house.state(leaf).status is Status.INACTIVE
    assert not Credential.objects.exists()
    assert house.events(CredentialMinted) == []


def test_a_worker_that_returns_after_its_lease_changes_nothing(house, sts, monkeypatch):
    [leaf] = house.chain(1)
    house.start(leaf)
    late = claims.Claim()
    [row] = claims.claim_due(late, 10)
    Credential.objects.update(lease_until=database_now() - timedelta(seconds=1))
    house.work()
    before = Credential.objects.values().get(level=1)
    answered = call_pool.assume(
        Call(row, root_credentials(house.root, "eu-west-1"), region="eu-west-1")
    )
    assert isinstance(answered, Minted)
    assert commit(late, [(row, answered)], {row.pk: []}) == set()
    assert Credential.objects.values().get(level=1) == before
    assert len(house.events(CredentialMinted)) == 1


def test_a_claimed_credential_is_not_claimed_again_during_its_lease(house):
    [leaf] = house.chain(1)
    house.start(leaf)
    assert len(claims.claim_due(claims.Claim(), 10)) == 1
    assert len(claims.claim_due(claims.Claim(), 10)) == 0
    Credential.objects.update(lease_until=database_now() - timedelta(seconds=1))
    assert len(claims.claim_due(claims.Claim(), 10)) == 1


def test_stopping_erases_what_nobody_needs_any_more(house):
    hop, leaf = house.chain(2, name="shared")
    other = house.chained("Other", hop)
    for session in (leaf, other):
        house.start(session)
    house.work()
    stop_session(leaf, Actor(house.ben))
    assert Credential.objects.filter(level=1).count() == 1
    stop_session(other, Actor(house.ben))
    assert not Credential.objects.exists()


def test_one_persons_stop_does_not_cut_anothers(house):
    [leaf] = house.chain(1, name="shared")
    house.start(leaf, house.ben)
    house.start(leaf, house.bea)
    house.work()
    stop_session(leaf, Actor(house.ben))
    assert house.state(leaf, house.ben).status is Status.INACTIVE
    assert house.state(leaf, house.bea).status is Status.ACTIVE


def test_starting_another_session_on_the_same_profile_stops_the_first(house):
    one, two = house.chained("One", profile="work"), house.chained("Two", profile="work")
    house.start(one, house.bea)
    house.start(one)
    house.start(two)
    assert house.state(one).status is Status.INACTIVE
    assert house.state(two).status is Status.PENDING
    assert house.state(one, house.bea).status is Status.PENDING


def test_rotating_now_gives_a_new_credential(house):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    before = reveal(leaf, Actor(house.ben), form="process", via="page")
    assert rotate_session(leaf, Actor(house.ben))
    house.work()
    assert (
        reveal(leaf, Actor(house.ben), form="process", via="page").access_key_id
        != before.access_key_id
    )


def test_rotating_what_is_not_started_does_nothing(house):
    [leaf] = house.chain(1)
    assert not rotate_session(leaf, Actor(house.ben))


def test_an_edit_moves_the_editors_sessions_below_it_to_the_new_chain(house, sts):
    hop, leaf = house.chain(2)
    house.start(leaf, house.ada)
    house.work()
    replaced = house.role_arn("Replaced")
    save_session(
        Draft(
            CHAINED,
            hop.alias,
            hop.profile,
            hop.region,
            assumer=house.root,
            hop=HopSettings(role_arn=replaced, role_session_name="{username}"),
        ),
        Actor(house.ada),
        AwsSession.objects.get(pk=hop.pk),
    )
    sts.calls.clear()
    house.work()
    assert [call["role_arn"] for call in assumed(sts)] == [replaced, leaf.link.role_arn]
    assert house.state(leaf, house.ada).status is Status.ACTIVE
    assert Credential.objects.filter(level__gt=0).count() == 2


def test_an_activation_ends_at_its_time(house):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    Activation.objects.update(ends_at=database_now())
    assert end_overdue() == 1
    assert not Credential.objects.exists()
    assert house.events()[-1].kind == SessionEnded.tag


def test_nothing_is_minted_for_somebody_who_may_not_log_in_any_more(house, sts):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.ben.user.is_active = False
    house.ben.user.save()
    sts.calls.clear()
    house.work()
    assert sts.calls == []


def test_nothing_is_stored_or_handed_out_without_the_ledger(house, monkeypatch):
    [leaf] = house.chain(1)
    house.start(leaf)

    def broken(*arguments):
        raise DatabaseError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("sessions.ledger.append", broken)
        with pytest.raises(DatabaseError):
            rotation.run()
    assert Credential.objects.get(level=1).sealed is None
    Credential.objects.update(lease_until=None)
    house.work()
    with monkeypatch.context() as patch:
        patch.setattr("sessions.ledger.append", broken)
        with pytest.raises(DatabaseError):
            reveal(leaf, Actor(house.ben), form="process", via="page")


def test_the_event_of_a_reveal_names_person_and_key(house):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    credentials = reveal(leaf, Actor(house.ben), form="process", via="page")
    event = house.events(CredentialRevealed)[-1]
    assert (event.actor, event.data["access_key_id"]) == ("ben", credentials.access_key_id)


def test_a_mint_tells_for_whom_it_was_and_from_which_key(house):
    _, leaf = house.chain(2)
    house.start(leaf)
    house.work()
    first, second = house.events(CredentialMinted)
    assert second.data["parent_access_key_id"] == first.data["access_key_id"]
    assert first.data["for"] == second.data["for"] == ["ben"]


def test_minting_all_anew_replaces_what_the_simulator_has_forgotten(house, sts):
    _, leaf = house.chain(2)
    house.start(leaf)
    house.work()
    rotate_all()
    sts.calls.clear()
    house.work()
    assert len(assumed(sts)) == 2
    assert house.state(leaf).status is Status.ACTIVE


def test_a_cycle_in_the_table_ends_with_an_error_not_a_loop(house):
    from sessions.models import AssumerLink
    from sessions.models.sessions import BrokenChain

    first, second = house.chain(2)
    AssumerLink.objects.filter(session=first).update(assumer=second)
    with pytest.raises(BrokenChain):
        house.start(AwsSession.objects.get(pk=second.pk))
