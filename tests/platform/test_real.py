"""Run `CHAINWEB_AWS=real ./run` against the strict STS, which knows every secret it issued."""

import base64
import json
import shutil
import urllib.parse

import pytest

from sessions.snippets import FORMATS
from tests.harness.installation import Installation
from tests.harness.processes import CHECKOUT
from tests.harness.sts import FakeSts
from tests.harness.waiting import wait_for
from tests.platform import canaries
from tests.platform.person import Person

pytestmark = [pytest.mark.processes, pytest.mark.own_servers]

HUB = "arn:aws:iam::111122223333:role/Hub"
PASSWORD = "a-Password-that-no-log-may-hold-7"


@pytest.fixture
def real(data, sts, keys_and_tables):
    environ = {"CHAINWEB_AWS": "real", "AWS_ENDPOINT_URL_STS": sts.url}
    one = Installation(data, environ, command=[str(CHECKOUT / "run")])
    shutil.copytree(keys_and_tables, one.folder)
    yield one.start()
    one.end()


@pytest.fixture
def token(real):
    assert "No team yet" in real.output()
    real.manage("setup", "--team", "ops", "--admin", "ada", CHAINWEB_PASSWORD=PASSWORD)
    return real.token("ada", "ops")


@pytest.fixture
def sts():
    with FakeSts() as server:
        yield server


def assumed(sts):
    return [
        call["role_arn"]
        for call in sts.calls
        if call["action"] == "AssumeRole" and not call["code"]
    ]


def hub_with(real, sts, token, count):
    """Return the IAM user's own key, and `count` sessions assumed from one hub; their ids."""
    key = sts.add_user("landing-zone")
    sts.add_role(HUB, trusts=[sts.arn_of(key)])
    hub = real.create_chained(token, real.create_root(token, key), HUB)
    leaves = []
    for number in range(count):
        arn = sts.add_role(f"arn:aws:iam::444455556666:role/Leaf{number}", trusts=[HUB])
        leaves.append(real.create_chained(token, hub, arn))
    return key, hub, leaves


def test_twenty_sessions_under_one_hop_started_together_assume_it_once(real, sts, token):
    _, _, leaves = hub_with(real, sts, token, 20)
    for leaf in leaves:
        real.api("POST", f"/sessions/{leaf}/start", token)
    for leaf in leaves:
        real.wait_until_active(leaf, token)
    assert assumed(sts).count(HUB) == 1
    assert len(assumed(sts)) == 21


def test_no_secret_is_left_in_database_broker_logs_or_terminal(real, sts, token):
    """Do much, right and wrong; then search every file for all that was secret."""
    key, _, [leaf, closed, *others] = hub_with(real, sts, token, 5)
    person = Person(f"http://localhost:{real.port}")
    person.log_in("ada", PASSWORD)
    secrets = {PASSWORD, token}
    real.api("POST", f"/sessions/{leaf}/start", token)
    real.wait_until_active(leaf, token)
    for name in FORMATS:
        taken = person.post(f"/sessions/{leaf}/snippets/{name}/")
        assert not FORMATS[name].secret or real.credentials(leaf, token)["AccessKeyId"] in taken
        person.post(f"/sessions/{leaf}/snippets/{name}/download/")
    for each in others:
        real.api("POST", f"/sessions/{each}/start", token)
        real.wait_until_active(each, token)
    # A refusal, answers that are not what they should be, an outage: each is somewhere written
    # down.
    sts.add_role("arn:aws:iam::444455556666:role/Leaf1", trusts=[])
    real.api("POST", f"/sessions/{closed}/start", token)
    wait_for(lambda: real.status(closed, token) == "failed", "the refusal")
    faults = (
        lambda: sts.change_next(SessionToken="with\na newline"),
        lambda: sts.change_next(Expiration="2001-01-01T00:00:00Z"),
        lambda: sts.answer_next(b"<html>" + b"x" * 5000),
        lambda: sts.fail_next("Throttling"),
    )
    # Each of another session: one is rotated once in ten seconds.
    for fault, session in zip(faults, [leaf, *others], strict=True):
        calls = len(sts.calls)
        fault()
        real.api("POST", f"/sessions/{session}/rotate", token)
        wait_for(lambda calls=calls: len(sts.calls) > calls, "the call that goes wrong")
    wait_for(
        lambda: not real.api("GET", f"/sessions/{others[-1]}", token)["problem"],
        "the throttling to be over",
    )
    assert real.request("GET", "/api/v1/sessions", token[:-1] + "_")[0] == 401
    # What was typed but not kept, and what was refused.
    another = sts.add_user("another")
    fields = {
        "alias": "x\n",
        "profile": "]",
        "region": "eu-west-1",
        "access_key_id": another.access_key_id,
    }
    typed = another.secret_access_key.reveal()
    assert typed not in person.post(
        "/teams/ops/new/aws/iam-user/", **fields, secret_access_key=typed
    )
    assert len(real.api("GET", "/sessions", token)) == 7

    secrets |= {one.secret for one in sts.rules.keys.values()}
    secrets |= {one.token for one in sts.rules.keys.values() if one.token}
    assert key.secret_access_key.reveal() in secrets
    assert len(secrets) > 12
    running = files_of(real)
    code, printed = real.stop()
    assert code == 0
    for haystacks in (running, files_of(real) | {"the terminal": printed.encode()}):
        assert {"db.sqlite3", "logs/worker.log", "logs/starter.log", "logs/web.log"} <= set(
            haystacks
        )
        assert any(name.startswith("valkey/") and name.endswith(".aof") for name in haystacks)
        # What must be there is: the search sees into these files.
        assert canaries.find(
            [real.folder.name + "/", key.access_key_id, leaf.replace("-", "")], haystacks
        )
        assert canaries.find(secrets, haystacks) == []


def files_of(real):
    """All but the keys, whose files are there to hold them."""
    return canaries.files_below(
        real.folder, but=["secret_key", "seal_keys", "root_keys", "root_public_key", "up.lock"]
    )


def test_new_keys_take_over_and_the_old_ones_are_needed_no_more(real, sts, token):
    _, _, [leaf] = hub_with(real, sts, token, 1)
    real.api("POST", f"/sessions/{leaf}/start", token)
    real.wait_until_active(leaf, token)
    real.stop()
    real.manage("keys", str(real.folder), "--new")
    # Hub and leaf by the seal key, the IAM user by the root key.
    assert real.manage("reseal") == "3 moved to the newest key, 0 were on it already."
    real.manage("keys", str(real.folder), "--drop-old")
    real.start()
    assert real.credentials(leaf, token)["AccessKeyId"]
    before = len(assumed(sts))
    real.api("POST", f"/sessions/{leaf}/rotate", token)
    wait_for(lambda: len(assumed(sts)) > before, "the root's secret to be opened with the new key")
    assert real.manage("reseal") == "0 moved to the newest key, 3 were on it already."


@pytest.mark.parametrize(
    "encode",
    [
        lambda secret: secret,
        lambda secret: json.dumps({"a": secret}),
        lambda secret: secret.encode().hex(),
        lambda secret: secret.encode().hex().upper(),
        lambda secret: urllib.parse.quote(secret, safe=""),
        lambda secret: urllib.parse.urlencode({"a": secret}),
        *(
            lambda secret, n=n: base64.b64encode(b"?" * n + secret.encode() + b"after").decode()
            for n in range(7)
        ),
        *(
            lambda secret, n=n: base64.urlsafe_b64encode(b"?" * n + secret.encode() + b"!").decode()
            for n in range(3)
        ),
    ],
)
def test_the_search_finds_a_secret_in_each_form(encode):
    secret = "wJalrXUtn/EMI+K7MDENG/bPxRfiCY?>~XAMPLE"
    assert canaries.find([secret], {"file": b"\0before " + encode(secret).encode() + b" after"})
    assert (
        canaries.find([secret], {"file": b"\0before " + encode(secret[:-4] + "WRONG").encode()})
        == []
    )
