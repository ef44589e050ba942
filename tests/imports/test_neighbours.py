"""Files of neighbouring tools become sessions, and what cannot says why, by line."""

import json
import os
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.imports.leapp import DECRYPT_COMMANDS
from sessions.imports.reading import AESR, AWS_SSO, FORMATS, GRANTED, LEAPP, File, format_of, read

WORKSPACE = {
    "_workspaceVersion": 7,
    "_defaultRegion": "eu-west-2",
    "_profiles": [{"id": "p1", "name": "default"}],
    "_awsSsoIntegrations": [
        {"id": "i1", "portalUrl": "https://a.awsapps.com/start", "region": "eu-west-1"}
    ],
    "_proxyConfiguration": {"password": "hunter2"},
    "_ssmTunnels": [{"id": "t"}],
    "_sessions": [
        {
            "sessionId": "s1",
            "type": "awsIamUser",
            "sessionName": "landing",
            "profileId": "p1",
            "mfaDevice": "arn:aws:iam::111122223333:mfa/maria",
        },
        {
            "sessionId": "s2",
            "type": "awsIamRoleChained",
            "sessionName": "bastion",
            "region": "eu-west-1",
            "roleArn": "arn:aws:iam::111122223333:role/Bastion",
            "profileId": "p1",
            "parentSessionId": "s1",
            "roleSessionName": "assumed-from-leapp",
        },
        {
            "sessionId": "s3",
            "type": "awsIamRoleChained",
            "sessionName": "lost",
            "roleArn": "arn:aws:iam::111122223333:role/Lost",
            "parentSessionId": "gone",
        },
        {
            "sessionId": "s4",
            "type": "awsSsoRole",
            "sessionName": "reader",
            "roleArn": "arn:aws:iam::777788889999:role/ReadOnly",
            "awsSsoConfigurationId": "i1",
        },
        {"sessionId": "s5", "type": "awsIamRoleFederated", "sessionName": "saml"},
        {"sessionId": "s6", "type": "azure", "sessionName": "blue"},
        "odd",
    ],
}
VIA = """\
SSOConfig:
  Default:
    SSORegion: us-east-1
    StartUrl: https://a.awsapps.com/start
    Accounts:
      011122223333:
        Roles:
          Base: {}
      444455556666:
        Roles:
          Target:
            Via: arn:aws:iam::011122223333:role/Base
            ExternalId: abc
          Far:
            Via: arn:aws:iam::444455556666:role/Target
"""
SWITCH = """\
[base]
aws_account_id = 111122223333 ; signed in here
target_role_name = Developer

[profile dev]
aws_account_id = 444455556666
source_profile = base

[other]
aws_account_id = an-alias
role_name = Role

[loose]
role_arn = arn:aws:iam::444455556666:role/Loose
color = ff0000
"""


def plan_of(text, name="file"):
    return read([File(name, text)])


def refusal(item):
    return (item.refusal.line, item.refusal.message) if item.refusal else None


def test_a_workspace_of_leapp_becomes_chains():
    plan = plan_of(json.dumps(WORKSPACE, indent=1))
    assert [each.key for each in plan.chain_of(plan.items["bastion"])] == ["landing", "bastion"]
    landing, bastion = plan.items["landing"], plan.items["bastion"]
    assert landing.settings == {"mfa_serial": "arn:aws:iam::111122223333:mfa/maria"}
    assert (landing.region, landing.profile, bastion.profile) == ("eu-west-2", "default", "default")
    # What names nobody is left to the team.
    assert bastion.settings.keys() == {"role_arn"}
    assert plan.items["reader"].settings == {
        "start_url": "https://a.awsapps.com/start",
        "sso_region": "eu-west-1",
        "account_id": "777788889999",
        "role_name": "ReadOnly",
    }
    assert "parent session" in refusal(plan.items["lost"])[1]
    assert refusal(plan.items["saml"])[1] == "A SAML federated role cannot be imported."
    assert refusal(plan.items["blue"])[1] == "A session of the type “azure” is not imported."
    assert plan.items["bastion"].line > plan.items["landing"].line > 1


def test_an_encrypted_workspace_is_refused_with_the_way_out():
    [note] = plan_of("U2FsdGVkX1+abc").refused
    assert "From Leapp" in note.message


def test_the_linux_command_decrypts_and_strips_a_workspace(tmp_path):
    home, bin_folder = tmp_path / "home", tmp_path / "bin"
    (home / ".Leapp").mkdir(parents=True)
    bin_folder.mkdir()
    # The machine's id, whatever it is here, as the command itself finds it.
    [command] = [each.text for each in DECRYPT_COMMANDS if each.label == "Linux"]
    find = command.splitlines()[0]
    own = f"{find}\nprintf %s \"$id\" | sha256sum | cut -d' ' -f1"
    key = subprocess.run(["sh", "-c", own], capture_output=True, text=True, check=True).stdout
    subprocess.run(
        [
            *("openssl", "enc", "-aes-256-cbc", "-md", "md5", "-salt", "-a", "-A"),
            *("-pass", "env:KEY", "-out", str(home / ".Leapp" / "Leapp-lock.json")),
        ],
        input=json.dumps(WORKSPACE).encode(),
        env={**os.environ, "KEY": key.strip()},
        check=True,
        capture_output=True,
    )
    subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env={**os.environ, "HOME": str(home)}, check=True
    )
    text = (tmp_path / "leapp-export.json").read_text()
    assert "hunter2" not in text
    assert plan_of(text).items["bastion"].is_usable


def test_via_is_the_role_that_another_is_assumed_from():
    plan = plan_of(VIA)
    chain = [each.name for each in plan.chain_of(plan.items["444455556666:Far"])]
    assert chain == ["011122223333:Base", "444455556666:Target", "444455556666:Far"]
    assert plan.items["011122223333:Base"].settings["account_id"] == "011122223333"
    assert plan.items["444455556666:Target"].settings["external_id"] == "abc"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("SSOConfig: &a\n  b: *a\n", 1, "Anchors"),
        ("SSOConfig:\n  a: {b: [}\n", 2, "no YAML"),
        ("SSOConfig:\n  a: 1\n  a: 2\n", 3, "there twice"),
        ("SSOConfig: " + "[" * 5000, 1, "nested too deeply"),
        ("SSOConfig: 7\n", 1, "no SSOConfig"),
        ("awsConfig: []\n", 1, "lists no files"),
        ("SSOConfig:\n" + "x" * 300_000, 1, "256 KB"),
        ('{"_sessions": 7}', 1, "no list “_sessions”"),
        ('{\n"a": }', 2, "no JSON"),
        ("{" + '"a":[' * 100_000, 1, "JSON"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_line(text, line, said):
    [note] = plan_of(text).refused
    assert (note.line, said in note.message) == (line, True), note


def test_targets_of_aesr_hang_on_what_stands_for_their_base():
    plan = plan_of(SWITCH)
    dev = plan.items["dev"]
    assert dev.settings["role_arn"] == "arn:aws:iam::444455556666:role/Developer"
    assert (dev.source, refusal(plan.items["base"])[0]) == ("base", 1)
    assert "an-alias" in refusal(plan.items["other"])[1]
    assert plan.items["loose"].source == "signed in"


def test_a_registry_names_the_files_to_import():
    plan = plan_of(
        "awsConfig:\n  - ./a.ini\ntemplateValues:\n  - NAME:\n      - prompt: Your name\n"
    )
    assert [note.line for note in plan.remarks] == [2, 4]


@pytest.mark.parametrize(
    ("text", "form"),
    [(json.dumps(WORKSPACE), LEAPP), (VIA, AWS_SSO), (SWITCH, AESR), ("awsConfig: [a]", GRANTED)],
)
def test_a_file_is_told_by_what_is_in_it(text, form):
    assert format_of(File("file", text)) == form


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
)
FIELD = st.sampled_from([*WORKSPACE["_sessions"][1], "mfaDevice", "awsSsoConfigurationId"])


@given(
    sessions=st.lists(
        st.dictionaries(
            FIELD,
            st.sampled_from(
                ["awsIamRoleChained", "awsIamUser", "awsSsoRole", "s1", "i1", "arn:x:iam::1:role/R"]
            )
            | JSON,
        )
        | JSON,
        max_size=5,
    ),
    more=st.dictionaries(st.sampled_from(list(WORKSPACE)), JSON),
)
def test_any_json_is_a_workspace_or_refused(sessions, more):
    plan = plan_of(json.dumps({"_sessions": sessions} | more))
    assert all(item.refusal or item.kind for item in plan)


@given(
    form=st.sampled_from(list(FORMATS)),
    text=st.text(max_size=100)
    | st.lists(
        st.sampled_from([*VIA.splitlines(), *SWITCH.splitlines(), "- x", "  y: z", "? a", "!!b c"])
    ).map("\n".join),
)
def test_any_text_is_read_or_refused_as_any_format(form, text):
    plan = read([File("file", text, form)])
    assert all(item.refusal or item.kind for item in plan)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(
            {
                "_sessions": [
                    WORKSPACE["_sessions"][1]
                    | {"sessionId": f"s{each}", "parentSessionId": f"s{each + 1}"}
                    for each in range(4_000)
                ]
            }
        ),
        "".join(
            f"[r{each}]\nrole_name = R\naws_account_id = 111122223333\n" for each in range(9_000)
        ),
        "SSOConfig:\n  D:\n    Accounts:\n      '1':\n        Roles:\n"
        + "".join(f"          R{each}: {{}}\n" for each in range(10_000)),
    ],
    ids=[LEAPP, AESR, AWS_SSO],
)
def test_ten_thousand_roles_are_read_in_linear_time(text):
    began = time.process_time()
    assert len(plan_of(text).items) >= 4_000
    assert time.process_time() - began < 8
