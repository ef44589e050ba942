"""CloudTrail names: legal whatever a person is called, and never two people's."""

import pytest
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sessions.actors import NamedActor
from sessions.aws.names import aws_name_from, validate_role_session_name
from sessions.exceptions import Refused
from sessions.ledger.events.people import MemberRenamed
from sessions.models import AwsName, Role, User
from sessions.people.memberships import remove_member
from sessions.people.people import (
    RESERVED_USERNAMES,
    create_person,
    free_username,
    propose_aws_name,
    rename_in_cloudtrail,
)

pytestmark = pytest.mark.django_db

any_text = st.text(st.characters(codec="utf-8"), max_size=80)
usernames = st.text("abcXYZ019@.+-_", min_size=1, max_size=60)
within_one_transaction = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(st.text(max_size=300))
def test_any_unicode_display_name_gives_a_legal_aws_name(display_name):
    name = aws_name_from(display_name)
    assert validate_role_session_name(name) == name
    assert len(name) <= 32


@given(any_text, st.emails())
def test_the_proposal_from_username_or_email_is_legal(username, email):
    assert validate_role_session_name(propose_aws_name(username, email))


def test_an_email_address_proposes_what_stands_before_its_at():
    assert propose_aws_name("grace.hopper@navy.example") == "grace.hopper"
    assert propose_aws_name("", "grace.hopper@navy.example") == "grace.hopper"


@within_one_transaction
@given(st.lists(usernames, min_size=2, max_size=6, unique_by=str.lower))
def test_distinct_people_never_collide(db, names):
    with transaction.atomic():
        people = [
            create_person(name, None) for name in names if name.lower() not in RESERVED_USERNAMES
        ]
        keys = [person.aws_name.lower() for person in people]
        assert len(set(keys)) == len(people)
        for person in people:
            assert validate_role_session_name(person.aws_name)
            assert AwsName.objects.get(key=person.aws_name.lower()).person_id == person.pk
        transaction.set_rollback(True)


@within_one_transaction
@given(st.lists(any_text, min_size=2, max_size=6))
def test_each_person_of_a_provider_gets_a_user_name_of_their_own(db, wanted):
    with transaction.atomic():
        people = [create_person(free_username(each), None) for each in wanted]
        assert len({person.username.lower() for person in people}) == len(wanted)
        for person in people:
            User.username_validator(person.username)
        transaction.set_rollback(True)


def test_people_with_like_names_get_numbers(db):
    first, second = create_person("kim@one.example", None), create_person("kim@two.example", None)
    assert (first.aws_name, second.aws_name) == ("kim", "kim-2")


def test_user_names_are_one_persons_in_any_case(db):
    create_person("kim", None)
    with pytest.raises(Refused):
        create_person("KIM", None)
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(username="KIM", aws_name="kim-3")


@pytest.mark.parametrize("name", ["worker", "Clock", "sso"])
def test_nobody_is_called_like_the_ledgers_own_actors(db, name):
    with pytest.raises(Refused):
        create_person(name, None)
    assert free_username(name).lower() not in RESERVED_USERNAMES


def test_a_name_is_changed_in_every_team_and_the_old_one_is_kept(house):
    rename_in_cloudtrail(house.ben, "ben.jones", actor=NamedActor("ada"))
    assert User.objects.get(pk=house.ben.user_id).aws_name == "ben.jones"
    old, new = AwsName.objects.get(key="ben"), AwsName.objects.get(key="ben.jones")
    assert (old.person_id, new.person_id) == (house.ben.user_id, house.ben.user_id)
    assert old.held_until is not None
    assert new.held_until is None
    [event] = house.events(MemberRenamed)
    assert (event.actor, event.data["aws_name_before"], event.data["aws_name"]) == (
        "ada",
        "ben",
        "ben.jones",
    )


def test_a_persons_name_is_never_given_again_even_after_removal(house):
    rename_in_cloudtrail(house.ben, "ben.jones", actor=NamedActor("ada"))
    with pytest.raises(Refused, match="another person's"):
        rename_in_cloudtrail(house.bea, "BEN", actor=NamedActor("ada"))
    remove_member(house.ben, actor=NamedActor("ada"))
    User.objects.filter(pk=house.ben.user_id).delete()
    for name in ("ben", "ben.jones"):
        with pytest.raises(Refused, match="another person's"):
            rename_in_cloudtrail(house.bea, name, actor=NamedActor("ada"))
    assert create_person("ben", None).aws_name == "ben-2"


def test_a_person_may_have_their_own_old_name_back(house):
    rename_in_cloudtrail(house.ben, "ben.jones", actor=NamedActor("ada"))
    house.ben.user.refresh_from_db()
    rename_in_cloudtrail(house.ben, "ben", actor=NamedActor("ada"))
    assert AwsName.objects.get(key="ben").held_until is None


@pytest.mark.parametrize("name", ["", "b", "bén", "ben\n", "a" * 33, "ben jones"])
def test_an_illegal_name_is_refused(house, name):
    with pytest.raises(Refused):
        rename_in_cloudtrail(house.ben, name, actor=NamedActor("ada"))


def test_what_is_active_moves_to_the_new_name_by_itself(house, sts):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    rename_in_cloudtrail(house.ben, "ben.jones", actor=NamedActor("ada"))
    house.work()
    assert sts.calls[-1]["role_session_name"] == "ben.jones"


def test_the_admin_of_one_team_renames_in_the_ledger_of_all(house, sts):
    from tests.house import TeamFixture

    other = TeamFixture(sts, "other")
    from sessions.people.people import add_member

    add_member(other.team, house.ben.user, Role.MEMBER, actor=NamedActor("tests"))
    rename_in_cloudtrail(house.ben, "ben.jones", actor=NamedActor("ada"))
    assert len(other.events(MemberRenamed)) == 1
