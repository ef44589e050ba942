"""Which step of a key rotation is next, from what is stored and what IAM lists."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sessions.aws import key_rotation
from sessions.aws.errors import AwsError
from sessions.aws.iam import AccessKey
from sessions.aws.key_rotation import Rotation, Step, next_step

NOW = datetime.now(UTC)
OLD, NEW, OTHER = "AKIAOLD", "AKIANEW", "AKIAOTHER"
BEGUN = Rotation("user", "arn:aws:iam::111122223333:user/user", OLD)
MADE = replace(BEGUN, new_key_id=NEW, created_at=NOW - timedelta(hours=1))
FRESH = replace(MADE, created_at=NOW)


def listed(**active):
    return {f"AKIA{name}": AccessKey(f"AKIA{name}", state) for name, state in active.items()}


@pytest.mark.parametrize(
    ("rotation", "current", "keys", "expected"),
    [
        (BEGUN, OLD, listed(OLD=True), Step.CREATE),
        (BEGUN, OLD, listed(OLD=True, OTHER=True), Step.CREATE),
        (MADE, OLD, listed(OLD=True, NEW=True), Step.VERIFY),
        (MADE, OLD, listed(OLD=True), Step.CREATE),
        (FRESH, OLD, listed(OLD=True), Step.VERIFY),
        (replace(MADE, verified=True), OLD, listed(OLD=True, NEW=True), Step.SWITCH),
        (MADE, NEW, listed(OLD=True, NEW=True), Step.DEACTIVATE),
        (MADE, NEW, listed(OLD=False, NEW=True), Step.DELETE),
        (MADE, NEW, listed(NEW=True), Step.DONE),
        (MADE, OLD, listed(OLD=False, NEW=True), "KeyGone"),
        (MADE, OLD, listed(NEW=True), "KeyGone"),
        (MADE, NEW, listed(OLD=True, NEW=False), "KeyGone"),
        (MADE, NEW, listed(OLD=True), "KeyGone"),
        (MADE, NEW, listed(OLD=False), "KeyGone"),
        (FRESH, NEW, listed(OLD=True), "NewKeyNotListed"),
        (MADE, OTHER, listed(OLD=True, NEW=True), "KeyChanged"),
        (BEGUN, OTHER, listed(OTHER=True), "KeyChanged"),
    ],
)
def test_the_next_step_follows_from_what_is_stored_and_what_iam_lists(
    rotation, current, keys, expected
):
    if isinstance(expected, Step):
        assert next_step(rotation, current, keys, NOW) == expected
    else:
        with pytest.raises(AwsError) as raised:
            next_step(rotation, current, keys, NOW)
        assert raised.value.code == expected


def test_the_grace_is_longer_than_what_iam_takes_to_spread_a_key():
    assert timedelta(seconds=30) < key_rotation.GRACE <= timedelta(minutes=10)
