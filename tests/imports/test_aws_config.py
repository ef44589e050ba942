"""Profiles become the sessions that AWS tools would make of them, or say why not, by line."""

import time

import pytest

from sessions.imports.reading import CREDENTIALS, File, read
from tests.imports.botocores import profile_map

KEY = "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\n"
SECRET = "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n"
ROLE = "role_arn = arn:aws:iam::111122223333:role/Deploy\n"


def plan_of(config, credentials=""):
    files = [File("config", config)] + ([File("credentials", credentials)] if credentials else [])
    return read(files)


def chain(plan, key):
    return [each.key for each in plan.chain_of(plan.items[key])]


def refusal(item):
    return (item.refusal.line, item.refusal.message) if item.refusal else None


def said(item):
    return " ".join(f"{note.line}: {note.message}" for note in item.notes)


def test_a_chain_of_roles_rests_on_a_key():
    plan = plan_of(
        f"[profile top]\nsource_profile = mid\n{ROLE}external_id = abc\n\n"
        f"[profile mid]\n{ROLE}source_profile = base\n\n[profile base]\n{KEY}{SECRET}"
    )
    assert chain(plan, "top") == ["base", "mid", "top"]
    assert plan.items["top"].settings == {
        "role_arn": "arn:aws:iam::111122223333:role/Deploy",
        "external_id": "abc",
    }
    base = plan.items["base"]
    assert (base.kind, base.settings) == ("iam-user", {"access_key_id": "AKIAIOSFODNN7EXAMPLE"})
    assert list(base.secrets) == ["secret_access_key"]


def test_keys_of_the_credentials_file_win_and_its_profiles_need_no_prefix():
    plan = plan_of(
        f"[profile top]\n{ROLE}source_profile = base\n", f"[base]\n{KEY}{SECRET}region = eu-west-1"
    )
    assert chain(plan, "top") == ["base", "top"]
    assert plan.items["base"].region == "eu-west-1"


def test_key_and_role_under_one_name_become_two():
    plan = plan_of(f"[profile both]\n{KEY}{SECRET}{ROLE}source_profile = both\n")
    role, key = plan.items["both"], plan.items["both key"]
    assert (role.kind, role.source, key.kind) == ("iam-role-chained", "both key", "iam-user")
    assert (role.profile, key.profile, key.alias) == ("both", "both", "both key")


def test_a_role_that_sources_itself_without_a_key_asks_for_one():
    plan = plan_of(f"[profile both]\n{ROLE}source_profile = both\n")
    assert chain(plan, "both") == ["both key", "both"]
    assert "access_key_id" not in plan.items["both key"].settings


def test_a_source_with_key_and_role_gives_its_key():
    plan = plan_of(
        f"[profile a]\n{ROLE}source_profile = b\n"
        f"[profile b]\n{KEY}{SECRET}{ROLE}source_profile = c\n[profile c]\n{KEY}{SECRET}"
    )
    assert chain(plan, "a") == ["b key", "a"]
    assert chain(plan, "b") == ["c", "b"]


def test_a_role_whose_chain_returns_to_its_own_key_is_a_circle():
    plan = plan_of(
        f"[profile a]\n{KEY}{SECRET}{ROLE}source_profile = b\n"
        f"[profile b]\n{ROLE}source_profile = a\n"
    )
    assert refusal(plan.items["a"])[0] == 5
    assert chain(plan, "b") == ["a key", "b"]


def test_a_circle_is_named_with_its_line():
    plan = plan_of(
        f"[profile a]\n{ROLE}source_profile = b\n[profile b]\n{ROLE}source_profile = a\n"
        f"[profile c]\n{ROLE}source_profile = a\n"
    )
    assert refusal(plan.items["a"]) == (3, "The chain goes in a circle: a → b → a.")
    assert refusal(plan.items["b"]) == (6, "The chain goes in a circle: a → b → a.")
    assert plan.items["c"].source == "a"


@pytest.mark.parametrize(
    ("settings", "line", "message"),
    [
        (ROLE, 2, "needs source_profile or credential_source"),
        (f"{ROLE}source_profile = gone\n", 3, "names gone, which is not in the file"),
        (f"{ROLE}credential_source = Elsewhere\n", 3, "no credential_source “Elsewhere”"),
        (f"{ROLE}source_profile = default\ncredential_source = Environment\n", 4, "both there"),
        ("role_arn = CIRole\nsource_profile = default\n", 2, "A role ARN looks like"),
        ("role_arn =\nsource_profile = default\n", 2, "role_arn is empty"),
        ("web_identity_token_file = /t\n", 2, "needs role_arn"),
        ("credential_process = pass show x\n", 2, "A command (credential_process)"),
        ("login_session = arn:aws:iam::111122223333:user/a\n", 2, "aws login"),
        ("region = eu-west-1\n", 1, "settings alone"),
        ("source_profile = default\n", 2, "source_profile without role_arn"),
        ("mfa_serial = arn:aws:iam::ACCOUNT:mfa/a\n", 2, "is not 12 digits"),
        (f"{KEY}{SECRET}aws_session_token = t\n", 4, "temporary"),
        (f"{KEY}{SECRET}region = us-east-7\n", 4, "There is no AWS region"),
        ("sso_session = gone\nsso_account_id = 111122223333\n", 2, "no [sso-session gone]"),
        ("sso_start_url = https://a.awsapps.com/start\n", 1, "sso_region and sso_account_id"),
        ("include_profile = gone\n", 2, "names gone, which is not in the file"),
    ],
)
def test_one_bad_profile_is_refused_with_its_line(settings, line, message):
    plan = plan_of(f"[profile bad]\n{settings}\n[default]\n{KEY}{SECRET}\n")
    found = refusal(plan.items["bad"])
    assert found is not None
    assert (found[0], message in found[1]) == (line, True), found
    assert plan.items["default"].is_usable


def test_pairs_of_one_portal_share_its_address_however_it_is_written():
    portal = "sso_start_url = https://d-1.awsapps.com/start"
    plan = plan_of(
        f"[sso-session one]\n{portal}#/\nsso_region = eu-west-1\n"
        "[profile a]\nsso_session = one\nsso_account_id = 111122223333\nsso_role_name = R\n"
        f"[profile b]\n{portal}/\nsso_region = eu-west-1\nsso_account_id = 111122223333\n"
        "sso_role_name = R\n"
        "[profile later]\nsso_session = one\n"
    )
    one, two = plan.items["a"], plan.items["b"]
    assert one.settings == two.settings
    assert one.settings["start_url"] == "https://d-1.awsapps.com/start"
    assert "are those of “a”" in said(two)
    assert plan.items["later"].is_usable
    assert "account_id" not in plan.items["later"].settings


def test_a_profile_that_contradicts_its_sso_session_is_refused():
    plan = plan_of(
        "[sso-session s]\nsso_start_url = https://a.awsapps.com/start\nsso_region = eu-west-1\n"
        "[profile p]\nsso_session = s\nsso_region = eu-west-2\nsso_account_id = 111122223333\n"
        "sso_role_name = R\n"
    )
    assert refusal(plan.items["p"])[0] == 6


def test_granteds_names_for_identity_center_are_read():
    plan = plan_of(
        "[profile g]\ngranted_sso_start_url = https://a.awsapps.com/start\n"
        "granted_sso_region = eu-west-1\ngranted_sso_account_id = 111122223333\n"
        "granted_sso_role_name = R\ncredential_process = granted credential-process --profile g\n"
    )
    assert plan.items["g"].kind == "identity-center"
    assert plan.items["g"].is_usable


def test_the_mfa_device_of_a_role_is_its_iam_users():
    serial = "mfa_serial = arn:aws:iam::111122223333:mfa/maria\n"
    plan = plan_of(
        f"[profile a]\n{ROLE}source_profile = base\n{serial}[profile base]\n{KEY}{SECRET}"
        f"[profile m]\n{ROLE}credential_source = Ec2InstanceMetadata\n{serial}"
    )
    assert plan.items["base"].settings["mfa_serial"].endswith(":mfa/maria")
    assert "mfa_serial is dropped" in said(plan.items["m"])


def test_what_is_not_taken_over_is_said():
    plan = plan_of(
        f"[profile a]\n{ROLE}source_profile = default\nduration_seconds = 900\n"
        "external_id = a\\b\nsource_identity = me\nrole_session_name = {{ .Required.NAME }}\n"
        f"[default]\n{KEY}{SECRET}"
    )
    told = said(plan.items["a"])
    assert "4: duration_seconds is dropped" in told
    assert "5: external_id is not imported: An external ID is made of" in told
    assert "6: source_identity is dropped" in told
    assert "7: role_session_name is a placeholder" in told
    assert plan.items["a"].is_usable
    assert plan.items["a"].settings.keys() == {"role_arn"}


def test_a_missing_region_is_that_of_default_within_the_partition():
    china = "role_arn = arn:aws-cn:iam::111122223333:role/Deploy\n"
    plan = plan_of(
        f"[default]\nregion = eu-west-3\n{KEY}{SECRET}"
        f"[profile a]\n{ROLE}source_profile = default\n"
        f"[profile c]\n{china}source_profile = cn\n[profile cn]\n{KEY}{SECRET}"
    )
    assert plan.items["a"].region == "eu-west-3"
    assert plan.items["c"].region.startswith("cn-")
    assert plan.items["cn"].region.startswith("cn-")


@pytest.mark.parametrize("masked", ["XXXXXXXXXXXXXXXXXXXX", "xxxxx", "AKIA", "<your key>", "foo"])
def test_a_masked_key_is_asked_for_and_not_kept(masked):
    plan = plan_of(f"[default]\naws_access_key_id = {masked}\naws_secret_access_key = {masked}\n")
    root = plan.items["default"]
    assert (root.kind, root.settings, root.secrets) == ("iam-user", {}, {})
    assert root.is_usable
    assert "Enter the real key" in said(root)


def test_sections_without_prefix_count_in_a_credentials_file_alone():
    text = f"[base]\n{KEY}{SECRET}[dev]\n{ROLE}source_profile = base\n"
    as_config = read([File("config", text)])
    assert refusal(as_config.items["[dev]"]) == (
        4,
        "AWS tools ignore [dev] in a config file: write [profile dev].",
    )
    as_credentials = read([File("pasted", text, CREDENTIALS)])
    assert chain(as_credentials, "dev") == ["base", "dev"]
    assert read([File("pasted", text)]).items["dev"].is_usable


def test_names_outside_the_set_get_a_legal_one():
    plan = plan_of(
        f'[profile "my profile"]\n{KEY}{SECRET}[profile my-profile]\n{KEY}{SECRET}'
        f"[profile Stg)]\n{KEY}{SECRET}[profile größe]\n{KEY}{SECRET}"
        f"[profile DEFAULT]\n{KEY}{SECRET}"
    )
    found = {item.name: (item.alias, item.profile) for item in plan}
    assert found == {
        "my profile": ("my profile", "my-profile-2"),
        "my-profile": ("my-profile", "my-profile"),
        "Stg)": ("Stg)", "Stg"),
        "größe": ("größe", "gro-e"),
        "DEFAULT": ("DEFAULT", "default-2"),
    }


def test_includes_lend_what_a_profile_has_not():
    plan = plan_of(
        "[profile common]\nregion = eu-west-1\nsource_profile = root\n"
        "[profile root]\ninclude_profile = common\n"
        f"[profile dev]\ninclude_profile = common\n{ROLE}"
        "[profile x]\ninclude_profile = y\n[profile y]\ninclude_profile = x\n"
    )
    assert chain(plan, "dev") == ["root", "dev"]
    assert plan.items["root"].kind == "iam-user"
    assert plan.items["dev"].region == "eu-west-1"
    assert "circle" in refusal(plan.items["x"])[1]


def test_a_production_profile_on_staging_is_remarked():
    plan = plan_of(
        f"[profile prod-deploy]\n{ROLE}source_profile = staging\n[profile staging]\n{KEY}{SECRET}"
    )
    assert "3: A production profile rests on one of staging" in said(plan.items["prod-deploy"])


def test_secrets_are_not_kept():
    plan = plan_of(f"[default]\n{KEY}{SECRET}aws_session_token = token\ns3 =\n  a = b\n")
    [kept] = plan.kept
    assert kept.values == {
        "aws_access_key_id": "withheld",
        "aws_secret_access_key": "withheld",
        "aws_session_token": "withheld",
        "s3": "\na = b",
    }
    assert "wJalr" not in repr(plan)


def test_a_name_that_looks_like_a_key_of_ours_hides_nothing():
    text = (
        f"[profile a]\n{KEY}{SECRET}{ROLE}source_profile = a\n[profile 'a key']\n{KEY}{SECRET}"
        f"[profile 'credential_source Environment']\n{KEY}{SECRET}"
        f"[profile m]\n{ROLE}credential_source = Environment\n[profile '[x]']\n{KEY}{SECRET}[x]\n"
    )
    plan = plan_of(text)
    assert profile_map(text)["profiles"].keys() <= plan.items.keys()
    assert chain(plan, "a") == ["a key 2", "a"]
    assert chain(plan, "m") == ["credential_source Environment 2", "m"]


@pytest.mark.parametrize(
    "text",
    [
        "".join(
            f"[profile p{each}]\n{ROLE}source_profile = p{each + 1}\n" for each in range(9_000)
        ),
        "".join(f"[profile p{each}]\ninclude_profile = p{each + 1}\n" for each in range(10_000)),
        "".join(
            f"[profile p{each}]\n{ROLE}source_profile = p0\n{KEY}{SECRET}" for each in range(5_000)
        ),
        "".join(f'[profile "{" " * each}"]\nregion = eu-west-1\n' for each in range(1_200)),
    ],
    ids=["chain", "includes", "keys", "blanks"],
)
def test_ten_thousand_profiles_are_read_in_linear_time(text):
    began = time.process_time()
    plan = read([File("config", text)])
    assert time.process_time() - began < 8
    assert len(plan.items) >= 1_000
