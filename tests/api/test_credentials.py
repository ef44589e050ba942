"""The API hands credentials to programs, never to a page in a browser."""

import json
import shutil
import subprocess
import sys

import pytest

from sessions.ledger.events.credentials import CredentialRevealed

pytestmark = pytest.mark.django_db(transaction=True)

NODE = """
const headers = {Authorization: `Bearer ${process.env.TOKEN}`};
const answer = await fetch(process.argv[1], {headers});
console.log(answer.status);
console.log(await answer.text());
"""
PYTHON = """
import os, sys, urllib.request
headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
request = urllib.request.Request(sys.argv[1], headers=headers)
with urllib.request.urlopen(request) as answer:
    print(answer.status)
    print(answer.read().decode())
"""


@pytest.fixture
def ready(lasting_house, live_server):
    """Make a started session's address in the API, and a token for it."""
    [leaf] = lasting_house.chain(1)
    lasting_house.start(leaf)
    lasting_house.work()
    return (
        f"{live_server.url}/api/v1/sessions/{leaf.pk}/credentials",
        lasting_house.token().reveal(),
    )


def run(command, token):
    done = subprocess.run(
        command,
        env={"TOKEN": token, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("\n")


def test_node_itself_is_handed_credentials(ready):
    node = shutil.which("node")
    if node is None:
        pytest.skip("There is no node here.")
    url, token = ready
    status, _, body = run([node, "--input-type=module", "-e", NODE, url], token)
    assert status == "200", body
    assert json.loads(body)["SessionToken"]


def test_curl_and_python_are_handed_credentials(ready):
    url, token = ready
    body, _, _ = run(
        ["sh", "-c", 'curl -sSf -H "Authorization: Bearer $TOKEN" "$0" | tr -d "\\n"', url], token
    )
    assert json.loads(body)["Version"] == 1
    status, _, body = run([sys.executable, "-c", PYTHON, url], token)
    assert (status, json.loads(body)["Version"]) == ("200", 1)


@pytest.mark.parametrize("mode", ["cors", "no-cors", "same-origin", "navigate"])
def test_a_fetch_mode_alone_is_no_browser(lasting_house, client, mode):
    [leaf] = lasting_house.chain(1)
    lasting_house.start(leaf)
    lasting_house.work()
    answer = client.get(
        f"/api/v1/sessions/{leaf.pk}/credentials",
        headers={
            "Authorization": f"Bearer {lasting_house.token().reveal()}",
            "Sec-Fetch-Mode": mode,
        },
    )
    assert answer.status_code == 200
    assert len(lasting_house.events(CredentialRevealed)) == 1
