"""Run a first `./run`: the demo, its people, its chains, and snippets for the real AWS CLI."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.harness.installation import Installation
from tests.harness.processes import CHECKOUT, free_port
from tests.harness.waiting import wait_for
from tests.platform.person import Person
from tests.snippets.shells import LEFT_OVER, LEFT_OVER_IN_SIMULATION, run
from tests.snippets.test_powershell import read

pytestmark = [pytest.mark.processes, pytest.mark.own_servers]

AWS = [sys.executable, str(Path(sys.executable).with_name("aws"))]
ASK = [*AWS, "sts", "get-caller-identity", "--query", "Arn", "--output", "text"]


@pytest.fixture(scope="module")
def demo():
    """`./run` in a folder where nothing is yet."""
    folder = Path(tempfile.mkdtemp(prefix="cwp-", dir="/tmp"))
    # Started by somebody whose own AWS must not be reached, with root keys of their own.
    installation = Installation(folder / "data", LEFT_OVER, command=[str(CHECKOUT / "run")])
    installation.environ["AWS_PROFILE"] = "prod"
    installation.manage("keys", str(folder / "own"))
    for name in ("root_keys", "root_public_key"):
        installation.environ[f"CHAINWEB_{name.upper()}_FILE"] = str(folder / "own" / name)
    try:
        yield installation.start()
    finally:
        installation.end()
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def token(demo):
    return demo.token("ada", "demo")


@pytest.fixture(scope="module")
def chained(demo, token):
    """Start every chained session of the demo; return {alias: session}, all active."""
    found = {
        each["alias"]: each
        for each in demo.api("GET", "/sessions", token)
        if each["kind"] == "iam-role-chained"
    }
    begun = time.monotonic()
    for session in found.values():
        demo.api("POST", f"/sessions/{session['id']}/start", token)
    for session in found.values():
        demo.wait_until_active(session["id"], token)
    print(f"{len(found)} sessions started and active in {time.monotonic() - begun:.2f} s")
    return found


@pytest.fixture
def person(demo):
    one = Person(f"http://localhost:{demo.port}")
    one.log_in("ada", demo.logins()["ada"])
    return one


def test_both_people_log_in_with_what_is_printed(demo):
    assert sorted(demo.logins()) == ["ada", "ben"]
    for name, password in demo.logins().items():
        one = Person(f"http://localhost:{demo.port}")
        one.log_in(name, password)
        assert "Prod incident shell" in one.get("/teams/demo/")


def test_the_demo_has_two_roots_and_chains_of_one_to_four_hops(demo, token):
    sessions = demo.api("GET", "/sessions", token)
    assert {"iam-user", "ambient", "iam-role-chained"} == {each["kind"] for each in sessions}
    assert {len(each["chain"]) - 1 for each in sessions} == {0, 1, 2, 3, 4}
    assert {each["chain"][0]["kind"] for each in sessions} == {"iam-user", "ambient"}


def test_every_chain_becomes_active(demo, token, chained):
    answers = {
        alias: demo.api("GET", f"/sessions/{each['id']}", token) for alias, each in chained.items()
    }
    assert {each["status"] for each in answers.values()} == {"active"}
    assert [each["problem"] for each in answers.values()] == [None] * len(answers)
    assert "demo" in demo.manage("verify_ledger")


# The leaf of the longest chain, from the IAM user, and the one from the workers' own identity.
LEAVES = {
    "Prod incident shell": "arn:aws:sts::444455556666:assumed-role/IncidentResponder/ada",
    "Staging deploy": "arn:aws:sts::555566667777:assumed-role/StagingDeploy/ada",
}


def ask(home, *arguments, **environ):
    """Return what the CLI says in an environment of its own."""
    done = subprocess.run(
        [*ASK, *arguments],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "AWS_EC2_METADATA_DISABLED": "true",
            **environ,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def in_posix(home, text, session, token):
    printed = run("bash", f"{text}{shlex.join(ASK)}\n", home, LEFT_OVER | LEFT_OVER_IN_SIMULATION)
    return printed.decode().strip()


def in_powershell(home, text, session, token):
    """There is no PowerShell here: what its strings say is put into the environment."""
    _, strings = read(text)
    lines = [line for line in text.splitlines() if line.strip().startswith("$Env:")]
    names = [line.strip().removeprefix("$Env:").partition(" ")[0] for line in lines]
    return ask(home, **dict(zip(names, strings[-len(names) :], strict=True)))


def in_credentials_file(home, text, session, token):
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text(text)
    return ask(home, "--profile", session["profile"])


def in_process(home, text, session, token):
    (home / "answer.json").write_text(text)
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text(
        "[default]\nregion = eu-west-1\ncredential_process = cat"
        f" {shlex.quote(str(home / 'answer.json'))}\n"
    )
    return ask(home, AWS_ENDPOINT_URL=endpoint_of(home))


def in_process_config(home, text, session, token):
    """Return the line that calls the real API, with the token in its header file."""
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text(text)
    (home / ".config" / "chainweb").mkdir(parents=True)
    (home / ".config" / "chainweb" / "header").write_text(f"Authorization: Bearer {token}\n")
    return ask(home, "--profile", session["profile"])


TAKEN_BY = {
    "posix": in_posix,
    "powershell": in_powershell,
    "credentials-file": in_credentials_file,
    "process": in_process,
    "process-config": in_process_config,
}


def endpoint_of(home):
    return (home / "endpoint").read_text()


@pytest.mark.parametrize("format", list(TAKEN_BY))
@pytest.mark.parametrize("alias", list(LEAVES))
def test_the_aws_cli_is_who_the_downloaded_snippet_says(
    demo, token, chained, person, tmp_path, alias, format
):
    home = tmp_path / "home"
    home.mkdir()
    (home / "endpoint").write_text(f"http://127.0.0.1:{(demo.folder / 'moto_port').read_text()}")
    text = person.post(f"/sessions/{chained[alias]['id']}/snippets/{format}/download/")
    assert TAKEN_BY[format](home, text, chained[alias], token) == LEAVES[alias]


def test_a_second_one_on_the_same_data_is_refused_and_the_first_goes_on(demo):
    done = subprocess.run(
        [sys.executable, "manage.py", "up", "--port", str(free_port())],
        cwd=CHECKOUT,
        env=demo.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"already running on {demo.folder} (process {demo.process.pid})" in done.stderr
    wait_for(lambda: demo.request("GET", "/readyz")[0] == 200, "the first one to be ready")


def test_its_files_are_for_their_owner_alone(demo):
    for path in [demo.folder, *demo.folder.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_web_process_is_not_given_the_workers_secrets(demo):
    """Keep what is passed on apart, though ./run has one user id for all.

    That is no isolation.
    """
    for name, process_id in demo.children().items():
        if name == "valkey":
            continue  # it writes its title over its environment
        lines = Path(f"/proc/{process_id}/environ").read_text().split("\0")
        environ = dict(line.partition("=")[::2] for line in lines)
        secret = {
            each for each in environ if each.startswith(("AWS_SECRET", "AWS_SESSION", "AWS_ACCESS"))
        }
        secret |= {
            each
            for each in environ
            if each.startswith(("CHAINWEB_ROOT_KEYS", "CHAINWEB_CHECKPOINT_KEY")) and environ[each]
        }
        assert bool(secret) == (name in {"worker", "starter"}), (name, secret)


def test_what_the_metrics_and_the_openapi_addresses_answer(demo):
    assert demo.request("GET", "/metrics")[0] == 200
    status, body = demo.request("GET", "/api/v1/openapi.json")
    assert status == 200
    assert json.loads(body)["openapi"]
