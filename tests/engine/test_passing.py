"""A rejection that passes costs nothing that it says nothing about: no source identity, no pace."""

from datetime import timedelta

import pytest

from sessions.activations.status import Status
from sessions.actors import Actor
from sessions.db.clock import database_now
from sessions.engine import source_identity
from sessions.engine.key_steps import work_due
from sessions.ledger.events.sessions import SourceIdentityDropped
from sessions.models import AwsSession, Credential, KeyRotation, SourceIdentity
from sessions.roots.key_rotation import ask_rotation
from tests.chains.policies import set_policy
from tests.engine.aging import age
from tests.engine.standing import due_now
from tests.engine.tries import next_tries, started

pytestmark = pytest.mark.django_db


# --- a source identity that is rejected -----------------------------------------------------------


def taken_back(house, sts):
    """Make a chain that has carried a source identity, and whose role takes none from now on."""
    set_policy(house, source_identity=SourceIdentity.WHERE_POSSIBLE)
    [leaf] = started(house, 1)
    house.work()
    sts.add_role(leaf.link.role_arn, trusts=["*"], actions=[])
    age(40)
    return leaf


def is_marked(leaf):
    return AwsSession.objects.get(pk=leaf.pk).link.without_source_identity


def test_a_source_identity_rejected_for_a_moment_is_not_given_up(house, sts):
    leaf = taken_back(house, sts)
    house.work()
    assert house.state(leaf).problem.code == "AccessDenied"
    sts.add_role(leaf.link.role_arn, trusts=["*"])
    due_now(level=1)
    house.work()
    assert house.state(leaf).problem is None
    assert not is_marked(leaf)
    assert Credential.objects.get(level=1).request["source_identity"] == "ben"


def test_a_repeatedly_rejected_source_identity_is_left_out_before_the_end(house, sts):
    leaf = taken_back(house, sts)
    for _ in range(source_identity.TRIES):
        assert not is_marked(leaf)
        assert house.state(leaf).status is Status.ACTIVE
        due_now(level=1)
        house.work()
    assert is_marked(leaf)
    assert (house.state(leaf).status, house.state(leaf).problem) == (Status.ACTIVE, None)
    assert len(house.events(SourceIdentityDropped)) == 1


# --- a rotation of a root's key -------------------------------------------------------------------


def test_an_outage_lengthens_no_second_try_of_a_key_rotation(house, sts, iam):
    sts.iam.denied.add("DeleteAccessKey")
    ask_rotation(house.root, Actor(house.ada))
    work_due()
    assert KeyRotation.objects.get().problem.code == "AccessDenied"
    for _ in range(6):
        sts.fail_next("ServiceUnavailable", status=503)
        KeyRotation.objects.update(due_at=database_now())
        work_due()
    assert KeyRotation.objects.get().problem.code == "ServiceUnavailable"
    KeyRotation.objects.update(due_at=database_now())
    work_due()
    rotation = KeyRotation.objects.get()
    assert rotation.problem.code == "AccessDenied"
    assert rotation.due_at < database_now() + timedelta(minutes=2.1)


# --- what else a rejection says nothing about -----------------------------------------------------


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("OptInRequired", "x"),
        ("RegionDisabledException", None),
        ("AuthFailure", "x"),
        ("SomethingNew", "x"),
    ],
)
def test_each_renewal_is_tried_at_the_pace_of_a_first_rejection(house, sts, code, message):
    started(house, 2)
    house.work()
    age(36)
    due_now(level=1)
    sts.fail_next(code, status=403, message=message, times=2)
    house.work()
    assert all(0.9 < minutes < 2.1 for minutes in next_tries())
