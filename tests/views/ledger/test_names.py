"""Show the names in use."""

import pytest

from sessions.ledger.names import count_all

pytestmark = pytest.mark.django_db
PAGE = "/teams/platform/audit/names/"


@pytest.fixture
def used(house):
    for name, members in (("deploy", (house.ben, house.bea)), ("{username}", (house.ben,))):
        [leaf] = house.chain(1, name=name, prefix=name.strip("{}"))
        for member in members:
            house.start(leaf, member)
    house.work()
    count_all()


def test_names_are_listed_with_their_people_and_findings(house, used):
    page = house.browser(house.eve).get(PAGE).content.decode()
    assert "several people" in page
    assert "https://console.aws.amazon.com/cloudtrailv2/home#/events?Username=deploy" in page
    assert f"/teams/platform/people/{house.ben.user_id}/" in page


def test_a_filter_is_a_link_and_leaves_the_others_out(house, used):
    page = house.browser(house.ada).get(PAGE, {"finding": "shared"}).content.decode()
    assert "Username=deploy" in page
    assert "Username=ben" not in page


def test_a_long_list_has_a_next_page(house, used, monkeypatch):
    monkeypatch.setattr("sessions.views.ledger.names.SHOWN", 1)
    first = house.browser(house.ada).get(PAGE)
    after = first.context["after"]
    second = house.browser(house.ada).get(PAGE, {"after": after})
    names = [page.context["names"][0][0].name for page in (first, second)]
    assert sorted(names) == ["ben", "deploy"]
    assert second.context["after"] == ""


@pytest.mark.parametrize("asked", [{"finding": "x"}, {"after": "x"}, {"q": "\0"}])
def test_an_address_that_asks_for_nothing_is_a_bad_request(house, asked):
    assert house.browser(house.ada).get(PAGE, asked).status_code == 400


def test_what_is_not_counted_yet_is_no_nothing(house):
    [leaf] = house.chain(1)
    house.start(leaf, house.ben)
    house.work()
    page = house.browser(house.ada).get(PAGE).content.decode()
    assert "counted once a minute" in page
    assert "Nothing was issued" not in page


def test_an_empty_ledger_says_when_names_appear(house):
    count_all()
    assert "first credentials" in house.browser(house.ada).get(PAGE).content.decode()
