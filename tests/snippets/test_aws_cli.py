"""Use each snippet with the real AWS CLI in a fresh home folder, against a simulated AWS."""

import http.server
import json
import os
import shlex
import socket
import subprocess
import sys
import threading
import time
import tomllib
import urllib.request
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
import yaml

from sessions.aws.credentials import AwsCredentials
from sessions.secret import Secret
from sessions.snippets import FORMATS, ChainStep, Snippet
from tests.snippets.shells import COMMANDS, LEFT_OVER, LEFT_OVER_IN_SIMULATION, run

AWS = Path(sys.executable).with_name("aws")
IDENTITY = "arn:aws:sts::111122223333:assumed-role/Deploy/ada"
ASK = (
    f"{shlex.quote(sys.executable)} {shlex.quote(str(AWS))} sts get-caller-identity --query Arn"
    " --output text"
)


@pytest.fixture(scope="module")
def moto_url():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [
        str(Path(sys.executable).with_name("moto_server")),
        "-H",
        "127.0.0.1",
        "-p",
        str(port),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(200):
                assert server.poll() is None, "the simulated AWS has ended"
                try:
                    urllib.request.urlopen(f"{url}/moto-api/", timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield url
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def deploy(moto_url):
    """Make a snippet of a chained session: one role assumed from another."""

    def assume(role, **keys):
        client = boto3.client("sts", region_name="eu-west-1", endpoint_url=moto_url, **keys)
        answer = client.assume_role(
            RoleArn=f"arn:aws:iam::111122223333:role/{role}", RoleSessionName="ada"
        )["Credentials"]
        client.close()
        return answer

    base = assume(
        "Base",
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="wJalrXUtnFEMIEXAMPLEKEY",
    )
    leaf = assume(
        "team/Deploy",
        aws_access_key_id=base["AccessKeyId"],
        aws_secret_access_key=base["SecretAccessKey"],
        aws_session_token=base["SessionToken"],
    )
    credentials = AwsCredentials(
        leaf["AccessKeyId"],
        Secret(leaf["SecretAccessKey"]),
        Secret(leaf["SessionToken"]),
        leaf["Expiration"],
    )
    return Snippet(credentials, "a.b+c%d_e@f:g/h-i", "eu-west-1", moto_url, "")


def files_of(home, **contents):
    (home / ".aws").mkdir()
    for name, text in contents.items():
        (home / ".aws" / name).write_text(text)


def ask(home, *arguments):
    return subprocess.run(
        [*shlex.split(ASK), *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def api(answer: str, token: str):
    """Stand in for GET /api/v1/sessions/<id>/credentials.

    Gives its address and what it was asked.
    """
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            right = self.headers["Authorization"] == f"Bearer {token}"
            body = (answer if right else '{"code": "unauthorized"}').encode()
            self.send_response(200 if right else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield (
            f"http://127.0.0.1:{server.server_port}/api/v1/sessions/4c0f/credentials?format=process",
            asked,
        )
        server.shutdown()


# What may be in a home folder: keys of somebody else, or a log-in that a program would wait for.
DEFAULTS = {
    "keys": {
        "credentials": "[default]\naws_access_key_id = AKIAI44QH8DHBEXAMPLE\n"
        "aws_secret_access_key = je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY\n"
    },
    "sso": {
        "config": "[default]\nsso_session = corp\nsso_account_id = 444455556666\n"
        "sso_role_name = Other\nregion = us-east-1\n[sso-session corp]\n"
        "sso_start_url = https://corp.awsapps.example/start\nsso_region = us-east-1\n"
    },
}


def assigned(text):
    """Return the variables of a .env file, or of Docker's --env-file."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def of_mise(text):
    return {name: value for name, value in tomllib.loads(text)["env"].items() if value}


def of_kubernetes(text):
    return yaml.safe_load(text)["stringData"]


def of_devcontainer(text):
    settings = json.loads("\n".join(text.splitlines()[1:]))["remoteEnv"]
    return {name: value for name, value in settings.items() if value is not None}


@pytest.mark.parametrize("default", DEFAULTS)
@pytest.mark.parametrize(
    ("key", "read"),
    [
        ("dotenv", assigned),
        ("docker-env", assigned),
        ("mise", of_mise),
        ("kubernetes", of_kubernetes),
        ("devcontainer", of_devcontainer),
    ],
)
def test_an_environment_wins_over_the_default_profile(key, read, default, deploy, tmp_path):
    files_of(tmp_path, **DEFAULTS[default])
    done = subprocess.run(
        shlex.split(ASK),
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
        | read(FORMATS[key].render(deploy)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == IDENTITY, done.stderr


@pytest.mark.parametrize("default", DEFAULTS)
@pytest.mark.parametrize(
    ("key", "shell"),
    [("posix", "bash"), ("posix", "dash"), ("posix", "zsh"), ("fish", "fish"), ("direnv", "bash")],
)
def test_a_shell_wins_over_the_default_profile(key, shell, default, deploy, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    files_of(home, **DEFAULTS[default])
    before = LEFT_OVER | LEFT_OVER_IN_SIMULATION | {"AWS_EC2_METADATA_DISABLED": "true"}
    printed = run(shell, FORMATS[key].render(deploy) + ASK + "\n", home, before)
    assert printed.decode().strip() == IDENTITY


def test_cdks_command_is_the_session(deploy, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    files_of(home, **DEFAULTS["keys"])
    script = f"npx() {{ {ASK}; }}\n{FORMATS['cdk'].render(deploy)}"
    printed = run("bash", script, home, LEFT_OVER | {"AWS_EC2_METADATA_DISABLED": "true"})
    assert printed.decode().strip() == IDENTITY


def test_a_session_token_of_4096_bytes_reaches_aws(deploy, tmp_path):
    """Sign with it: it goes in a header. The simulated AWS goes by the key's id alone."""
    token = deploy.credentials.session_token.reveal()
    long = replace(deploy.credentials, session_token=Secret((token * 4_096)[:4_096]))
    shown = replace(deploy, credentials=long)
    home = tmp_path / "home"
    home.mkdir()
    printed = run("dash", FORMATS["posix"].render(shown) + ASK + "\n", home)
    assert printed.decode().strip() == IDENTITY
    files_of(tmp_path, credentials=FORMATS["credentials-file"].render(shown))
    assert ask(tmp_path, "--profile", shown.profile).stdout.strip() == IDENTITY


def test_the_code_for_boto3_is_the_session(deploy, tmp_path):
    files_of(tmp_path, **DEFAULTS["keys"])
    file = tmp_path / "chainweb.py"
    file.write_text(FORMATS["python"].render(deploy))
    environment = {"HOME": str(tmp_path), "AWS_ACCESS_KEY_ID": "AKIAI44QH8DHBEXAMPLE"}
    done = subprocess.run(
        [sys.executable, str(file)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == IDENTITY, done.stderr


def test_the_chain_is_assumed_by_the_cli_itself(moto_url, tmp_path):
    arn = "arn:aws:iam::111122223333:role"
    chain = (
        ChainStep("landing", "eu-west-1"),
        ChainStep("hub", "eu-west-1", f"{arn}/Hub", "ada"),
        ChainStep("deploy", "eu-west-1", f"{arn}/team/Deploy", "ada"),
    )
    text = FORMATS["role-chain"].render(Snippet(None, "deploy", "eu-west-1", "", "", chain=chain))
    keys = DEFAULTS["keys"]["credentials"].replace("default", "landing")
    files_of(tmp_path, config=text, credentials=keys)
    done = subprocess.run(
        [*shlex.split(ASK), "--profile", "deploy"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_ENDPOINT_URL": moto_url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == IDENTITY, done.stderr


@pytest.mark.parametrize("shell", ["bash", "dash", "zsh"])
def test_the_posix_snippet_wins_over_whatever_was_set_before(shell, deploy, tmp_path):
    before = LEFT_OVER | LEFT_OVER_IN_SIMULATION | {"AWS_EC2_METADATA_DISABLED": "true"}
    home = tmp_path / "home"
    home.mkdir()
    printed = run(shell, FORMATS["posix"].render(deploy) + ASK + "\n", home, before)
    assert printed.decode().strip() == IDENTITY


def test_the_credentials_file_is_enough_by_itself(deploy, tmp_path):
    files_of(tmp_path, credentials=FORMATS["credentials-file"].render(deploy))
    done = ask(tmp_path, "--profile", deploy.profile)
    assert done.stdout.strip() == IDENTITY, done.stderr


@pytest.mark.parametrize("profile", ["-a", "/a", ".a", "%a", "@a", ":a", "+a", "a:", "x" * 128])
def test_a_profile_may_begin_with_every_mark_of_the_set(deploy, tmp_path, profile):
    files_of(
        tmp_path, credentials=FORMATS["credentials-file"].render(replace(deploy, profile=profile))
    )
    done = ask(tmp_path, f"--profile={profile}")
    assert done.stdout.strip() == IDENTITY, done.stderr


def test_the_default_profile_needs_no_option(deploy, tmp_path):
    files_of(
        tmp_path, credentials=FORMATS["credentials-file"].render(replace(deploy, profile="default"))
    )
    done = ask(tmp_path)
    assert done.stdout.strip() == IDENTITY, done.stderr


def test_the_json_is_read_from_a_program_that_prints_it(deploy, moto_url, tmp_path):
    file = tmp_path / "credentials.json"
    file.write_text(FORMATS["process"].render(deploy))
    files_of(
        tmp_path,
        config=(
            f"[default]\nregion = eu-west-1\nendpoint_url = {moto_url}\ncredential_process = cat"
            f" {shlex.quote(str(file))}\n"
        ),
    )
    done = ask(tmp_path)
    assert done.stdout.strip() == IDENTITY, done.stderr


def test_the_config_profile_fetches_with_the_header_files_token(deploy, tmp_path):
    home = tmp_path / "a home with 'odd' $signs"
    home.mkdir()
    with api(FORMATS["process"].render(deploy), "cw_right") as (url, asked):
        files_of(
            home,
            config=FORMATS["process-config"].render(
                replace(deploy, credentials=None, credentials_url=url)
            ),
        )
        header = home / ".config/chainweb/header"
        header.parent.mkdir(parents=True)
        header.write_text("Authorization: Bearer cw_right\n")
        done = ask(home, "--profile", deploy.profile)
        assert done.stdout.strip() == IDENTITY, done.stderr
        assert asked == ["/api/v1/sessions/4c0f/credentials?format=process"]
        header.write_text("Authorization: Bearer cw_wrong\n")
        refused = ask(home, "--profile", deploy.profile)
        assert refused.returncode != 0
        assert '{"code": "unauthorized"}' in refused.stderr


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_the_line_means_the_same_to_tools_that_hand_it_to_a_shell(shell, deploy, tmp_path):
    """Run it as the SDKs for Go, Java and JavaScript do: `sh -c` with the whole line."""
    home = tmp_path / "a home"
    (home / ".config/chainweb").mkdir(parents=True)
    (home / ".config/chainweb/header").write_text("Authorization: Bearer cw_right\n")
    with api(FORMATS["process"].render(deploy), "cw_right") as (url, _):
        text = FORMATS["process-config"].render(replace(deploy, credentials_url=url))
        [line] = [
            line.split(" = ", 1)[1]
            for line in text.splitlines()
            if line.startswith("credential_process")
        ]
        answer = subprocess.run(
            [*COMMANDS[shell], "-c", line],
            env={"PATH": os.environ["PATH"], "HOME": str(home)},
            capture_output=True,
            check=True,
        )
    assert json.loads(answer.stdout)["AccessKeyId"] == deploy.credentials.access_key_id
