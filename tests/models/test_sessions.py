"""A link stores what a hop is set to, in columns and in one JSON object, and gives it back."""

import pytest

from sessions.aws.hop_settings import HopSettings
from sessions.models import AssumerLink

FULL = HopSettings(
    role_arn="arn:aws:iam::111122223333:role/Deploy",
    role_session_name="{alias}-{username}",
    external_id="partner-7",
    tags=(("stage", "live"), ("ticket", "OPS-1")),
    transitive_tag_keys=("stage",),
    policy='{"Version":"2012-10-17","Statement":[]}',
    policy_arns=("arn:aws:iam::aws:policy/ReadOnlyAccess",),
    without_source_identity=True,
    networks=("203.0.113.0/24",),
)


@pytest.mark.parametrize("settings", [FULL, HopSettings()], ids=["full", "empty"])
def test_a_link_gives_back_the_settings_it_was_given(settings):
    link = AssumerLink(**AssumerLink.fields_of(settings))
    assert link.settings == settings
    assert link.parameters == {}, "each of them has a column of its own"


@pytest.mark.django_db
def test_a_stored_link_gives_back_the_settings_it_was_given(house):
    leaf = house.chained("Leaf")
    AssumerLink.objects.filter(pk=leaf.pk).update(**AssumerLink.fields_of(FULL))
    assert AssumerLink.objects.get(pk=leaf.pk).settings == FULL
