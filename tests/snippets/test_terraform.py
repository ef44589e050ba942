"""Read the HCL with a strict reader everywhere, and with Terraform itself where it is installed."""

import base64
import json
import os
import re
import subprocess

import pytest

from sessions.snippets import FORMATS
from tests.examples import DEEP
from tests.snippets.hostile import carried, snippet
from tests.snippets.readers import need

render = FORMATS["terraform"].render
SETTING = re.compile(r'  (access_key|secret_key|token|region) += "(.*)"')


def read_quoted(text):
    """Read a quoted template without expressions, as HCL's specification says."""
    value, at = "", 0
    while at < len(text):
        two, three = text[at : at + 2], text[at : at + 3]
        if three in {"$${", "%%{"}:
            value, at = value + three[1:], at + 3
        elif two in {'\\"', "\\\\"}:
            value, at = value + two[1], at + 2
        else:
            assert two not in {"${", "%{"}, "an expression begins"
            assert text[at] not in '"\\', "the text ends early"
            value, at = value + text[at], at + 1
    return value


def read(text):
    found = {}
    for line in text.splitlines():
        if match := SETTING.fullmatch(line):
            found[match[1]] = read_quoted(match[2])
        else:
            assert line in {
                "# From Chainweb; good until 2026-11-24T12:30:15Z",
                'provider "aws" {',
                "  profile    = null",
                "}",
            }
    return found


def expected(chosen):
    return {
        "access_key": chosen["key_id"],
        "secret_key": chosen["secret"],
        "token": chosen["token"],
        "region": chosen["region"],
    }


def test_ten_thousand_hostile_values_are_read_back_or_refused():
    for chosen, text in carried(render, 31):
        assert read(text) == expected(chosen)


def test_the_reader_of_these_tests_sees_an_expression():
    for text in ("${x}", 'a"', "%{if x}", "\\n"):
        with pytest.raises(AssertionError):
            read_quoted(text)


def terraform(folder, *arguments, stdin=""):
    done = subprocess.run(
        [need("terraform"), *arguments],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TF_CLI_CONFIG_FILE": os.devnull,
            "CHECKPOINT_DISABLE": "1",
        },
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    return done.stdout


def test_terraform_reads_hostile_values_back(tmp_path):
    found = list(carried(render, 32, 2_500 if DEEP else 600))
    blocks = []
    for number, (_, text) in enumerate(found):
        settings = [line for line in text.splitlines() if SETTING.fullmatch(line)]
        blocks.append("\n".join([f"  v{number} = {{", *settings, "  }"]))
    (tmp_path / "main.tf").write_text("locals {\n" + "\n".join(blocks) + "\n}\n")
    names = ", ".join(f"local.v{number}" for number in range(len(found)))
    printed = terraform(tmp_path, "console", stdin=f"base64encode(jsonencode([{names}]))\n")
    read_back = json.loads(base64.b64decode(printed))
    assert read_back == [expected(chosen) for chosen, _ in found]


def test_terraform_takes_the_whole_override_file(tmp_path):
    (tmp_path / "main.tf").write_text('provider "aws" {\n  profile = "mine"\n}\n')
    text = render(snippet(endpoint_url="http://127.0.0.1:5000"))
    (tmp_path / "chainweb_override.tf").write_text(text)
    # fmt parses, and has nothing to put right.
    assert terraform(tmp_path, "fmt", "-check", "-diff") == ""
