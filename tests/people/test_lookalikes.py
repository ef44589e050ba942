"""Names that differ in case alone are one name, by every way in and in a race."""

import threading
from importlib import import_module

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from sessions.actors import Actor, NamedActor
from sessions.exceptions import Refused
from sessions.models import Membership, Role, Team, User
from sessions.people.invitations import invite
from sessions.people.people import create_person, create_team
from sessions.secret import Secret
from tests.house import PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def password(monkeypatch):
    monkeypatch.setenv("CHAINWEB_PASSWORD", PASSWORD)


def set_up(team, admin):
    call_command("setup", team=team, admin=admin)


@pytest.mark.parametrize(
    ("team", "admin", "says"),
    [
        ("platform", "Ada", "'ada' exists.*--admin ada"),
        ("Platform", "ada", "'platform' exists.*--team platform"),
        ("acme", "worker", "reserved"),
        ("acme", "ａda", "valid username"),
        ("acmé", "alice", "slug"),
        ("acme", "x" * 151, "150"),
        ("x" * 51, "alice", "50"),
    ],
)
def test_setup_refuses_in_words_and_makes_nothing(house, team, admin, says):
    before = (User.objects.count(), Team.objects.count(), Membership.objects.count())
    with pytest.raises(CommandError, match=says):
        set_up(team, admin)
    assert (User.objects.count(), Team.objects.count(), Membership.objects.count()) == before


def test_setup_without_anybody_to_type_a_password_says_so(house, monkeypatch):
    def nobody_types(prompt):
        raise EOFError

    monkeypatch.delenv("CHAINWEB_PASSWORD", raising=False)
    monkeypatch.setattr("getpass.getpass", nobody_types)
    with pytest.raises(CommandError, match="set CHAINWEB_PASSWORD"):
        call_command("setup", team="another", admin="carol")
    assert not User.objects.filter(username="carol").exists()


def test_setup_again_with_the_same_names_is_no_refusal(house):
    set_up("platform", "ben")
    set_up("acme", "ada")
    assert Membership.objects.get(user=house.ben.user, team=house.team).role == Role.ADMIN


def test_a_person_or_team_made_meanwhile_is_refused_in_words(house):
    with pytest.raises(Refused, match="'ada' already"):
        create_person("ADA", Secret(PASSWORD))
    with pytest.raises(Refused, match="'platform' already"):
        create_team("PLATFORM", "Platform", NamedActor("tests"))
    assert not User.objects.filter(username="ADA").exists()


def test_who_signs_up_by_invitation_gets_no_name_that_another_has(house):
    _, code = invite(Actor(house.ada), Role.MEMBER)
    guest = Client()
    guest.post(reverse("join"), {"code": code.reveal()})
    for name in ("BEN", "ｂen", "Worker"):
        answer = guest.post(reverse("account_signup"), {"username": name, "password1": PASSWORD})
        assert answer.status_code == 200
    assert User.objects.filter(username__iexact="ben").count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda name: create_person(name, None), ["alice", "Alice", "ALICE", "aLICE"]),
        (
            lambda name: create_team(name, name, NamedActor("tests")),
            ["acme", "Acme", "ACME", "aCME"],
        ),
    ],
)
def test_of_four_at_once_one_gets_the_name_and_the_others_a_refusal(make, names):
    barrier, made = threading.Barrier(len(names)), []

    def one(name):
        barrier.wait()
        try:
            make(name)
            made.append("made")
        except Refused as refused:
            made.append(refused.message.partition("'")[0])
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=[name]) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.count("made") == 1
    assert {each for each in made if each != "made"} in (
        {"There is a person "},
        {"There is a team "},
    )


def test_the_database_itself_holds_short_names_apart(house):
    with pytest.raises(IntegrityError), transaction.atomic():
        Team.objects.create(slug="PLATFORM", name="by hand")


@pytest.mark.django_db(transaction=True)
def test_the_migration_stops_at_teams_that_are_alike_and_says_what_to_do():
    migration = import_module("sessions.migrations.0006_team_slugs")
    [constraint] = Team._meta.constraints
    with connection.schema_editor() as editor:
        editor.remove_constraint(Team, constraint)
    try:
        Team.objects.create(slug="acme", name="one")
        Team.objects.create(slug="Acme", name="two")
        with pytest.raises(
            CommandError,
            match=r"'acme' and 'Acme' differ in case alone(.|\n)*update\(slug='acme-2'\)",
        ):
            migration.refuse_lookalikes(apps, None)
        Team.objects.filter(slug="Acme").update(slug="acme-2")
        migration.refuse_lookalikes(apps, None)
    finally:
        Team.objects.all().delete()
        with connection.schema_editor() as editor:
            editor.add_constraint(Team, constraint)
