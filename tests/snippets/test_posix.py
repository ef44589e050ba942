import os
import subprocess

import pytest

from sessions.snippets import FORMATS
from tests.snippets.hostile import snippet, texts
from tests.snippets.shells import (
    COMMANDS,
    LEFT_OVER,
    LEFT_OVER_IN_SIMULATION,
    POSIX,
    assert_untouched,
    need,
    run,
    workplace,
)

render = FORMATS["posix"].render
NAMES = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
]
SHOWN = "env -0\n"


def aws_variables(printed: bytes) -> dict[str, str]:
    pairs = (line.split("=", 1) for line in printed.decode().split("\0") if line)
    return {name: value for name, value in pairs if name.startswith(("AWS", "SAML2AWS"))}


def hostile_snippets(count):
    source = texts(2)
    rows, script = [], []
    for _ in range(count):
        key_id, secret, token, region = (source.printed() for _ in range(4))
        rows.append([key_id, secret, token, region, region])
        script.append(render(snippet(key_id, secret, token, region=region)))
        script.append("printf '%s\\0' " + " ".join(f'"${name}"' for name in NAMES) + "\n")
    return rows, "".join(script)


@pytest.mark.parametrize("shell", POSIX)
def test_ten_thousand_hostile_values_come_out_of_the_shell_as_they_went_in(shell, tmp_path):
    folder = workplace(tmp_path)
    rows, script = hostile_snippets(2_500)
    values = run(shell, script, folder).decode().split("\0")[:-1]
    read_back = [values[start : start + len(NAMES)] for start in range(0, len(values), len(NAMES))]
    assert read_back == rows
    assert_untouched(folder)


def test_fish_with_an_unset_of_its_owner_reads_hostile_values_alike(tmp_path):
    """The quoting holds in fish too, should somebody give it the one command that it lacks."""
    folder = workplace(tmp_path)
    rows, script = hostile_snippets(2_500)
    values = (
        run("fish", "function unset; set -e $argv; true; end\n" + script, folder)
        .decode()
        .split("\0")[:-1]
    )
    assert values == [value for row in rows for value in row]
    assert_untouched(folder)


@pytest.mark.parametrize("shell", POSIX)
@pytest.mark.parametrize("endpoint_url", ["", "http://127.0.0.1:5000"])
@pytest.mark.parametrize("token", ["AQoDYXdzEJr1K==", None])
def test_what_was_set_before_is_gone_and_the_whole_new_identity_is_there(
    shell, endpoint_url, token, tmp_path
):
    before = (
        LEFT_OVER
        | LEFT_OVER_IN_SIMULATION
        | {"AWS_CONFIG_FILE": "/my/own", "AWS_ENDPOINT_URL_S3": "http://my.own/"}
    )
    text = render(snippet(token=token, endpoint_url=endpoint_url))
    found = aws_variables(run(shell, text + SHOWN, workplace(tmp_path), before))
    expected = {
        "AWS_ACCESS_KEY_ID": "ASIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_CREDENTIAL_EXPIRATION": "2026-11-24T12:30:15Z",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCOUNT_ID": "111122223333",
        "AWS_CONFIG_FILE": "/my/own",
        "AWS_ENDPOINT_URL_S3": "http://my.own/",
    }
    if token:
        expected["AWS_SESSION_TOKEN"] = token
    if endpoint_url:
        expected["AWS_ENDPOINT_URL"] = endpoint_url
    else:
        expected |= LEFT_OVER_IN_SIMULATION
    assert found == expected


@pytest.mark.parametrize("shell", POSIX)
def test_it_works_where_nothing_was_set_and_every_error_ends_the_script(shell, tmp_path):
    found = aws_variables(run(shell, "set -eu\n" + render(snippet()) + SHOWN, workplace(tmp_path)))
    assert found["AWS_SESSION_TOKEN"] == "AQoDYXdzEJr1K=="


def run_freely(shell, script, folder, environment):
    """Run it as `run` does, where the shell may complain."""
    need(COMMANDS[shell][0])
    return subprocess.run(
        [*COMMANDS[shell], "-c", script],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_fish_refuses_it_as_a_whole_and_keeps_what_it_had(tmp_path):
    before = {"AWS_PROFILE": "mine", "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"}
    done = run_freely("fish", render(snippet()) + SHOWN, workplace(tmp_path), before)
    assert aws_variables(done.stdout) == before
    assert b"unset" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_REGION"])
def test_a_read_only_variable_keeps_the_whole_identity_out(shell, name, tmp_path):
    script = f"readonly {name}=mine; export {name}\n{render(snippet())}{SHOWN}"
    found = aws_variables(run_freely(shell, script, workplace(tmp_path), LEFT_OVER).stdout)
    assert "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" not in found.values()


@pytest.mark.parametrize("shell", ["bash", "dash", "zsh"])
def test_a_paste_that_is_cut_short_sets_nothing(shell, tmp_path):
    folder = workplace(tmp_path)
    text = render(snippet())
    for end in range(0, len(text) - 1, 97):
        done = run_freely(shell, text[:end], folder, {})
        assert done.stdout == b""
    lines = text.splitlines()
    assert all(line.endswith(("\\", "&&")) for line in lines[:-1])
    assert not any(line.lstrip().startswith("#") for line in lines)
    assert_untouched(folder)


def test_a_history_that_drops_indented_lines_keeps_no_keys(tmp_path):
    folder = workplace(tmp_path)
    script = f"HISTCONTROL=ignorespace\nset -o history\n{render(snippet())}echo kept\nhistory\n"
    printed = run("bash", script, folder).decode()
    assert "echo kept" in printed
    assert "AWS_" not in printed
