"""Name drift by API: the same as on the pages, page by page."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from sessions.engine import trail
from sessions.ledger.events.trail import TrailRead
from tests.aws.cloudtrail.samples import event, user
from tests.ledger.drift.trails import as_file, call, issued, number, upload

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(house):
    headers = {"Authorization": f"Bearer {house.token(house.ada).reveal()}"}

    def ask(method, path, **data):
        return Client().generic(method, f"/api/v1{path}", headers=headers, query_params=data)

    ask.headers = headers
    return ask


def post(ada, content, name="log.json.gz"):
    file = SimpleUploadedFile(name, content)
    return Client().post("/api/v1/drift/imports", {"file": file}, headers=ada.headers)


def test_a_file_is_uploaded_and_its_progress_read(house, ada):
    answer = post(ada, as_file([event(eventID=number())]))
    assert answer.status_code == 202, answer.text
    taken = answer.json()
    assert (taken["state"], taken["person"], taken["records"]) == ("waiting", "ada", 0)
    trail.work_off(60)
    done = ada("GET", f"/drift/imports/{taken['id']}").json()
    assert (done["state"], done["records"], done["is_shown"]) == ("done", 1, True)


def test_a_broken_file_says_where(house, ada):
    taken = post(ada, b'{"Records": [{"eventName": oops}]}').json()
    trail.work_off(60)
    done = ada("GET", f"/drift/imports/{taken['id']}").json()
    assert done["state"] == "failed"
    assert done["reason"].startswith("Log.json.gz, line") or "ine 1, column 28" in done["reason"]


@pytest.mark.parametrize("data", [{}, {"file": "text"}])
def test_a_request_without_a_file_is_invalid(ada, data):
    answer = Client().post("/api/v1/drift/imports", data, headers=ada.headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_a_file_needs_a_token(house):
    file = SimpleUploadedFile("a", b"{}")
    assert Client().post("/api/v1/drift/imports", {"file": file}).status_code == 401


def test_records_come_page_by_page(house, ada):
    upload(house, [event(f"Call{at}", eventID=number()) for at in range(5)])
    names, cursor = [], ""
    while True:
        answer = ada("GET", "/drift/records", limit=2, cursor=cursor).json()
        names += [each["event_name"] for each in answer["records"]]
        cursor = answer.get("cursor")
        if not cursor:
            break
    assert sorted(names) == [f"Call{at}" for at in range(5)]


def test_imports_come_page_by_page(house, ada):
    made = {str(upload(house, [event(eventID=number())]).pk) for _ in range(3)}
    first = ada("GET", "/drift/imports", limit=2).json()
    rest = ada("GET", "/drift/imports", limit=2, cursor=first["cursor"]).json()
    assert {each["id"] for each in first["imports"] + rest["imports"]} == made


def test_a_record_says_whose_it_was_and_why(house, ada):
    leaf = house.chain(2)[-1]
    minted = issued(house, leaf)
    upload(house, [call(minted), event("Around", user("maria"), eventID=number())])
    [found] = ada("GET", "/drift/records", finding="issued").json()["records"]
    assert (found["people"], found["by_key"], found["kind"]) == (["ben"], True, "issued")
    assert "exactly the key" in found["why"]
    assert ada("GET", f"/drift/records/{found['id']}").json() == found | {"made_by": None}
    [around] = ada("GET", "/drift/records", finding="around").json()["records"]
    assert around["people"] == ["maria"]
    [called] = ada("GET", f"/sessions/{leaf.pk}/calls").json()["records"]
    assert called["id"] == found["id"]
    assert ada("GET", f"/sessions/{leaf.pk}/calls", call="denied").json()["records"] == []
    assert len(house.events(TrailRead)) == 5


@pytest.mark.parametrize(
    "query", [{"finding": "x"}, {"cursor": "x"}, {"import_id": "x"}, {"key": "a\0"}]
)
def test_a_search_that_makes_no_sense_is_invalid(house, ada, query):
    assert ada("GET", "/drift/records", **query).status_code == 422
    assert ada("GET", "/drift/imports", cursor="x").status_code == 422


def test_an_import_is_deleted(house, ada):
    taken = upload(house, [event(eventID=number())])
    assert ada("DELETE", f"/drift/imports/{taken.pk}").status_code == 204
    assert ada("GET", f"/drift/imports/{taken.pk}").status_code == 404
    assert ada("GET", "/drift/records").json()["records"] == []


def test_a_look_up_is_asked_for(house, ada):
    [leaf] = house.chain(1)
    issued(house, leaf, house.ada)
    body = {"session": str(leaf.pk), "region": "eu-west-1", "since": "7d"}

    def ask(**changes):
        return Client().post(
            "/api/v1/drift/lookups",
            body | changes,
            content_type="application/json",
            headers=ada.headers,
        )

    answer = ask()
    assert answer.status_code == 202, answer.text
    assert (answer.json()["source"], answer.json()["region"]) == ("lookup", "eu-west-1")
    assert ask(region="nowhere!").json()["fields"].keys() == {"region"}
    assert ask(since="1d", until="2d").status_code == 422
    assert ask(session=str(house.root.pk)).status_code == 403
