"""`any_of` finds what `in` finds, on both databases."""

from uuid import uuid4

import pytest

from sessions.db.clock import database_now
from sessions.models import Activation, AssumerLink, AwsSession, Credential, Probe

pytestmark = pytest.mark.django_db


@pytest.fixture
def fingerprints(house):
    *_, leaf = house.chain(3)
    house.start(leaf)
    return list(Credential.objects.order_by("level").values_list("pk", flat=True))


def test_rows_are_found_by_their_own_key_and_by_what_they_point_to(fingerprints):
    _, first, second, third = fingerprints
    assert set(Credential.objects.filter(pk__any_of=[first, third, "none"])) == set(
        Credential.objects.filter(pk__in=[first, third])
    )
    assert [
        row.pk
        for row in Credential.objects.filter(parent_id__any_of={first, second}).order_by("level")
    ] == [
        second,
        third,
    ]
    assert Activation.objects.filter(credential_id__any_of=dict.fromkeys([third])).count() == 1
    assert not Credential.objects.filter(pk__any_of=[]).exists()


def test_values_are_values_whatever_is_in_them(fingerprints):
    nasty = ["'", '"', "\\", "{}", ",", "%s", "NULL", "", "é☃"]
    assert not Credential.objects.filter(pk__any_of=nasty).exists()
    assert Credential.objects.filter(pk__any_of=[*nasty, fingerprints[0]]).count() == 1


@pytest.mark.parametrize("no_texts", ["abc", [None], [1]])
def test_only_texts_can_be_looked_for(fingerprints, no_texts):
    with pytest.raises(TypeError, match="takes texts"):
        Credential.objects.filter(pk__any_of=no_texts)


def test_sessions_are_found_by_their_ids_and_by_what_they_are_assumed_from(house):
    first, second, third = house.chain(3)
    other = house.chained("Other")
    assert set(AwsSession.objects.filter(pk__any_of=[first.pk, third.pk, uuid4()])) == {
        first,
        third,
    }
    links = AssumerLink.objects.filter(assumer_id__any_of={first.pk, house.root.pk})
    assert {link.pk for link in links} == {first.pk, second.pk, other.pk}
    assert set(AssumerLink.objects.exclude(pk__any_of=[other.pk])) == {
        each.link for each in (first, second, third)
    }
    assert not AwsSession.objects.filter(pk__any_of=[]).exists()


def test_excluding_keeps_what_points_to_nothing(house):
    given = {"team": house.team, "user": house.ben.user, "kind": "iam-user", "region": "eu-west-1"}
    probe = Probe.objects.create(ends_at=database_now(), **given)
    assert Probe.objects.exclude(assumer_id__any_of=[house.root.pk]).get() == probe


def test_only_ids_can_be_looked_for_where_ids_are(house):
    with pytest.raises(TypeError, match="takes UUIDs"):
        Credential.objects.filter(team_id__any_of=[str(house.team.pk)])


def test_only_columns_of_text_and_ids_can_be_asked(house):
    with pytest.raises(TypeError, match="user is not a column of text or of UUIDs"):
        Activation.objects.filter(user_id__any_of=[house.ben.user_id])


def test_thousands_of_values_are_one_parameter(fingerprints, django_assert_num_queries):
    with django_assert_num_queries(1) as queries:
        found = Credential.objects.filter(pk__any_of=[*map(str, range(300_000)), fingerprints[0]])
        assert [row.pk for row in found] == [fingerprints[0]]
    assert "any" in queries[0]["sql"].lower() or "json_each" in queries[0]["sql"]
    with django_assert_num_queries(1):
        assert not AwsSession.objects.filter(pk__any_of=[uuid4() for _ in range(100_000)]).exists()
