"""AWS Extend Switch Roles gets a person's sessions, with bases, as its own parser reads them."""

import configparser

import pytest
from django.urls import reverse

from sessions.actors import Actor
from sessions.catalog.access import set_access
from sessions.catalog.audiences import Access, Audience
from sessions.catalog.sessions import save_session
from sessions.catalog.switch_roles import switch_roles_of
from sessions.models import Colour
from sessions.snippets.switch_roles import COLOURS
from tests.api.tool import Api
from tests.house import ACCOUNT, draft_of

pytestmark = pytest.mark.django_db


def read(text):
    parser = configparser.RawConfigParser(strict=True)  # a section twice is an error
    parser.optionxform = str
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


def test_each_hop_names_the_base_that_one_is_signed_in_with(house):
    hub, leaf = house.chain(2)
    save_session(draft_of(leaf, labels=("production",)), Actor(house.ada), leaf)
    said = read(switch_roles_of(Actor(house.ben)))
    assert said[leaf.profile]["role_arn"] == leaf.link.role_arn
    assert said[leaf.profile]["region"] == leaf.region
    assert said[leaf.profile]["source_profile"] == f"{hub.profile}-base"
    base = said[f"{hub.profile}-base"]
    assert base == {
        "aws_account_id": ACCOUNT,
        "role_name": hub.link.role_arn.rpartition("/")[2],
    }
    assert said[leaf.profile]["color"] in COLOURS.values()
    assert set(COLOURS) == set(Colour.values)


def test_profiles_of_one_name_are_told_apart(house):
    one = house.chained("One", profile="same")
    two = house.chained("Two", profile="same")
    said = read(switch_roles_of(Actor(house.ben)))
    assert said["same"]["role_arn"] == one.link.role_arn
    assert said["same-2"]["role_arn"] == two.link.role_arn


def test_it_lists_what_the_person_may_start_now_and_no_more(house):
    leaf = house.chained("Closed")
    nobody = Audience(everyone=False)
    set_access(leaf, Access(nobody, nobody), Actor(house.ada))
    assert leaf.link.role_arn not in switch_roles_of(Actor(house.ben))
    house.chained("Open")
    page = house.browser().get(reverse("switch_roles", args=[house.team.slug])).content.decode()
    assert "[open]" in page
    answer = Api(house.token(house.ben))("GET", "/switch-roles")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.content.decode() == switch_roles_of(Actor(house.ben))
