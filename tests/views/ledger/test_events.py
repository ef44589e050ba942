"""The page of events: what a search shows to whom, page by page, and what one event opens to."""

import re

import pytest
from django.urls import reverse

from sessions.actors import Actor
from sessions.catalog.sessions import save_session
from sessions.delivery.reveal import reveal
from sessions.ledger.checkpoints import sign
from sessions.ledger.events.credentials import CredentialMinted, CredentialRevealed
from sessions.ledger.events.ledger import LedgerSearched
from sessions.ledger.events.sessions import SessionEdited, SessionStarted
from sessions.ledger.previous import prev_of
from sessions.ledger.siem import stream
from sessions.ledger.story import shown
from sessions.models import Checkpoint
from sessions.views.ledger import events
from tests.house import draft_of
from tests.ledger.checkpoint_keys import pair

pytestmark = pytest.mark.django_db
PART = {"HX-Request": "true"}


@pytest.fixture
def used(house):
    """Make a chain of two that ben has started and taken, and bea has started."""
    session = house.chain(2)[-1]
    house.start(session, house.ben)
    house.start(session, house.bea)
    house.work()
    reveal(session, Actor(house.ben), form="posix", via="page")
    return session


def page(browser, house, query="", **headers):
    answer = browser.get(reverse("events", args=[house.team.slug]) + query, headers=headers)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def seqs(text):
    return [int(each) for each in re.findall(r'<tbody id="event-(\d+)"', text)]


def test_an_auditor_sees_all_events_newest_first(house, used):
    text = page(house.browser(house.eve), house)
    assert seqs(text) == [each.seq for each in house.events()][::-1][: events.SHOWN]
    assert f"{len(house.events())} in the ledger" in text
    assert ">Events</a>" in text


def test_a_member_sees_their_own_events_and_no_numbers_of_others(house, used):
    text = page(house.browser(house.ben), house)
    theirs = {
        each.seq
        for each in house.events()
        if each.actor == "ben" or "ben" in each.data.get("for", ())
    }
    assert set(seqs(text)) == theirs
    assert "Your events" in text
    assert "in the ledger" not in text
    assert reverse("person", args=[house.team.slug, house.ben.user_id]) not in text


def test_people_and_sessions_lead_to_their_pages(house, used):
    text = page(house.browser(house.ada), house, "?kind=session.started")
    assert reverse("person", args=[house.team.slug, house.bea.user_id]) in text
    assert reverse("session", args=[used.pk]) in text


def test_a_filter_is_a_link_that_takes_it_away(house, used):
    text = page(house.browser(house.ada), house, "?person=bea&kind=session.started")
    [start] = [each for each in house.events(SessionStarted) if each.actor == "bea"]
    assert seqs(text) == [start.seq]
    address = reverse("events", args=[house.team.slug])
    assert f'href="{address}?kind=session.started"' in text
    assert f'href="{address}?person=bea"' in text
    assert '<input type="hidden" name="person" value="bea">' in text


def test_a_search_that_makes_no_sense_says_which_filter(house):
    answer = house.browser(house.ada).get(
        reverse("events", args=[house.team.slug]) + "?kind=nonsense&since=soon"
    )
    assert answer.status_code == 422
    text = answer.content.decode()
    assert "There is no kind of event" in text
    assert "Since: A time such as" in text


def test_older_events_follow_as_a_page_or_as_rows(house, used, monkeypatch):
    monkeypatch.setattr(events, "SHOWN", 3)
    browser, all_of_them = house.browser(house.ada), [each.seq for each in house.events()][::-1]
    text = page(browser, house)
    assert seqs(text) == all_of_them[:3]
    [older] = re.findall(r'<a class="button button--small" href="[^"]*(\?[^"]*)"', text)
    whole = page(browser, house, older)
    assert seqs(whole) == all_of_them[3:6]
    assert "Newest events" in whole
    part = page(browser, house, older, **PART)
    assert seqs(part) == all_of_them[3:6]
    assert "<html" not in part


def test_only_a_search_of_others_events_is_an_event_and_only_once(house, used, monkeypatch):
    monkeypatch.setattr(events, "SHOWN", 1)
    for member, query in (
        (house.eve, ""),
        (house.ben, "?kind=session"),
        (house.ada, "?person=ada"),
        (house.eve, "?kind=session&before=3"),
        (house.eve, "?since=soon"),
    ):
        house.browser(member).get(reverse("events", args=[house.team.slug]) + query)
    assert house.events(LedgerSearched) == []
    page(house.browser(house.eve), house, "?person=ben&kind=session")
    [line] = house.events(LedgerSearched)
    assert line.actor == "eve"
    assert line.data["search"] == {"person": "ben", "kind": "session"}


def open_event(member, house, line, query="", status=200, **headers):
    address = reverse("event", args=[house.team.slug, line.seq]) + query
    answer = house.browser(member).get(address, headers=headers)
    assert answer.status_code == status
    return answer.content.decode()


def link(house, line):
    return f'href="{reverse("event", args=[house.team.slug, line.seq])}"'


def test_an_edit_shows_what_was_before_and_after(house, used):
    save_session(draft_of(used, region="eu-central-1"), Actor(house.ada), used)
    [line] = house.events(SessionEdited)
    text = open_event(house.eve, house, line)
    assert re.search(
        r"Region</th><td><code>eu-west-1</code></td><td><code>eu-central-1</code>", text
    )
    assert ">Alias</th>" not in text
    assert line.hash in text
    assert prev_of(line) in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "not set"),
        ("", "not set"),
        ([], "not set"),
        ({}, "not set"),
        (0, "0"),
        (False, "no"),
        (True, "yes"),
        ("a", "a"),
        (["a", "b"], "a, b"),
        ({"b": [1], "a": "é"}, '{"a": "é", "b": [1]}'),
    ],
    ids=str,
)
def test_a_stored_value_is_shown_as_people_read_it(value, text):
    assert shown(value) == text


def test_a_credential_leads_to_its_parent_and_children_and_who_took_it(house, used):
    issued = [each for each in house.events(CredentialMinted) if each.data["for"] == ["ben"]]
    hops = {each.data["hop"]: each for each in issued}
    [taken] = house.events(CredentialRevealed)
    text = open_event(house.eve, house, hops[1])
    assert "Signed the call of" in text
    assert link(house, hops[2]) in text
    text = open_event(house.eve, house, hops[2])
    assert "Call signed with" in text
    assert link(house, hops[1]) in text
    assert link(house, taken) in text
    assert "Key issued in" in open_event(house.eve, house, taken)


def test_neighbours_in_the_chain_are_the_readers_own(house, used):
    lines = house.events()
    text = open_event(house.eve, house, lines[4])
    assert link(house, lines[3]) in text
    assert link(house, lines[5]) in text
    [start] = [each for each in house.events(SessionStarted) if each.actor == "ben"]
    text = open_event(house.ben, house, start)
    own = [each for each in lines if each.actor == "ben" or "ben" in each.data.get("for", ())]
    assert own[0] == start
    assert link(house, own[1]) in text
    assert not any(link(house, each) in text for each in lines if each not in own)


def test_others_events_are_missing_to_a_member(house, used):
    [start] = [each for each in house.events(SessionStarted) if each.actor == "bea"]
    assert open_event(house.bea, house, start)
    open_event(house.ben, house, start, status=404)


def test_a_row_opens_and_closes_in_its_place(house, used):
    line = house.events(SessionStarted)[0]
    text = open_event(house.eve, house, line, **PART)
    assert seqs(text) == [line.seq]
    assert 'aria-expanded="true"' in text
    assert line.hash in text
    text = open_event(house.eve, house, line, "?closed", **PART)
    assert 'aria-expanded="false"' in text
    assert line.hash not in text


def test_what_somebody_typed_is_text_and_no_markup(house):
    hostile = "<img src=x onerror=alert(1)>"
    session = house.chained(hostile, arn=house.role_arn("Plain"))
    [line] = [each for each in house.events() if each.session_id == str(session.pk)]
    for text in (
        page(house.browser(house.ada), house, "?session=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"),
        open_event(house.ada, house, line),
    ):
        assert "<img" not in text
        assert "&lt;img" in text


def test_the_timeline_shows_what_was_counted_and_links_to_its_time(house, used):
    text = page(house.browser(house.eve), house, "?person=ben")
    assert "Delivered 1" in text
    assert "Rejected 0" in text
    assert re.search(r'aria-label="[^"]*: \d+ issued, 1 delivered, 0 rejected"', text)
    [link] = re.findall(r'<a href="[^"]*(\?[^"]*)" aria-label="[^"]*1 delivered', text)
    assert "Delivered 1" in page(house.browser(house.eve), house, link.replace("&amp;", "&"))
    assert "<svg class=" in text
    assert 'class="timeline"' not in page(house.browser(house.eve), house, "?kind=member")


def test_a_checkpoint_says_how_far_the_ledger_is_signed(house, used, settings):
    private, public = pair()
    settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY = public
    line = house.events()[2]

    def signed(head, previous=""):
        return sign(
            private, team_id=line.team_id, seq=line.seq, head=head, at=line.at, previous=previous
        )

    def store(checkpoint):
        Checkpoint.objects.all().delete()
        Checkpoint.objects.create(
            team_id=line.team_id,
            seq=line.seq,
            head=checkpoint.head,
            at=line.at,
            previous="",
            digest=checkpoint.digest,
            text=checkpoint.text,
        )
        return page(house.browser(house.eve), house)

    assert "Verified up to" not in page(house.browser(house.eve), house)
    assert f"Verified up to event {line.seq}" in store(signed(line.hash))
    for route in ("whois", "names"):
        answer = house.browser(house.eve).get(reverse(route, args=[house.team.slug]))
        assert f"Verified up to event {line.seq}" in answer.content.decode()
    assert "Verified up to" not in page(house.browser(house.ben), house)
    assert f"Event {line.seq} is not what was signed" in store(signed("0" * 64))
    settings.CHAINWEB_CHECKPOINT_PUBLIC_KEY = pair()[1]
    assert "its signature does not hold" in store(signed(line.hash))


def test_what_somebody_held_is_found_from_their_page(house, used):
    person = house.browser(house.eve).get(
        reverse("person", args=[house.team.slug, house.ben.user_id])
    )
    assert 'name="held" value="ben"' in person.content.decode()
    query = "?held=ben&since=1h&until=0min"
    text = page(house.browser(house.eve), house, query)
    assert seqs(text) == [house.events(CredentialRevealed)[-1].seq]
    assert house.events(LedgerSearched)[-1].data["search"]["held"] == "ben"
    assert seqs(page(house.browser(house.eve), house, "?held=bea&since=1h&until=0min")) == []
    assert seqs(page(house.browser(house.bea), house, query)) == []
    assert len(seqs(page(house.browser(house.ben), house, query))) == 1


def test_what_was_issued_through_a_root_is_found_from_its_page(house, used):
    other = house.chained("Elsewhere", house.iam_user("Other root"))
    house.start(other)
    house.work()
    address = f"{reverse('events', args=[house.team.slug])}?root={house.root.pk}"
    root_page = house.browser(house.eve).get(reverse("session", args=[house.root.pk]))
    assert f'href="{address}"' in root_page.content.decode()
    text = page(house.browser(house.eve), house, f"?root={house.root.pk}")
    assert set(seqs(text)) == {
        line.seq for line in house.events(CredentialMinted) if line.session_id != str(other.pk)
    }
    assert f'Issued through root <b class="clip">{house.root.alias}</b>' in text
    assert seqs(page(house.browser(house.bea), house, "?root=nonsense")) == []


def test_pages_say_which_destination_lacks_events(house, settings, monkeypatch):
    settings.CHAINWEB_SIEM_WEBHOOK = "https://127.0.0.1:1/in"
    settings.CHAINWEB_SIEM_WEBHOOK_KEYS = (b"k" * 32,)
    stream.work_off(5)
    assert "SIEM" not in page(house.browser(house.eve), house)
    monkeypatch.setattr(stream, "LATE_SECONDS", -1.0)
    assert "SIEM webhook behind since" in page(house.browser(house.eve), house)
    assert "SIEM" not in page(house.browser(house.ben), house)
