"""Count which names are in use, once for each line."""

import itertools

import pytest

from sessions.ledger.names import (
    Finding,
    NameSearch,
    count_all,
    count_some,
    names_of,
    uncounted,
)
from sessions.models import AssumerLink, NamesCounted, NameUse, TeamPolicy
from tests.house import TeamFixture

pytestmark = pytest.mark.django_db
NUMBERS = itertools.count(1)


def use(house, *members, name="{username}", length=1):
    leaf = house.chain(length, name=name, prefix=f"Chain {next(NUMBERS)}")[-1]
    for member in members:
        house.start(leaf, member)
    house.work()
    return leaf


def listed(house, **search):
    count_all()
    return {each.name: each for each in names_of(house.team, NameSearch(**search), 50)}


def test_a_name_says_who_used_it_where_and_how_often(house):
    leaf = use(house, house.ben, length=2)
    found = listed(house)
    assert set(found) == {"ben"}
    name = found["ben"]
    assert (name.people, name.accounts, name.uses) == (("ben",), ("111122223333",), 2)
    assert name.sessions == (leaf.alias,)
    assert name.findings == ()
    assert name.first_at <= name.last_at


def test_a_line_is_counted_once_however_often_one_looks(house):
    use(house, house.ben)
    count_all()
    count_all()
    assert [each.uses for each in NameUse.objects.all()] == [1]
    use(house, house.ben)
    assert listed(house)["ben"].uses == 2


def test_what_is_emptied_is_counted_again_from_the_ledger(house):
    use(house, house.ben)
    before = listed(house)
    NameUse.objects.all().delete()
    NamesCounted.objects.all().delete()
    assert listed(house) == before


def test_many_lines_are_counted_in_parts(house, monkeypatch):
    monkeypatch.setattr("sessions.ledger.names.LINES_AT_ONCE", 3)
    use(house, house.ben, length=3)
    assert uncounted(house.team.pk) > 3
    assert count_some(str(house.team.pk))
    assert listed(house)["ben"].uses == 3
    assert uncounted(house.team.pk) == 0


def test_one_credential_for_two_people_is_a_shared_name(house):
    use(house, house.ben, house.bea, name="deploy")
    name = listed(house)["deploy"]
    assert set(name.people) == {"ben", "bea"}
    assert name.findings == (Finding.SHARED, Finding.SEVERAL_PEOPLE)
    assert name.uses == 1


def test_a_name_of_two_people_one_after_another_is_told(house):
    use(house, house.ben, name="deploy")
    use(house, house.bea, name="deploy")
    assert listed(house)["deploy"].findings == (Finding.SEVERAL_PEOPLE,)


def test_a_name_that_hides_its_person_breaks_a_policy_that_demands_one(house):
    use(house, house.ben, name="deploy")
    use(house, house.bea)
    TeamPolicy.objects.update_or_create(team=house.team, defaults={"username_demanded": True})
    found = listed(house)
    assert found["deploy"].findings == (Finding.BREAKS_POLICY,)
    assert found["bea"].findings == ()


@pytest.mark.parametrize("finding", Finding)
def test_each_finding_is_a_filter(house, finding):
    use(house, house.ben, house.bea, name="deploy")
    use(house, house.ben)
    TeamPolicy.objects.update_or_create(team=house.team, defaults={"username_demanded": True})
    assert set(listed(house, finding=finding)) == {"deploy"}


def test_pages_follow_each_other_without_a_gap(house):
    for number in range(5):
        use(house, house.ben, name=f"build-{number}")
    count_all()
    seen, after = [], None
    while page := names_of(house.team, NameSearch(after=after), 2):
        seen += [each.name for each in page]
        after = page[-1].last_at, page[-1].name
    assert sorted(seen) == [f"build-{number}" for number in range(5)]
    assert len(seen) == 5


def test_a_part_of_a_name_or_of_a_person_finds_it(house):
    use(house, house.ben, name="Deploy-west")
    use(house, house.ben, house.bea, name="build")
    assert set(listed(house, text="deploy")) == {"Deploy-west"}
    assert listed(house, text="BEA")["build"].people == ("bea", "ben")


def test_a_name_leads_to_the_console_of_the_teams_partition(house):
    use(house, house.ben)
    assert "console.aws.amazon.com/" in listed(house)["ben"].console
    AssumerLink.objects.update(role_arn="arn:aws-us-gov:iam::111122223333:role/Hop")
    assert listed(house)["ben"].console.startswith("https://console.amazonaws-us-gov.com/")


def test_another_teams_names_are_not_listed(house, sts):
    other = TeamFixture(sts, "second")
    use(house, house.ben)
    assert listed(other) == {}


@pytest.mark.parametrize(
    "asked",
    [
        ("", "other", ""),
        ("", "", "yesterday ada"),
        ("", "", "2026-11-27T12:00:00 ada"),
        ("\0", "", ""),
    ],
)
def test_an_address_that_asks_for_nothing_is_refused(asked):
    with pytest.raises(ValueError, match=r"not a valid|isoformat|cursor|character"):
        NameSearch.read(*asked)
