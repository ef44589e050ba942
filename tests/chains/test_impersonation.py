"""Nobody is given a handle that some session already shows of others."""

import pytest

from sessions.actors import NamedActor
from sessions.chains.impersonation import ShownNames, remember_aliases
from sessions.exceptions import Refused
from sessions.models import AwsSession, Membership, User
from sessions.people.people import create_person, create_team, rename_in_cloudtrail
from tests.chains.policies import set_policy

pytestmark = pytest.mark.django_db


def test_who_joins_later_does_not_get_a_name_that_a_session_shows(house):
    house.chained("Nightly", name="grace")
    assert create_person("Grace", None).aws_name == "Grace-2"


def test_nor_one_that_comes_of_an_alias(house):
    house.chained("deploy", name="ci-{alias}")
    assert create_person("ci-deploy", None).aws_name == "ci-deploy-2"
    assert create_person("ci-release", None).aws_name == "ci-release"


def test_nor_one_that_a_template_makes_of_another_members_handle(house):
    house.chained("Nightly", name="x-{username}")
    assert create_person("x-ben", None).aws_name == "x-ben-2"
    # Nobody is called like that, so nobody comes out as it.
    assert create_person("x-nobody1", None).aws_name == "x-nobody1"


def test_nor_one_of_which_a_template_makes_another_persons_handle(house):
    create_person("x-grace", None)
    house.chained("Nightly", name="x-{username}")
    assert create_person("grace", None).aws_name == "grace-2"


def test_a_rename_to_what_a_session_shows_is_refused_and_changes_nothing(house):
    house.chained("Nightly", name="nightly.build")
    with pytest.raises(Refused, match=r"“Nightly\.Build” is the role session name"):
        rename_in_cloudtrail(house.ben, "Nightly.Build", NamedActor("ada"))
    assert User.objects.get(pk=house.ben.user_id).aws_name == "ben"


def test_it_holds_across_teams_for_people_may_join_those_later(house):
    house.chained("Nightly", name="nightly")
    elsewhere = create_team("elsewhere", "Elsewhere", NamedActor("manage.py"))
    person = create_person("sam", None)
    member = Membership.objects.create(team=elsewhere, user=person)
    with pytest.raises(Refused, match="nightly"):
        rename_in_cloudtrail(member, "nightly", NamedActor("manage.py"))


def test_what_the_policy_overrules_shows_nothing(house):
    house.chained("Nightly", name="grace")
    set_policy(house, names_locked=True)
    assert not ShownNames().include("grace")
    set_policy(house, role_session_name="t-{username}")
    assert ShownNames().include("t-ben"), "the locked template is every hop's"
    assert not ShownNames().include("t-ben", house.ben.user_id), "it is his own"


@pytest.mark.parametrize(
    ("template", "handle", "refused"),
    [
        ("{username}{username}1", "benben1", True),
        ("{username}0{username}", "ben0ben", True),
        ("{username}0{username}", "ben0bea", False),
        ("v0{username}", "v0ben", True),
        ("V.{username}", "v.BEN", True),
        ("{alias}{username}", "prod10ben", True),
        ("{alias}{username}", "prod1ben", False),
        ("{username}-{team}", "ben-platform", True),
    ],
)
def test_every_template_is_turned_round_exactly(house, template, handle, refused):
    house.chained("prod10", name=template)
    assert ShownNames().include(handle) == refused
    assert not ShownNames().include(handle, house.ben.user_id)


def test_the_number_of_queries_does_not_grow_with_the_sessions(house, django_assert_num_queries):
    for number in range(8):
        house.chained(f"T {number}", name=f"t{number}-{{username}}")
    with django_assert_num_queries(5):
        assert not ShownNames().include("t3-nobody1")


def test_a_policy_that_would_show_one_person_as_another_is_refused(house):
    set_policy(house, names_locked=True)
    fixed = house.chained("Nightly", name="automation")
    fixed.link.role_session_name = "ben"  # as it may stand there since before ben had that name
    fixed.link.save()
    with pytest.raises(Refused, match="“Nightly” conflicts with it"):
        set_policy(house, names_locked=False)
    with pytest.raises(Refused, match="own name in CloudTrail"):
        set_policy(house, role_session_name="ben")
    assert set_policy(house, networks=("203.0.113.0/24",)).names_locked, (
        "what has nothing to do with names goes"
    )


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize(
    ("template", "handle", "refused"),
    [
        ("{alias}", "night-run", True),
        ("{alias}-{username}", "night-run-ben", True),
        ("{username}{alias}{username}", "bennight-runben", True),
        ("{team}.{alias}", "platform.night-run", True),
        ("{alias}-{username}", "night-ben", False),
        ("{alias}{alias}", "night-runnight-run", True),
    ],
)
def test_an_alias_is_found_as_names_show_it(house, template, handle, refused, is_known):
    session = house.chained("Night-run", name=template)
    if not is_known:  # as sessions are that were stored before it was
        AwsSession.objects.filter(pk=session.pk).update(shown_alias=None)
    assert ShownNames().include(handle) == refused


@pytest.mark.parametrize("is_known", [True, False])
def test_a_locked_template_with_an_alias_is_every_sessions(house, is_known):
    session = house.chained("deploy")
    if not is_known:
        AwsSession.objects.filter(pk=session.pk).update(shown_alias=None)
    set_policy(house, role_session_name="{alias}-{username}", names_locked=True)
    assert ShownNames().include("deploy-ben")
    assert not ShownNames().include("release-ben")


def test_a_name_of_one_letter_alone_is_looked_for_in_every_session(house):
    create_person("aa", None)
    house.chained("Nightly", name="aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
    assert ShownNames().include("a" * 30)
    assert not ShownNames().include("a" * 29)


def test_what_is_not_worked_out_is_worked_out_by_the_clock(house):
    house.chained("Night-run")
    AwsSession.objects.update(shown_alias=None)
    assert remember_aliases() == AwsSession.objects.count()
    assert AwsSession.objects.get(alias="Night-run").shown_alias == "night-run"
    assert remember_aliases() == 0
