"""Close a role while a session is created, changed or opened.

Two people act at once.
"""

import time

import pytest
from django.db import connection

from sessions.actors import Actor
from sessions.catalog.access import set_access
from sessions.catalog.audiences import Access
from sessions.catalog.deletions import delete_session
from sessions.catalog.same_role import close_wider_ways, wider_ways
from sessions.catalog.sessions import save_session
from sessions.exceptions import Refused
from sessions.locks import parts
from sessions.models import AwsSession, Role, SessionGrant
from sessions.people.memberships import change_role
from tests.catalog.closing import EVERYONE, NOBODY, draft, only, stored
from tests.races import PATIENCE_SECONDS, Aside, held_head, wait_for_waiting

CLOSED = Access(NOBODY, NOBODY)
in_order = pytest.mark.skipif(
    connection.vendor == "sqlite", reason="whoever waits for SQLite comes in any order"
)


def one_after_the_other(house, *works):
    """Start each while the one before holds the team.

    It waits for the head of its ledger. Returns what each came to.
    """
    with held_head(house.team):
        asides = []
        for work in works:
            asides.append(Aside(work))
            wait_for_waiting(len(asides))
    return [result_of(each) for each in asides]


def result_of(aside):
    try:
        return aside.result()
    except Refused as refused:
        return refused.message


@in_order
def test_a_session_that_is_made_while_its_role_is_closed_is_refused(lasting_house):
    house = lasting_house
    arn = house.role_arn("Deploy")
    dep = save_session(draft(house, arn, "dep"), Actor(house.ben))
    _, refusal = one_after_the_other(
        house,
        lambda: set_access(dep, CLOSED, Actor(house.ada)),
        lambda: save_session(draft(house, arn, "mine"), Actor(house.ben)),
    )
    assert "closed to you: “dep”" in refusal


@in_order
def test_a_session_that_is_made_just_before_is_closed_with_the_others(lasting_house):
    house = lasting_house
    arn = house.role_arn("Deploy")
    dep, adas = (house.chained(alias, arn=arn) for alias in ("dep", "adas"))
    set_access(dep, CLOSED, Actor(house.ada))
    mine, closed = one_after_the_other(
        house,
        lambda: save_session(draft(house, arn, "mine"), Actor(house.ben)),
        lambda: close_wider_ways(dep, Actor(house.ada)),
    )
    assert {each.pk for each in closed} == {mine.pk, adas.pk}
    assert stored(mine) == CLOSED


@in_order
def test_opening_that_meets_an_admins_closing_is_refused(lasting_house):
    house = lasting_house
    mine = save_session(draft(house, house.role_arn("Deploy"), "mine"), Actor(house.ben))
    set_access(mine, Access(only(house.ben), NOBODY), Actor(house.ben))
    _, refusal = one_after_the_other(
        house,
        lambda: set_access(mine, CLOSED, Actor(house.ada)),
        lambda: set_access(mine, Access(EVERYONE, EVERYONE), Actor(house.ben)),
    )
    assert "closed by an admin" in refusal
    assert stored(mine) == CLOSED


@in_order
def test_deleting_that_meets_an_admins_closing_wins_nothing(lasting_house):
    house = lasting_house
    arn = house.role_arn("Deploy")
    mine = save_session(draft(house, arn, "mine"), Actor(house.ben))

    def made_again():
        delete_session(mine, Actor(house.ben))
        return save_session(draft(house, arn, "mine"), Actor(house.ben))

    _, refusal = one_after_the_other(
        house, lambda: set_access(mine, CLOSED, Actor(house.ada)), made_again
    )
    assert "closed to you by an admin" in refusal


@in_order
def test_who_is_made_a_member_meanwhile_opens_nothing_as_an_admin(lasting_house):
    house = lasting_house
    ann = house.person("ann", Role.ADMIN)
    anns = save_session(draft(house, house.role_arn("Deploy"), "anns"), Actor(ann))
    set_access(anns, CLOSED, Actor(house.ada))
    _, refusal = one_after_the_other(
        house,
        lambda: change_role(ann, Role.MEMBER, Actor(house.ada)),
        lambda: set_access(anns, Access(EVERYONE, EVERYONE), Actor(ann)),
    )
    assert "closed by an admin" in refusal
    assert stored(anns) == CLOSED


def test_no_session_slips_in_while_many_are_being_closed(lasting_house, monkeypatch):
    house = lasting_house
    monkeypatch.setattr(parts, "AT_ONCE", 2)
    arn = house.role_arn("Deploy")
    dep = house.chained("dep", arn=arn)
    for number in range(5):
        save_session(draft(house, arn, f"before {number}"), Actor(house.ben))

    def make():
        end = time.monotonic() + PATIENCE_SECONDS
        number = 0
        while time.monotonic() < end:
            try:
                save_session(draft(house, arn, f"mine {number}"), Actor(house.ben))
            except Refused:
                return True
            number += 1
            time.sleep(0.05)  # whoever waits for SQLite comes in by chance
        return False

    made = Aside(make)
    set_access(dep, CLOSED, Actor(house.ada))
    close_wider_ways(dep, Actor(house.ada))
    assert made.result()
    assert wider_ways(dep, 20) == ([], False)
    having = AwsSession.objects.filter(link__role_arn=arn)
    assert not having.filter(open_to_start=True).exists()
    assert not SessionGrant.objects.exists()
