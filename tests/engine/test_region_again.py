"""Retry rejected rows once their region takes a call of the account again."""

import pytest

from sessions.activations.status import Status
from sessions.models import Credential
from tests.credentials.test_endpoints import move
from tests.engine.standing import FAR, HUB_ACCOUNT, due_now, statuses
from tests.engine.tries import started
from tests.house import ACCOUNT

pytestmark = pytest.mark.django_db


@pytest.fixture
def shut_out(house, sts):
    """Lead chains through an account that has not enabled the region where STS is called."""
    sts.enable_region(ACCOUNT, FAR)
    root = house.iam_user("Far key", region=FAR)
    hub = house.chained("Hub", root, arn=house.role_arn("Hub", HUB_ACCOUNT))
    middle = house.chained("Middle", hub)
    leaves = [*started(house, 4, hub), *started(house, 2, middle, "Deep")]
    house.work()
    assert set(statuses(house, leaves)) == {Status.FAILED}
    return root, hub, leaves


@pytest.mark.parametrize("by", ["a press", "a new session", "its own second look"])
def test_one_call_that_a_region_takes_has_all_others_tried(house, sts, shut_out, by):
    _root, hub, leaves = shut_out
    sts.enable_region(HUB_ACCOUNT, FAR)
    match by:
        case "a press":
            house.start(leaves[0])
        case "a new session":
            house.start(house.chained("New", hub))
        case _:
            due_now(pk=Credential.objects.filter(level=2, due_at__isnull=False).first().pk)
    house.work()
    assert set(statuses(house, leaves)) == {Status.ACTIVE}


def test_a_root_that_moves_to_another_region_has_all_tried(house, sts, shut_out):
    root, _hub, leaves = shut_out
    move(root, house, sts_region="eu-west-1")
    house.work()
    assert set(statuses(house, leaves)) == {Status.ACTIVE}
