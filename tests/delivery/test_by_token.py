"""Check that one query delivers what `reveal` delivers: by the same rules, with the same line."""

import ipaddress
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from sessions.activations.start_stop import stop_session
from sessions.actors import Actor, NamedActor
from sessions.catalog.access import save_group
from sessions.catalog.labels import write_labels
from sessions.credentials.timing import LEAST_LIFE
from sessions.db.clock import database_now
from sessions.delivery import by_token, one_query
from sessions.delivery.reveal import NotReady, reveal
from sessions.exceptions import ActorGone, Refused
from sessions.ledger import origin
from sessions.ledger.events.credentials import CredentialRevealed
from sessions.ledger.origin import Origin
from sessions.models import (
    Activation,
    AssumerLink,
    AwsSession,
    Credential,
    Delivery,
    Label,
    Membership,
    Problem,
    Role,
    Scope,
    ScopingRefusal,
    Team,
    TeamPolicy,
    Token,
    User,
)
from sessions.people.tokens import actor_of_token, create_token
from sessions.permissions import GroupsTooOld, NotAllowed

pytestmark = pytest.mark.django_db


class Ready:
    """Start a chain of two hops, and make a token of its member known."""

    def __init__(self, house, member=None, **token):
        self.house, self.member = house, member or house.ben
        self.chain = house.chain(2)
        self.leaf = self.chain[-1]
        house.start(self.leaf, self.member)
        house.work()
        self.secret = create_token(self.member, "laptop", NamedActor("tests"), **token)
        self.token = Token.objects.get(digest=Token.digest_of(self.secret))
        by_token.remember(self.token)

    def quickly(self, session=None):
        session = session or self.leaf
        return by_token.reveal_to(
            self.token.digest, session.pk, None, form="container", at_least=LEAST_LIFE
        )

    def slowly(self, session=None):
        """Return what the API's own way gives, or None."""
        stored = AwsSession.objects.filter(pk=(session or self.leaf).pk).first()
        try:
            actor = actor_of_token(self.secret)
            if actor is None or stored is None or not stored.is_chained:
                return None
            return reveal(stored, actor, form="container", via="token", at_least=LEAST_LIFE)
        except (NotReady, Refused, ActorGone, NotAllowed, GroupsTooOld):
            return None


@pytest.fixture
def ready(house):
    return Ready(house)


def test_two_reads_and_two_writes_deliver(ready):
    assert ready.quickly() is not None
    with CaptureQueriesContext(connection) as captured:
        found = ready.quickly()
    assert found is not None
    said = [each["sql"] for each in captured.captured_queries]
    begun = {"BEGIN", "SAVEPOINT", "SET", "RELEASE", "COMMIT"}
    verbs = [each.split()[0] for each in said if each.split()[0] not in begun]
    # Between them, what lines repeat is stored again here: a test's transaction never commits it.
    assert (verbs[:2], verbs[-2:]) == (["SELECT", "WITH"], ["INSERT", "UPDATE"])


def test_it_delivers_what_reveal_does_with_the_same_line(ready):
    quick, slow = ready.quickly().credentials, ready.slowly()
    assert quick.access_key_id == slow.access_key_id
    assert quick.secret_access_key.reveal() == slow.secret_access_key.reveal()
    assert quick.session_token.reveal() == slow.session_token.reveal()
    assert quick.expires_at == slow.expires_at
    first, second = ready.house.events(CredentialRevealed)
    said = dict(first.data)
    assert said.pop("origin") == {"token_id": str(ready.token.pk), "token": "laptop"}
    assert said | {"via": "token"} == dict(second.data)
    assert (first.actor, first.session_id, first.session_alias) == (
        second.actor,
        second.session_id,
        second.session_alias,
    )


def test_the_use_of_a_token_is_noted(ready):
    asked_from = Origin(address="192.0.2.17", client="aws-cli/2")
    with origin.asked_from(lambda: asked_from):
        assert ready.quickly() is not None
    token = Token.objects.get(pk=ready.token.pk)
    assert token.last_used_at is not None
    assert (token.last_used_address, token.last_used_client) == ("192.0.2.17", "aws-cli/2")


def test_an_unknown_token_is_left_to_reveal(ready):
    by_token.forget()
    assert ready.quickly() is None
    assert by_token.reveal_to("0" * 64, ready.leaf.pk, None, form="x", at_least=LEAST_LIFE) is None


# Each changes one thing that a right, a state or a plan rests on; by statements, so that nothing
# moves or ends on its own.
def _membership(**fields):
    return lambda ready: Membership.objects.filter(pk=ready.member.pk).update(**fields)


def _user(**fields):
    return lambda ready: User.objects.filter(pk=ready.member.user_id).update(**fields)


def _token(**fields):
    return lambda ready: Token.objects.filter(pk=ready.token.pk).update(**fields)


def _leaf(**fields):
    return lambda ready: AwsSession.objects.filter(pk=ready.leaf.pk).update(**fields)


def _middle(**fields):
    return lambda ready: AwsSession.objects.filter(pk=ready.chain[0].pk).update(**fields)


def _root(**fields):
    return lambda ready: AwsSession.objects.filter(pk=ready.house.root.pk).update(**fields)


def _link(at=-1, **fields):
    return lambda ready: AssumerLink.objects.filter(pk=ready.chain[at].pk).update(**fields)


def _activation(**fields):
    return lambda ready: Activation.objects.filter(session=ready.leaf).update(**fields)


def _credential(**fields):
    return lambda ready: Credential.objects.filter(activations__session=ready.leaf).update(**fields)


def _policy(**fields):
    def change(ready):
        TeamPolicy.objects.update_or_create(team=ready.house.team, defaults=fields)

    return change


def _bind(*which):
    def change(ready):
        _token(is_bound=True)(ready)
        ready.token.sessions.set(ready.chain[at] for at in which)

    return change


def _bind_to_label(at):
    def change(ready):
        _token(is_bound=True)(ready)
        label = Label.objects.create(team=ready.house.team, name="ci")
        write_labels(ready.chain[at], [label])
        ready.token.labels.set([label])

    return change


def _open_by_group(ready):
    group = save_group(Actor(ready.house.ada), "Ops", [ready.member])
    _leaf(open_to_start=False)(ready)
    ready.leaf.grants.create(right="start", group=group)


def _open_by_name(ready):
    _leaf(open_to_start=False)(ready)
    ready.leaf.grants.create(right="start", member=ready.member)


def _open_for_another_right(ready):
    _leaf(open_to_start=False)(ready)
    ready.leaf.grants.create(right="assume", member=ready.member)


def _author_named(ready):
    """Make the chain's author a member who may use its closed root by name."""
    _link(0, author=ready.house.bea.user)(ready)
    _root(open_to_assume=False)(ready)
    ready.house.root.grants.create(right="assume", member=ready.house.bea)


def _author_by_group(ready):
    group = save_group(Actor(ready.house.ada), "Builders", [ready.house.bea])
    _link(0, author=ready.house.bea.user)(ready)
    _root(open_to_assume=False)(ready)
    ready.house.root.grants.create(right="assume", group=group)


def _author_has_no_right(ready):
    _link(0, author=ready.house.bea.user)(ready)
    _root(open_to_assume=False)(ready)


def _author_suspended(ready):
    _link(0, author=ready.house.bea.user)(ready)
    Membership.objects.filter(pk=ready.house.bea.pk).update(disabled_at=database_now())


EARLIER = timedelta(hours=-30)
DELIVERS = {
    "as it is": lambda ready: None,
    "an admin": _membership(role=Role.ADMIN),
    "fresh groups": lambda ready: _membership(from_sso=True, groups_read_at=database_now())(ready),
    "opened by name": _open_by_name,
    "opened by group": _open_by_group,
    "token for it": _bind(-1),
    "token for both": _bind(0, -1),
    "token for its label": _bind_to_label(-1),
    "the author is named": _author_named,
    "the author is named by a group": _author_by_group,
    "an old problem": _credential(problem=Problem("AccessDenied", 1, "m", "c")),
    "another region": _leaf(region="us-east-1"),
    "another alias": _leaf(alias="Elsewhere"),
}
REFUSES = {
    "an auditor": _membership(role=Role.AUDITOR),
    "suspended": lambda ready: _membership(disabled_at=database_now())(ready),
    "old groups": lambda ready: _membership(from_sso=True, groups_read_at=database_now() + EARLIER)(
        ready
    ),
    "groups never read": _membership(from_sso=True, groups_read_at=None),
    "switched off": _user(is_active=False),
    "removed": lambda ready: Membership.objects.filter(pk=ready.member.pk).delete(),
    "token revoked": lambda ready: _token(revoked_at=database_now())(ready),
    "token expired": lambda ready: _token(expires_at=database_now())(ready),
    "token without the scope": _token(scopes=[str(Scope.READ), str(Scope.USE)]),
    "token without scopes": _token(scopes=[]),
    "token for another": _bind(0),
    "token for another's label": _bind_to_label(0),
    "token for nothing any more": _bind(),
    "closed": _leaf(open_to_start=False),
    "open for another right": _open_for_another_right,
    "not chained": _leaf(kind="iam-user"),
    "stopped": lambda ready: stop_session(ready.leaf, Actor(ready.member)),
    "its hours are over": lambda ready: _activation(ends_at=database_now())(ready),
    "expired": lambda ready: _credential(expires_at=database_now())(ready),
    "short": lambda ready: _credential(expires_at=database_now() + timedelta(minutes=14))(ready),
    "nothing sealed": _credential(sealed=None),
    "no end": _credential(expires_at=None),
    "the author has no right": _author_has_no_right,
    "the author is suspended": _author_suspended,
    "no author": _link(author=None),
    "another role": _link(role_arn="arn:aws:iam::111122223333:role/Other"),
    "another role below": _link(0, role_arn="arn:aws:iam::111122223333:role/Other"),
    "another name": _link(role_session_name="fixed-name"),
    "scoped by now": _policy(scoping="required"),
    "another external id": _link(external_id="abc"),
    "another tag": _link(tags=[["stage", "x"]]),
    "another policy": _link(policy='{"Version": "2012-10-17", "Statement": []}'),
    "a managed policy": _link(policy_arns=["arn:aws:iam::aws:policy/ReadOnlyAccess"]),
    "other networks": _link(networks=["203.0.113.0/24"]),
    "the team's networks": _policy(networks=["203.0.113.0/24"]),
    "the team's names": _policy(role_session_name="x-{username}", names_locked=True),
    "a source identity": _policy(source_identity="required"),
    "another handle": _user(aws_name="somebody.else"),
    "another key of the root": _root(secret_version=7),
    "another user of the root": _root(settings={"access_key_id": "AKIAI44QH8DHBEXAMPLE"}),
}


@pytest.mark.parametrize("state", DELIVERS)
def test_it_delivers_where_reveal_does(ready, state):
    assert ready.quickly() is not None
    DELIVERS[state](ready)
    assert ready.slowly() is not None
    assert ready.quickly() is not None


@pytest.mark.parametrize("state", REFUSES)
def test_it_delivers_nothing_that_reveal_refuses(ready, state):
    # What it has remembered of the plan before must not count after.
    assert ready.quickly() is not None
    before = len(ready.house.events(CredentialRevealed))
    REFUSES[state](ready)
    assert ready.quickly() is None
    assert len(ready.house.events(CredentialRevealed)) == before
    assert ready.slowly() is None


def test_a_token_is_good_from_its_networks_alone(ready):
    _token(networks=["192.0.2.0/24"])(ready)
    for address, may in ((None, False), ("198.51.100.1", False), ("192.0.2.17", True)):
        found = by_token.reveal_to(
            ready.token.digest,
            ready.leaf.pk,
            ipaddress.ip_address(address) if address else None,
            form="container",
            at_least=LEAST_LIFE,
        )
        assert (found is not None) == may


def test_what_was_prepared_for_the_token_is_delivered_in_the_leafs_place(house):
    TeamPolicy.objects.update_or_create(team=house.team, defaults={"scoping": "required"})
    ready = Ready(house)
    assert ready.quickly() is None
    assert ready.slowly() is None  # it has begun the delivery
    house.work()
    slow, quick = ready.slowly(), ready.quickly()
    assert quick.credentials.access_key_id == slow.access_key_id
    leaf = Activation.objects.get(session=ready.leaf).credential
    assert quick.credentials.access_key_id != leaf.access_key_id
    first, second = house.events(CredentialRevealed)
    assert first.data["delivery"] == second.data["delivery"] == str(Delivery.objects.get().pk)
    # Another device has its own, and another policy wants another.
    other = Token.objects.get(digest=Token.digest_of(house.token(house.ben)))
    by_token.remember(other)
    assert (
        by_token.reveal_to(other.digest, ready.leaf.pk, None, form="x", at_least=LEAST_LIFE) is None
    )
    TeamPolicy.objects.update(read_only=True)
    assert ready.quickly() is None
    assert ready.slowly() is None


def test_where_aws_refuses_scoping_reveal_says_why(ready):
    _policy(scoping="where-allowed")(ready)
    now = database_now()
    ScopingRefusal.objects.create(
        team=ready.house.team,
        role_arn=ready.leaf.link.role_arn,
        code="AccessDenied",
        at=now,
        try_again_at=now,
    )
    assert ready.quickly() is None
    assert ready.slowly() is not None
    assert ready.house.events(CredentialRevealed)[-1].data["unscoped"] == "AccessDenied"


def test_a_template_with_the_alias_follows_it(house):
    [leaf] = house.chain(1, name="{alias}-{username}")
    house.start(leaf)
    house.work()
    ready = Ready.__new__(Ready)
    ready.house, ready.member, ready.chain, ready.leaf = house, house.ben, [leaf], leaf
    ready.secret = house.token(house.ben)
    ready.token = Token.objects.get(digest=Token.digest_of(ready.secret))
    by_token.remember(ready.token)
    assert ready.quickly() is not None
    _leaf(alias="Elsewhere")(ready)
    assert ready.quickly() is None
    assert ready.slowly() is None


def test_nobody_elses_activation_counts(ready):
    secret = ready.house.token(ready.house.bea)
    token = Token.objects.get(digest=Token.digest_of(secret))
    by_token.remember(token)
    assert (
        by_token.reveal_to(token.digest, ready.leaf.pk, None, form="x", at_least=LEAST_LIFE) is None
    )


@pytest.mark.parametrize("role", Role)
def test_every_actor_gets_by_one_query_what_reveal_gives(house, subtests, role):
    """Pair each role with each state of rights; what a state changes is taken back."""
    ready = Ready(house)
    for name, change in (DELIVERS | REFUSES).items():
        with subtests.test(name):
            savepoint = transaction.savepoint()
            Membership.objects.filter(pk=ready.member.pk).update(role=role)
            change(ready)
            slowly = ready.slowly()
            assert (ready.quickly() is None) == (slowly is None)
            transaction.savepoint_rollback(savepoint)


@pytest.mark.parametrize("model", [AssumerLink, AwsSession, TeamPolicy, Team])
def test_every_column_that_a_plan_may_read_is_compared(ready, model):
    """Hold that a column that is added later is compared as well."""
    found = one_query.look(ready.token.digest, ready.leaf.pk)
    statement, _ = one_query._prepared(connection.vendor)
    alias = {AssumerLink: "k", AwsSession: "x", TeamPolicy: "p", Team: "tm"}[model]
    for field in model._meta.concrete_fields:
        if field.name not in one_query._NOT_IN_A_PLAN:
            assert f'{alias}."{field.column}"' in statement
    assert found is not None
