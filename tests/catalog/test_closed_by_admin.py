"""Let only admins reopen what an admin has closed, whatever becomes of the session."""

import importlib

import pytest
from django.apps import apps
from django.db import connection
from django.urls import reverse

from sessions.actors import Actor
from sessions.aws.arn import role_key
from sessions.catalog.access import save_group, set_access
from sessions.catalog.audiences import Access, access_of
from sessions.catalog.deletions import delete_session
from sessions.catalog.same_role import close_wider_ways
from sessions.catalog.sessions import save_session
from sessions.exceptions import Refused
from sessions.models import AssumerLink, ClosedByAdmin, GrantedRight, Role
from sessions.people.memberships import change_role, disable_member, enable_member, remove_member
from tests.api.tool import Api
from tests.catalog.closing import EVERYONE, NOBODY, draft, only, stored
from tests.house import TeamFixture


@pytest.fixture
def arn(house):
    return house.role_arn("Deploy")


@pytest.fixture
def mine(house, arn):
    """Make the only session with its role, made by ben and closed by ada to all but bea."""
    session = save_session(draft(house, arn, "mine"), Actor(house.ben))
    set_access(session, Access(only(house.bea), NOBODY), Actor(house.ada))
    return session


def refused_to_open(session, member, access):
    with pytest.raises(Refused, match="Ask an admin"):
        set_access(session, access, Actor(member))


def test_the_creator_does_not_reopen_what_an_admin_closed(house, mine):
    for wanted in (EVERYONE, only(house.ben), only(house.bea, house.ben)):
        refused_to_open(mine, house.ben, Access(wanted, NOBODY))
        refused_to_open(mine, house.ben, Access(only(house.bea), wanted))
    body = {"start": {"everyone": True}}
    answer = Api(house.token())("PUT", f"/sessions/{mine.pk}/access", body)
    assert answer.status_code == 422
    assert "closed by an admin" in answer.json()["fields"]["start"][0]
    page = house.browser().post(
        reverse("session_access", args=[mine.pk]), {"start": "everyone", "assume": "named"}
    )
    assert page.status_code == 422
    assert "Ask an admin" in page.content.decode()
    assert stored(mine) == Access(only(house.bea), NOBODY)


def test_deleted_and_made_again_it_is_closed_as_before(house, mine, arn):
    delete_session(mine, Actor(house.ben))
    with pytest.raises(Refused, match="closed to you by an admin"):
        save_session(draft(house, arn, "mine"), Actor(house.ben))
    again = save_session(draft(house, arn, "mine"), Actor(house.bea))
    assert stored(again) == Access(only(house.bea), NOBODY)
    refused_to_open(again, house.bea, Access(EVERYONE, NOBODY))
    delete_session(again, Actor(house.bea))
    with pytest.raises(Refused, match="closed to you"):
        save_session(draft(house, arn, "mine"), Actor(house.ben))


def test_an_admins_deleting_opens_nothing_either(house, mine, arn):
    delete_session(mine, Actor(house.ada))
    with pytest.raises(Refused, match="closed to you"):
        save_session(draft(house, arn, "mine"), Actor(house.ben))
    adas = save_session(draft(house, arn, "adas"), Actor(house.ada))
    assert stored(adas) == Access(only(house.bea, house.ada), NOBODY)
    # An admin opens it, by whatever session has the role then.
    set_access(adas, Access(EVERYONE, EVERYONE), Actor(house.ada))
    delete_session(adas, Actor(house.ada))
    again = save_session(draft(house, arn, "mine"), Actor(house.ben))
    set_access(again, Access(only(house.ben), NOBODY), Actor(house.ben))
    set_access(again, Access(EVERYONE, EVERYONE), Actor(house.ben))


def test_made_again_it_is_closed_for_each_right_that_was_closed(house, arn):
    mine = save_session(draft(house, arn, "mine"), Actor(house.ben))
    set_access(mine, Access(EVERYONE, only(house.bea)), Actor(house.ada))
    delete_session(mine, Actor(house.ben))
    again = save_session(draft(house, arn, "mine"), Actor(house.ben))
    assert stored(again) == Access(EVERYONE, only(house.bea))
    refused_to_open(again, house.ben, Access(EVERYONE, only(house.ben)))


def test_the_page_says_that_an_admin_has_closed_a_session(house, mine):
    told = "Only an admin can give access to more people"
    url = reverse("session_access", args=[mine.pk])
    assert told in house.browser().get(url).content.decode()
    set_access(mine, Access(EVERYONE, EVERYONE), Actor(house.ada))
    set_access(mine, Access(only(house.ben), NOBODY), Actor(house.ben))
    assert told not in house.browser().get(url).content.decode()


@pytest.mark.parametrize("other", ["Other", "Deploy2", "path/Other"])
def test_a_role_edited_away_and_back_opens_nothing(house, mine, arn, other):
    save_session(draft(house, house.role_arn(other), "mine"), Actor(house.ben), mine)
    with pytest.raises(Refused, match="closed to you"):
        save_session(draft(house, arn, "mine"), Actor(house.ben), mine)
    with pytest.raises(Refused, match="closed to you"):
        save_session(draft(house, arn, "another"), Actor(house.ben))


def test_whoever_is_let_in_edits_away_and_back_and_opens_nothing(house, arn):
    mine = save_session(draft(house, arn, "mine"), Actor(house.ben))
    set_access(mine, Access(only(house.ben), NOBODY), Actor(house.ada))
    for account in ("222233334444", "111122223333"):
        save_session(
            draft(house, house.role_arn("Deploy", account), "mine"), Actor(house.ben), mine
        )
    for wanted in (EVERYONE, only(house.ben, house.bea)):
        refused_to_open(mine, house.ben, Access(wanted, NOBODY))
    # Nor where the role is open by another session meanwhile: this one was closed.
    adas = save_session(draft(house, arn, "adas"), Actor(house.ada))
    set_access(adas, Access(EVERYONE, NOBODY), Actor(house.ada))
    save_session(draft(house, house.role_arn("Other"), "mine"), Actor(house.ben), mine)
    save_session(draft(house, arn, "mine"), Actor(house.ben), mine)
    refused_to_open(mine, house.ben, Access(EVERYONE, NOBODY))


def test_another_role_of_a_session_is_its_creators_to_open(house, mine):
    save_session(draft(house, house.role_arn("Other"), "mine"), Actor(house.ben), mine)
    set_access(mine, Access(EVERYONE, EVERYONE), Actor(house.ben))


def test_moved_to_another_assumer_it_stays_closed(house, mine, arn):
    for assumer in (house.iam_user("Second key"), house.root):
        save_session(draft(house, arn, "mine", assumer), Actor(house.ben), mine)
    refused_to_open(mine, house.ben, Access(EVERYONE, NOBODY))
    assert stored(mine) == Access(only(house.bea), NOBODY)


def test_a_member_closes_further_and_opens_that_again_and_no_more(house, mine):
    both = Access(only(house.bea, house.ben), only(house.ben))
    set_access(mine, both, Actor(house.ada))
    set_access(mine, Access(NOBODY, NOBODY), Actor(house.ben))
    set_access(mine, Access(only(house.ben), NOBODY), Actor(house.ben))
    set_access(mine, both, Actor(house.ben))
    refused_to_open(mine, house.ben, Access(only(house.bea, house.ben), only(house.bea)))


@pytest.mark.parametrize("others", [0, 1])
def test_what_a_member_has_closed_they_open_again(house, arn, others):
    mine = save_session(draft(house, arn, "mine"), Actor(house.ben))
    for number in range(others):
        save_session(draft(house, arn, f"mine {number}"), Actor(house.ben))
    for access in (Access(only(house.ben), NOBODY), Access(EVERYONE, EVERYONE)):
        set_access(mine, access, Actor(house.ben))
    assert not ClosedByAdmin.objects.exists()


def test_a_session_that_an_admin_closed_stays_closed_beside_an_open_one(house, arn):
    first, second = (
        save_session(draft(house, arn, alias), Actor(house.ben)) for alias in ("first", "second")
    )
    set_access(first, Access(only(house.bea), NOBODY), Actor(house.ada))
    refused_to_open(first, house.ben, Access(EVERYONE, NOBODY))
    # Nor does an admin who saves the other as it was open this one.
    set_access(second, access_of(second), Actor(house.ada))
    refused_to_open(first, house.ben, Access(EVERYONE, NOBODY))
    delete_session(second, Actor(house.ben))
    with pytest.raises(Refused, match="closed to you"):
        save_session(draft(house, arn, "second"), Actor(house.ben))


def test_an_admin_opens_what_an_admin_has_closed(house, mine):
    set_access(mine, Access(EVERYONE, EVERYONE), Actor(house.ada))
    assert not ClosedByAdmin.objects.exists()
    set_access(mine, Access(only(house.ben), NOBODY), Actor(house.ben))
    set_access(mine, Access(EVERYONE, EVERYONE), Actor(house.ben))


def test_closing_the_other_ways_counts_as_an_admins_closing_of_each(house, arn):
    mine, dep = (
        save_session(draft(house, arn, alias), Actor(member))
        for alias, member in (("mine", house.ben), ("dep", house.ada))
    )
    set_access(dep, Access(only(house.bea), NOBODY), Actor(house.ada))
    close_wider_ways(dep, Actor(house.ada))
    delete_session(dep, Actor(house.ada))
    refused_to_open(mine, house.ben, Access(EVERYONE, NOBODY))
    set_access(mine, Access(only(house.bea), NOBODY), Actor(house.ben))


def test_whoever_is_no_admin_any_more_opens_nothing_that_they_closed(house, arn):
    second = house.person("ann", Role.ADMIN)
    dep = save_session(draft(house, arn, "dep"), Actor(second))
    set_access(dep, Access(only(house.bea), NOBODY), Actor(second))
    change_role(second, Role.MEMBER, Actor(house.ada))
    refused_to_open(dep, second, Access(EVERYONE, NOBODY))  # as the request began, an admin
    refused_to_open(dep, second.team.memberships.get(pk=second.pk), Access(EVERYONE, NOBODY))


def test_a_group_is_opened_by_its_own_name_alone(house, arn):
    """Let somebody leave the group: its people are not named one by one by the session's maker."""
    group, other = (
        save_group(Actor(house.ada), "deployers", [house.ben]),
        save_group(Actor(house.ada), "others", []),
    )
    mine = save_session(draft(house, arn, "mine"), Actor(house.ben))
    set_access(mine, Access(only(groups=[group]), NOBODY), Actor(house.ada))
    for wanted in (only(house.ben, groups=[group]), only(groups=[group, other])):
        refused_to_open(mine, house.ben, Access(wanted, NOBODY))
    set_access(mine, Access(NOBODY, NOBODY), Actor(house.ben))
    set_access(mine, Access(only(groups=[group]), NOBODY), Actor(house.ben))
    delete_session(mine, Actor(house.ben))
    again = save_session(draft(house, arn, "mine"), Actor(house.ben))
    assert stored(again).start == only(groups=[group])
    save_group(Actor(house.ada), "deployers", [], group)
    with pytest.raises(Refused, match="closed to you"):
        save_session(draft(house, arn, "mine too"), Actor(house.ben))


def test_nothing_that_is_kept_lets_in_removed_or_suspended_people(house, mine, arn):
    disable_member(house.bea, Actor(house.ada))
    enable_member(house.bea, Actor(house.ada))
    set_access(mine, Access(only(house.bea), NOBODY), Actor(house.ben))
    remove_member(house.bea, Actor(house.ada))
    assert [closing.members.count() for closing in ClosedByAdmin.objects.all()] == [0, 0]
    delete_session(mine, Actor(house.ben))
    with pytest.raises(Refused, match="closed to you"):
        save_session(draft(house, arn, "mine"), Actor(house.ben))


def test_the_newest_closing_is_what_counts_of_sessions_that_are_gone(house, mine, arn):
    delete_session(mine, Actor(house.ada))
    dep = save_session(draft(house, arn, "dep"), Actor(house.ada))
    set_access(dep, Access(only(house.ada), NOBODY), Actor(house.ada))
    with pytest.raises(Refused, match="closed to you: “dep”"):
        save_session(draft(house, arn, "beas"), Actor(house.bea))
    assert ClosedByAdmin.objects.count() == len(GrantedRight)


def test_a_role_is_one_whatever_its_path_and_case(house, mine, arn, sts):
    variants = [
        arn.replace("Deploy", name) for name in ("deploy", "DEPLOY", "team/Deploy", "a/b/dePloy")
    ]
    delete_session(mine, Actor(house.ben))
    for variant in variants:
        with pytest.raises(Refused, match="closed to you"):
            save_session(draft(house, variant, "mine"), Actor(house.ben))
    assert {role_key(variant) for variant in variants} == {role_key(arn)}
    others = ("Deployer", "Deploy/Other", "-Deploy")
    for number, name in enumerate(others):
        save_session(draft(house, arn.replace("Deploy", name), f"mine {number}"), Actor(house.ben))
    other = TeamFixture(sts, slug="other")
    save_session(draft(other, arn, "mine"), Actor(other.ben))


def test_a_role_of_another_partition_or_account_is_another_one(house, mine, arn):
    for number, variant in enumerate(
        (arn.replace("aws:", "aws-cn:", 1), arn.replace("111122223333", "111122223334"))
    ):
        save_session(draft(house, variant, f"mine {number}"), Actor(house.ben))


def test_the_database_tells_roles_apart_as_the_code_does(house):
    session = house.chained("any")
    for arn in (
        "arn:aws:iam::111122223333:role/Deploy",
        "arn:aws-us-gov:iam::111122223333:role/a/b+c/=,.@-Deploy_",
        "arn:aws:iam::111122223333:role/Deploy/Deploy/Deploy",
        "arn:aws:iam::111122223333:role/!:role/:x/Deploy",
        "arn:aws:iam::111122223333:role/" + "%_'/" * 9 + "N",
        "no arn",
        "",
    ):
        AssumerLink.objects.filter(session=session).update(role_arn=arn)
        found = AssumerLink.objects.filter(role_arn__role_key=role_key(arn))
        assert found.exists(), arn
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            assert "link_by_role_key" in found.explain()


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no letters but English ones")
def test_a_turkish_database_tells_roles_apart_all_the_same(house):
    session = house.chained("any", arn=house.role_arn("INCIDENT"))
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(
            'ALTER TABLE chains_assumerlink ALTER role_arn TYPE varchar(2048) COLLATE "tr-TR-x-icu"'
        )
    key = role_key(session.link.role_arn)
    assert AssumerLink.objects.filter(role_arn__role_key=key).exists()


def test_closed_sessions_of_before_are_taken_over(house, arn):
    group = save_group(Actor(house.ada), "deployers", [house.ben])
    sessions = [
        save_session(draft(house, house.role_arn(alias), alias), Actor(house.ben))
        for alias in ("closed", "own", "open", "both")
    ]
    closed, own, _, both = sessions
    set_access(closed, Access(only(house.bea, groups=[group]), EVERYONE), Actor(house.ada))
    set_access(own, Access(only(house.ben), NOBODY), Actor(house.ben))
    set_access(both, Access(only(house.ben), NOBODY), Actor(house.ben))
    set_access(both, Access(NOBODY, NOBODY), Actor(house.ada))
    adas = save_session(draft(house, arn, "adas"), Actor(house.ada))
    set_access(adas, Access(NOBODY, only(house.bea)), Actor(house.ada))
    kept = kept_now()
    migrate_again()
    assert kept_now() == kept
    assert {alias for alias, *_ in kept} == {"closed", "both", "adas"}


def test_a_session_that_began_closed_was_not_closed_by_its_creator(house, mine, arn):
    """Check that a closing holds when the session it copies is gone."""
    beas = save_session(draft(house, arn, "beas"), Actor(house.bea))
    delete_session(mine, Actor(house.ben))
    migrate_again()
    assert {(alias, right) for alias, _, right, *_ in kept_now()} == {
        ("beas", "start"),
        ("beas", "assume"),
    }
    refused_to_open(beas, house.bea, Access(EVERYONE, EVERYONE))


def migrate_again():
    ClosedByAdmin.objects.all().delete()
    importlib.import_module("sessions.migrations.0020_closed_until_now").keep_what_is_closed(
        apps, None
    )


def kept_now():
    return {
        (
            each.session.alias,
            each.role,
            each.right,
            frozenset(each.members.values_list("pk", flat=True)),
            frozenset(each.groups.values_list("pk", flat=True)),
        )
        for each in ClosedByAdmin.objects.select_related("session")
    }
