"""Describe the API as it is: no field without a type, one body for each kind, every 200."""

import json

import pytest
from django.test import Client

from sessions.activations.status import Status
from sessions.api import api
from sessions.aws.roots import ROOT_KINDS
from sessions.forms.ledger import EventSearchForm
from sessions.forms.sessions import fields_of
from sessions.models import CHAINED

KINDS = [CHAINED, *ROOT_KINDS]


@pytest.fixture(scope="module")
def document():
    return api.get_openapi_schema()


@pytest.fixture(scope="module")
def schemas(document):
    return document["components"]["schemas"]


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_the_document_is_made_once_for_all_who_ask(document):
    assert api.get_openapi_schema() is document
    assert Client().get("/api/v1/openapi.json").json() == json.loads(json.dumps(document))


def test_a_search_of_the_ledger_lists_the_fields_of_its_form(document):
    for path in ("/api/v1/events", "/api/v1/events/export", "/api/v1/keys"):
        listed = {each["name"] for each in document["paths"][path]["get"]["parameters"]}
        assert listed - {"cursor", "limit", "format"} == set(EventSearchForm.base_fields)


def test_every_good_answer_says_what_it_holds(document):
    for name, operation in operations(document):
        good = {int(status): each for status, each in operation["responses"].items()}
        good = {status: each for status, each in good.items() if status < 300}
        assert good, name
        for status, answer in good.items():
            assert status == 204 or answer["content"]["application/json"]["schema"], name


def test_every_field_of_every_schema_has_a_type(schemas):
    untyped = [
        f"{name}.{field}"
        for name, schema in schemas.items()
        for each in [schema, *schema.get("oneOf", []), *schema.get("anyOf", [])]
        for field, said in each.get("properties", {}).items()
        if not said.keys() & {"type", "anyOf", "allOf", "$ref", "const"}
    ]
    assert untyped == []


def test_a_session_is_created_with_the_fields_of_its_kinds_form(schemas):
    by_kind = {each["title"]: each for each in schemas["SessionIn"]["oneOf"]}
    assert list(by_kind) == KINDS
    for kind, schema in by_kind.items():
        fields = fields_of(kind)
        assert list(schema["properties"]) == ["kind", *fields]
        assert schema["properties"]["kind"]["const"] == kind
        required = [name for name, field in fields.items() if field.required]
        assert schema["required"] == ([] if kind == CHAINED else ["kind"]) + required
    chained = by_kind[CHAINED]["properties"]
    assert chained["assumer"] | {"format": "uuid"} == chained["assumer"]
    assert chained["alias"]["maxLength"] == 64
    assert chained["policy_arns"]["items"] == {"type": "string"}
    assert "eu-west-1" in chained["region"]["enum"]


def test_a_change_takes_any_of_those_fields_and_a_version(schemas):
    for each in schemas["SessionPatch"]["anyOf"]:
        assert list(each["properties"]) == [*fields_of(each["title"]), "version"]
        assert "required" not in each
    hours = schemas["PolicyPatch"]["properties"]["activation_hours"]
    assert (hours["type"], hours["minimum"], hours["maximum"]) == ("integer", 1, 168)


def test_times_and_closed_sets_are_typed(schemas):
    session = schemas["SessionOut"]["properties"]
    for name in ("expires_at", "minted_at", "next_rotation_at", "ends_at"):
        assert {"type": "string", "format": "date-time"} in session[name]["anyOf"]
    assert schemas["Status"]["enum"] == list(Status)
    assert session["kind"]["enum"] == KINDS
    assert "given" in schemas["ApprovalOut"]["properties"]["stage"]["enum"]
    assert "off" in schemas["PolicyOut"]["properties"]["source_identity"]["enum"]


def test_credentials_are_described_by_format(document):
    [operation] = [
        each for name, each in operations(document) if name.endswith("{session_id}/credentials")
    ]
    assert set(operation["responses"][200]["content"]) == {"application/json", "text/plain"}
    [chosen] = [each for each in operation["parameters"] if each["name"] == "format"]
    assert {"process", "posix"} <= set(chosen["schema"]["enum"])
