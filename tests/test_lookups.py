"""`any_of` finds what `in` finds, on both databases."""

import pytest

from sessions.models import Activation, Credential

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
        row.pk for row in Credential.objects.filter(parent_id__any_of={first, second}).order_by("level")
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


def test_only_columns_of_text_can_be_asked(house):
    with pytest.raises(TypeError, match="team is not a column of text"):
        Credential.objects.filter(team_id__any_of=[str(house.team.pk)])


def test_thousands_of_values_are_one_parameter(fingerprints, django_assert_num_queries):
    with django_assert_num_queries(1) as queries:
        found = Credential.objects.filter(pk__any_of=[*map(str, range(300_000)), fingerprints[0]])
        assert [row.pk for row in found] == [fingerprints[0]]
    assert "any" in queries[0]["sql"].lower() or "json_each" in queries[0]["sql"]
