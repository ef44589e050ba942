"""Each change of a session, a person, a group or a token says what was before."""

from dataclasses import replace

import pytest
from django.core.management import call_command
from django.urls import reverse

from sessions.actors import OPERATOR, Actor
from sessions.catalog import deletions
from sessions.catalog.access import delete_group, save_group, set_access
from sessions.catalog.audiences import Access, Audience
from sessions.catalog.deletions import delete_session
from sessions.catalog.probes import start_probe
from sessions.catalog.sessions import Draft, save_session
from sessions.engine.root_probes import run_root_probe
from sessions.ledger.events import read
from sessions.ledger.story import NOT_SET, Change, changes_of
from sessions.locks import parts
from sessions.models import AwsSession, Role, Scope, Team, Token
from sessions.people.memberships import change_role, disable_member, enable_member, remove_member
from sessions.people.people import add_member
from sessions.people.tokens import create_token, revoke_token
from tests.house import draft_of

pytestmark = pytest.mark.django_db


def last(house, kind):
    return [line for line in house.events() if line.kind == kind][-1]


def changes(house, kind):
    """Tell what the last line of that kind changed, by itself: no line before it is looked at."""
    line = last(house, kind)
    line.seq = 0
    return {
        each.field: (each.before, each.after) for each in changes_of(line, read(kind, line.data))
    }


def test_an_edit_holds_the_changed_fields_as_they_were(house):
    leaf = house.chained("Deploy")
    save_session(
        draft_of(leaf, region="us-east-1", role_session_name="x-{username}"), Actor(house.ada), leaf
    )
    assert changes(house, "session.edited") == {
        "region": ("eu-west-1", "us-east-1"),
        "role session name": ("{username}", "x-{username}"),
    }
    assert set(last(house, "session.edited").data["before"]) == {"region", "role_session_name"}


def test_a_parameter_that_is_set_first_was_not_set(house):
    leaf = house.chained("Deploy")
    save_session(draft_of(leaf, without_source_identity=True), Actor(house.ada), leaf)
    assert changes(house, "session.edited") == {"without source identity": (NOT_SET, "yes")}
    save_session(draft_of(leaf, without_source_identity=False), Actor(house.ada), leaf)
    assert changes(house, "session.edited") == {"without source identity": ("yes", NOT_SET)}


def test_an_edit_tells_whose_chain_it_was(house):
    leaf = house.chained("Deploy", member=house.ben)
    save_session(draft_of(leaf, region="us-east-1"), Actor(house.ada), leaf)
    assert changes(house, "session.edited")["owner"] == ("ben", "ada")


def test_a_roots_edit_holds_no_secret_of_before(house):
    key = house.sts.add_user("another", account="111122223333")
    draft = replace(
        Draft.of(house.root),
        settings={"access_key_id": key.access_key_id},
        secrets={"secret_access_key": key.secret_access_key},
    )
    save_session(draft, Actor(house.ada), house.root)
    assert set(changes(house, "session.edited")) == {"settings"}
    assert key.secret_access_key.reveal() not in str([line.data for line in house.events()])


def test_a_deletion_holds_what_each_session_was(house):
    first, second = house.chain(2)
    delete_session(first, Actor(house.ada))
    told = [line.data["before"] for line in house.events() if line.kind == "session.deleted"]
    assert [each["role_arn"] for each in told] == [second.link.role_arn, first.link.role_arn]
    assert changes(house, "session.deleted")["alias"] == ("Hop 1", NOT_SET)


def test_a_deletion_in_parts_holds_what_each_session_was(house, monkeypatch):
    monkeypatch.setattr(parts, "AT_ONCE", 2)
    sessions = house.chain(3)
    arns = {each.link.role_arn for each in sessions}
    delete_session(sessions[0], Actor(house.ada))
    deletions.work_off(10)
    told = [line.data["before"] for line in house.events() if line.kind == "session.deleted"]
    assert {each["role_arn"] for each in told} == arns
    assert not AwsSession.objects.filter(pk__in=[each.pk for each in sessions]).exists()


def test_access_says_to_whom_it_was_open(house):
    leaf = house.chained("Deploy")
    some = Access(Audience(False, [house.ben]), Audience(False))
    set_access(leaf, some, Actor(house.ada))
    assert last(house, "session.access").data["before"] == {
        "start": {"everyone": True},
        "assume": {"everyone": True},
    }
    set_access(leaf, Access(Audience(), Audience(False)), Actor(house.ada))
    assert list(changes(house, "session.access")) == ["start"]


def test_a_group_says_its_people_of_before(house):
    group = save_group(Actor(house.ada), "ops", [house.ben])
    save_group(Actor(house.ada), "ops", [house.bea], group)
    assert changes(house, "group.changed") == {"people": ("ben", "bea")}
    delete_group(group, Actor(house.ada))
    assert changes(house, "group.deleted") == {"name": ("ops", NOT_SET), "people": ("bea", NOT_SET)}


def test_members_say_what_they_were(house):
    house.chained("Deploy", member=house.ben)
    add_member(house.team, house.ben.user, Role.ADMIN, OPERATOR)
    assert changes(house, "member.added") == {"role": ("member", "admin")}
    change_role(house.ben, Role.MEMBER, Actor(house.ada))
    assert changes(house, "member.role") == {"role": ("admin", "member")}
    disable_member(house.ben, Actor(house.ada))
    assert changes(house, "member.disabled")["state"] == ("active", "suspended")
    enable_member(house.ben, Actor(house.ada))
    assert changes(house, "member.enabled") == {"state": ("suspended", "active")}
    remove_member(house.ben, Actor(house.ada), house.ada.user)
    assert changes(house, "member.removed") == {
        "role": ("member", NOT_SET),
        "owner of Deploy": ("ben", "ada"),
    }


def test_a_revoked_token_says_what_it_was_good_for(house):
    create_token(house.ben, "laptop", Actor(house.ben), scopes=[Scope.READ])
    revoke_token(Token.objects.get(), Actor(house.ben))
    found = changes(house, "token.revoked")
    assert found["scopes"] == ("read", NOT_SET)
    assert found["state"] == ("valid", "revoked")
    assert found["expires at"][0].startswith("20")


def test_the_operator_lets_a_team_use_the_workers_identity(house):
    call_command("setup", team="platform", admin="ada", ambient=True)
    assert Team.objects.get(pk=house.team.pk).ambient_enabled
    assert changes(house, "team.changed") == {"ambient enabled": ("no", "yes")}
    assert last(house, "team.changed").actor == "manage.py"
    lines = len(house.events())
    call_command("setup", team="platform", admin="ada", ambient=True)
    assert [line.kind for line in house.events()[lines:]] == ["member.added"]


def test_a_roots_first_test_says_that_nobody_knew_it(house):
    probe = start_probe(Draft.of(house.root), Actor(house.ada), house.root)
    run_root_probe(str(probe.pk))
    before, after = changes(house, "root.verified")["identity"]
    assert before == NOT_SET
    assert after == AwsSession.objects.get(pk=house.root.pk).identity_arn
    probe = start_probe(Draft.of(house.root), Actor(house.ada), house.root)
    run_root_probe(str(probe.pk))
    assert changes(house, "root.verified") == {}


def test_the_page_shows_what_was_before_and_not_twice(house):
    leaf = house.chained("Deploy")
    save_session(draft_of(leaf, region="us-east-1"), Actor(house.ada), leaf)
    seq = last(house, "session.edited").seq
    page = house.browser(house.ada).get(reverse("event", args=["platform", seq])).content.decode()
    assert "<code>eu-west-1</code></td><td><code>us-east-1</code>" in page
    assert "<dt>Before</dt>" not in page


def test_a_line_of_before_is_compared_with_the_one_before_it(house):
    leaf = house.chained("Deploy")
    created = last(house, "session.created")
    line = last(house, "session.created")
    line.kind, line.seq = "session.edited", created.seq + 1
    line.data = created.data | {"region": "us-east-1"}
    assert changes_of(line, read(line.kind, line.data)) == (
        Change("region", "eu-west-1", "us-east-1"),
    )
    assert leaf.pk
