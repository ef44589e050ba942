"""One notice per broken root, and everything below heals when it works again."""

import pytest
from django.urls import reverse

from sessions.lifecycle.state import Status
from sessions.models import Credential, EventKind

pytestmark = pytest.mark.django_db


@pytest.fixture
def broken(house, sts):
    """Five started sessions of ben under a root whose key AWS has deleted."""
    leaves = [house.chained(f"Leaf {number}") for number in range(5)]
    for leaf in leaves:
        house.start(leaf)
    key_id = house.root.settings["access_key_id"]
    key = sts.rules.keys.pop(key_id)
    house.work()
    return leaves, lambda: sts.rules.keys.__setitem__(key_id, key)


def test_a_deleted_key_is_one_notice_at_the_root_and_the_children_say_so(house, broken):
    leaves, _ = broken
    for leaf in leaves:
        state = house.state(leaf)
        assert (state.status, state.problem.hop) == (Status.FAILED, 0)
        assert state.problem.code == "InvalidClientTokenId"
    assert house.state(house.root).problem.code == "InvalidClientTokenId"
    page = house.browser(house.ada).get(reverse("session_list", args=[house.team.slug])).content.decode()
    assert page.count("does not work (InvalidClientTokenId)") == 1
    assert (
        "does not work ("
        not in house.browser().get(reverse("session_list", args=[house.team.slug])).content.decode()
    )


def test_a_key_that_aws_has_refused_is_not_tried_again_for_each_session(house, sts, settings):
    settings.CHAINWEB_STS_THREADS = 48
    leaves = [house.chained(f"Leaf {number}") for number in range(60)]
    for leaf in leaves:
        house.start(leaf)
    sts.rules.keys.pop(house.root.settings["access_key_id"])
    house.work()
    assert len(sts.calls) < 60
    assert len(house.events(EventKind.CREDENTIAL_REFUSED)) < 60
    assert Credential.objects.filter(level=1, problem__hop=0).count() == 60


def test_when_one_person_asks_again_and_the_root_works_everybody_is_served(house, sts, broken):
    leaves, mend = broken
    mend()
    house.start(leaves[0])
    house.work()
    assert {house.state(leaf).status for leaf in leaves} == {Status.ACTIVE}
    assert house.state(house.root).problem is None


def test_a_new_key_typed_into_the_root_serves_everybody_without_another_click(house, sts, broken):
    leaves, _ = broken
    key = sts.add_user("mended", account="111122223333")
    fields = {"alias": "Root key", "profile": "root-key", "region": "eu-west-1"}
    fields |= {"access_key_id": key.access_key_id, "secret_access_key": key.secret_access_key.reveal()}
    answer = house.browser(house.ada).post(reverse("edit_session", args=[house.root.pk]), fields)
    assert answer.status_code == 302
    house.work()
    assert {house.state(leaf).status for leaf in leaves} == {Status.ACTIVE}
    assert house.state(house.root).problem is None
