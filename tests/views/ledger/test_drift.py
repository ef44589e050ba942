"""The pages of name drift: files in, findings out, each read an event."""

import io
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from sessions.engine import trail
from sessions.ledger.drift import imports
from sessions.ledger.events.trail import TrailRead
from sessions.middleware import uploads
from sessions.models import TeamPolicy, TrailImport, TrailRecord
from tests.aws.cloudtrail.samples import event, role, user
from tests.house import TeamFixture
from tests.ledger.drift.trails import (
    as_file,
    assume,
    call,
    identity_of,
    issued,
    number,
    of_further,
    row_of,
    upload,
)

pytestmark = pytest.mark.django_db
FURTHER_KEY = "ASIAFURTHERKEYEXAMPLE"


def page(house, query="", member=None):
    return house.browser(member or house.ada).get(f"/teams/platform/audit/drift/{query}")


def post_file(house, content, member=None, name="log.json"):
    files = SimpleUploadedFile(name, content)
    path = "/teams/platform/audit/drift/upload/"
    return house.browser(member or house.ada).post(path, {"files": files}, follow=True)


def test_a_file_is_uploaded_read_and_shown(house):
    leaf = house.chain(2)[-1]
    record = call(issued(house, leaf))
    answer = post_file(house, as_file([record, event(eventID=number())]))
    assert "Waiting for a worker" in answer.text
    trail.work_off(60)
    shown = page(house).text
    assert "Complete" in shown
    assert "ListBuckets" in shown
    assert "issued by Chainweb" in shown
    assert "person around Chainweb" in shown
    assert 'hx-trigger="every 2s"' not in shown


def test_progress_is_asked_for_until_all_have_ended(house):
    imports.take_file(_actor(house), "log", [as_file([event()])])
    TrailImport.objects.update(state="reading", position=20)
    part = house.browser(house.ada).get("/teams/platform/audit/drift/imports/").text
    assert "<progress" in part
    assert 'hx-trigger="every 2s"' in part


def _actor(house):
    from sessions.actors import Actor

    return Actor(house.ada)


def test_a_broken_file_says_where_on_the_page(house):
    upload(house, b'{"Records": [{"eventName": oops}]}', name="broken.json")
    shown = page(house).text
    assert "Failed" in shown
    assert "Line 1, column 28" in shown


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        ("issued", {"ByBen"}),
        ("around", {"ByMaria", "ByWolf"}),
        ("service", {"ByService"}),
        ("breaks-policy", {"ByWolf"}),
        ("no-source-identity", {"ByBen", "ByWolf"}),
    ],
)
def test_findings_are_filters(house, finding, expected):
    TeamPolicy.objects.create(
        team=house.team, username_demanded=True, source_identity="where-possible"
    )
    [leaf] = house.chain(1)
    minted = issued(house, leaf)
    records = {
        "ByBen": call(minted, "ByBen", identity={"sessionContext": {}}),
        "ByMaria": event("ByMaria", user("maria"), eventID=number()),
        "ByWolf": event("ByWolf", role("NikkiWolf"), eventID=number()),
        "ByService": event(
            "ByService", {"type": "AWSService", "invokedBy": "x.amazonaws.com"}, eventID=number()
        ),
    }
    upload(house, list(records.values()))
    shown = page(house, f"?finding={finding}").text
    assert {name for name in records if f">{name}</a>" in shown} == expected


def test_a_record_is_explained_and_leads_on(house):
    leaf = house.chain(2)[-1]
    minted = issued(house, leaf)
    at = minted.expires_at - timedelta(minutes=50)
    hop = assume(identity_of(minted), at, FURTHER_KEY)
    below = of_further(FURTHER_KEY, at, began=at)
    upload(house, [below, hop])
    browser = house.browser(house.ada)
    path = "/teams/platform/audit/drift/records"
    shown = browser.get(f"{path}/{row_of(house, hop).pk}/").text
    assert "exactly the key that Chainweb issued" in shown
    assert f"/sessions/{leaf.pk}/calls/" in shown
    assert f"/audit/events/{row_of(house, hop).line}/" in shown
    assert f"/audit/whois/?q={minted.access_key_id}" in shown
    shown = browser.get(f"{path}/{row_of(house, below).pk}/").text
    assert "assumed without Chainweb" in shown
    assert f"{path}/{row_of(house, hop).pk}/" in shown


def test_what_was_done_with_a_session_is_what_its_own_keys_did(house):
    first, leaf = house.chain(2)
    minted = issued(house, leaf)
    denied = {"errorCode": "AccessDenied", "errorMessage": "no"}
    records = [
        call(minted, "ListBuckets", readOnly=True),
        call(minted, "DeleteBucket", readOnly=False),
        call(minted, "PutObject", readOnly=False, **denied),
        call(minted, "ConsoleCall", identity={"accessKeyId": "ASIACONSOLEKEYEXAMPLE"}),
    ]
    upload(house, [*records, event("Other", user("maria"), eventID=number())])
    browser = house.browser(house.ada)

    def done(session, query=""):
        shown = browser.get(f"/sessions/{session.pk}/calls/{query}").text
        names = ("ListBuckets", "DeleteBucket", "PutObject", "ConsoleCall", "Other")
        return [name for name in names if f">{name}</a>" in shown]

    assert done(leaf) == ["ListBuckets", "DeleteBucket", "PutObject"]
    assert done(leaf, "?call=denied") == ["PutObject"]
    assert done(leaf, "?call=changes") == ["DeleteBucket"]
    assert done(first) == []
    assert f"/sessions/{leaf.pk}/calls/" in browser.get(f"/sessions/{leaf.pk}/").text
    assert "/calls/" not in house.browser(house.ben).get(f"/sessions/{leaf.pk}/").text


def test_reads_are_events_and_the_whole_list_is_none(house):
    [leaf] = house.chain(1)
    record = call(issued(house, leaf))
    upload(house, [record])
    page(house)
    assert house.events(TrailRead) == []
    page(house, "?finding=issued")
    browser = house.browser(house.eve)
    browser.get(f"/teams/platform/audit/drift/records/{row_of(house, record).pk}/")
    browser.get(f"/sessions/{leaf.pk}/calls/")
    reads = [(each.actor, TrailRead.read(each.data).search) for each in house.events(TrailRead)]
    assert reads == [
        ("ada", {"finding": "issued"}),
        ("eve", {"record": record["eventID"]}),
        ("eve", {"session": leaf.alias}),
    ]


def test_pages_go_on_by_links(house):
    upload(house, [event(f"Call{at}", eventID=number()) for at in range(60)])
    browser = house.browser(house.ada)
    first = browser.get("/teams/platform/audit/drift/")
    older = first.context["older"]
    second = browser.get(f"/teams/platform/audit/drift/{older}")
    names = [row.record.event_name for at in (first, second) for row in at.context["rows"]]
    assert sorted(names) == sorted(f"Call{at}" for at in range(60))


@pytest.mark.parametrize(
    "query", ["?finding=no", "?after=x", "?import=x", "?after=2026 1", "?key=%00"]
)
def test_an_address_that_asks_for_nothing_is_a_bad_request(house, query):
    assert page(house, query).status_code == 400


def look_up(house, session, member=None, /, **changes):
    typed = {"session": str(session.pk), "region": "eu-west-1", "since": "24h"} | changes
    path = "/teams/platform/audit/drift/lookup/"
    return house.browser(member or house.ada).post(path, typed, follow=True)


def test_a_session_that_one_has_started_looks_cloudtrail_up(house):
    [leaf] = house.chain(1)
    assert "lookup-session" not in page(house).text
    issued(house, leaf, house.ada)
    assert "lookup-session" in page(house).text
    answer = look_up(house, leaf)
    assert f"{leaf.alias}, eu-west-1" in answer.text
    taken = TrailImport.objects.get()
    assert (taken.source, taken.person, taken.session_id) == ("lookup", "ada", leaf.pk)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"region": "no region"}, "region"),
        ({"since": "soon"}, "how long ago"),
        ({"since": ""}, "since when"),
        ({"session": "x"}, "Choose a session"),
        ({"since": "2020-01-01", "until": "2020-02-01"}, "90 days"),
    ],
)
def test_a_look_up_that_makes_no_sense_says_why(house, changes, said):
    [leaf] = house.chain(1)
    issued(house, leaf, house.ada)
    assert said in look_up(house, leaf, **changes).text
    assert not TrailImport.objects.exists()


def test_the_simulated_aws_has_nothing_to_look_up(house, settings):
    settings.SIMULATED = True
    [leaf] = house.chain(1)
    issued(house, leaf, house.ada)
    assert "keeps no CloudTrail" in page(house).text
    assert "lookup-session" not in page(house).text
    assert "Import log files instead" in look_up(house, leaf).text
    assert not TrailImport.objects.exists()


def test_nobody_looks_up_with_what_they_have_not_started(house):
    [leaf] = house.chain(1)
    issued(house, leaf, house.ben)
    assert "Start" in look_up(house, leaf).text
    assert look_up(house, leaf, house.eve).status_code == 403
    assert look_up(house, leaf, house.ben).status_code == 403
    assert not TrailImport.objects.exists()


def test_an_import_is_deleted_with_its_records(house):
    taken = upload(house, [event(eventID=number())])
    path = f"/teams/platform/audit/drift/imports/{taken.pk}/delete/"
    assert house.browser(house.ada).post(path).status_code == 302
    assert "ListBuckets" not in page(house).text
    trail.work_off(60)
    assert not TrailRecord.objects.exists()


def test_a_file_too_large_is_left_out_and_said(house, monkeypatch):
    monkeypatch.setattr(uploads, "LARGEST_UPLOAD", 1000)
    answer = post_file(house, b"x" * 100_000, name="big.json")
    assert "big.json was left out" in answer.text
    assert not TrailImport.objects.exists()


def test_strangers_have_nothing_stored(client, tmp_path, settings):
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    browser = Client(enforce_csrf_checks=True)
    files = {"files": io.BytesIO(b"x" * 5_000_000)}
    assert browser.post("/teams/platform/audit/drift/upload/", files).status_code in {302, 403}
    assert list(tmp_path.iterdir()) == []


def test_no_other_page_takes_a_file(house, tmp_path, settings):
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    browser = house.browser(house.ada)
    answer = browser.post("/teams/platform/preview/", {"x": io.BytesIO(b"x" * 5_000_000)})
    assert answer.status_code < 500
    assert list(tmp_path.iterdir()) == []


def test_another_teams_pages_show_none_of_it(house, sts):
    upload(house, [event(eventID=number())])
    second = TeamFixture(sts, "second")
    shown = second.browser(second.ada).get("/teams/second/audit/drift/").text
    assert "ListBuckets" not in shown
