"""MFA on a root: one code, typed once, serves every chain under it until its session ends."""

from datetime import timedelta

import pytest

from sessions import sealing
from sessions.activations.start_stop import stop_session
from sessions.activations.status import Status
from sessions.actors import Actor
from sessions.credentials.outcomes import CODE_LIFE
from sessions.db.clock import database_now
from sessions.engine import rotation
from sessions.engine.parents import RootRequest
from sessions.exceptions import Refused
from sessions.ledger.events.roots import RootAnswered, RootOpened, RootWaits
from sessions.models import Credential, RootAnswer
from sessions.roots import codes
from sessions.roots.codes import submit_codes
from sessions.sealing import SealingError
from tests.house import first_call_lies_too_long
from tests.roots.mfa import CODE, mfa_root, protected

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(house):
    return mfa_root(house)


def base_row(root):
    return Credential.objects.get(root=root, level=0)


def actions(sts):
    return [call["action"] for call in sts.calls]


def test_with_twenty_sessions_under_it_one_prompt_makes_twenty_active(house, sts, root):
    leaves = [protected(house, root, f"Leaf {number}") for number in range(20)]
    for leaf in leaves:
        house.start(leaf)
    house.work()
    for leaf in leaves:
        state = house.state(leaf)
        assert (state.status, state.problem.code, state.problem.hop) == (
            Status.PENDING,
            "CodeNeeded",
            0,
        )
        assert state.problem.label == "waiting for a code"
    assert sts.calls == []
    assert len(house.events(RootWaits)) == 1
    submit_codes(root, Actor(house.ben), {"code": CODE})
    house.work()
    assert [state.status for state in house.states(leaves)] == [Status.ACTIVE] * 20
    assert [state.problem for state in house.states(leaves)] == [None] * 20
    assert actions(sts) == ["GetSessionToken"] + ["AssumeRole"] * 20
    [opened] = house.events(RootOpened)
    assert opened.data["for"] == ["ben"]
    assert opened.session_alias == "MFA root"


def test_one_code_serves_chains_of_three_and_other_peoples_sessions(house, sts, root):
    middle = protected(house, root, "Middle")
    leaf = house.chained("Leaf", middle)
    house.start(leaf)
    house.start(leaf, house.bea)
    house.work()
    assert house.state(leaf, house.bea).problem.code == "CodeNeeded"
    submit_codes(root, Actor(house.bea), {"code": CODE})
    house.work()
    assert house.state(leaf).status is Status.ACTIVE
    assert house.state(leaf, house.bea).status is Status.ACTIVE
    assert actions(sts).count("GetSessionToken") == 1


def test_who_starts_later_needs_no_code_while_the_session_lives(house, sts, root):
    leaves = [protected(house, root, f"Leaf {number}") for number in range(2)]
    house.start(leaves[0])
    submit_codes(root, Actor(house.ben), {"code": CODE})
    house.work()
    house.start(leaves[1], house.bea)
    house.work()
    assert house.state(leaves[1], house.bea).status is Status.ACTIVE
    assert actions(sts).count("GetSessionToken") == 1


def test_a_code_that_is_given_before_a_worker_looked_is_taken_as_well(house, sts, root):
    leaf = protected(house, root, "Leaf")
    house.start(leaf)
    submit_codes(root, Actor(house.ben), {"code": " 123 456 "})
    house.work()
    assert house.state(leaf).status is Status.ACTIVE
    assert house.events(RootWaits) == []


def test_a_call_that_holds_a_code_is_made_however_long_it_lay_in_line(
    house, sts, root, monkeypatch
):
    leaf = protected(house, root, "Leaf")
    house.start(leaf)
    house.work()
    submit_codes(root, Actor(house.ben), {"code": CODE})
    made = first_call_lies_too_long(monkeypatch)
    house.work()
    assert made == [True, True]
    assert house.state(leaf).status is Status.ACTIVE


def test_a_wrong_code_is_told_and_another_one_can_be_given(house, sts, root):
    leaf = protected(house, root, "Leaf")
    house.start(leaf)
    submit_codes(root, Actor(house.ben), {"code": "999999"})
    house.work()
    problem = house.state(leaf).problem
    assert (problem.code, problem.hop) == ("AccessDenied", 0)
    assert "a code can be used only once" in problem.check
    house.work()
    assert actions(sts) == ["GetSessionToken"]
    submit_codes(root, Actor(house.ben), {"code": CODE})
    house.work()
    assert house.state(leaf).status is Status.ACTIVE
    assert house.state(root).problem is None


def test_a_code_is_sealed_to_the_workers_and_gone_before_aws_is_asked(
    house, sts, root, settings, monkeypatch
):
    leaf = protected(house, root, "Leaf")
    house.start(leaf)
    submit_codes(root, Actor(house.ben), {"code": CODE})
    [stored] = RootAnswer.objects.all()
    assert CODE.encode() not in bytes(stored.sealed)
    keys = settings.CHAINWEB_ROOT_KEYS
    settings.CHAINWEB_ROOT_KEYS = ""
    with pytest.raises(SealingError):
        sealing.open_as_worker(stored.sealed, stored.seal_context)
    settings.CHAINWEB_ROOT_KEYS = keys
    seen = []
    take = codes.consume_codes

    def taken(row):
        given = take(row)
        seen.append(RootAnswer.objects.count())
        return given

    monkeypatch.setattr(codes, "consume_codes", taken)
    house.work()
    assert seen == [0]
    assert house.state(leaf).status is Status.ACTIVE


def test_no_code_is_in_the_ledger(house, root):
    house.start(protected(house, root, "Leaf"))
    submit_codes(root, Actor(house.ben), {"code": "048215"})
    house.work()
    assert "048215" not in repr([event.data for event in house.events()])
    [answered] = house.events(RootAnswered)
    assert (answered.actor, answered.session_alias, answered.data["what"]) == (
        "ben",
        "MFA root",
        ["code"],
    )


def test_a_code_that_no_worker_took_in_time_is_asked_for_again(house, sts, root):
    leaf = protected(house, root, "Leaf")
    house.start(leaf)
    submit_codes(root, Actor(house.ben), {"code": CODE})
    RootAnswer.objects.update(given_at=database_now() - timedelta(minutes=3))
    house.work()
    assert house.state(leaf).problem.code == "CodeNeeded"
    assert sts.calls == []
    submit_codes(root, Actor(house.ben), {"code": CODE})
    RootAnswer.objects.update(given_at=database_now() - timedelta(minutes=3))
    assert codes.delete_old() == 1


def test_a_worker_that_dies_with_a_code_leaves_the_question_open(house, sts, root, monkeypatch):
    leaf = protected(house, root, "Leaf")
    house.start(leaf)
    submit_codes(root, Actor(house.ben), {"code": CODE})

    def die(call):
        raise SystemExit

    monkeypatch.setattr(RootRequest, "lacks_answer", die)
    with pytest.raises(SystemExit):
        house.work()
    assert RootAnswer.objects.count() == 0
    monkeypatch.undo()
    Credential.objects.update(lease_until=database_now() - timedelta(seconds=1))
    house.work()
    assert house.state(leaf).problem.code == "CodeNeeded"
    submit_codes(root, Actor(house.ben), {"code": CODE})
    house.work()
    assert house.state(leaf).status is Status.ACTIVE


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "123456\n7"])
def test_what_is_no_code_is_refused_on_its_field(house, root, typed):
    house.start(protected(house, root, "Leaf"))
    with pytest.raises(Refused) as refused:
        submit_codes(root, Actor(house.ben), {"code": typed})
    assert refused.value.field == "code"
    assert RootAnswer.objects.count() == 0


def test_where_nothing_waits_or_nothing_is_asked_a_code_is_refused(house, root):
    with pytest.raises(Refused, match="Start a session"):
        submit_codes(root, Actor(house.ben), {"code": CODE})
    with pytest.raises(Refused, match="needs no code"):
        submit_codes(house.root, Actor(house.ben), {"code": CODE})


def test_the_mfa_session_is_sealed_to_workers_and_erased_with_its_last(house, root, settings):
    leaf = protected(house, root, "Leaf")
    house.start(leaf)
    submit_codes(root, Actor(house.ben), {"code": CODE})
    house.work()
    row = base_row(root)
    assert bytes(row.sealed)[0] == sealing.HPKE
    assert timedelta(hours=11) < row.expires_at - database_now() <= timedelta(hours=12)
    assert row.due_at is None
    stop_session(leaf, Actor(house.ben))
    assert not Credential.objects.filter(root=root).exists()


def test_an_ended_mfa_session_asks_for_a_code_and_what_lives_is_served(house, sts, root):
    leaf = protected(house, root, "Leaf")
    house.start(leaf)
    submit_codes(root, Actor(house.ben), {"code": CODE})
    house.work()
    row = base_row(root)
    Credential.objects.filter(pk=row.pk).update(expires_at=database_now())
    Credential.objects.filter(parent=row).update(due_at=database_now())
    house.work()
    state = house.state(leaf)
    assert (state.status, state.problem.code) == (Status.ACTIVE, "CodeNeeded")
    submit_codes(root, Actor(house.bea), {"code": CODE})
    house.work()
    state = house.state(leaf)
    assert (state.status, state.problem) == (Status.ACTIVE, None)
    assert base_row(root).generation == 2


def test_a_session_that_aws_calls_ended_is_made_anew_with_a_code(house, sts, root):
    leaf = protected(house, root, "Leaf")
    house.start(leaf)
    submit_codes(root, Actor(house.ben), {"code": CODE})
    house.work()
    del sts.rules.keys[base_row(root).access_key_id]
    for _ in range(3):  # it is given up at the second rejection
        Credential.objects.filter(level=1).update(due_at=database_now())
        house.work()
    assert house.state(leaf).problem.code == "CodeNeeded"
    submit_codes(root, Actor(house.ben), {"code": CODE})
    house.work()
    assert house.state(leaf).problem is None


def test_an_outage_while_the_code_is_used_asks_for_another_and_says_so(house, sts, root):
    leaf = protected(house, root, "Leaf")
    house.start(leaf)
    submit_codes(root, Actor(house.ben), {"code": CODE})
    sts.fail_next("ServiceUnavailable", 100)
    rotation.run()  # once: it is due again within a second
    assert house.state(leaf).problem.code == "ServiceUnavailable"
    # At its region, and at once at the one that stands in; the rest is told in test_lost_codes.
    assert actions(sts) == ["GetSessionToken"] * 2
    RootAnswer.objects.update(given_at=database_now() - CODE_LIFE)
    Credential.objects.update(due_at=database_now())
    house.work()
    assert house.state(leaf).problem.code == "CodeNeeded"
    assert len(actions(sts)) == 2


def test_a_code_whose_call_brought_no_answer_is_sent_again(house, sts, root):
    leaf = protected(house, root, "Leaf")
    house.start(leaf)
    submit_codes(root, Actor(house.ben), {"code": CODE})
    sts.fail_next("ServiceUnavailable")
    house.work()
    assert house.state(leaf).status is Status.ACTIVE
    assert actions(sts) == ["GetSessionToken", "GetSessionToken", "AssumeRole"]


def test_a_root_without_mfa_is_asked_each_time_and_keeps_nothing(house, sts):
    leaf = house.chained("Plain")
    house.start(leaf)
    house.work()
    row = base_row(house.root)
    assert (row.request, row.sealed, row.due_at) == ({}, None, None)
    assert house.state(leaf).status is Status.ACTIVE
