"""Look for a parameter that was only declared; `test_hop_settings` runs it in a copy."""

import pytest
from django.test import Client
from django.urls import reverse

from sessions.actors import Actor
from sessions.catalog.sessions import save_session
from sessions.ledger.events.sessions import SessionCreated
from sessions.models import AssumerLink
from tests.api.tool import Api, chained
from tests.house import draft_of

pytestmark = pytest.mark.django_db

PROVIDER = "arn:aws:iam::aws:contextProvider/IdentityCenter"
CONTEXTS = [f"{PROVIDER}=first-assertion", f"{PROVIDER}=second-assertion"]


@pytest.fixture
def api(house):
    return Api(house.token(house.ben))


@pytest.fixture
def link(house, api):
    created = api("POST", "/sessions", chained(house, provided_contexts=CONTEXTS))
    assert created.status_code == 201, created.content
    assert created.json()["provided_contexts"] == CONTEXTS
    return AssumerLink.objects.get(session=created.json()["id"])


def test_form_shows_and_checks_it(house):
    url = reverse("new_session_form", args=[house.team.slug, "aws", "iam-role-chained"])
    page = house.browser().get(url).content.decode()
    assert "Provided contexts" in page
    assert 'name="provided_contexts"' in page
    typed = {**chained(house), "provided_contexts": "nonsense"}
    refused = house.browser().post(url, typed)
    assert refused.status_code == 422
    assert "A context is" in refused.content.decode()
    typed["provided_contexts"] = "\r\n".join(CONTEXTS)
    assert house.browser().post(url, typed).status_code == 302
    assert AssumerLink.objects.get().settings.provided_contexts == tuple(CONTEXTS)


def test_api_documents_and_checks_it(house, api):
    schemas = Client().get("/api/v1/openapi.json").json()["components"]["schemas"]
    of_a_chain = {
        "create": schemas["SessionIn"]["oneOf"][0],
        "change": schemas["SessionPatch"]["anyOf"][0],
        "answer": schemas["SessionOut"],
    }
    for schema in of_a_chain.values():
        documented = schema["properties"]["provided_contexts"]
        assert documented["title"] == "Provided contexts"
        assert "array" in documented["type"]
        assert documented["items"] == {"type": "string"}
    refused = api("POST", "/sessions", chained(house, provided_contexts=["nonsense"]))
    assert refused.status_code == 422
    assert list(refused.json()["fields"]) == ["provided_contexts"]


def test_link_and_event_keep_it(house, link):
    assert link.settings.provided_contexts == tuple(CONTEXTS)
    [created] = house.events(SessionCreated)[-1:]
    assert created.data["provided_contexts"] == CONTEXTS


def test_api_changes_it_and_leaves_it_alone(house, api, link):
    path = f"/sessions/{link.session_id}"
    assert api("PATCH", path, {"alias": "Renamed"}).json()["provided_contexts"] == CONTEXTS
    assert api("PATCH", path, {"provided_contexts": []}).json()["provided_contexts"] == []
    assert AssumerLink.objects.get(pk=link.pk).parameters == {}


def test_request_carries_it_to_aws(house, sts, link):
    house.start(link.session)
    house.work()
    [call] = [call for call in sts.calls if call["action"] == "AssumeRole"]
    assert call["code"] == ""
    assert call["asked"]["ProvidedContexts.member.1.ProviderArn"] == PROVIDER
    assert call["asked"]["ProvidedContexts.member.1.ContextAssertion"] == "first-assertion"
    assert call["asked"]["ProvidedContexts.member.2.ContextAssertion"] == "second-assertion"


def test_another_value_is_another_credential(house, link):
    house.start(link.session)
    [before] = link.session.activations.values_list("credential", flat=True)
    save_session(draft_of(link.session, provided_contexts=()), Actor(house.ben), link.session)
    assert [before] != list(link.session.activations.values_list("credential", flat=True))


def test_session_page_shows_it(house, link):
    page = house.browser().get(reverse("session", args=[link.session_id])).content.decode()
    assert "Provided contexts" in page
    assert "first-assertion" in page
