"""Narrow what is delivered: each page and device gets a key of its own, with its own end."""

import json
from datetime import timedelta

import pytest

from sessions.activations.start_stop import rotate_session
from sessions.actors import Actor, NamedActor
from sessions.aws import sts as real_sts
from sessions.aws.errors import Rejected
from sessions.aws.hop import Hop
from sessions.db.clock import database_now
from sessions.delivery.reveal import NotReady, Preparing, reveal
from sessions.engine import scoping
from sessions.ledger.events.credentials import (
    CredentialMinted,
    CredentialRevealed,
    ScopingAllowed,
    ScopingRefused,
)
from sessions.models import (
    Activation,
    Channel,
    Credential,
    Delivery,
    ScopingRefusal,
    TeamPolicy,
    Token,
)
from sessions.people.tokens import actor_of_token, create_token
from tests.harness.sts.policies import SOURCE_IP

pytestmark = pytest.mark.django_db

OFFICE = "203.0.113.0/24"


def set_policy(house, **fields):
    TeamPolicy.objects.update_or_create(
        team=house.team, defaults={"scoping": "where-allowed"} | fields
    )


@pytest.fixture
def leaf(house):
    set_policy(house)
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    return leaf


def page(house):
    return Actor(house.ben)


def device(house, name="laptop", **options):
    return actor_of_token(create_token(house.ben, name, NamedActor("tests"), **options))


def taken(house, session, actor, *, via="page"):
    """Ask, let a worker narrow it, and take what it was asked for."""
    with pytest.raises(Preparing) as preparing:
        reveal(session, actor, form="posix", via=via)
    house.work()
    return reveal(session, actor, form="posix", via=via, delivery=preparing.value.delivery)


def scoped_calls(house):
    return [call for call in house.sts.calls if call["action"] == "GetScopedCredentials"]


def activation_of(leaf):
    return Activation.objects.select_related("credential").get(session=leaf)


def test_each_paste_has_a_key_of_its_own_and_the_same_arn(house, leaf):
    parent = activation_of(leaf).credential
    first, second = (taken(house, leaf, page(house)) for _ in range(2))
    assert len({parent.access_key_id, first.access_key_id, second.access_key_id}) == 3
    [arn] = {house.sts.arn_of(each) for each in (first, second)}
    assert arn.endswith(":assumed-role/" + leaf.link.role_arn.rpartition("/")[2] + "/ben")
    minted = house.events(CredentialMinted)[-1].data
    assert minted["parent_access_key_id"] == parent.access_key_id
    assert (minted["channel"], minted["arn"]) == ("snippet", arn)
    revealed = house.events(CredentialRevealed)[-1].data
    assert revealed["delivery"] == minted["delivery"]
    assert revealed["access_key_id"] == second.access_key_id
    told = scoped_calls(house)[-1]["asked"]["ScopedSessionDescription"]
    assert told == f"chainweb platform {minted['delivery']} ben snippet"


def test_a_paste_ends_after_the_teams_minutes(house, leaf):
    set_policy(house, snippet_minutes=15)
    pasted = taken(house, leaf, page(house))
    left = pasted.expires_at - database_now()
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)
    house.sts.rules.clock_ahead_seconds = 15 * 60
    with pytest.raises(Exception, match="expired"):
        real_sts.caller_identity(pasted, "eu-west-1")


def test_a_paste_never_lives_longer_than_its_leaf(house, leaf):
    pasted = taken(house, leaf, page(house))
    assert pasted.expires_at <= activation_of(leaf).credential.expires_at


def test_an_endpoint_lives_as_long_as_the_leaf_and_is_only_read(house, leaf):
    actor = device(house)
    first = taken(house, leaf, actor, via="token laptop")
    assert first.expires_at == activation_of(leaf).credential.expires_at
    again = reveal(leaf, actor, form="process", via="token laptop")
    assert again.access_key_id == first.access_key_id
    assert len(scoped_calls(house)) == 1
    [delivery] = Delivery.objects.all()
    assert (delivery.channel, delivery.fetched_at is not None) == (Channel.ENDPOINT, True)


def test_two_devices_have_two_keys(house, leaf):
    one = taken(house, leaf, device(house, "laptop"))
    other = taken(house, leaf, device(house, "server"))
    assert one.access_key_id != other.access_key_id
    assert [each["asked"]["ScopedSessionDescription"][-10:] for each in scoped_calls(house)] == [
        "ben laptop",
        "ben server",
    ]


def test_a_rotation_renews_the_endpoint_in_the_same_run(house, leaf):
    actor = device(house)
    first = taken(house, leaf, actor)
    for generation in range(2, 4):
        rotate_session(leaf, page(house))
        house.work()
        now = reveal(leaf, actor, form="process", via="token laptop")
        assert now.access_key_id != first.access_key_id
        assert len(scoped_calls(house)) == generation
        first = now


def test_the_old_key_is_served_until_the_next_one_is_there(house, leaf):
    actor = device(house)
    first = taken(house, leaf, actor)
    rotate_session(leaf, page(house))
    house.sts.fail_next("Throttling", times=3, after=1)
    from sessions.engine import rotation

    rotation.run(seconds=1)
    assert reveal(leaf, actor, form="process", via="x").access_key_id == first.access_key_id


def test_an_endpoint_that_nobody_fetches_from_is_given_up(house, leaf):
    actor = device(house)
    taken(house, leaf, actor)
    Delivery.objects.update(fetched_at=database_now() - timedelta(days=3))
    rotate_session(leaf, page(house))
    house.work()
    assert not Delivery.objects.exists()
    assert len(scoped_calls(house)) == 1
    taken(house, leaf, actor)


def test_a_token_for_that_session_alone_is_prepared_with_the_start(house):
    set_policy(house)
    [leaf] = house.chain(1)
    actor = device(house, sessions=[leaf])
    house.start(leaf)
    house.work()
    assert reveal(leaf, actor, form="process", via="token laptop")


def test_off_delivers_the_leaf(house, leaf):
    set_policy(house, scoping="off")
    given = reveal(leaf, page(house), form="posix", via="page")
    assert given.access_key_id == activation_of(leaf).credential.access_key_id


# --- what it may do -------------------------------------------------------------------------------


def assume_with(house, credentials, arn):
    hop = Hop(role_arn=arn, role_session_name="next")
    return real_sts.assume_role(hop, credentials, "eu-west-1", 2)


def test_sts_refuses_with_the_child_what_it_allows_with_the_parent(house):
    set_policy(house, scoping="off")
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    other = house.role_arn("Other")
    parent = reveal(leaf, page(house), form="posix", via="page")
    assert assume_with(house, parent, other)
    set_policy(house, read_only=True)
    with pytest.raises(NotReady):  # the leaf that carried nothing is left
        reveal(leaf, page(house), form="posix", via="page")
    house.work()
    child = taken(house, leaf, page(house))
    with pytest.raises(Rejected, match="explicit deny"):
        assume_with(house, child, other)
    assert real_sts.caller_identity(child, "eu-west-1").arn == house.sts.arn_of(child)


def test_networks_bind_the_child_and_leave_the_leaf(house):
    set_policy(house, networks=[OFFICE])
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    child = taken(house, leaf, page(house))
    [assumed] = [call for call in house.sts.calls if call["action"] == "AssumeRole"]
    assert assumed["sent"].policy == ""
    assert OFFICE in scoped_calls(house)[-1]["asked"]["Policy"]
    assert SOURCE_IP != OFFICE
    with pytest.raises(Rejected, match="explicit deny"):
        assume_with(house, child, house.role_arn("Other"))


def test_a_policy_of_the_sessions_own_lets_workers_narrow_it(house):
    set_policy(house)
    own = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
    }
    leaf = house.chained("Buckets", policy=json.dumps(own))
    house.start(leaf)
    house.work()
    assert taken(house, leaf, page(house))
    [assumed] = [call for call in house.sts.calls if call["action"] == "AssumeRole"]
    assert "sts:GetScopedCredentials" in assumed["sent"].policy


def test_a_change_of_the_limits_is_on_the_next_fetch(house, leaf):
    actor = device(house)
    first = taken(house, leaf, actor)
    set_policy(house, regions=["eu-west-1"])
    second = taken(house, leaf, actor)
    assert second.access_key_id != first.access_key_id
    assert "aws:RequestedRegion" in scoped_calls(house)[-1]["asked"]["Policy"]
    assert Credential.objects.filter(is_scoped=True).count() == 1


# --- where AWS refuses ----------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidAction", "InvalidSubjectCredentials"])
def test_where_aws_refuses_the_leaf_is_delivered_and_the_event_says_so(house, leaf, code):
    house.sts.refuse_scoping(leaf.link.role_arn, code)
    given = taken(house, leaf, page(house))
    assert given.access_key_id == activation_of(leaf).credential.access_key_id
    assert house.events(CredentialRevealed)[-1].data["unscoped"] == code
    [refused] = house.events(ScopingRefused)
    assert refused.data["code"] == code
    reveal(leaf, device(house), form="process", via="token laptop")
    assert len(scoped_calls(house)) == 1


def test_a_leaf_that_stands_in_is_bound_again(house):
    set_policy(house, networks=[OFFICE], read_only=True)
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    house.sts.refuse_scoping()
    unbound = activation_of(leaf).credential
    with pytest.raises(Preparing) as preparing:
        reveal(leaf, page(house), form="posix", via="page")
    house.work()
    given = reveal(leaf, page(house), form="posix", via="page", delivery=preparing.value.delivery)
    assert given.access_key_id != unbound.access_key_id
    sent = [call for call in house.sts.calls if call["action"] == "AssumeRole"][-1]["sent"].policy
    assert OFFICE in sent
    assert "ec2:Des*" in sent
    assert not Credential.objects.filter(pk=unbound.pk).exists()


def test_a_refusal_is_tried_again_after_a_day_and_ends_when_aws_allows(house):
    set_policy(house, networks=[OFFICE])
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    house.sts.refuse_scoping()
    bound = taken(house, leaf, page(house))
    assert scoping.try_again() == 0
    for allowed in (False, True):
        if allowed:
            house.sts.allow_scoping()
        ScopingRefusal.objects.update(try_again_at=database_now())
        assert scoping.try_again() == 1
        during = reveal(leaf, page(house), form="posix", via="page")
        assert during.access_key_id == bound.access_key_id
        house.work()
        assert ScopingRefusal.objects.exists() is not allowed
        assert not Delivery.objects.filter(channel=Channel.TRIAL).exists()
    assert len(house.events(ScopingAllowed)) == 1
    child = taken(house, leaf, page(house))
    assert house.sts.rules.keys[child.access_key_id].scopes


def test_required_refuses_and_names_the_permission(house, leaf):
    set_policy(house, scoping="required")
    house.sts.refuse_scoping()
    with pytest.raises(Preparing) as preparing:
        reveal(leaf, page(house), form="posix", via="page")
    house.work()
    with pytest.raises(NotReady) as refused:
        reveal(leaf, page(house), form="posix", via="page", delivery=preparing.value.delivery)
    problem = refused.value.state.problem
    assert (problem.code, problem.hop) == ("AccessDenied", 2)
    assert "sts:GetScopedCredentials" in problem.check
    assert not house.events(CredentialRevealed)
    assert not ScopingRefusal.objects.exists()


def test_a_stranger_to_the_delivery_gets_nothing_of_it(house, leaf):
    with pytest.raises(Preparing) as preparing:
        reveal(leaf, page(house), form="posix", via="page")
    house.start(leaf, house.bea)
    house.work()
    with pytest.raises(Preparing) as other:
        reveal(leaf, Actor(house.bea), form="posix", via="page", delivery=preparing.value.delivery)
    assert other.value.delivery != preparing.value.delivery


def test_a_revoked_token_gets_no_child(house, leaf):
    actor = device(house)
    taken(house, leaf, actor)
    Token.objects.update(revoked_at=database_now())
    with pytest.raises(NotReady):
        reveal(leaf, actor, form="process", via="token laptop")
