"""The policy and the fields of a hop through the API: the pages' validators, JSON's own types."""

import pytest

from sessions.ledger.events.sessions import PolicyChanged
from sessions.models import AwsSession, SourceIdentity, TeamPolicy
from tests.api.tool import Api, chained
from tests.chains.policies import OFFICE, set_policy

pytestmark = pytest.mark.django_db

POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}
ARN = "arn:aws:iam::aws:policy/ReadOnlyAccess"


@pytest.fixture
def ada(house):
    return Api(house.token(house.ada))


@pytest.fixture
def ben(house):
    return Api(house.token(house.ben))


@pytest.fixture
def eve(house):
    return Api(house.token(house.eve))


def test_the_policy_is_read_by_admins_and_auditors_and_changed_by_admins(house, ada, ben, eve):
    stored = {
        "role_session_name": "{username}",
        "username_demanded": False,
        "names_locked": False,
        "source_identity": "off",
        "tags": {},
        "networks": [],
        "tokens_take_sensitive": False,
        "activation_hours": 12,
        "token_days": 90,
        "scoping": "off",
        "snippet_minutes": 60,
        "read_only": False,
        "without_iam": False,
        "regions": [],
        "scope_policy": "",
    }
    assert ada("GET", "/policy").json() == stored
    assert eve("GET", "/policy").json() == stored
    assert ben("GET", "/policy").status_code == 403
    assert ben("GET", "/policy/unnamed").status_code == 403
    changes = {
        "names_locked": True,
        "source_identity": "required",
        "tags": {"stage": ["test", "live"], "ticket": []},
        "networks": [OFFICE],
        "activation_hours": 8,
        "token_days": 30,
    }
    for other in (ben, eve):
        assert other("PATCH", "/policy", changes).status_code == 403
    answer = ada("PATCH", "/policy", changes)
    assert answer.status_code == 200, answer.content
    assert answer.json() == {**stored, **changes}
    assert TeamPolicy.of(house.team.pk).source_identity == SourceIdentity.REQUIRED
    assert house.events(PolicyChanged)[-1].actor == "ada"
    # What is left out stays.
    assert ada("PATCH", "/policy", {"names_locked": False}).json() == {
        **stored,
        **changes,
        "names_locked": False,
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("role_session_name", "{nobody}"),
        ("role_session_name", ["x"]),
        ("names_locked", ["x"]),
        ("names_locked", 1),
        ("source_identity", "perhaps"),
        ("tags", {"aws:x": []}),
        ("tags", {"stage": "live"}),
        ("tags", {"stage": [1]}),
        ("networks", ["10.0.0.0/8"]),
        ("networks", [1]),
        ("networks", {"a": 1}),
        ("scoping", "sometimes"),
        ("snippet_minutes", 14),
        ("regions", ["mars-1"]),
        ("scope_policy", "{}"),
        ("activation_hours", 0),
        ("activation_hours", 169),
        ("token_days", 0),
        ("token_days", 3651),
        ("activation_hours", 1.5),
        ("activation_hours", True),
        ("activation_hours", "soon"),
        ("activation_hours", None),
        ("nonsense", "x"),
    ],
)
def test_a_wrong_policy_is_refused_on_its_field(house, ada, field, value):
    answer = ada("PATCH", "/policy", {field: value})
    assert answer.status_code == 422, answer.content
    assert field in answer.json()["fields"]
    assert not TeamPolicy.objects.exists()


def test_the_sessions_whose_names_identify_nobody_are_listed(house, ada):
    fixed = house.chained("Fixed", name="automation")
    house.chained("Named")
    assert ada("GET", "/policy/unnamed").json() == [
        {
            "id": str(fixed.pk),
            "alias": "Fixed",
            "template": "automation",
            "has_source_identity": False,
            "shows": "",
        }
    ]


def test_every_field_of_a_hop_is_set_answered_and_changed_one_by_one(house, ben):
    set_policy(house, tags={"stage": ("test", "live"), "ticket": ()})
    said = {
        "external_id": "partner-7",
        "without_source_identity": True,
        "tags": {"stage": "live", "ticket": "OPS-1"},
        "transitive_tag_keys": ["ticket"],
        "policy": POLICY,
        "policy_arns": [ARN],
        "networks": [OFFICE],
    }
    created = ben("POST", "/sessions", chained(house, **said))
    assert created.status_code == 201, created.content
    stored = created.json()
    assert {name: stored[name] for name in said} == said | {
        "policy": (
            '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
        )
    }
    path = f"/sessions/{stored['id']}"
    for name, value in {
        "tags": {"ticket": "OPS-2"},
        "policy": "",
        "policy_arns": [],
        "networks": f"{OFFICE}\n203.0.113.7",
        "without_source_identity": False,
    }.items():
        answer = ben("PATCH", path, {name: value})
        assert answer.status_code == 200, answer.content
        expected = [OFFICE, "203.0.113.7/32"] if name == "networks" else value
        stored = {**stored, name: expected}
        assert {each: answer.json()[each] for each in said} == {each: stored[each] for each in said}


def test_a_session_made_without_any_of_it_has_none(house, ben):
    created = ben("POST", "/sessions", chained(house)).json()
    assert (created["tags"], created["policy"], created["policy_arns"], created["networks"]) == (
        {},
        "",
        [],
        [],
    )
    assert created["without_source_identity"] is False


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"tags": {"other": "x"}}, "tags"),
        ({"tags": {"stage": 1}}, "tags"),
        ({"tags": ["stage"]}, "tags"),
        ({"tags": "stage"}, "tags"),
        ({"tags": {"stage": "x\n"}}, "tags"),
        ({"transitive_tag_keys": ["stage"]}, "transitive_tag_keys"),
        ({"transitive_tag_keys": "stage"}, "transitive_tag_keys"),
        ({"transitive_tag_keys": [["stage"]]}, "transitive_tag_keys"),
        ({"policy": {}}, "policy"),
        ({"policy": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow"}]}}, "policy"),
        ({"policy": ["x"]}, "policy"),
        ({"policy_arns": ["x"]}, "policy_arns"),
        ({"policy_arns": [1]}, "policy_arns"),
        ({"policy_arns": [ARN] * 2}, "policy_arns"),
        ({"networks": ["0.0.0.0/0"]}, "networks"),
        ({"without_source_identity": 1}, "without_source_identity"),
    ],
)
def test_a_wrong_field_of_a_hop_is_refused_and_nothing_saved(house, ben, changes, field):
    set_policy(house, tags={"stage": ()})
    sessions = AwsSession.objects.count()
    answer = ben("POST", "/sessions", chained(house, **changes))
    assert answer.status_code == 422, answer.content
    assert field in answer.json()["fields"]
    assert AwsSession.objects.count() == sessions
