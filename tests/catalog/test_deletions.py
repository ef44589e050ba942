"""Delete sessions for everybody at once, and clear their rows away in parts.

Also when a worker dies over it.
"""

import os
import signal
from collections import Counter

import pytest
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sessions import ledger, tasks
from sessions.activations.ending import end_of_people_who_left, end_overdue
from sessions.activations.start_stop import start_sessions
from sessions.actors import Actor, NamedActor
from sessions.aws.hop_settings import HopSettings
from sessions.catalog import deletions
from sessions.catalog.access import set_access
from sessions.catalog.audiences import Access, Audience
from sessions.catalog.deletions import delete_session, mark_of
from sessions.catalog.probes import start_probe
from sessions.catalog.sessions import Draft, save_session
from sessions.chains.impersonation import ShownNames
from sessions.delivery.reveal import NotReady, NotYours, reveal
from sessions.engine import rotation
from sessions.exceptions import NotThere, Refused
from sessions.ledger.events.sessions import SessionDeleted, SessionStopped
from sessions.locks import parts
from sessions.locks.versions import Changed
from sessions.models import (
    CHAINED,
    Activation,
    AssumerLink,
    AwsSession,
    Credential,
    Deletion,
    KeyRotation,
    Probe,
    Problem,
)
from sessions.people.tokens import create_token
from sessions.roots.key_rotation import ask_rotation
from sessions.roots.notices import broken_roots
from sessions.urls import urlpatterns
from tests.api.tool import Api
from tests.house import crowd, draft_of

pytestmark = pytest.mark.django_db
FEW, MANY = 5, 23


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch):
    monkeypatch.setattr(parts, "AT_ONCE", FEW)
    monkeypatch.setattr(parts, "MARKED_AT_ONCE", FEW)


def grown(house):
    """Make a hop with many sessions on it, and more on one of them.

    Tests name the first and last.
    """
    hub = house.chained("Hub")
    crowd(house, MANY, assumer=hub)
    leaves = list(
        AwsSession.objects.filter(alias__startswith="Crowd").select_related("link", "team")
    )
    crowd(house, FEW, assumer=leaves[3], prefix="Deep")
    return hub, leaves


GONE = 1 + MANY + FEW


@pytest.fixture
def hub(house):
    return grown(house)[0]


@pytest.fixture
def leaves(hub):
    return list(AwsSession.objects.filter(alias__startswith="Crowd").select_related("link", "team"))


def told(house):
    """Count how often the ledger says of each session that it was deleted."""
    return Counter(event.session_id for event in house.events(SessionDeleted))


def is_cleared_away(house, ids):
    assert not AwsSession.objects.filter(pk__in=ids).exists()
    assert not AssumerLink.objects.filter(pk__in=ids).exists()
    assert not Activation.objects.exists()
    assert not Credential.objects.filter(level__gt=0).exists()
    assert not Deletion.objects.exists()
    assert told(house) == dict.fromkeys(map(str, ids), 1)
    assert ledger.verify(str(house.team.pk)) is None


def ids_of(hub):
    return list(hub.with_dependants().values_list("pk", flat=True))


def test_what_is_deleted_is_cleared_away_in_parts_and_told_once(house, hub, leaves):
    start_sessions([hub, *leaves], Actor(house.ben))
    house.work()
    ids = ids_of(hub)
    assert delete_session(hub, Actor(house.ada)) == GONE == len(ids)
    [event] = house.events(SessionDeleted)
    assert (event.actor, event.session_alias, event.data["below"]) == ("ada", "Hub", GONE - 1)
    assert deletions.work_off(60) == GONE
    is_cleared_away(house, ids)
    together = Counter(event.at for event in house.events(SessionDeleted))
    assert max(together.values()) <= FEW
    stopped = house.events(SessionStopped)
    assert {event.actor for event in stopped} == {"ada"}
    assert len(stopped) == MANY + 1


def test_no_page_and_no_call_of_the_api_finds_what_is_deleted(house, hub, leaves, subtests):
    start_sessions(leaves, Actor(house.ada))
    house.work()
    api, ada = Api(house.token(house.ada)), house.browser(house.ada)
    delete_session(hub, Actor(house.ada))
    for pattern in urlpatterns:
        if "<uuid:session_id>" in str(pattern.pattern):
            for gone in (hub, leaves[0]):
                extra = {"format": "posix"} if "format" in str(pattern.pattern) else {}
                url = reverse(pattern.name, kwargs={"session_id": gone.pk, **extra})
                with subtests.test(url):
                    statuses = {ada.get(url).status_code, ada.post(url).status_code}
                    if pattern.name == "container":  # of tokens alone, whatever is there
                        assert statuses == {401, 405}
                        continue
                    assert 404 in statuses
                    assert statuses <= {404, 405}
    document = Client().get("/api/v1/openapi.json").json()
    for path, methods in document["paths"].items():
        if "{session_id}" in path:
            for method in methods:
                for gone in (hub, leaves[0]):
                    url = path.removeprefix("/api/v1").replace("{session_id}", str(gone.pk))
                    with subtests.test(f"{method} {url}"):
                        assert api(method.upper(), url, {}).status_code == 404
    assert [each["alias"] for each in api("GET", "/sessions").json()] == ["Root key"]
    page = ada.get(reverse("session_list", args=[house.team.slug])).content.decode()
    assert "Crowd" not in page
    assert "Hub" not in page
    root = ada.get(reverse("session", args=[house.root.pk])).content.decode()
    assert "Crowd" not in root
    body = {
        "kind": CHAINED,
        "alias": "On it",
        "profile": "on-it",
        "region": "eu-west-1",
        "assumer": str(hub.pk),
    }
    refused = api("POST", "/sessions", body | {"role_arn": house.role_arn("OnIt")})
    assert refused.status_code == 422


def test_nothing_is_handed_out_or_minted_of_what_is_deleted(house, sts, hub, leaves):
    start_sessions(leaves, Actor(house.ben))
    house.work()
    token = create_token(house.ben, "tool", actor=NamedActor("tests"), sessions=[leaves[0]])
    tool = Api(token)
    assert tool("GET", f"/sessions/{leaves[0].pk}/credentials?format=process").status_code == 200
    Credential.objects.filter(level__gt=0).update(due_at="2020-01-01T00:00Z")
    delete_session(hub, Actor(house.ada))
    calls = len(sts.calls)
    house.work()
    assert len(sts.calls) == calls
    assert not Credential.objects.filter(due_at__isnull=False).exists()
    with pytest.raises(NotYours) as lost:
        reveal(leaves[0], Actor(house.ben), form="posix", via="page")
    assert isinstance(lost.value.why, NotThere)
    assert tool("GET", f"/sessions/{leaves[0].pk}/credentials?format=process").status_code == 401
    with pytest.raises(NotThere):
        house.start(leaves[0])
    # What has ended by a deletion is not the clock's to tell.
    assert end_overdue() + end_of_people_who_left() == 0


def test_names_and_profiles_are_free_at_once(house, hub, leaves):
    start_sessions(leaves, Actor(house.ben))
    delete_session(hub, Actor(house.ada))
    again = house.chained("Hub", profile=leaves[0].profile)
    house.chained(leaves[0].alias, again, profile=leaves[1].profile)
    house.start(again)
    house.work()
    assert reveal(again, Actor(house.ben), form="posix", via="page")
    assert deletions.work_off(60) == GONE
    assert AwsSession.objects.filter(kind=CHAINED).count() == 2
    assert reveal(again, Actor(house.ben), form="posix", via="page")


def test_a_role_or_a_name_of_what_is_deleted_stands_in_nobodys_way(house, hub, leaves):
    role = leaves[0].link.role_arn
    AwsSession.objects.filter(pk=leaves[0].pk).update(open_to_start=False)
    AssumerLink.objects.filter(pk=leaves[1].pk).update(role_session_name="grace")
    assert ShownNames().include("grace")
    with pytest.raises(Refused, match="closed to you"):
        house.chained("Same role", member=house.ben, arn=role)
    delete_session(hub, Actor(house.ada))
    assert not ShownNames().include("grace")
    house.chained("Same role", member=house.ben, arn=role)


def test_what_an_admin_has_closed_stays_closed(house, hub, leaves):
    set_access(leaves[0], Access(Audience(False), Audience(False)), Actor(house.ada))
    role = leaves[0].link.role_arn
    delete_session(hub, Actor(house.ada))
    for _ in range(2):
        with pytest.raises(Refused, match="closed to you by an admin"):
            house.chained("Same role", member=house.ben, arn=role)
        deletions.work_off(60)


def test_a_root_takes_its_secret_and_its_keys_replacement_with_it(house, iam, hub, leaves):
    start_sessions(leaves, Actor(house.ben))
    house.work()
    ask_rotation(house.root, Actor(house.ada))
    Credential.objects.filter(level=0).update(problem=Problem("X", 0, "", ""))
    assert broken_roots(house.ada)
    ids = ids_of(house.root)
    delete_session(AwsSession.objects.get(pk=house.root.pk), Actor(house.ada))
    assert not broken_roots(house.ada)
    assert not KeyRotation.objects.exists()
    assert AwsSession.objects.get(pk=house.root.pk).sealed_secrets is None
    tasks.sweep_now()
    is_cleared_away(house, ids)
    assert not Credential.objects.exists()


def test_a_test_before_saving_on_what_is_deleted_mints_nothing(house, sts, hub):
    draft = Draft(
        kind=CHAINED,
        alias="Trial",
        profile="trial",
        region="eu-west-1",
        assumer=hub,
        hop=HopSettings(role_arn=house.role_arn("Trial"), role_session_name="{username}"),
    )
    start_probe(draft, Actor(house.ben), None)
    delete_session(hub, Actor(house.ada))
    assert not Probe.objects.exists()
    assert rotation.run() == 0
    assert not sts.calls


def test_what_others_are_minted_from_goes_on(house, hub, leaves):
    other = house.chained("Other")
    start_sessions([other, *leaves], Actor(house.ben))
    house.work()
    delete_session(hub, Actor(house.ada))
    assert reveal(other, Actor(house.ben), form="posix", via="page")
    deletions.work_off(60)
    assert reveal(other, Actor(house.ben), form="posix", via="page")
    assert Credential.objects.get(level=1).activations.get().session_id == other.pk


def test_somebody_elses_session_keeps_all_of_them(house):
    mine = house.chained("Mine", member=house.ben)
    below = crowd(house, FEW + 2, assumer=mine, prefix="Others")
    with pytest.raises(Refused, match="Only an admin"):
        delete_session(mine, Actor(house.ben))
    AwsSession.objects.filter(pk__in=[each.pk for each in below]).update(created_by=house.ben.user)
    assert delete_session(mine, Actor(house.ben)) == FEW + 3


def test_what_was_not_confirmed_keeps_all_of_them(house, hub):
    seen = mark_of(set(ids_of(hub)) - {hub.pk})
    house.chained("One more", hub)
    with pytest.raises(Changed):
        delete_session(hub, Actor(house.ada), below_seen=seen)
    assert not Deletion.objects.exists()


def test_a_session_with_few_below_it_is_gone_in_one_step(house):
    first, *_ = house.chain(3)
    ids = ids_of(first)
    assert delete_session(first, Actor(house.ada)) == 3
    is_cleared_away(house, ids)


@pytest.mark.parametrize("when", ["before it is told", "after it is told"])
def test_a_worker_that_is_killed_over_it_leaves_nothing_that_stays(lasting_house, when):
    house = lasting_house
    hub, leaves = grown(house)
    start_sessions(leaves, Actor(house.ben))
    house.work()
    ids = ids_of(hub)
    delete_session(hub, Actor(house.ada))
    _killed_in_the_second_part(when)
    left = AwsSession.objects.filter(pk__in=ids)
    assert 0 < left.count() < GONE
    assert sum(told(house).values()) == GONE - left.count() + 1
    with pytest.raises(NotYours):
        reveal(leaves[3], Actor(house.ben), form="posix", via="page")
    assert house.browser(house.ada).get(reverse("session", args=[leaves[3].pk])).status_code == 404
    again = house.chained(leaves[3].alias, profile=leaves[3].profile)
    tasks.sweep_now()
    assert AwsSession.objects.get(kind=CHAINED).pk == again.pk
    is_cleared_away(house, ids)


def _killed_in_the_second_part(when):
    """Another process clears away, and dies by a signal while its second transaction is open."""
    connections.close_all()
    worker = os.fork()
    if worker == 0:
        step = deletions._clear if when == "after it is told" else ledger.append
        done = []

        def die(*arguments):
            done.append(1)
            if len(done) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*arguments)

        if when == "after it is told":
            deletions._clear = die
        else:
            ledger.append = die
        deletions.work_off(60)
        os._exit(1)
    _, status = os.waitpid(worker, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


def test_what_is_decided_holds_before_any_part_is_worked_off(house, sts, hub, leaves):
    """The process of the page may die after the first transaction."""
    start_sessions([hub, *leaves], Actor(house.ben))
    house.work()
    ids = ids_of(hub)
    Credential.objects.filter(level__gt=0).update(due_at="2020-01-01T00:00Z")
    deletions.decide(hub, Actor(house.ada))
    calls = len(sts.calls)
    house.work()
    assert len(sts.calls) == calls
    for gone in (hub, leaves[0]):
        with pytest.raises((NotYours, NotReady)):
            reveal(gone, Actor(house.ben), form="posix", via="page")
        with pytest.raises(NotThere):
            house.start(gone)
    with pytest.raises(Refused):
        house.chained("On it", leaves[0])
    browser = house.browser(house.ada)
    assert browser.get(reverse("session", args=[leaves[0].pk])).status_code == 200
    assert browser.get(reverse("session_list", args=[house.team.slug])).status_code == 200
    assert Api(house.token(house.ada))("POST", f"/sessions/{leaves[0].pk}/start").status_code == 409
    tasks.sweep_now()
    is_cleared_away(house, ids)


def test_what_is_deleted_is_marked_in_parts(house, hub, leaves):
    start_sessions(leaves, Actor(house.ben))
    with CaptureQueriesContext(connection) as run:
        delete_session(hub, Actor(house.ada))
    marked = [
        each["sql"]
        for each in run
        if each["sql"].startswith('UPDATE "chains_awssession" SET "team')
    ]
    assert len(marked) >= (GONE - 1) / FEW
    assert not AwsSession.objects.filter(pk__in=ids_of(hub), deletion=None).exists()


def test_what_moves_away_before_its_part_comes_is_kept(house, hub, leaves):
    deletions.decide(hub, Actor(house.ada))
    other = house.chained("Other")
    draft = draft_of(leaves[3], assumer=other)
    save_session(draft, Actor(house.ada), AwsSession.objects.get(pk=leaves[3].pk))
    tasks.sweep_now()
    kept = AwsSession.objects.filter(kind=CHAINED).exclude(pk=other.pk)
    assert {each.pk for each in kept} == {*leaves[3].with_dependants().values_list("pk", flat=True)}
    assert kept.count() == 1 + FEW
    house.start(leaves[3])
    house.work()
    assert reveal(leaves[3], Actor(house.ben), form="posix", via="page")
