"""Paste the container form into real shells, and have real tools fetch by it."""

import http.server
import json
import os
import shlex
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest

from sessions.snippets import FORMATS
from tests.snippets.hostile import snippet
from tests.snippets.shells import LEFT_OVER, LEFT_OVER_IN_SIMULATION, run
from tests.snippets.test_aws_cli import ASK, IDENTITY, deploy, moto_url

__all__ = ["deploy", "moto_url"]  # fixtures

render = FORMATS["container-environment"].render
BOTO3 = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
KEYS = "[default]\naws_access_key_id = AKIAI44QH8DHBEXAMPLE\naws_secret_access_key = other\n"
SSO = (
    "[default]\nsso_session = corp\nsso_account_id = 444455556666\nsso_role_name = Other\n"
    "[sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://x.example/start\n"
)


@contextmanager
def endpoint(status, answer):
    """Stand in for GET /container/<id>; gives its address and the tokens it was asked with."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.headers["Authorization"])
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer.encode())))
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def home_of(tmp_path, base, **files):
    """Make a home folder with what a laptop has already, and with the token of that host."""
    home = tmp_path / "home"
    tokens = home / ".config/chainweb"
    tokens.mkdir(parents=True)
    name = base.removeprefix("http://").replace(":", "_")
    (tokens / f"{name}-ops.token").write_text("cwt_right")
    (home / ".aws").mkdir()
    for file, text in files.items():
        (home / ".aws" / file).write_text(text)
    return home


def pasted(deploy, base):
    return render(
        replace(
            deploy,
            credentials=None,
            team="ops",
            credentials_url=f"{base}/api/v1/sessions/4c0f/credentials?format=process",
            container_url=f"{base}/container/4c0f",
        )
    )


@pytest.mark.parametrize("shell", ["bash", "dash", "zsh"])
@pytest.mark.parametrize("files", [{"credentials": KEYS}, {"config": SSO}], ids=["keys", "sso"])
def test_no_default_profile_wins_over_the_endpoint(shell, files, deploy, tmp_path):
    before = LEFT_OVER | LEFT_OVER_IN_SIMULATION | {"AWS_EC2_METADATA_DISABLED": "true"}
    before.pop("AWS_CONFIG_FILE", None)
    boto3 = f"{shlex.quote(sys.executable)} -c {shlex.quote(BOTO3)}"
    with endpoint(200, FORMATS["container"].render(deploy)) as (base, asked):
        home = home_of(tmp_path, base, **files)
        text = pasted(deploy, base)
        printed = run(shell, f"HOME={home}\n{text}{ASK}\n{boto3}\n{text}", home, before).decode()
        assert printed.split() == [IDENTITY, IDENTITY]
        assert set(asked) == {"cwt_right"}
    config = (home / ".aws/config").read_text()
    assert config.startswith(files.get("config", ""))
    section = f"[profile chainweb-{deploy.profile}]\nregion = eu-west-1\n"
    assert config.count(section) == 1


def test_the_cli_shows_the_message_of_a_refusal(deploy, tmp_path):
    said = {"code": "inactive", "message": "Start it.", "Code": "inactive", "Message": "Start it."}
    with endpoint(409, json.dumps(said)) as (base, asked):
        home = home_of(tmp_path, base)
        done = subprocess.run(
            ["bash", "-c", f"{pasted(deploy, base)}{ASK}"],
            env={"PATH": os.environ["PATH"], "HOME": str(home)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode != 0
    assert "Start it." in done.stderr
    assert len(asked) == 3


@pytest.mark.parametrize(
    "changes", [{"region": "x y"}, {"container_url": "https://x/$(id)"}, {"container_url": ""}]
)
def test_what_it_cannot_carry_is_refused(changes):
    with pytest.raises(ValueError, match="cannot carry"):
        render(replace(snippet(), **{"container_url": "https://x/container/1"} | changes))
