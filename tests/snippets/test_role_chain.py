import pytest
from botocore.configloader import load_config

from sessions.snippets import FORMATS, ChainStep
from tests.snippets.hostile import PROFILES, snippet, texts

render = FORMATS["role-chain"].render
ROOT = ChainStep("landing", "eu-west-1")


def step(profile="dev", name="Deploy", **settings):
    values = {"region": "eu-west-1", "role_session_name": "ada"} | settings
    return ChainStep(profile, role_arn=f"arn:aws:iam::111122223333:role/{name}", **values)


def read_by_botocore(text, tmp_path):
    file = tmp_path / "config"
    file.write_text(f"[profile neighbour]\nregion = x\n{text}[profile next]\nregion = y\n")
    return load_config(str(file))["profiles"]


def test_each_hop_is_assumed_from_the_one_before(tmp_path):
    chain = (ROOT, step("hub", "Hub", external_id="x-1"), step("dev"))
    assert read_by_botocore(render(snippet(chain=chain)), tmp_path) == {
        "neighbour": {"region": "x"},
        "hub": {
            "role_arn": "arn:aws:iam::111122223333:role/Hub",
            "source_profile": "landing",
            "role_session_name": "ada",
            "external_id": "x-1",
            "region": "eu-west-1",
        },
        "dev": {
            "role_arn": "arn:aws:iam::111122223333:role/Deploy",
            "source_profile": "hub",
            "role_session_name": "ada",
            "region": "eu-west-1",
        },
        "next": {"region": "y"},
    }


def test_profiles_of_one_name_are_told_apart_and_the_last_keeps_its(tmp_path):
    chain = (
        ChainStep("default", "eu-west-1"),
        step("default", "A"),
        step("default-hop0", "B"),
        step("default", "C"),
    )
    found = read_by_botocore(render(snippet(chain=chain)), tmp_path)
    name, roles = "default", []
    while "role_arn" in found.get(name, {}):
        roles.append(found[name]["role_arn"][-1])
        name = found[name]["source_profile"]
    assert roles == ["C", "B", "A"]
    assert name not in found


def test_the_device_of_the_root_is_asked_for_at_the_first_hop(tmp_path):
    root = ChainStep("landing", "eu-west-1", mfa_serial="arn:aws:iam::111122223333:mfa/ada")
    found = read_by_botocore(
        render(snippet(chain=(root, step("hub", "Hub"), step("dev")))), tmp_path
    )
    assert found["hub"]["mfa_serial"] == "arn:aws:iam::111122223333:mfa/ada"
    assert "mfa_serial" not in found["dev"]


def test_what_such_a_file_cannot_say_is_named():
    chain = (ROOT, step("dev", not_carried=("session tags", "source identity")))
    assert "session tags, source identity of dev" in render(snippet(chain=chain))


def test_a_root_is_no_chain():
    with pytest.raises(ValueError, match="no role"):
        render(snippet(chain=(ROOT,)))


def test_ten_thousand_hostile_values_are_read_back_by_botocore_or_refused(tmp_path):
    hostile = texts(40)
    carried = refused = 0
    marks = "_+,.@:-"
    for _ in range(2_000):
        odd = hostile.any if hostile.chance.random() < 0.3 else lambda: hostile.tame(marks)
        values = {"role_session_name": odd(), "external_id": odd(), "region": odd()}
        profiles = [hostile.chance.choice([*PROFILES, hostile.any()]) for _ in range(2)]
        chain = (ChainStep(profiles[0], "eu-west-1"), step(profiles[1], odd(), **values))
        try:
            text = render(snippet(chain=chain))
        except ValueError:
            refused += 1
            continue
        carried += 1
        found = read_by_botocore(text, tmp_path)
        assert set(found) == {"neighbour", profiles[1], "next"}
        assert found[profiles[1]] == {
            "role_arn": chain[1].role_arn,
            "source_profile": found[profiles[1]]["source_profile"],
            **values,
        }
    assert carried > 200
    assert refused > 500
