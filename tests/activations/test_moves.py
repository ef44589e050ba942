"""Save a change to thousands at once; what is active follows in parts, past killed workers."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.urls import reverse

from sessions import tasks
from sessions.activations import moves
from sessions.activations.start_stop import start_sessions
from sessions.actors import Actor, NamedActor
from sessions.catalog.sessions import Draft, save_session
from sessions.db.clock import database_now
from sessions.delivery.reveal import NotReady, reveal
from sessions.models import Activation, AwsSession, Move
from sessions.people.people import rename_in_cloudtrail
from tests.chains.policies import set_policy
from tests.house import crowd, draft_of

pytestmark = pytest.mark.django_db
MANY = moves.AT_ONCE + 30


@pytest.fixture
def many(house):
    """More active sessions than follow at once, half of them under one hop."""
    hub = house.chained("Hub")
    sessions = crowd(house, MANY, assumer=hub)
    started = list(
        AwsSession.objects.filter(pk__in=[each.pk for each in sessions]).select_related(
            "link", "team"
        )
    )
    start_sessions(started, Actor(house.ben))
    return hub


def names(prefix):
    """Count the activations whose role session name begins so."""
    rows = Activation.objects.values_list("credential__request", flat=True)
    return sum(request["role_session_name"].startswith(prefix) for request in rows)


def edited(house, session, **changes):
    return save_session(draft_of(session, **changes), Actor(house.ada), session)


def test_a_few_follow_in_the_change_itself(house):
    leaf = house.chained("Leaf")
    house.start(leaf)
    set_policy(house, role_session_name="x-{username}", names_locked=True)
    assert names("x-") == 1
    assert not Move.objects.exists()


def test_a_policy_change_is_saved_at_once_and_thousands_follow(house, many):
    set_policy(house, role_session_name="x-{username}", names_locked=True)
    assert names("x-") == 0
    assert moves.progress(house.team.pk) == {"done": 0, "of": MANY}
    house.start(many)  # what is started now asks for the new name by itself
    assert names("x-") == 1
    assert moves.work_off(60) == MANY + 1
    assert names("x-") == MANY + 1
    assert moves.progress(house.team.pk) is None


def test_nothing_of_before_a_change_is_handed_out_until_it_has_moved(house, many):
    house.work()
    session = AwsSession.objects.filter(alias__startswith="Crowd").first()
    assert reveal(session, Actor(house.ben), form="process", via="test")
    set_policy(house, role_session_name="x-{username}", names_locked=True)
    with pytest.raises(NotReady):
        reveal(session, Actor(house.ben), form="process", via="test")
    moves.work_off(60)
    house.work()
    assert reveal(session, Actor(house.ben), form="process", via="test")


def test_a_worker_that_dies_is_followed_by_another_where_it_stopped(house, many):
    set_policy(house, role_session_name="x-{username}", names_locked=True)
    dead, first = moves._hold(), 25
    assert moves._part(dead, first) == first
    assert moves.work_off(60) == 0  # the lease holds
    Move.objects.update(lease_until=database_now() - timedelta(seconds=1))
    assert moves.work_off(60) == MANY - first
    assert names("x-") == MANY
    assert moves._part(dead, MANY) == 0  # late, it changes nothing


def test_a_newer_change_begins_again(house, many):
    set_policy(house, role_session_name="x-{username}", names_locked=True)
    old = moves._hold()
    moves._part(old, 25)
    set_policy(house, role_session_name="y-{username}")
    assert moves._part(old, MANY) == 0
    assert moves.work_off(60) == MANY
    assert names("y-") == MANY


def test_the_edit_of_a_hop_moves_what_is_below_it(house, many):
    Activation.objects.update(
        user=house.ada.user
    )  # the editor's own: others' end when the identity changes
    before = set(Activation.objects.values_list("credential_id", flat=True))
    edited(house, many, role_arn=house.role_arn("Elsewhere"))
    assert moves.progress(house.team.pk, many) == {"done": 0, "of": MANY}
    moves.work_off(60)
    assert not before & set(Activation.objects.values_list("credential_id", flat=True))


def test_the_edit_of_a_root_moves_what_is_below_it(house, many):
    root = AwsSession.objects.get(pk=house.root.pk)
    key = house.sts.add_user("another")
    draft = Draft(
        kind="iam-user",
        alias=root.alias,
        profile=root.profile,
        region=root.region,
        settings={"access_key_id": key.access_key_id},
        secrets={"secret_access_key": key.secret_access_key},
    )
    before = set(Activation.objects.values_list("credential_id", flat=True))
    save_session(draft, Actor(house.ada), root)
    moves.work_off(60)
    assert not before & set(Activation.objects.values_list("credential_id", flat=True))


def test_a_new_name_in_cloudtrail_moves_that_persons_alone(house, many):
    leaf = house.chained("Leaf")
    house.start(leaf, house.bea)
    theirs = Activation.objects.get(user=house.bea.user).credential_id
    rename_in_cloudtrail(house.ben, "benjamin", actor=NamedActor("ada"))
    assert moves.progress(house.team.pk) == {"done": 0, "of": MANY}
    moves.work_off(60)
    assert names("benjamin") == MANY
    assert Activation.objects.get(user=house.bea.user).credential_id == theirs


def test_a_part_is_one_transaction_of_a_bounded_size(house, many, monkeypatch):
    monkeypatch.setattr(moves, "MOST_IN_A_PART", 30)
    set_policy(house, role_session_name="x-{username}", names_locked=True)
    sizes, replan_activations = [], moves.replan_activations

    def counted(some, *args, **kwargs):
        sizes.append(some.count())
        return replan_activations(some, *args, **kwargs)

    monkeypatch.setattr(moves, "replan_activations", counted)
    assert moves.work_off(60) == MANY
    assert sizes == [30, 30, 20]


def test_page_and_api_show_how_far_it_is(house, many):
    set_policy(house, role_session_name="x-{username}", names_locked=True)
    ada = house.browser(house.ada)
    said = f"0 of {MANY} active sessions"
    assert said in ada.get(reverse("team_policy", args=[house.team.slug])).content.decode()
    live = reverse("policy_progress", args=[house.team.slug])
    assert said in ada.get(live).content.decode()
    headers = {"Authorization": f"Bearer {house.token(house.ada).reveal()}"}
    assert ada.get("/api/v1/policy", headers=headers).json()["moving"] == {"done": 0, "of": MANY}
    moves.work_off(60)
    assert "hx-get" not in ada.get(live).content.decode()
    assert "moving" not in ada.get("/api/v1/policy", headers=headers).json()


def test_a_session_saved_during_the_check_is_checked_under_the_lock(house, monkeypatch):
    from sessions.catalog import team_policy
    from sessions.exceptions import Refused

    set_policy(house, tags={"stage": ()})
    checked = team_policy.check_all

    def and_then_somebody_saves(team_id, before, after, since=None):
        checked(team_id, before, after, since)
        if since is None:
            monkeypatch.undo()
            house.chained("Meanwhile", tags=(("stage", "live"),))

    monkeypatch.setattr(team_policy, "check_all", and_then_somebody_saves)
    with pytest.raises(Refused, match="Meanwhile"):
        set_policy(house, tags={})


def test_a_policy_saved_during_the_check_has_chains_checked_again(house, monkeypatch):
    from sessions.catalog import team_policy

    checked, seen = team_policy.check_all, []

    def and_then_somebody_saves(team_id, before, after, since=None):
        checked(team_id, before, after, since)
        seen.append(since)
        if len(seen) == 1:
            set_policy(house, activation_hours=3)

    monkeypatch.setattr(team_policy, "check_all", and_then_somebody_saves)
    saved = set_policy(house, tags={"stage": ()})
    assert saved.allowed_tags == {"stage": []}
    assert [each is None for each in seen] == [True, True, False, True, False]


def test_walking_nothing_finds_nothing(house):
    from sessions.models.forest import above, below

    nothing = AwsSession.objects.none().values("pk")
    assert not AwsSession.objects.filter(pk__in=below(nothing)).exists()
    assert not AwsSession.objects.filter(pk__in=above(nothing)).exists()


def test_the_clock_moves_what_no_message_has_told_of(house, many):
    set_policy(house, role_session_name="x-{username}", names_locked=True)
    tasks.sweep_now()
    assert names("x-") == MANY
    assert moves.progress(house.team.pk) is None


DIES = """
import os, signal, sys
import django
from tests import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
django.setup()
from sessions.activations import moves
moves.MOST_IN_A_PART, replan, calls = 5, moves.replan_activations, []
def and_dies(*args, **kwargs):
    replan(*args, **kwargs)
    calls.append(1)
    if len(calls) == 4:  # within a part: what it has done of that is not committed
        os.kill(os.getpid(), signal.SIGKILL)
moves.replan_activations = and_dies
moves.work_off(60)
"""


@pytest.mark.django_db(transaction=True)
def test_a_worker_process_that_is_killed_within_a_part_loses_nothing(lasting_house):
    house = lasting_house
    sessions = crowd(house, MANY)
    started = AwsSession.objects.filter(pk__in=[each.pk for each in sessions]).select_related(
        "link", "team"
    )
    start_sessions(list(started), Actor(house.ben))
    set_policy(house, role_session_name="x-{username}", names_locked=True)
    database = str(connection.settings_dict["NAME"])
    environ = os.environ | {
        "CHAINWEB_LEASE_SECONDS": "1",
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    died = subprocess.run(
        [sys.executable, "-c", DIES, database], env=environ, timeout=60, check=False
    )
    assert died.returncode == -signal.SIGKILL
    assert names("x-") == 15
    assert Move.objects.get().done == 15
    assert moves.work_off(60) == 0  # its lease holds
    time.sleep(1.1)
    assert moves.work_off(60) == MANY - 15
    assert names("x-") == MANY
