"""Real config files, and AWS's own table of chains, are read as they should be.

The files are not part of this repository, for some have no licence: `AWS_CONFIG_SAMPLES` and
`NEIGHBOUR_SAMPLES` name the folders that hold them. What each is stands in `samples.json`: what is
refused with which line, and the chains of the rest.
"""

import json
from pathlib import Path

import pytest

from sessions.imports.ini import write_ini
from sessions.imports.plan import CHAINED
from sessions.imports.reading import File, read
from tests.imports.samples import FOLDERS, folder_files

EXPECTED = json.loads(Path(__file__).with_name("samples.json").read_text())
needs_samples = pytest.mark.skipif(not all(FOLDERS), reason="the folders of samples are not named")


def reading_of(path):
    """Return what is made of a file: {row: chain, or line of the refusal}."""
    plan = read([File(path.name, path.read_text())])
    if plan.refused:
        return [plan.refused[0].line]
    return {
        item.name: item.refusal.line
        if item.refusal
        else [each.name for each in plan.chain_of(item)]
        if item.kind == CHAINED
        else item.kind
        for item in plan
    }


@needs_samples
def test_every_sample_is_listed():
    files = {path.name for path in folder_files("") if path.suffix != ".md"}
    assert files - {"expected-chains.json"} == EXPECTED.keys()


@needs_samples
@pytest.mark.parametrize("name", EXPECTED)
def test_every_sample_is_what_it_is(name):
    [path] = [each for each in folder_files(name) if each.name == name]
    assert reading_of(path) == EXPECTED[name]


@needs_samples
def test_chains_are_those_of_awss_own_table():
    [path] = folder_files("expected-chains.json")
    for case in json.loads(path.read_text()):
        given, expected = case["input"], case["output"]
        sections = {f"profile {name}": values for name, values in given["profiles"].items()}
        sections |= {
            f"sso-session {name}": values for name, values in given.get("sso_sessions", {}).items()
        }
        # Nine digits, and a region that is none, stand for real ones there.
        text = write_ini(sections.items()).replace("::123456789:", "::111122223333:")
        text = text.replace("us-east-7", "us-east-1").replace(" arn:foo", " arn:aws:iam::1:role/F")
        plan = read([File("config", text)])
        item = plan.items[given["selected_profile"]]
        chain = plan.chain_of(item)
        if "Error" in expected:
            assert any(each.refusal for each in chain) or not chain[0].secrets, case["docs"]
            continue
        found = [each.settings.get("role_arn") or each.kind for each in chain]
        wanted = [_step(each) for each in expected["ProfileChain"]]
        assert found == wanted, case["docs"]


KINDS = {"AccessKey": "iam-user", "NamedSource": "ambient", "Sso": "identity-center"}


def _step(step):
    [(kind, values)] = step.items()
    if isinstance(values, dict) and "role_arn" in values:
        return values["role_arn"].replace("::123456789:", "::111122223333:")
    return KINDS[kind]
