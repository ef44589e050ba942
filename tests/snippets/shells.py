"""Run the real shells in a folder of their own with only a test's environment."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

# Each reads a script file; the start-up files of whoever runs the tests are left out.
COMMANDS = {
    "bash": ["bash", "--norc", "--noprofile"],
    "bash with history expansion": [
        "bash",
        "--norc",
        "--noprofile",
        "-o",
        "history",
        "-o",
        "histexpand",
    ],
    "sh of bash": ["bash", "--norc", "--noprofile", "--posix"],
    "dash": ["dash"],
    "zsh": ["zsh", "-f"],
    "zsh with odd options": [
        "zsh",
        "-f",
        "-o",
        "rcquotes",
        "-o",
        "extendedglob",
        "-o",
        "nullglob",
        "-o",
        "ksharrays",
    ],
    "fish": ["fish", "--no-config"],
}
POSIX = [name for name in COMMANDS if name != "fish"]

# What may be left of another identity in a terminal: all that must be gone after a snippet, spelt
# out once more.
LEFT_OVER_IN_SIMULATION = {
    "AWS_ENDPOINT_URL_STS": "left-over",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
}
LEFT_OVER = dict.fromkeys(
    (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_ACCESS_KEY",
        "AWS_SECRET_KEY",
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_SESSION_EXPIRATION",
        "AWS_ACCOUNT_ID",
        "AWS_CREDENTIAL_SCOPE",
        "AWS_BEARER_TOKEN_BEDROCK",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_ROLE_ARN",
        "AWS_ROLE_SESSION_NAME",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_VAULT",
        "AWSUME_PROFILE",
        "AWS_SSO_PROFILE",
        "SAML2AWS_PROFILE",
    ),
    "left-over",
)


def need(shell: str) -> None:
    """Skip the test where the shell is absent; fail it where it must be there."""
    if shutil.which(shell) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{shell} is not installed", pytrace=False)
        pytest.skip(f"{shell} is not installed")


def run(
    name: str, script: str, folder: Path, environment: Mapping[str, str] | None = None
) -> bytes:
    """Return what the script printed. It stands beside, not in, the folder it runs in."""
    command = COMMANDS[name]
    need(command[0])
    file = folder.with_name(f"{folder.name}-script")
    file.write_text(script, encoding="utf-8")
    done = subprocess.run(
        [*command, str(file)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C", **(environment or {})},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert done.stderr == b"", done.stderr[:2000].decode(errors="replace")
    return done.stdout


def workplace(tmp_path: Path) -> Path:
    """Make a folder with something in it for wildcards to find."""
    folder = tmp_path / "work"
    folder.mkdir()
    for name in ("a", "b", "x"):
        (folder / name).touch()
    return folder


def assert_untouched(folder: Path) -> None:
    """No payload ran: nothing has come into the folder."""
    assert sorted(each.name for each in folder.iterdir() if not each.name.startswith(".")) == [
        "a",
        "b",
        "x",
    ]
