"""Name drift in a real browser: a file in, its findings, one record, what a session did."""

from datetime import timedelta

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from sessions.actors import Actor
from sessions.engine import trail
from sessions.ledger.drift import imports
from sessions.models import TeamPolicy, TrailImport
from tests.aws.cloudtrail.samples import event, role, sso, user
from tests.browser.looking import check
from tests.ledger.drift.trails import (
    as_file,
    assume,
    call,
    identity_of,
    issued,
    number,
    of_further,
    row_of,
)

FURTHER_KEY = "ASIAFURTHERKEYEXAMPLE"


@pytest.mark.looks
def test_a_file_is_imported_and_followed_to_a_session(house, tabs):
    TeamPolicy.objects.create(team=house.team, username_demanded=True, source_identity="required")
    leaf = house.chain(2)[-1]
    minted = issued(house, leaf, house.ada)
    at = minted.expires_at - timedelta(minutes=50)
    hop = assume(identity_of(minted), at, FURTHER_KEY)
    records = [
        hop,
        of_further(FURTHER_KEY, at + timedelta(minutes=1), began=at),
        call(minted, "ListBuckets", readOnly=True),
        call(minted, "DeleteBucket", errorCode="AccessDenied", errorMessage="No: deny."),
        event("StopInstances", user("maria"), eventID=number()),
        event("RunInstances", role("NikkiWolf"), eventID=number()),
        event("GetObject", sso("maria.garcia@example.com"), eventID=number()),
        event("GetRecords", {"type": "AWSService", "invokedBy": "config.amazonaws.com"}),
        event("CreateUser", {"type": "Root", "arn": "arn:aws:iam::111122223333:root"}),
    ]
    page = tabs.open(house.ada)
    page.goto(reverse("drift", args=[house.team.slug]))
    expect(page.get_by_text("No records yet")).to_be_visible()
    file = {"name": "111122223333_CloudTrail.json.gz", "mimeType": "application/gzip"}
    page.get_by_label("Log files", exact=True).set_input_files(
        [file | {"buffer": as_file(records)}]
    )
    page.get_by_role("button", name="Import files").click()
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    trail.work_off(60)
    # The page asks by itself how far it has come.
    expect(page.get_by_text("Complete")).to_be_visible()
    imports.take_file(Actor(house.ada), "broken.json", [b'{"Records": [{"eventName": oops}]}'])
    trail.work_off(60)
    imports.take_file(Actor(house.ada), "half-read.json", [as_file(records)])
    TrailImport.objects.filter(name="half-read.json").update(state="reading", position=900)
    page.reload()
    check(page)
    TrailImport.objects.filter(name="half-read.json").update(state="done", is_shown=False)
    page.get_by_role("link", name="Person around Chainweb").click()
    expect(page.get_by_role("link", name="StopInstances")).to_be_visible()
    expect(page.get_by_role("link", name="ListBuckets")).to_have_count(0)
    page.get_by_role("link", name="PutObject").click()
    expect(page.get_by_text("assumed without Chainweb")).to_be_visible()
    check(page)
    page.get_by_role("link", name="Session made by AssumeRole").click()
    page.get_by_role("link", name=f"What was done with {leaf.alias}").click()
    check(page)
    page.get_by_role("link", name="Denied").click()
    expect(page.get_by_role("link", name="DeleteBucket")).to_be_visible()
    expect(page.get_by_role("link", name="ListBuckets")).to_have_count(0)
    page.get_by_role("link", name="DeleteBucket").click()
    assert f"/records/{row_of(house, records[3]).pk}/" in page.url
