"""Pages and the API say which events were removed from a ledger."""

from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.db import connection
from django.urls import reverse

from sessions.ledger import tombstones, triggers
from sessions.models import Event, Tombstone
from tests.api.tool import Api
from tests.ledger.checkpoint_keys import pair

pytestmark = pytest.mark.django_db
SAID = (
    'Events 1 to <span class="num">2</span> were removed on 2 May 2026 by olga &lt;b&gt;. The hash'
    ' of the last was <span class="num removed-hash">{}</span>'
)


@pytest.fixture
def last_hash(house, settings):
    settings.CHAINWEB_CHECKPOINT_KEY, settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY = pair("c1")
    return remove_two(house)


def remove_two(house):
    """Remove the team's first two events, as `manage.py remove_events` does; return the hash."""
    team_id = str(house.team.pk)
    line = Event.objects.get(team_id=team_id, seq=2)
    numbers = {"first": 1, "seq": 2, "event": 9}
    tombstone = tombstones.sign(
        settings.CHAINWEB_CHECKPOINT_KEY,
        **{"team_id": team_id, "head": line.hash, "by": "olga <b>", **numbers},
        at=datetime(2026, 5, 2, tzinfo=UTC),
    )
    Tombstone.objects.create(team_id=team_id, seq=2, at=tombstone.at, text=tombstone.text)
    triggers.remove(connection)
    Event.objects.filter(seq__lte=2).delete()
    triggers.install(connection)
    return line.hash


@pytest.mark.parametrize("reader", ["eve", "ben"])
def test_the_end_of_the_list_says_what_was_removed(house, last_hash, reader):
    browser = house.browser(getattr(house, reader))
    answer = browser.get(reverse("events", args=[house.team.slug]))
    assert SAID.format(last_hash) in answer.content.decode()


def test_the_page_of_a_removed_event_says_so(house, last_hash):
    browser = house.browser(house.eve)
    answer = browser.get(reverse("event", args=[house.team.slug, 2]))
    assert answer.status_code == 410
    assert SAID.format(last_hash) in answer.content.decode()
    assert browser.get(reverse("event", args=[house.team.slug, 10_000])).status_code == 404


def test_the_api_says_it_with_the_last_part(house, last_hash):
    ada = Api(house.token(house.ada))
    first, last = ada("GET", "/events?limit=1"), ada("GET", "/events?limit=200")
    assert "removed_upto" not in first.json()
    assert last.json()["removed_upto"] == 2
    answer = ada("GET", "/events/2")
    assert answer.status_code == 410
    said = answer.json()
    assert (said["code"], said["message"]) == (
        "removed",
        "The events up to 2 were removed on 2026-05-02 by olga <b>.",
    )
    assert ada("GET", "/events/10000").status_code == 404


def test_a_forged_tombstone_says_nothing(house, last_hash):
    forged = Tombstone.objects.get().text.replace('"seq":2', '"seq":3')
    Tombstone.objects.update(text=forged)
    answer = house.browser(house.eve).get(reverse("event", args=[house.team.slug, 2]))
    assert answer.status_code == 404
