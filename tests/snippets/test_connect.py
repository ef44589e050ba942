"""The command that connects a laptop, pasted into the real shells beside a config of one's own."""

import configparser
import json
import os
import stat
import subprocess

import pytest

from sessions.secret import Secret
from sessions.snippets.connect import posix, powershell
from tests.harness.http_server import HttpServer
from tests.snippets.shells import COMMANDS, need

TOKEN = Secret("cwt_" + "aB3" * 16 + "x")
MARK = "127.0.0.1:8000_platform"
FILES = "127.0.0.1_8000-platform"
OWN = "[default]\nregion = eu-west-1\n\n[profile own]\n# kept \\n as it is $HOME\nregion = x"
PROFILES = "[profile deploy]\nregion = eu-west-1\ncredential_process = sh -c 'curl \"x\"'\n"


class Server:
    """Answer with profiles, or with `status`; keep what was asked."""

    def __init__(self):
        self.status, self.body, self.asked = 200, PROFILES, []

    def receive(self, request, connection):
        self.asked.append((request.path, request.headers.get("authorization")))
        connection.send(self.status, self.body.encode(), "text/plain; charset=utf-8")


@pytest.fixture
def server():
    answering = Server()
    with HttpServer(answering.receive) as running:
        answering.url = f"{running.url}/api/v1/config?format=aws-config"
        yield answering


@pytest.fixture(params=COMMANDS)
def shell(request):
    return request.param


def paste(shell, folder, server, **environment):
    command = COMMANDS[shell]
    need(command[0])
    script = folder.with_name(f"{folder.name}-script")
    script.write_text(posix(TOKEN, server.url, MARK, FILES) + "\n")
    return subprocess.run(
        [*command, str(script)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C", **environment},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=60,
        check=False,
    )


def config_of(folder):
    return (folder / ".aws" / "config").read_text()


def test_a_paste_keeps_ones_own_sections_and_adds_ours(shell, tmp_path, server):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(OWN)
    done = paste(shell, tmp_path, server)
    assert done.returncode == 0, done.stderr
    assert "1 profiles" in done.stdout
    assert TOKEN.reveal() not in done.stdout + done.stderr
    text = config_of(tmp_path)
    assert text.startswith(OWN + "\n")
    parsed = configparser.RawConfigParser()
    parsed.read_string(text)
    assert parsed.sections() == ["default", "profile own", "profile deploy"]
    assert server.asked == [
        ("/api/v1/config?format=aws-config", f"Bearer {TOKEN.reveal()}"),
    ]
    kept = tmp_path / ".config" / "chainweb"
    assert (
        kept / f"{FILES}.token"
    ).read_text() == TOKEN.reveal()  # a line break would break botocore
    assert (kept / f"{FILES}.header").read_text() == f"Authorization: Bearer {TOKEN.reveal()}\n"
    for name in (f"{FILES}.token", f"{FILES}.header"):
        assert stat.S_IMODE((kept / name).stat().st_mode) == 0o600
    assert sorted(each.name for each in kept.iterdir()) == [f"{FILES}.header", f"{FILES}.token"]


def test_a_second_paste_replaces_its_own_block_alone(shell, tmp_path, server):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(OWN)
    paste(shell, tmp_path, server)
    with (tmp_path / ".aws" / "config").open("a") as file:
        file.write("[profile after]\nregion = y\n")
    server.body = PROFILES.replace("deploy", "other")
    assert paste(shell, tmp_path, server).returncode == 0
    parsed = configparser.RawConfigParser()
    parsed.read_string(config_of(tmp_path))
    assert parsed.sections() == ["default", "profile own", "profile after", "profile other"]
    assert config_of(tmp_path).count("# >>> chainweb") == 1


def test_without_a_config_one_is_made_for_its_owner_alone(shell, tmp_path, server):
    assert paste(shell, tmp_path, server).returncode == 0
    assert stat.S_IMODE((tmp_path / ".aws" / "config").stat().st_mode) == 0o600


def test_a_section_that_is_there_already_changes_nothing(shell, tmp_path, server):
    (tmp_path / ".aws").mkdir()
    own = "[profile  deploy]\nregion = mine\n"
    (tmp_path / ".aws" / "config").write_text(own)
    done = paste(shell, tmp_path, server)
    assert done.returncode != 0
    assert "[profiledeploy]" in done.stderr
    assert config_of(tmp_path) == own
    assert list((tmp_path / ".config" / "chainweb").iterdir()) == []


def test_a_refusal_changes_nothing(shell, tmp_path, server):
    server.status, server.body = 401, json.dumps({"code": "unauthenticated"})
    done = paste(shell, tmp_path, server)
    assert done.returncode != 0
    assert "nothing was changed" in done.stderr
    assert not (tmp_path / ".aws" / "config").exists()


def test_a_block_without_its_end_takes_nothing_of_ones_own(tmp_path, server):
    (tmp_path / ".aws").mkdir()
    own = f"# >>> chainweb {MARK} >>>\n[profile own]\nregion = x\n"
    (tmp_path / ".aws" / "config").write_text(own)
    assert paste("bash", tmp_path, server).returncode == 0
    assert config_of(tmp_path).startswith(own)


def test_a_config_elsewhere_and_a_link_are_followed(tmp_path, server):
    real, link = tmp_path / "dotfiles", tmp_path / "my config"
    real.write_text(OWN)
    link.symlink_to(real)
    assert paste("dash", tmp_path, server, AWS_CONFIG_FILE=str(link)).returncode == 0
    assert link.is_symlink()
    assert "profile deploy" in real.read_text()


def test_the_token_is_in_no_argument_list(tmp_path, server):
    """Have curl and sh say how they were called."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for name in ("sh", "curl"):
        real = subprocess.run(["which", name], capture_output=True, text=True, check=True)
        spy = bin_folder / name
        spy.write_text(
            f'#!/bin/bash\nprintf "%s\\n" "$@" >> {tmp_path}/calls\n'
            f'exec {real.stdout.strip()} "$@"\n'
        )
        spy.chmod(0o755)
    done = paste("bash", tmp_path, server, PATH=f"{bin_folder}:/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "calls").read_text()
    assert "format=aws-config" in calls
    assert TOKEN.reveal() not in calls


@pytest.mark.parametrize(
    ("address", "mark"),
    [
        ('https://x/"; rm -rf ~; "', MARK),
        ("https://x/$(id)", MARK),
        ("https://x/'", MARK),
        ("ftp://x/", MARK),
        ("https://x/", "a b"),
        ("https://x/", "x'y"),
        ("https://x/", "x\ny"),
    ],
)
def test_what_a_shell_would_take_for_more_is_refused(address, mark):
    for write in (posix, powershell):
        with pytest.raises(ValueError, match="cannot carry safely"):
            write(TOKEN, address, mark, FILES)


def test_only_this_machine_is_asked_past_a_proxy():
    assert "--noproxy" in posix(TOKEN, "http://localhost:8000/x", MARK, FILES)
    assert "--noproxy" not in posix(TOKEN, "https://chainweb.example/x", MARK, FILES)
