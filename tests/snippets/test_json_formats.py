"""Read the formats that are JSON: raw, VS Code's settings, a devcontainer.json."""

import json

import pytest

from sessions.snippets import FORMATS
from tests.snippets.hostile import carried, environment_of, snippet
from tests.snippets.shells import LEFT_OVER


def without_comments(text):
    """Drop the lines that JSON with comments begins with."""
    return json.loads("\n".join(line for line in text.splitlines() if not line.startswith("//")))


def test_ten_thousand_hostile_values_are_read_back_from_raw_json():
    for chosen, text in carried(FORMATS["json"].render, 27):
        assert json.loads(text) == {
            "Credentials": {
                "AccessKeyId": chosen["key_id"],
                "SecretAccessKey": chosen["secret"],
                "SessionToken": chosen["token"],
                "Expiration": "2026-11-24T12:30:15Z",
            },
            "AccountId": "111122223333",
            "Region": chosen["region"],
        }


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("vscode", [f"terminal.integrated.env.{each}" for each in ("linux", "osx", "windows")]),
        ("devcontainer", ["remoteEnv"]),
    ],
)
def test_ten_thousand_hostile_values_are_read_back_from_editors_files(key, names):
    for chosen, text in carried(FORMATS[key].render, 28):
        removed = dict.fromkeys(LEFT_OVER)
        assert without_comments(text) == dict.fromkeys(names, removed | environment_of(chosen))


@pytest.mark.parametrize("key", ["vscode", "devcontainer"])
@pytest.mark.parametrize("value", ["${env:HOME}", "${localEnv:HOME}", "${command:x}"])
def test_what_an_editor_would_replace_is_refused(key, value):
    with pytest.raises(ValueError, match="cannot carry"):
        FORMATS[key].render(snippet(token=value))
