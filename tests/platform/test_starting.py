"""Web, workers and beat end at once, saying why, without their keys or with foreign ones."""

import base64
import os
import subprocess
import sys

import pytest

from sessions.maintenance.starting import EXIT_CODE, NEEDED_BY, problems_of
from sessions.models import AwsSession, Credential
from sessions.people.second_factors import seal_seed
from sessions.secret import Secret
from tests.harness.keys import new_keys, root_key_pair, seal_key
from tests.harness.processes import CHECKOUT, clean_environ, free_port
from tests.platform.compose import command

KEYS = new_keys()
PUBLIC = KEYS["CHAINWEB_ROOT_PUBLIC_KEY"]
SERVICES = {
    "web": "web",
    "worker": "worker",
    "starter": "worker",
    "beat": "beat",
    "migrate": "migrate",
}


def started(service, **environ):
    """Return the service's own command with nothing it could connect to: exit code and output."""
    run = [each.replace("0.0.0.0:8000", f"127.0.0.1:{free_port()}") for each in command(service)]
    done = subprocess.run(
        run,
        cwd=CHECKOUT,
        env={
            **clean_environ(),
            "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
            "CHAINWEB_DATA": "/nonexistent",
            "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
            "REDIS_URL": "redis://127.0.0.1:1/0",
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_without_keys_each_process_ends_and_names_what_it_lacks(service):
    code, said = started(service)
    part = SERVICES[service]
    needed = NEEDED_BY["web"] if part == "migrate" else NEEDED_BY[part]
    assert code == (1 if part == "migrate" else EXIT_CODE), said
    for name in needed:
        assert len([line for line in said.splitlines() if f"{name} is not set" in line]) == 1
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("service", "changed", "says"),
    [
        (
            "web",
            {"CHAINWEB_SEAL_KEYS": "k1:" + base64.b64encode(b"short").decode()},
            "each key of 32 bytes",
        ),
        ("web", {"CHAINWEB_SEAL_KEYS": "canary without a colon"}, "id:base64 pairs"),
        (
            "web",
            {"CHAINWEB_ROOT_PUBLIC_KEY": f"{PUBLIC},{root_key_pair('k2')[1]}"},
            "one id:base64 pair",
        ),
        ("worker", {"CHAINWEB_ROOT_KEYS": ""}, "CHAINWEB_ROOT_KEYS is not set"),
        ("worker", {"CHAINWEB_ROOT_KEYS": root_key_pair()[0]}, "not the public half"),
        ("starter", {"CHAINWEB_ROOT_KEYS": root_key_pair("k2")[0]}, "not the public half"),
        (
            "worker",
            {"CHAINWEB_CHECKPOINT_KEY": KEYS["CHAINWEB_ROOT_KEYS"]},
            "has not the public half",
        ),
        ("starter", {"CHAINWEB_CHECKPOINT_KEY": "x"}, "CHAINWEB_CHECKPOINT_KEY must be a list"),
    ],
)
def test_keys_that_cannot_work_end_it_too(service, changed, says):
    code, said = started(service, **{**KEYS, **changed})
    assert code == EXIT_CODE
    [line] = [line for line in said.splitlines() if "does not start" in line]
    assert says in line
    assert not any(value in said for value in KEYS.values())
    assert "canary" not in said


def test_a_worker_may_have_older_root_keys_beside_the_newest(settings, db):
    settings.CHAINWEB_ROOT_KEYS = f"{settings.CHAINWEB_ROOT_KEYS},{root_key_pair('old')[0]}"
    assert problems_of("worker") == []


@pytest.fixture
def living(house):
    """Make a database that holds a live credential, a root and the seed of an authenticator."""
    leaf = house.chained("Leaf")
    house.start(leaf)
    house.work()
    assert Credential.objects.filter(level=1, sealed__isnull=False).exists()
    return house


def test_with_its_own_keys_everything_starts(living):
    assert [problems_of(part) for part in NEEDED_BY] == [[], [], []]


def test_seal_keys_of_another_installation_are_told_apart(living, settings):
    settings.CHAINWEB_SEAL_KEYS, own = seal_key("other"), settings.CHAINWEB_SEAL_KEYS
    for part in ("web", "worker"):
        [problem] = problems_of(part)
        assert "CHAINWEB_SEAL_KEYS opens nothing that this database holds" in problem
    assert problems_of("beat") == []
    settings.CHAINWEB_SEAL_KEYS += f",{own}"
    assert problems_of("web") == []


def test_a_key_of_the_same_name_but_other_bytes_opens_no_seed(house, settings):
    house.ben.user.authenticator_set.create(
        type="totp", data={"secret": seal_seed(Secret("JBSWY3DP"))}
    )
    assert problems_of("web") == []
    settings.CHAINWEB_SEAL_KEYS = seal_key("k1")
    assert len(problems_of("web")) == 1


def test_root_keys_of_another_installation_stop_the_worker_alone(living, settings):
    settings.CHAINWEB_ROOT_KEYS, settings.CHAINWEB_ROOT_PUBLIC_KEY = root_key_pair("r9")
    assert problems_of("web") == []
    [problem] = problems_of("worker")
    assert "CHAINWEB_ROOT_KEYS opens no root of this database" in problem


def test_some_values_that_do_not_open_are_no_reason(living, settings):
    lost = living.iam_user("Lost")
    AwsSession.objects.filter(pk=lost.pk).update(sealed_secrets=b"\x02\x02r0broken")
    Credential.objects.filter(level=1).update(expires_at=None)
    settings.CHAINWEB_SEAL_KEYS = seal_key("other")
    assert problems_of("worker") == []


def test_a_database_that_is_away_stops_nothing():
    """The web answers 503 then, and workers wait, as they do when it goes away later."""
    asked = "from sessions.maintenance.starting import problems_of; print(problems_of('worker'))"
    done = subprocess.run(
        [sys.executable, "-c", f"import django; django.setup(); {asked}"],
        cwd=CHECKOUT,
        env={
            **clean_environ(),
            **KEYS,
            "DJANGO_SETTINGS_MODULE": "chainweb.settings",
            "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
        },
        capture_output=True,
        text=True,
    )
    assert done.stdout == "[]\n", done.stderr
