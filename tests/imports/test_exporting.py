"""An export gives back what was imported, with what has changed since, and no secret."""

import json

import pytest
import yaml

from sessions.imports.exporting import FORMATS, Team, write_aws_config
from sessions.imports.plan import CHAINED
from sessions.imports.profiles import SECRET_SETTINGS
from sessions.imports.reading import File, read
from tests.imports.botocores import profile_map
from tests.imports.samples import SAMPLES, folder_files

LEVELS = {"profiles", "sso_sessions", "services"}
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def team_of(plan, **changes):
    """Make a team in which all that is usable was imported."""
    sessions = {item.key: item for item in plan if item.is_usable}
    for item in sessions.values():
        item.settings.pop("access_key_id", None)
    kept = {each.header: dict(each.values) for each in plan.kept}
    return Team("platform", sessions, kept, {key: key for key in sessions}, **changes)


def without_secrets(found):
    """Return what botocore reads, without keys; a section that is none of its own is flat."""
    return {
        kind: {name: _plain(values) for name, values in part.items()}
        if kind in LEVELS
        else _plain(part)
        for kind, part in found.items()
    }


def _plain(values):
    return {key: each for key, each in values.items() if key not in SECRET_SETTINGS}


def equivalent(text, name="config"):
    """Check botocore's reading of an export against that of what was imported."""
    plan = read([File(name, text)])
    assert not plan.refused
    return without_secrets(profile_map(write_aws_config(team_of(plan))))


@pytest.mark.parametrize("text", SAMPLES.values(), ids=SAMPLES)
def test_a_config_is_given_back_as_it_was(text):
    found = profile_map(text)
    assert equivalent(text) == without_secrets(found)


@pytest.mark.parametrize("path", folder_files(".config"), ids=lambda path: path.name)
def test_a_config_of_the_folder_is_given_back_as_it_was(path):
    text = path.read_text()
    found = profile_map(text)
    if found is None:
        assert read([File("config", text)]).refused
    else:
        assert equivalent(text) == without_secrets(found)


@pytest.mark.parametrize("path", folder_files(".credentials"), ids=lambda path: path.name)
def test_a_credentials_file_comes_back_as_profiles(path):
    text = path.read_text()
    sections = profile_map(text)
    names = {name: values for name, values in sections.items() if name not in LEVELS}
    names |= sections["profiles"]
    found = equivalent(text, "credentials")
    assert found["profiles"] == {name: _plain(values) for name, values in names.items()}


def changed(text, key, **settings):
    plan = read([File("config", text)])
    team = team_of(plan)
    item = team.sessions[key]
    for name, value in settings.items():
        if name in ("region", "source"):
            setattr(item, name, value)
        else:
            item.settings[name] = value
    return profile_map(write_aws_config(team))["profiles"]


def test_a_change_since_is_written_and_all_else_left():
    text = SAMPLES["chain"]
    before = profile_map(text)["profiles"]
    after = changed(text, "top", external_id="xyz", region="eu-west-3")
    assert after["top"] == before["top"] | {"external_id": "xyz", "region": "eu-west-3"}
    assert after["mid"] == before["mid"]


def test_a_new_assumer_is_the_new_source():
    assert changed(SAMPLES["chain"], "top", source="base")["top"]["source_profile"] == "base"


def test_what_was_deleted_is_not_given_back():
    plan = read([File("config", SAMPLES["chain"])])
    team = team_of(plan)
    gone = Team("platform", {k: v for k, v in team.sessions.items() if k != "top"}, *rest(team))
    found = profile_map(write_aws_config(gone))["profiles"]
    assert found.keys() == profile_map(SAMPLES["chain"])["profiles"].keys() - {"top"}


def rest(team):
    return team.kept, team.became


@pytest.mark.parametrize("text", SAMPLES.values(), ids=SAMPLES)
@pytest.mark.parametrize("form", FORMATS)
def test_no_format_has_a_secret_or_anybodys_command(form, text):
    team = team_of(read([File("config", text)]))
    others = Team(team.slug, team.sessions, {}, {})
    written = FORMATS[form].write(others)
    assert SECRET not in written
    assert "credential_process" not in written


@pytest.mark.parametrize("name", ["chain", "identity center", "own source", "machine"])
@pytest.mark.parametrize("form", ["aws-config", "granted-registry", "leapp", "aws-sso"])
def test_another_persons_export_reads_as_the_same_chains(form, name):
    plan = read([File("config", SAMPLES[name])])
    team = team_of(plan)
    text = FORMATS[form].write(Team(team.slug, team.sessions, {}, {}))
    if form == "leapp":
        assert json.loads(text)["_workspaceVersion"] == 7
    if form == "aws-sso":
        assert "SSOConfig" in yaml.safe_load(text)
    again = read([File("export", text)])
    roles = {
        tuple(each.settings.get("role_arn", each.kind) for each in plan.chain_of(item))
        for item in plan
        if item.kind == CHAINED and item.is_usable
    }
    found = {
        tuple(each.settings.get("role_arn", each.kind) for each in again.chain_of(item))
        for item in again
        if item.kind == CHAINED and item.is_usable
    }
    # Leapp knows no machine, aws-sso-cli nothing but Identity Center.
    if form == "leapp":
        roles = {each for each in roles if each[0] in ("iam-user", "identity-center")}
    if form == "aws-sso":
        roles = {each for each in roles if each[0] == "identity-center"}
    assert found == roles
