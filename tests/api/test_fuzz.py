"""The API answers anything with a documented answer; a refusal names its fields."""

import json
import uuid
from urllib.parse import quote

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sessions.actors import Actor
from sessions.api import api
from sessions.catalog.access import delete_group, save_group
from sessions.models import AwsSession
from tests.api.tool import Api, chained, is_problem
from tests.examples import examples

pytestmark = pytest.mark.django_db
FUZZ = settings(
    max_examples=examples(60),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)

ODD = st.sampled_from(
    [
        *(
            "",
            " ",
            "\t",
            "\x00",
            "a\x00b",
            "\ud800",
            "\u202e",
            "\ufeff",
            "a" * 3000,
            "é",
            "'",
            '"',
            "{",
            "}",
            "{}",
        ),
        *(
            "%s",
            "%(x)s",
            "\\",
            "../..",
            "null",
            "-1",
            "0",
            "1e9",
            "0x10",
            "true",
            "[]",
            "١٢",
            "ß",
            "ſ",
            "İ",
            "K",
        ),
        *(
            "arn:aws:iam::111122223333:role/X",
            "arn:" + ":" * 100,
            "eu-west-1",
            "{username}",
            "{alias}",
            "{team}{",
        ),
        *(
            "203.0.113.0/24",
            "::1",
            "10.0.0.0/8",
            "vpc-0a1b2c3d",
            "9" * 400,
            "00000000-0000-0000-0000-000000000000",
        ),
    ]
)
SCALARS = st.one_of(
    ODD,
    st.text(max_size=20),
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**18, max_value=10**400),
    st.floats(allow_nan=False, allow_infinity=False),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(ODD, st.text(max_size=8)), inner, max_size=4),
    ),
    max_leaves=8,
)
CHAINED = [
    *(
        "alias",
        "profile",
        "region",
        "role_arn",
        "role_session_name",
        "assumer",
        "external_id",
        "tags",
        "labels",
        "sensitive",
        "kind",
    ),
    *(
        "transitive_tag_keys",
        "policy",
        "policy_arns",
        "networks",
        "without_source_identity",
        "version",
    ),
]
ROOT = [
    *(
        "alias",
        "profile",
        "region",
        "labels",
        "sts_region",
        "access_key_id",
        "secret_access_key",
        "mfa_serial",
        "kind",
    ),
    *(
        "start_url",
        "sso_region",
        "account_id",
        "role_name",
        "token_file",
        "role_arn",
        "role_session_name",
    ),
]
POLICY = [
    *(
        "role_session_name",
        "username_demanded",
        "names_locked",
        "source_identity",
        "tags",
        "networks",
    ),
    *("activation_hours", "token_days", "version", "nonsense"),
]


def some_of(names):
    return st.dictionaries(st.sampled_from(names), VALUES, min_size=1, max_size=3)


def sound(answer, sent):
    """Check the answer's documented form; a 422 names fields of the form, each with a reason."""
    assert answer.status_code < 500, answer.content
    if answer.status_code < 400:
        return
    body = answer.json()
    is_problem(body, answer.status_code)
    assert "Traceback" not in body["message"]
    if answer.status_code == 422:
        assert all(reasons and all(reasons) for reasons in body["fields"].values())


@pytest.fixture
def ada(house):
    Api(house.token(house.ada))(
        "PATCH", "/policy", {"tags": {"stage": ["test", "live"], "ticket": []}}
    )
    return Api(house.token(house.ada))


@FUZZ
@given(changes=some_of(CHAINED))
def test_creating_and_changing_a_chained_session(house, ada, changes):
    body = chained(house) | changes
    answer = ada("POST", "/sessions", body)
    sound(answer, body)
    if answer.status_code == 201:
        path = f"/sessions/{answer.json()['id']}"
        assert ada("GET", path).status_code == 200
        assert house.browser(house.ada).get(f"{path}/").status_code == 200
        assert ada("DELETE", path).status_code == 204
    elif answer.status_code == 422:
        assert set(answer.json()["fields"]) & (set(changes) | {"assumer", "region", "__all__"})
    [session] = AwsSession.objects.filter(alias="Fuzzed") or [house.chained("Fuzzed")]
    sent = {name: value for name, value in changes.items() if name != "alias"}
    sound(ada("PATCH", f"/sessions/{session.pk}", sent), sent)
    assert ada("GET", "/sessions").status_code == 200


@FUZZ
@given(
    kind=st.sampled_from(["iam-user", "identity-center", "web-identity", "ambient"]),
    changes=some_of(ROOT),
)
def test_creating_and_changing_a_root(house, ada, kind, changes):
    body = {"kind": kind, "alias": "R", "profile": "r", "region": "eu-west-1"} | changes
    answer = ada("POST", "/sessions", body)
    sound(answer, body)
    if answer.status_code == 201:
        assert ada("DELETE", f"/sessions/{answer.json()['id']}").status_code == 204
    sound(ada("PATCH", f"/sessions/{house.root.pk}", changes), changes)


@FUZZ
@given(
    alias=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    changes=some_of(CHAINED),
)
def test_making_a_session_by_its_alias(house, ada, alias, changes):
    body = {**chained(house), "alias": alias} | changes
    path = f"/sessions/by-alias/{quote(alias, safe='')}"
    answers = [ada("PUT", path, body) for _ in range(2)]
    for answer in answers:
        sound(answer, body)
    if answers[0].status_code == 201:
        assert answers[1].status_code == 200
        assert answers[1].json()["version"] == answers[0].json()["version"]
        assert ada("DELETE", f"/sessions/{answers[0].json()['id']}").status_code == 204


@FUZZ
@given(record=st.recursive(VALUES, lambda inner: st.fixed_dictionaries({"userIdentity": inner})))
def test_asking_about_a_record_of_anything(ada, record):
    body = {"q": json.dumps({"eventTime": "2026-11-27T12:00:00Z", "userIdentity": record})}
    sound(ada("POST", "/whois", body), body)


@FUZZ
@given(field=st.sampled_from(["arn", "principalId", "accessKeyId", "accountId"]), value=ODD)
def test_asking_about_an_identity_of_odd_text(ada, field, value):
    body = {"q": json.dumps({"userIdentity": {"type": "AssumedRole", field: value}})}
    sound(ada("POST", "/whois", body), body)


@FUZZ
@given(changes=some_of(POLICY))
def test_changing_the_policy(ada, changes):
    sound(ada("PATCH", "/policy", changes), changes)
    assert ada("GET", "/policy").status_code == 200


@FUZZ
@given(
    path=st.sampled_from(["/groups", "/invitations", "/sessions/bulk", "/apply", "/probes"]),
    body=st.one_of(
        VALUES,
        some_of(
            [
                *("name", "people", "role", "note", "days", "action", "ids", "region", "add"),
                *("remove", "sessions", "groups", "kind", "session", "alias", "assumer", "access"),
            ]
        ),
    ),
)
def test_people_bulk_documents_and_tests(house, ada, path, body):
    sound(ada("POST", path, body), body)
    if path == "/groups":
        sound(ada("PATCH", f"/people/{house.ben.user_id}", body), body)
        group = save_group(Actor(house.ada), "Fuzzed", [])
        sound(ada("PATCH", f"/groups/{group.pk}", body), body)
        delete_group(group, Actor(house.ada))


@FUZZ
@given(
    path=st.sampled_from(["/tokens", "/robots", "/tokens/exchange"]),
    body=st.one_of(
        VALUES,
        some_of(
            [
                *("name", "robot", "days", "scopes", "sessions", "labels", "networks", "owner"),
                *("subject_token", "audience", "grant_type", "issuer", "claims", "minutes"),
            ]
        ),
    ),
)
def test_tokens_robots_and_the_exchange(ada, path, body):
    sound(ada("POST", path, body), body)
    sound(ada("PATCH", f"/robots/{uuid.uuid4()}", body), body)
    sound(ada("POST", f"/robots/{uuid.uuid4()}/trust", body), body)


AUDIENCE = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {},
        optional={
            "everyone": VALUES,
            "people": st.lists(SCALARS, max_size=3),
            "groups": st.lists(SCALARS, max_size=3),
        },
    ),
)


@FUZZ
@given(
    body=st.one_of(
        VALUES, st.fixed_dictionaries({}, optional={"start": AUDIENCE, "assume": AUDIENCE})
    )
)
def test_opening_and_closing_a_session(house, ada, body):
    sound(ada("PUT", f"/sessions/{house.root.pk}/access", body), body)


@FUZZ
@given(body=st.one_of(VALUES, st.fixed_dictionaries({"ids": st.lists(SCALARS, max_size=3)})))
def test_starting_several_and_answering(house, ada, body):
    for path in ("/sessions/start", "/sessions/stop", f"/sessions/{house.root.pk}/answer"):
        sound(ada("POST", path, body), body)


@FUZZ
@given(
    raw=st.binary(max_size=60), part=st.sampled_from(["", '{"alias": ', '{"alias": "a", "ids": ['])
)
def test_bytes_that_are_hardly_json(ada, raw, part):
    for method, path in (("POST", "/sessions"), ("PATCH", "/policy"), ("POST", "/sessions/start")):
        answer = ada.client.generic(
            method,
            f"/api/v1{path}",
            part.encode() + raw,
            content_type="application/json",
            headers=ada.headers,
        )
        sound(answer, None)


@FUZZ
@given(
    query=st.dictionaries(
        st.sampled_from(
            ["format", "dependants", "cursor", "q", "status", "kind", "account", "after", "finding"]
        ),
        ODD,
        max_size=3,
    ),
    header=st.sampled_from(
        ["If-Match", "Content-Type", "Accept", "Origin", "X-Forwarded-For", "Authorization"]
    ),
    value=st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=30),
)
def test_queries_and_headers(house, ada, query, header, value):
    query = {name: text.encode("utf-8", "replace").decode() for name, text in query.items()}
    for method, path in (
        ("GET", "/sessions"),
        ("GET", f"/sessions/{house.root.pk}"),
        ("GET", f"/sessions/{house.root.pk}/credentials"),
        ("PATCH", f"/sessions/{house.root.pk}"),
        ("GET", "/whois"),
        ("GET", "/names"),
        ("GET", "/drift/imports"),
        ("GET", "/drift/records"),
        ("GET", f"/sessions/{house.root.pk}/calls"),
        ("GET", "/events"),
        ("GET", "/keys"),
    ):
        answer = ada.client.generic(
            method,
            f"/api/v1{path}",
            b"{}" if method == "PATCH" else b"",
            query_params=query,
            content_type="application/json",
            headers={**ada.headers, header: value},
        )
        sound(answer, None)


def test_every_operation_with_a_body_is_fuzzed_here():
    document = api.get_openapi_schema()
    with_body = {
        (method, path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "requestBody" in operation
    }
    assert with_body == {
        ("post", "/api/v1/sessions"),
        ("put", "/api/v1/sessions/by-alias/{alias}"),
        ("patch", "/api/v1/people/{person_id}"),
        ("post", "/api/v1/groups"),
        ("patch", "/api/v1/groups/{group_id}"),
        ("post", "/api/v1/invitations"),
        ("post", "/api/v1/probes"),
        ("post", "/api/v1/sessions/bulk"),
        ("post", "/api/v1/apply"),
        ("patch", "/api/v1/sessions/{session_id}"),
        ("patch", "/api/v1/policy"),
        ("put", "/api/v1/sessions/{session_id}/access"),
        ("post", "/api/v1/sessions/start"),
        ("post", "/api/v1/sessions/stop"),
        ("post", "/api/v1/sessions/{session_id}/answer"),
        ("post", "/api/v1/whois"),
        ("post", "/api/v1/drift/lookups"),
        ("post", "/api/v1/tokens"),
        ("post", "/api/v1/tokens/exchange"),
        ("post", "/api/v1/robots"),
        ("patch", "/api/v1/robots/{robot_id}"),
        ("post", "/api/v1/robots/{robot_id}/trust"),
        # tests/api/test_imports_fuzz.py
        ("post", "/api/v1/import"),
        ("post", "/api/v1/searches"),
        ("patch", "/api/v1/searches/{search_id}"),
        # A file, not JSON: tests/aws/cloudtrail/test_fuzz.py.
        ("post", "/api/v1/drift/imports"),
    }
    assert json.dumps(document)
    assert Client().get("/api/v1/openapi.json").status_code == 200
