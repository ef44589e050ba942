"""End deliveries with what they rest on, and erase what was issued for them."""

from datetime import timedelta

import pytest

from sessions.activations.deliveries import end_overdue
from sessions.activations.start_stop import stop_session
from sessions.actors import Actor, NamedActor
from sessions.credentials.needs import needs_of
from sessions.db.clock import database_now
from sessions.models import Channel, Credential, Delivery, Token
from sessions.people.memberships import disable_member
from sessions.people.tokens import revoke_token

pytestmark = pytest.mark.django_db


def delivery_of(activation, token=None, *, minutes=60, number=1) -> Delivery:
    """Store a delivery whose child has not been issued yet."""
    leaf = activation.credential
    child = Credential.objects.create(
        fingerprint=f"{number:064x}",
        team=leaf.team,
        root=leaf.root,
        parent=leaf,
        level=leaf.level + 1,
        is_scoped=True,
        request={"scoped": {}},
    )
    now = database_now()
    return Delivery.objects.create(
        team=leaf.team,
        activation=activation,
        token=token,
        channel=Channel.ENDPOINT if token else Channel.SNIPPET,
        credential=child,
        made_at=now,
        ends_at=now + timedelta(minutes=minutes),
    )


@pytest.fixture
def activation(house):
    [leaf] = house.chain(1)
    return house.start(leaf)


@pytest.fixture
def token(house):
    house.token()
    return Token.objects.get(user=house.ben.user)


def persons(credential):
    return [(each.person, each.direct) for each in needs_of([credential])[credential]]


def test_a_delivery_is_a_need_of_its_child_and_no_second_one_above(house, activation, token):
    delivery = delivery_of(activation, token)
    assert persons(delivery.credential_id) == [("ben", True)]
    assert persons(activation.credential_id) == [("ben", True)]


def test_nobody_needs_the_child_of_a_revoked_token(house, activation, token):
    delivery = delivery_of(activation, token)
    revoke_token(token, NamedActor("ada"))
    assert persons(delivery.credential_id) == []
    end_overdue()
    assert not Delivery.objects.exists()
    assert not Credential.objects.filter(is_scoped=True).exists()
    assert persons(activation.credential_id) == [("ben", True)]


def test_nobody_needs_the_child_of_a_suspended_person(house, activation, token):
    delivery = delivery_of(activation, token)
    disable_member(house.ben, NamedActor("ada"), house.ada.user)
    assert persons(delivery.credential_id) == []


def test_stopping_erases_the_children_of_every_device(house, activation, token):
    delivery_of(activation, token)
    delivery_of(activation, number=2)
    stop_session(activation.session, Actor(house.ben))
    assert not Delivery.objects.exists()
    assert not Credential.objects.filter(level__gt=0).exists()


def test_a_delivery_past_its_time_is_erased_and_its_leaf_stays(house, activation):
    delivery = delivery_of(activation, minutes=-1)
    assert persons(delivery.credential_id) == []
    assert end_overdue() == 1
    assert not Credential.objects.filter(is_scoped=True).exists()
    assert Credential.objects.filter(pk=activation.credential_id).exists()
