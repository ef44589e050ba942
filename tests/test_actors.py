"""Check that an actor keeps to a token, and that no re-read of a row loses it."""

from dataclasses import FrozenInstanceError

import pytest

from sessions.activations.start_stop import start_session
from sessions.actors import Actor, NamedActor
from sessions.exceptions import ActorGone, RightLost
from sessions.ledger.events.sessions import SessionStarted
from sessions.locks.team_lock import actor_again, begin
from sessions.models import Membership, Scope, Token
from sessions.people.memberships import change_role
from sessions.people.tokens import actor_of_token, create_token, revoke_token
from sessions.permissions import Action, can

pytestmark = pytest.mark.django_db


@pytest.fixture
def leaf(house):
    return house.chained("Leaf")


def by_token(house, *sessions, scopes=tuple(Scope)):
    """Return ben, who acts by a new token of his for these sessions and scopes."""
    name = f"deploys {house.ben.user.tokens.count()}"
    secret = create_token(house.ben, name, Actor(house.ben), scopes=scopes, sessions=sessions)
    return actor_of_token(secret)


def test_an_actor_is_named_as_the_ledger_names_its_person(house, leaf):
    start_session(leaf, Actor(house.ben))
    assert Actor(house.ben).username == "ben"
    assert house.events(SessionStarted)[0].actor == "ben"
    assert NamedActor("clock").username == "clock"


def test_whose_request_it_is_does_not_change_under_way(house):
    with pytest.raises(FrozenInstanceError):
        Actor(house.ben).token = Token()


def test_only_a_bound_token_limits_to_sessions(house, leaf):
    assert Actor(house.ben).limited_to is None
    assert by_token(house).limited_to is None
    assert by_token(house, leaf).limited_to == {leaf.pk: "Leaf"}


def test_a_token_whose_sessions_are_deleted_is_limited_to_none(house, leaf):
    ben = by_token(house, leaf)
    token = Token.objects.get(pk=ben.token.pk)
    token.sessions.clear()
    assert Actor(ben.member, token).limited_to == {}


def test_a_tokens_limits_survive_a_re_read_of_the_row(house, leaf):
    other = house.chained("Other")
    ben = by_token(house, leaf, scopes=[Scope.USE])
    again, _ = actor_again(ben)
    assert again.member is not ben.member
    assert again.token is not ben.token
    assert again.limited_to == {leaf.pk: "Leaf"}
    begun = begin(ben, Action.START, leaf)
    for actor in (ben, again, begun):
        actor.member.refresh_from_db()
        assert can(actor, Action.START, leaf)
        assert not can(actor, Action.TAKE_CREDENTIALS, leaf)
        assert not can(actor, Action.START, other)
    with pytest.raises(RightLost):
        start_session(other, begun)


def test_a_re_read_without_a_token_gives_none(house):
    again, _ = actor_again(Actor(house.ben))
    assert again == Actor(house.ben)
    assert again.token is None


def test_a_revoked_token_ends_the_actor_and_not_the_member(house):
    ben = by_token(house)
    revoke_token(ben.token, Actor(house.ada))
    with pytest.raises(ActorGone):
        actor_again(ben)
    assert actor_again(Actor(house.ben))[0].member == house.ben


def test_a_re_read_sees_the_role_of_now(house):
    read_before = Membership.objects.select_related("user", "team").get(pk=house.ada.pk)
    house.person("ann", "admin")
    change_role(house.ada, "member", NamedActor("manage.py"))
    assert Actor(read_before).is_admin
    assert not actor_again(Actor(read_before))[0].is_admin
