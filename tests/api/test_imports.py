"""An import previews first; then all that is chosen is saved by the form's rules, or nothing."""

import pytest

from sessions.ledger.events.sessions import SessionCreated, SessionEdited
from sessions.models import AwsSession, Event, KeptConfig, TeamPolicy
from tests.api.tool import Api
from tests.house import TeamFixture

pytestmark = pytest.mark.django_db

KEY_ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
KEY = f"aws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n"
ROLE = "role_arn = arn:aws:iam::111122223333:role/Deploy\n"
CHAIN = (
    f"[profile top]\n{ROLE}source_profile = mid\nregion = eu-west-1\nexternal_id = abc\n"
    "[profile mid]\nrole_arn = arn:aws:iam::111122223333:role/Mid\nsource_profile = base\n"
    f"region = eu-west-1\n[profile base]\nregion = eu-west-1\n{KEY}"
)
ON_ROOT = (
    f"[profile top]\n{ROLE}source_profile = root-key\nregion = eu-west-1\n"
    "[profile root-key]\nregion = eu-west-1\n"
)


@pytest.fixture
def ada(house):
    return Api(house.token(house.ada))


@pytest.fixture
def ben(house):
    return Api(house.token(house.ben))


def body(*texts, **more):
    files = [{"name": f"config{number or ''}", "text": text} for number, text in enumerate(texts)]
    return {"files": files, **more}


def rows(answer):
    assert answer.status_code == 200, answer.content
    return {row["key"]: row for row in answer.json()["rows"]}


def test_a_preview_changes_nothing_and_shows_no_secret(house, ada):
    before, events = AwsSession.objects.count(), Event.objects.count()
    answer = ada("POST", "/import", body(CHAIN))
    found = rows(answer)
    assert [(key, row["state"], row["chosen"]) for key, row in found.items()] == [
        ("top", "new", True),
        ("mid", "new", True),
        ("base", "new", True),
    ]
    assert found["base"]["needs"] == []
    assert found["top"]["values"]["external_id"] == "abc"
    assert SECRET not in answer.content.decode()
    assert (AwsSession.objects.count(), Event.objects.count()) == (before, events)


def test_a_chain_is_imported_whole_with_one_event_each(house, ada):
    answer = ada("POST", "/import", body(CHAIN, dry_run=False))
    assert answer.status_code == 200, answer.content
    assert len(answer.json()["created"]) == 3
    assert SECRET not in answer.content.decode()
    top = AwsSession.objects.get(alias="top")
    assert [each.alias for each in top.chain()] == ["base", "mid", "top"]
    assert top.link.external_id == "abc"
    assert top.chain()[0].settings == {"access_key_id": KEY_ID}
    assert top.chain()[0].sealed_secrets
    aliases = [event.session_alias for event in house.events(SessionCreated)][-3:]
    assert aliases == ["base", "mid", "top"]
    assert SECRET not in str([event.data for event in Event.objects.all()])


def test_the_same_files_again_are_all_the_same(ada):
    ada("POST", "/import", body(CHAIN, dry_run=False))
    again = ada("POST", "/import", body(CHAIN))
    assert {row["state"] for row in rows(again).values()} == {"same"}
    assert not any(row["chosen"] for row in rows(again).values())


def test_what_differs_is_shown_and_changed_if_it_is_chosen(house, ada):
    ada("POST", "/import", body(CHAIN, dry_run=False))
    changed = CHAIN.replace("external_id = abc", "external_id = xyz")
    row = rows(ada("POST", "/import", body(changed)))["top"]
    assert (row["state"], row["chosen"]) == ("differs", False)
    assert row["changes"] == [{"field": "external_id", "was": "abc", "becomes": "xyz"}]
    answer = ada("POST", "/import", body(changed, dry_run=False, choose=["top"]))
    assert len(answer.json()["changed"]) == 1
    assert AwsSession.objects.get(alias="top").link.external_id == "xyz"
    assert len(house.events(SessionEdited)) == 1


def test_a_new_assumer_is_a_difference(ada):
    ada("POST", "/import", body(CHAIN, dry_run=False))
    moved = CHAIN.replace("source_profile = mid", "source_profile = base")
    row = rows(ada("POST", "/import", body(moved)))["top"]
    assert row["changes"] == [{"field": "assumer", "was": "mid", "becomes": "base"}]
    ada("POST", "/import", body(moved, dry_run=False, choose=["top"]))
    assert AwsSession.objects.get(alias="top").link.assumer.alias == "base"


def test_a_member_imports_chains_on_what_is_open_to_them(house, ben):
    found = rows(ben("POST", "/import", body(ON_ROOT)))
    assert (found["root-key"]["state"], found["top"]["assumer"]) == ("same", "Root key")
    assert ben("POST", "/import", body(ON_ROOT, dry_run=False)).status_code == 200
    assert AwsSession.objects.get(alias="top").link.assumer == house.root


def test_a_member_imports_no_root(ben):
    found = rows(ben("POST", "/import", body(CHAIN)))
    assert found["base"]["problems"][0]["message"] == "Only admins can add roots."
    assert found["top"]["state"] == found["mid"]["state"] == "refused"
    answer = ben("POST", "/import", body(CHAIN, dry_run=False, choose=["base", "mid"]))
    assert answer.status_code == 422
    assert set(answer.json()["fields"]) == {"base", "mid"}
    assert not AwsSession.objects.filter(alias__in=["base", "mid", "top"]).exists()


def test_a_member_builds_on_no_closed_root(house, ben):
    AwsSession.objects.filter(pk=house.root.pk).update(open_to_assume=False)
    [problem] = rows(ben("POST", "/import", body(ON_ROOT)))["top"]["problems"]
    assert problem["message"] == "You may not assume roles from “Root key”."


def test_an_auditor_imports_nothing(house):
    eve = Api(house.token(house.eve))
    assert eve("POST", "/import", body(CHAIN)).status_code == 403


def test_one_refused_row_leaves_nothing_half_saved(house, ada):
    # The rule shows only when the session is saved: another person's own name in CloudTrail.
    text = CHAIN.replace("external_id = abc", "role_session_name = ben")
    answer = ada("POST", "/import", body(text, dry_run=False))
    assert answer.status_code == 422, answer.content
    assert "“ben”" in answer.json()["fields"]["top"][0]
    assert not AwsSession.objects.filter(alias__in=["base", "mid", "top"]).exists()
    assert not KeptConfig.objects.exists()


def test_a_key_that_is_not_in_the_file_is_sent_beside_it(ada):
    text = CHAIN.replace(KEY, "")
    found = rows(ada("POST", "/import", body(text)))
    assert found["base"]["needs"] == ["access_key_id", "secret_access_key"]
    refused = ada("POST", "/import", body(text, dry_run=False))
    assert "base" in refused.json()["fields"]
    keys = {"base": {"access_key_id": KEY_ID, "secret_access_key": SECRET}}
    answer = ada("POST", "/import", body(text, dry_run=False, keys=keys))
    assert answer.status_code == 200, answer.content
    assert AwsSession.objects.get(alias="base").sealed_secrets


def test_a_session_of_the_team_stands_in_for_a_command(house, ada):
    text = (
        "[profile dev]\ncredential_process = pass show x\n"
        f"[profile top]\n{ROLE}source_profile = dev\nregion = eu-west-1\n"
    )
    found = rows(ada("POST", "/import", body(text)))
    assert "Choose a session" in found["top"]["problems"][0]["message"]
    assert found["dev"]["problems"][0]["line"] == 2
    answer = ada("POST", "/import", body(text, dry_run=False, use={"dev": str(house.root.pk)}))
    assert answer.status_code == 200, answer.content
    assert AwsSession.objects.get(alias="top").link.assumer == house.root


def test_another_teams_session_stands_in_for_nothing(house, ada):
    other = TeamFixture(house.sts, slug="other")
    answer = ada("POST", "/import", body(CHAIN, use={"base": str(other.root.pk)}))
    assert answer.status_code == 422


def test_the_policys_demand_for_a_person_drops_a_fixed_name(house, ada):
    policy = TeamPolicy.of(house.team.pk)
    policy.username_demanded = True
    policy.save()
    text = ON_ROOT.replace("region", "role_session_name = fixed\nregion", 1)
    row = rows(ada("POST", "/import", body(text)))["top"]
    assert "{username}" in row["notes"][-1]["message"]
    assert ada("POST", "/import", body(text, dry_run=False)).status_code == 200
    assert AwsSession.objects.get(alias="top").link.role_session_name == ""


def test_a_file_that_nobody_can_read_is_refused_with_its_line(ada):
    found = ada("POST", "/import", body(CHAIN, "[a]\nx = 1\n[a]\n")).json()
    assert [(each["file"], each["line"]) for each in found["refused"]] == [("config1", 3)]
    answer = ada("POST", "/import", body(CHAIN, "[a]\nx = 1\n[a]\n", dry_run=False))
    assert answer.status_code == 422
    assert "config1, line 3" in answer.json()["message"]


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"files": []},
        {"files": [{"text": 1}]},
        {"files": [{"text": "x", "more": 1}]},
        {"files": [{"text": "x", "format": "toml"}]},
        {"files": [{"text": "[a]"}], "choose": ["gone"], "dry_run": False},
        {"files": [{"text": "[a]"}], "use": {"a": "no-id"}},
        {"files": [{"text": "x"}], "keys": {"a": {"secret_access_key": 7}}},
    ],
)
def test_a_body_of_another_shape_is_refused(ada, sent):
    assert ada("POST", "/import", sent).status_code == 422


def test_a_wrong_body_with_a_secret_does_not_repeat_it(ada):
    keys = {"base": {"secret_access_key": [SECRET]}}
    answer = ada("POST", "/import", body(CHAIN, keys=keys))
    assert answer.status_code == 422
    assert SECRET not in answer.content.decode()


def test_more_than_fits_one_import_is_refused(ada):
    text = "".join(
        f"[profile p{each}]\n{ROLE}source_profile = root-key\nregion = eu-west-1\n"
        for each in range(201)
    )
    text += "[profile root-key]\nregion = eu-west-1\n"
    answer = ada("POST", "/import", body(text, dry_run=False))
    assert answer.status_code == 422
    assert "at most 200" in answer.json()["message"]
