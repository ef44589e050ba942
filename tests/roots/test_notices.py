"""One notice per broken root, and everything below heals when it works again."""

import pytest
from django.urls import reverse

from sessions.activations.status import Status
from sessions.actors import Actor
from sessions.engine import rotation
from sessions.ledger.events.credentials import CredentialRejected
from sessions.models import Credential
from sessions.roots.codes import submit_codes
from tests.api.tool import Api
from tests.roots.mfa import CODE, mfa_root, protected
from tests.roots.portals import ACCOUNT, approve, portal

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
    page = (
        house.browser(house.ada)
        .get(reverse("session_list", args=[house.team.slug]))
        .content.decode()
    )
    assert page.count("does not work (InvalidClientTokenId)") == 1
    assert (
        "does not work ("
        not in house.browser().get(reverse("session_list", args=[house.team.slug])).content.decode()
    )


def test_a_root_that_refuses_several_people_is_one_notice(house, center, sts):
    for person in ("ben", "bea"):
        center.assign(person, ACCOUNT, "Production", "ReadOnly")
    root = portal(house, center, account_id=ACCOUNT, role_name="Deploy")
    leaf = house.chained("Leaf", root)
    for member in (house.ben, house.bea, house.ada):
        house.start(leaf, member)
    for member in (house.ben, house.bea):
        approve(house, center, root, member)
    house.work()
    assert (
        Credential.objects.filter(root=root, level=0, problem__code="ForbiddenException").count()
        == 2
    )
    ada, url = house.browser(house.ada), reverse("session", args=[root.pk])
    page = ada.get(reverse("session_list", args=[house.team.slug])).content.decode()
    assert page.count("does not work") == 1
    assert f'<a href="{url}">Portal</a> does not work for bea, ben (ForbiddenException)' in page
    assert "What they assume from it waits." in page
    # Ada herself is asked for her approval, there and beside it.
    assert (
        house.state(root, house.ada).problem.code,
        house.state(leaf, house.ada).problem.code,
    ) == (
        "ForbiddenException",
        "ApprovalNeeded",
    )
    assert "Affected: bea, ben." in ada.get(url).content.decode()
    assert Api(house.token(house.ada))("GET", f"/sessions/{root.pk}").json()["problem"][
        "people"
    ] == [
        "bea",
        "ben",
    ]
    # Others' are not told to those who cannot help.
    assert house.state(root, house.ben).problem.people == ("ben",)
    assert house.state(root, house.eve).problem is None


def test_what_is_tried_again_by_itself_is_no_notice(house, sts):
    root = mfa_root(house)
    house.start(protected(house, root, "Leaf"))
    house.work()
    submit_codes(root, Actor(house.ben), {"code": CODE})
    sts.fail_next("Throttling")
    rotation.run()  # once: it is due again within a second
    problem = house.state(root, house.ada).problem
    assert (problem.code, problem.label) == ("Throttling", "retrying")
    page = (
        house.browser(house.ada)
        .get(reverse("session_list", args=[house.team.slug]))
        .content.decode()
    )
    assert "does not work" not in page


def test_a_key_that_aws_has_refused_is_not_tried_again_for_each_session(house, sts, settings):
    settings.CHAINWEB_STS_THREADS = 48
    leaves = [house.chained(f"Leaf {number}") for number in range(60)]
    for leaf in leaves:
        house.start(leaf)
    sts.rules.keys.pop(house.root.settings["access_key_id"])
    house.work()
    assert len(sts.calls) < 60
    assert len(house.events(CredentialRejected)) < 60
    assert Credential.objects.filter(level=1, problem__hop=0).count() == 60


def test_when_one_person_asks_again_and_the_root_works_everybody_is_served(house, sts, broken):
    leaves, mend = broken
    mend()
    house.start(leaves[0])
    house.work()
    assert {state.status for state in house.states(leaves)} == {Status.ACTIVE}
    assert house.state(house.root).problem is None


def test_a_new_key_typed_into_the_root_serves_everybody_at_once(house, sts, broken):
    leaves, _ = broken
    key = sts.add_user("mended", account="111122223333")
    fields = {"alias": "Root key", "profile": "root-key", "region": "eu-west-1"}
    fields |= {
        "access_key_id": key.access_key_id,
        "secret_access_key": key.secret_access_key.reveal(),
    }
    answer = house.browser(house.ada).post(reverse("edit_session", args=[house.root.pk]), fields)
    assert answer.status_code == 302
    house.work()
    assert {state.status for state in house.states(leaves)} == {Status.ACTIVE}
    assert house.state(house.root).problem is None
