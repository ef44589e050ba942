"""Apply a document by the API and by the command: the same, each in its own way of speaking."""

import io
import json

import pytest
from django.core.management import CommandError, call_command

from sessions.models import AwsSession
from tests.api.tool import Api
from tests.forms.declared.test_apply import FILE, ROOT, SECRET

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(house):
    return Api(house.token(house.ada))


def send(api, text, query=""):
    return api.client.post(
        f"/api/v1/apply{query}", text, content_type="application/yaml", headers=api.headers
    )


def test_yaml_and_json_are_the_same_document(house, ada):
    shown = send(ada, FILE, "?dry_run=true").json()
    assert (shown["applied"], len(shown["changes"])) == (False, 4)
    done = send(ada, FILE)
    assert done.json() == {**shown, "applied": True}
    document = {
        "sessions": [
            {
                "alias": "Hub",
                "assumer": "Root key",
                "profile": "hub",
                "region": "eu-west-1",
                "role_arn": "arn:aws:iam::111122223333:role/Hub",
                "external_id": "12345",
                "labels": ["managed"],
            }
        ]
    }
    assert ada("POST", "/apply", document).json() == {
        "applied": True,
        "unchanged": 1,
        "changes": [],
    }
    [deleted] = ada("POST", "/apply?prune=billing", document).json()["changes"]
    assert (deleted["action"], deleted["name"]) == ("delete", "Leaf")


def test_faults_are_named_by_place_and_line(house, ada):
    answer = send(ada, FILE.replace("role/Hub", "user/Hub"))
    assert answer.status_code == 422
    fields = answer.json()["fields"]
    assert fields["sessions[1].role_arn"][0].startswith("line 18: ")
    document = {"sessions": [{"alias": "X", "assumer": "Nobody"}]}
    assert [*ada("POST", "/apply", document).json()["fields"]] == ["sessions[0].assumer"]


@pytest.mark.parametrize(
    ("text", "status"), [(b"#" * 1_000_001, 413), (b"a: &x 1", 422), (ROOT.encode(), 422)]
)
def test_what_is_no_document_is_refused(ada, text, status):
    assert send(ada, text).status_code == status


@pytest.mark.parametrize("body", ["{", '{"sessions": [], "sessions": []}', "[" * 2000])
def test_json_that_is_none_is_a_400(ada, body):
    answer = ada.client.post(
        "/api/v1/apply", body, content_type="application/json", headers=ada.headers
    )
    assert answer.status_code == 400


def test_a_member_may_what_their_forms_may(house, ada):
    ben = Api(house.token(house.ben))
    assert send(ada, FILE).status_code == 200
    answer = send(ben, FILE.replace("external_id: 12345", "external_id: other"))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


# --- manage.py apply ------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "team.yaml"
    path.write_text(FILE)
    return path


def run(path, *options, user="ada"):
    out = io.StringIO()
    call_command("apply", str(path), "--team", "platform", "--as", user, *options, stdout=out)
    return out.getvalue()


def test_the_command_shows_and_applies(house, file):
    shown = run(file, "--dry-run")
    assert shown.startswith("+ group “On call”\n    name: On call\n    people: bea, ben\n+ “Hub”")
    assert shown.endswith("3 to create, 1 to change; 0 unchanged.\n")
    assert not AwsSession.objects.filter(alias="Hub").exists()
    assert run(file, "--yes") == shown
    assert run(file) == "Nothing to change; 3 unchanged.\n"
    assert json.loads(run(file, "--json"))["unchanged"] == 3


def test_the_command_asks_and_takes_no_for_an_answer(house, file, monkeypatch):
    with pytest.raises(CommandError, match="Add --yes"):
        run(file)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda prompt: "n")
    with pytest.raises(CommandError, match="Nothing was changed"):
        run(file)
    assert not AwsSession.objects.filter(alias="Hub").exists()
    monkeypatch.setattr("builtins.input", lambda prompt: "y")
    run(file)
    assert AwsSession.objects.filter(alias="Hub").exists()


def test_the_command_names_file_line_and_reason(house, file):
    file.write_text(FILE.replace("assumer: Root key", "assumer: Leaf"))
    with pytest.raises(CommandError) as caught:
        run(file, "--yes")
    assert str(caught.value).startswith(f"{file}:7: The chain goes in a circle: “Leaf” (line 7)")
    with pytest.raises(CommandError, match="no active member"):
        run(file, user="nobody")
    with pytest.raises(CommandError, match="No such file"):
        run("/nowhere.yaml")


def test_the_command_takes_secrets_from_its_environment(house, file, monkeypatch):
    file.write_text(ROOT)
    monkeypatch.setenv("THE_SECRET", SECRET)
    assert SECRET not in run(file, "--yes")
    assert AwsSession.objects.get(alias="New root").sealed_secrets
