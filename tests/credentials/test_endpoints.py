"""Call a whole chain at the root's STS region, or at one that stands in for it."""

import time
from datetime import timedelta

import pytest

from sessions.activations.start_stop import start_sessions
from sessions.activations.status import Status
from sessions.actors import Actor
from sessions.aws.roots import ambient
from sessions.catalog.sessions import Draft, save_session
from sessions.credentials import endpoints
from sessions.db.clock import database_now
from sessions.engine import rotation
from sessions.ledger.events.credentials import CredentialMinted
from sessions.ledger.events.roots import RootOpened
from sessions.models import AwsSession, Credential
from sessions.roots.codes import submit_codes
from tests.engine.aging import age
from tests.house import draft_of

pytestmark = pytest.mark.django_db

HOME, NEXT = "eu-west-1", "eu-west-2"


@pytest.fixture
def enabled(house):
    """Let the team use what the installation is at AWS, as the operator does."""
    house.team.ambient_enabled = True
    house.team.save()


def regions(sts, action="AssumeRole"):
    return [call["region"] for call in sts.calls if call["action"] == action]


def answered(sts):
    return [call["region"] for call in sts.calls if not call["code"]]


def move(session, house, **changes):
    """Make an edit of the region, or of the STS region, and of nothing else."""
    session = AwsSession.objects.get(pk=session.pk)
    draft = draft_of(session, **{"sts_region": session.sts_region, **changes})
    return save_session(draft, Actor(house.ada), session)


def let_time_pass():
    """Whatever is put off is due now."""
    rows = Credential.objects.filter(
        due_at__isnull=False, due_at__lt=database_now() + timedelta(minutes=2)
    )
    rows.update(due_at=database_now())


def work_through(house, rounds=8):
    for _ in range(rounds):
        let_time_pass()
        rotation.run()


def test_a_whole_chain_is_called_at_the_roots_region(house, sts):
    chain = house.chain(3)
    for session, region in zip(chain, ("ap-south-2", "us-east-1", "eu-central-1"), strict=True):
        AwsSession.objects.filter(pk=session.pk).update(region=region)
    house.start(chain[-1])
    house.work()
    assert regions(sts) == [HOME] * 3
    assert house.state(chain[-1]).status is Status.ACTIVE
    minted = house.events(CredentialMinted)
    assert {event.data["sts_region"] for event in minted} == {HOME}


def test_a_root_has_an_sts_region_of_its_own(house, sts):
    move(house.root, house, sts_region="us-east-1")
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    assert regions(sts) == ["us-east-1"]


def test_changing_a_sessions_region_makes_no_call(house, sts):
    hop, leaf = house.chain(2)
    house.start(leaf)
    house.work()
    before = list(Credential.objects.order_by("pk").values())
    sts.calls.clear()
    move(hop, house, region="us-east-1")
    move(leaf, house, region="ap-south-2")
    house.work()
    assert sts.calls == []
    assert list(Credential.objects.order_by("pk").values()) == before


def test_a_rejected_sessions_new_region_makes_no_call_saving_again_does(house, sts):
    [leaf] = house.chain(1)
    sts.deny(leaf.link.role_arn)
    house.start(leaf)
    house.work()
    sts.calls.clear()
    move(leaf, house, region="us-east-1")
    rotation.run()
    assert sts.calls == []
    move(leaf, house)
    rotation.run()
    assert regions(sts) == [HOME]


def test_changing_a_roots_sts_region_moves_the_next_calls(house, sts):
    _hop, leaf = house.chain(2)
    house.start(leaf)
    house.work()
    sts.calls.clear()
    move(house.root, house, sts_region="us-west-2")
    house.work()
    assert sts.calls == []
    age(61, level=1)
    age(41, level=2)
    house.work()
    assert regions(sts) == ["us-west-2"] * 2


def test_a_root_that_follows_its_region_moves_with_it(house, sts):
    [leaf] = house.chain(1)
    move(house.root, house, region="us-east-2")
    house.start(leaf)
    house.work()
    assert regions(sts) == ["us-east-2"]


def with_mfa(house, sts, **extra):
    serial = "arn:aws:iam::111122223333:mfa/ada"
    key = sts.add_user("with-mfa", mfa_device=(serial, "123456"))
    settings = {"access_key_id": key.access_key_id, "mfa_serial": serial}
    secrets = {"secret_access_key": key.secret_access_key}
    draft = Draft(
        "iam-user", "With MFA", "with-mfa", HOME, settings=settings, secrets=secrets, **extra
    )
    return save_session(draft, Actor(house.ada))


def test_a_session_token_is_asked_for_at_the_roots_sts_region(house, sts):
    root = with_mfa(house, sts, sts_region="eu-north-1")
    leaf = house.chained("Leaf", root)
    house.start(leaf)
    house.work()
    submit_codes(root, Actor(house.ada), {"code": "123456"})
    house.work()
    assert (regions(sts, "GetSessionToken"), regions(sts)) == (["eu-north-1"], ["eu-north-1"])
    assert house.state(leaf).status is Status.ACTIVE


@pytest.mark.parametrize("broken", ["", "ServiceUnavailable"])
def test_a_code_is_typed_once_though_the_region_does_not_answer(house, sts, broken):
    root = with_mfa(house, sts)
    leaf = house.chained("Leaf", root)
    house.start(leaf)
    house.work()
    sts.out_of_order[HOME] = broken
    submit_codes(root, Actor(house.ada), {"code": "123456"})
    work_through(house)
    assert regions(sts, "GetSessionToken") == [HOME, NEXT]
    assert house.state(leaf).status is Status.ACTIVE


def test_a_code_goes_with_the_call_where_no_region_answers(house, sts):
    root = with_mfa(house, sts)
    leaf = house.chained("Leaf", root)
    house.start(leaf)
    house.work()
    sts.down = True
    submit_codes(root, Actor(house.ada), {"code": "123456"})
    work_through(house)
    assert len(regions(sts, "GetSessionToken")) <= 6
    assert house.state(leaf).status is Status.PENDING


@pytest.mark.parametrize("broken", ["", "ServiceUnavailable", "InternalFailure"])
def test_while_the_region_does_not_answer_another_one_does(house, sts, broken):
    leaves = [house.chained(f"Leaf {number}") for number in range(12)]
    sts.out_of_order[HOME] = broken
    start_sessions(leaves, Actor(house.ben))
    work_through(house)
    assert {state.status for state in house.states(leaves)} == {Status.ACTIVE}
    assert answered(sts) == [NEXT] * 12
    minted = [call["role_arn"] for call in sts.calls if not call["code"]]
    assert len(set(minted)) == 12


def test_one_session_alone_gets_through_after_three_failures(house, sts):
    [leaf] = house.chain(1)
    sts.out_of_order[HOME] = ""
    house.start(leaf)
    work_through(house, 3)
    assert regions(sts) == [HOME] * 3 + [NEXT]
    assert (house.state(leaf).status, house.state(leaf).problem) == (Status.ACTIVE, None)


def test_calls_come_back_when_the_first_region_is_well(house, sts, monkeypatch):
    [first] = house.chain(1)
    sts.out_of_order[HOME] = ""
    house.start(first)
    work_through(house, 4)
    sts.out_of_order.clear()
    sts.calls.clear()
    later = time.monotonic() + 3600
    monkeypatch.setattr(endpoints.time, "monotonic", lambda: later)
    more = [house.chained(f"More {number}") for number in range(3)]
    start_sessions(more, Actor(house.ben))
    house.work()
    assert {state.status for state in house.states(more)} == {Status.ACTIVE}
    sts.calls.clear()
    age(41, level=1)
    house.work()
    assert set(regions(sts)) == {HOME}


def test_the_call_that_tries_the_first_region_moves_on_if_it_fails(house, sts, monkeypatch):
    [leaf] = house.chain(1)
    sts.out_of_order[HOME] = ""
    house.start(leaf)
    work_through(house, 4)
    way = endpoints.route_for(f"root {house.root.pk}", HOME)
    assert way.breaker(HOME).is_open()
    way.breaker(HOME).open_until = 0.0
    age(41, level=1)
    sts.calls.clear()
    rotation.run()
    assert regions(sts) == [HOME, NEXT]
    assert house.state(leaf).problem is None


def test_what_stands_in_and_rejects_ends_no_session(house, sts):
    [leaf] = house.chain(1)
    sts.out_of_order |= {HOME: "", NEXT: "AccessDenied"}
    house.start(leaf)
    work_through(house, 6)
    problem = house.state(leaf).problem
    assert (problem.code, problem.retrying) == ("AccessDenied", True)
    assert HOME in problem.message
    assert NEXT in problem.message
    sts.out_of_order.clear()
    endpoints.reset_breakers()
    let_time_pass()
    house.work()
    assert house.state(leaf).status is Status.ACTIVE


def test_a_region_that_is_not_there_for_the_account_is_passed_over(house, sts):
    [leaf] = house.chain(1)
    sts.out_of_order |= {HOME: "", NEXT: "RegionDisabledException"}
    house.start(leaf)
    work_through(house, 4)
    assert house.state(leaf).status is Status.ACTIVE
    assert answered(sts) == ["eu-west-3"]


def test_without_any_region_what_lives_is_kept_and_the_first_is_named(house, sts):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    age(41, level=1)
    sts.down = True
    work_through(house, 12)
    state = house.state(leaf)
    assert (state.status, state.problem.retrying) == (Status.ACTIVE, True)
    sts.down = False
    endpoints.reset_breakers()
    let_time_pass()
    house.work()
    assert house.state(leaf).problem is None


def test_a_web_identity_is_asked_for_elsewhere_while_its_region_is_away(
    house, enabled, sts, monkeypatch, tmp_path
):
    file = tmp_path / "token"
    file.write_text(sts.identity_token("ci"))
    monkeypatch.setenv("CHAINWEB_WEB_IDENTITY_TOKEN_FILES", str(file))
    role = house.role_arn("Ci", trusts=["ci"])
    settings = {"token_file": str(file), "role_arn": role, "role_session_name": "workers"}
    root = save_session(Draft("web-identity", "Ci", "ci", HOME, settings), Actor(house.ada))
    leaf = house.chained("Leaf", root)
    sts.out_of_order[""] = ""  # unsigned calls name no region
    house.start(leaf)
    work_through(house, 2)
    failed = endpoints.route_for("111122223333", HOME).breaker(HOME)
    assert failed.failures == 2
    work_through(house, 1)
    assert failed.is_open()
    sts.out_of_order.clear()
    endpoints._breakers.pop(("111122223333", NEXT), None)
    work_through(house, 2)
    [opened] = house.events(RootOpened)
    assert opened.data["sts_region"] == NEXT
    assert regions(sts) == [NEXT]
    assert house.state(leaf).status is Status.ACTIVE


@pytest.fixture
def pod(house, enabled, sts, monkeypatch, tmp_path):
    """Give workers a pod's web identity; return their root, and a session on it."""
    role = sts.add_role("arn:aws:iam::111122223333:role/Pod", trusts=["pod"])
    file = tmp_path / "token"
    file.write_text(sts.identity_token("pod"))
    environment = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(file), "AWS_ROLE_ARN": role}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (environment | {"AWS_EC2_METADATA_DISABLED": "true"}).items():
        monkeypatch.setenv(name, value)
    ambient.forget()
    root = save_session(Draft("ambient", "Workers", "workers", HOME), Actor(house.ada))
    yield house.chained("Leaf", root)
    ambient.forget()


def test_the_workers_expired_token_is_named_and_used_once_renewed(house, sts, pod, monkeypatch):
    sts.rules.clock_ahead_seconds = 7200
    house.start(pod)
    house.work()
    problem = house.state(pod).problem
    assert (problem.code, problem.hop, problem.retrying) == ("ExpiredTokenException", 0, True)
    assert problem.message == "The token in the file has expired."
    sts.rules.clock_ahead_seconds = 0
    ambient.forget()
    let_time_pass()
    house.work()
    assert house.state(pod).status is Status.ACTIVE


def test_an_expired_environment_is_told_at_the_root_and_calls_nothing(
    house, enabled, sts, monkeypatch
):
    own = sts.role_session("arn:aws:iam::111122223333:role/Worker", "worker")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", own.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", own.secret_access_key.reveal())
    monkeypatch.setenv("AWS_SESSION_TOKEN", own.session_token.reveal())
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z")
    root = save_session(Draft("ambient", "Workers", "workers", HOME), Actor(house.ada))
    leaf = house.chained("Leaf", root)
    house.start(leaf)
    house.work()
    for problem in (house.state(leaf).problem, house.state(root).problem):
        assert (problem.code, problem.hop, problem.is_final) == ("AmbientExpired", 0, True)
        assert "AWS_CREDENTIAL_EXPIRATION is 2020-01-01 00:00 UTC" in problem.message
    assert sts.calls == []
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2120-01-01T00:00:00Z")
    house.start(leaf)
    house.work()
    assert house.state(leaf).status is Status.ACTIVE
    assert house.state(root).problem is None
