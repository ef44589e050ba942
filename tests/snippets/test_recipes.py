"""Read the recipes as shells do, and run with the real AWS CLI those that need no network."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from sessions.snippets import FORMATS, Group
from tests.snippets.hostile import PROFILES, snippet, texts
from tests.snippets.readers import need
from tests.snippets.shells import COMMANDS, assert_untouched, run, workplace

RECIPES = [key for key, each in FORMATS.items() if each.group is Group.RECIPES]
AWS = Path(sys.executable).with_name("aws")
PROGRAMS = ("aws", "docker", "kubectl", "echo")


def odd_snippets(key, seed, count):
    """Yield what a recipe carries of hostile profiles, regions and accounts."""
    hostile = texts(seed)
    refused = 0
    for _ in range(count):
        odd = hostile.chance.random()
        values = {
            "profile": hostile.chance.choice([*PROFILES, hostile.any()]) if odd < 0.8 else "dev",
            "region": hostile.any() if odd > 0.7 else "eu-west-1",
            "account": hostile.any() if odd > 0.9 else "111122223333",
        }
        try:
            yield values, FORMATS[key].render(snippet(**values))
        except ValueError:
            refused += 1
    assert refused > count // 10


@pytest.mark.parametrize("key", RECIPES)
def test_ten_thousand_hostile_values_stay_one_plain_word_or_are_refused(key):
    for values, text in odd_snippets(key, 41, 3_400):
        words = [word for line in text.splitlines() for word in shlex.split(line)]
        assert any(word.endswith(f"--profile={values['profile']}") for word in words)
        assert any(word.endswith(f"--region={values['region']}") for word in words)


@pytest.mark.parametrize("shell", sorted(COMMANDS))
def test_every_shell_reads_the_recipes_as_the_same_words(shell, tmp_path):
    folder = workplace(tmp_path)
    texts_ = [text for key in RECIPES for _, text in odd_snippets(key, 42, 100)]
    if shell == "fish":
        shown = "; ".join(f"function {each}; printf '%s\\0' {each} $argv; end" for each in PROGRAMS)
    else:
        shown = "; ".join(f"{each}() {{ printf '%s\\0' {each} \"$@\"; }}" for each in PROGRAMS)
    # What is piped into docker goes nowhere.
    printed = run(shell, f"{shown}\n" + "".join(texts_), folder).decode()
    read = [word for word in printed.split("\0") if word]
    expected = []
    for text in texts_:
        for line in text.splitlines():
            expected += shlex.split(line.rpartition("| ")[2])
    assert read == expected
    assert_untouched(folder)


@pytest.fixture
def home(tmp_path):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(FORMATS["credentials-file"].render(snippet()))
    return tmp_path


def aws(home, line):
    """Run a line of a recipe, with other keys in the environment, which must not win."""
    program, *arguments = shlex.split(line)
    assert program == "aws"
    done = subprocess.run(
        [sys.executable, str(AWS), *arguments],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "AWS_ACCESS_KEY_ID": "AKIAI44QH8DHBEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_presigned_link_is_signed_by_the_profile_and_says_when_it_dies(home):
    line, said = FORMATS["presign"].render(snippet()).splitlines()
    link = urlsplit(aws(home, line))
    query = parse_qs(link.query)
    assert "ASIAIOSFODNN7EXAMPLE" in (query.get("AWSAccessKeyId") or query["X-Amz-Credential"])[0]
    assert "This link dies with the credentials that sign it." in said
    assert "Those of now end at 2026-11-24T12:30:15Z." in said


def test_a_database_token_is_signed_by_the_profile(home):
    token = aws(home, FORMATS["rds"].render(snippet()).strip())
    assert "X-Amz-Credential=ASIAIOSFODNN7EXAMPLE" in token
    assert token.startswith("HOST:5432/")


def test_kubectls_plugin_asks_by_its_own_profile(home):
    need("kubectl")
    file = home / "kubeconfig"
    file.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts:\n- name: x\n  context: {}\n"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": str(file)}
    text = FORMATS["kubectl"].render(snippet())
    subprocess.run(["sh", "-c", text], env=environment, check=True, capture_output=True)
    config = yaml.safe_load(file.read_text())
    [user] = config["users"]
    assert config["contexts"][0]["context"]["user"] == user["name"] == "chainweb-dev"
    words = [user["user"]["exec"]["command"], *user["user"]["exec"]["args"]]
    answer = json.loads(aws(home, shlex.join(words)))
    assert answer["kind"] == "ExecCredential"
    undo = FORMATS["kubectl"].undo(snippet())
    subprocess.run(["sh", "-c", undo], env=environment, check=True, capture_output=True)
    assert not yaml.safe_load(file.read_text())["users"]


def test_the_plugins_arguments_are_the_real_ones(home):
    """Run the words of the recipe without kubectl, which CI does not have."""
    line = FORMATS["kubectl"].render(snippet()).splitlines()[0]
    words = [word.partition("=")[2] for word in shlex.split(line) if word.startswith("--exec-arg")]
    assert json.loads(aws(home, shlex.join(["aws", *words])))["status"]["token"]


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", "111122223333.dkr.ecr.eu-west-1.amazonaws.com"),
        ("cn-north-1", "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "111122223333.dkr.ecr.us-gov-west-1.amazonaws.com"),
    ],
)
def test_the_registry_is_the_one_of_the_regions_partition(region, host):
    assert FORMATS["ecr"].render(snippet(region=region)).split()[-1] == host
    assert FORMATS["ecr"].undo(snippet(region=region)).split()[-1] == host


def test_an_account_that_is_not_known_is_left_to_the_reader():
    assert " ACCOUNT.dkr.ecr." in FORMATS["ecr"].render(snippet(account=""))
