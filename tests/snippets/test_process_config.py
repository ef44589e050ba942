import os
import pty
import select
import shlex
import stat
import subprocess
import time
from dataclasses import replace

import pytest
from botocore.configloader import load_config

from sessions.snippets import FORMATS
from tests.snippets.hostile import PROFILES, snippet, texts
from tests.snippets.shells import POSIX, assert_untouched, need, run, workplace

render = FORMATS["process-config"].render
ALLOWED_IN_A_PATH = "abcXYZ019._~/?=&%+,:@-"


def read_by_botocore(text, tmp_path):
    file = tmp_path / "config"
    file.write_text(
        f"[profile neighbour]\nregion = x\n{text}[profile next]\nregion = y\n", encoding="utf-8"
    )
    return load_config(str(file))


def hostile_snippets(count, hostile):
    """Yield (values, text) of those that are carried."""
    for _ in range(count):
        tame = hostile.chance.random() < 0.6
        path = "".join(hostile.chance.choices(ALLOWED_IN_A_PATH, k=30))
        host = hostile.chance.choice(["chainweb.example", "localhost:8000", "[::1]:8000"])
        values = {
            "profile": hostile.chance.choice([*PROFILES, hostile.any()]),
            "region": hostile.tame("-") if tame else hostile.any(),
            "credentials_url": f"http://{host}/{path if tame else hostile.any()}",
            "endpoint_url": hostile.chance.choice(["", f"http://{host}/{path}", hostile.any()]),
        }
        try:
            yield values, render(snippet(**values))
        except ValueError:
            yield values, None


def test_ten_thousand_hostile_values_are_read_back_by_botocore_or_refused(tmp_path):
    carried = refused = 0
    for values, text in hostile_snippets(2_500, texts(6)):
        if text is None:
            refused += 1
            continue
        carried += 1
        config = read_by_botocore(text, tmp_path)
        assert set(config["profiles"]) == {"neighbour", values["profile"], "next"}
        profile = config["profiles"][values["profile"]]
        assert set(profile) == {"region", "credential_process"} | (
            {"endpoint_url"} & {key for key in values if values[key]}
        )
        assert profile["region"] == values["region"]
        assert profile.get("endpoint_url", "") == values["endpoint_url"]
        words = shlex.split(profile["credential_process"])
        assert words[:2] == ["sh", "-c"]
        assert f' "{values["credentials_url"]}")"; case ' in words[2]
    assert carried > 500
    assert refused > 800


@pytest.mark.parametrize("shell", POSIX)
def test_every_shell_that_may_get_the_line_asks_the_same_address(shell, tmp_path):
    """Read both levels with the shell itself.

    The line with its quoted script, then the script.
    """
    folder = workplace(tmp_path)
    both = [
        (values, text) for values, text in hostile_snippets(2_500, texts(7)) if text is not None
    ]
    commands = [
        line.split(" = ", 1)[1]
        for _, text in both
        for line in text.splitlines()
        if "_process = " in line
    ]
    asked = tmp_path / "asked"
    script = f"""sh() {{ [ "$#" = 2 ] && [ "$1" = -c ] && eval "$2"; }}
curl() {{ printf '%s\\0' "$@" >> {asked}; printf '\\n\\0' >> {asked}; echo 200; }}
"""
    run(shell, script + "\n".join(commands) + "\n", folder)
    calls = asked.read_text().split("\n\0")[:-1]
    header = f"@{folder}/.config/chainweb/header"
    assert [call.split("\0")[:-1] for call in calls] == [
        [
            *("-qgsS", "-m", "20"),
            *(() if "chainweb.example" in values["credentials_url"] else ("--noproxy", "*")),
            *("-w", "%{http_code}", "-H", header, values["credentials_url"]),
        ]
        for values, _ in both
    ]
    assert_untouched(folder)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://x/",
        "https://x/'",
        'https://x/"',
        "https://x/$(id)",
        "https://x/`id`",
        "https://x/\\",
        "https://x/ y",
        "https://x/\n",
        "https://x/#y",
        "https://x/;y",
        "https://x/!y",
        "https://user@x/",
        "-o/tmp/x",
        "https://é/",
    ],
)
def test_an_address_that_is_no_plain_url_is_refused(url):
    with pytest.raises(ValueError, match="cannot carry"):
        render(snippet(credentials_url=url))


def test_the_default_profile_has_the_section_that_every_tool_looks_for():
    assert "\n[default]\n" in render(snippet(profile="default"))
    assert "\n[profile dev]\n" in render(snippet(profile="dev"))


def command_in_the_comment(text):
    [line] = [line for line in text.splitlines() if "Authorization" in line]
    return line.removeprefix("#").strip()


def typed_into(shell, command, token, home):
    """Return a terminal's text while the command is pasted and the token is typed when asked."""
    arguments = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}.get(
        shell, []
    )
    terminal, far_end = pty.openpty()
    child = subprocess.Popen(
        [shell, *arguments, "-c", command],
        cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "dumb"},
        stdin=far_end,
        stdout=far_end,
        stderr=far_end,
        start_new_session=True,
    )
    os.close(far_end)
    shown, typed, deadline = b"", False, time.monotonic() + 20
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                piece = os.read(terminal, 4096)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        if b"token: " in shown and not typed:
            os.write(terminal, f"{token}\n".encode())
            typed = True
    os.close(terminal)
    assert child.wait(20) == 0, shown
    return shown.decode()


@pytest.mark.parametrize("shell", ["dash", "bash", "zsh", "fish"])
def test_the_comments_command_keeps_the_token_private_and_hidden(shell, tmp_path):
    need(shell)
    of_team = replace(snippet(credentials_url="https://chainweb.example:8443/api/x"), team="ops")
    folder = tmp_path / ".config/chainweb"
    header = folder / "chainweb.example_8443-ops.header"
    header.parent.mkdir(parents=True)
    header.write_text("an older one, open to all")
    header.chmod(0o644)
    shown = typed_into(shell, command_in_the_comment(render(of_team)), r"cw_abc\123%s", tmp_path)
    assert "Chainweb token: " in shown
    assert "abc" not in shown
    assert header.read_text() == "Authorization: Bearer cw_abc\\123%s\n"
    assert stat.S_IMODE(header.stat().st_mode) == 0o600
    token = header.with_suffix(".token")
    assert token.read_text() == "cw_abc\\123%s"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
