"""The policy's rules hold, and no stored chain is left that AWS could not walk."""

import pytest

from sessions.actors import Actor
from sessions.aws.hop_settings import HopSettings
from sessions.catalog.team_policy import PolicyDraft
from sessions.exceptions import Refused
from sessions.ledger.events.sessions import PolicyChanged
from sessions.models import AwsSession, SourceIdentity, TeamPolicy
from tests.chains.policies import OFFICE, edit, set_policy

pytestmark = pytest.mark.django_db

LONG = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"%s"}]}'


def refused(field, act, *arguments, **changes):
    with pytest.raises(Refused) as raised:
        act(*arguments, **changes)
    assert raised.value.field == field
    return raised.value.message


def test_a_team_without_a_policy_has_the_defaults(house):
    policy = TeamPolicy.of(house.team.pk)
    assert (policy.role_session_name, policy.source_identity) == ("{username}", SourceIdentity.OFF)
    assert not TeamPolicy.objects.exists()


def test_every_change_is_one_event_that_says_what_was_and_what_is(house):
    set_policy(house, names_locked=True, tags={"größe": ("s", "m")})
    [event] = house.events(PolicyChanged)
    assert event.actor == "ada"
    assert event.data == {
        "before": {"names_locked": False, "tags": []},
        "after": {"names_locked": True, "tags": [["größe", ["s", "m"]]]},
    }
    set_policy(house, names_locked=True)
    assert len(house.events(PolicyChanged)) == 1


def test_without_its_event_a_policy_is_not_changed(house, monkeypatch):
    from django.db import DatabaseError, transaction

    from sessions import ledger

    def broken(*_):
        raise DatabaseError("the ledger cannot be written")

    monkeypatch.setattr(ledger, "append", broken)
    with pytest.raises(DatabaseError), transaction.atomic():
        set_policy(house, names_locked=True)
    assert not TeamPolicy.of(house.team.pk).names_locked


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("role_session_name", {"role_session_name": "{nobody}"}),
        ("role_session_name", {"role_session_name": "x\n"}),
        ("role_session_name", {"role_session_name": "automation", "username_demanded": True}),
        ("source_identity", {"source_identity": "sometimes"}),
        ("tags", {"tags": {"aws:x": ()}}),
        ("tags", {"tags": {"stage": ("a", "a")}}),
        ("tags", {"tags": {"stage": ("a\n",)}}),
        ("tags", {"tags": {"stage": (), "Stage": ()}}),
        ("networks", {"networks": ("10.0.0.0/8",)}),
        ("networks", {"networks": ("office",)}),
        ("activation_hours", {"activation_hours": 0}),
        ("activation_hours", {"activation_hours": 169}),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_on_its_field(house, field, changes):
    refused(field, set_policy, house, **changes)
    assert not TeamPolicy.objects.exists()
    assert house.events(PolicyChanged) == []


def test_where_username_is_demanded_a_new_name_without_it_is_refused(house):
    set_policy(house, username_demanded=True)
    assert "{username}" in refused("role_session_name", house.chained, "Leaf", name="automation")
    assert house.chained("Leaf", name="ci-{username}")


def test_only_the_teams_tags_are_sent_and_with_its_values(house):
    assert "none" in refused("tags", house.chained, "Leaf", tags=(("stage", "live"),))
    set_policy(house, tags={"stage": ("test", "live"), "ticket": ()})
    assert "test or live" in refused("tags", house.chained, "Leaf", tags=(("stage", "prod"),))
    assert "stage, ticket" in refused("tags", house.chained, "Leaf", tags=(("Stage", "live"),))
    leaf = house.chained("Leaf", tags=(("stage", "live"), ("ticket", "anything")))
    assert "“Leaf”" in refused("tags", set_policy, house, tags={"stage": ("test", "live")})
    assert "“Leaf”" in refused("tags", set_policy, house, tags={"stage": ("test",), "ticket": ()})
    edit(house, leaf, tags=())
    set_policy(house, tags={})


def test_a_key_that_is_passed_on_must_be_sent(house):
    set_policy(house, tags={"stage": ()})
    message = refused("transitive_tag_keys", house.chained, "Leaf", transitive_tag_keys=("stage",))
    assert "“stage”" in message


def test_an_inherited_tag_is_not_sent_again_below_and_the_hop_is_named(house):
    set_policy(house, tags={"stage": (), "ticket": ()})
    tagged = {"tags": (("stage", "live"),), "transitive_tag_keys": ("stage",)}
    top = house.chained("Top", **tagged)
    middle = house.chained("Middle", top)
    message = refused("tags", house.chained, "Bottom", middle, tags=(("stage", "live"),))
    assert "Hop 3, “Bottom”" in message
    assert "hop 1, “Top”" in message
    bottom = house.chained("Bottom", middle, tags=(("ticket", "1"),))
    # Also from above: a hop that begins to pass on what one below it sends.
    top = AwsSession.objects.get(pk=top.pk)
    both = {
        "tags": (("stage", "live"), ("ticket", "2")),
        "transitive_tag_keys": ("stage", "ticket"),
    }
    assert "“Bottom”" in refused("tags", edit, house, top, **both)
    # And by moving a chain under another.
    lone = house.chained("Lone", tags=(("stage", "x"),))
    assert "“Lone”" in refused("tags", edit, house, lone, assumer=bottom)
    assert AwsSession.objects.get(pk=lone.pk).link.assumer == house.root


def test_a_tag_that_is_not_passed_on_can_be_sent_again(house, sts):
    set_policy(house, tags={"stage": ()})
    top = house.chained("Top", tags=(("stage", "live"),))
    leaf = house.chained("Leaf", top, tags=(("stage", "test"),))
    house.start(leaf)
    house.work()
    assert house.state(leaf).status == "active"


def test_managed_policies_are_of_the_roles_own_account(house):
    theirs = "arn:aws:iam::444455556666:policy/Read"
    assert "444455556666" in refused("policy_arns", house.chained, "Leaf", policy_arns=(theirs,))
    arn = house.role_arn("There", account="444455556666")
    assert house.chained("Leaf", arn=arn, policy_arns=(theirs,))


def test_policies_with_the_networks_they_are_bound_to_must_fit(house):
    leaf = house.chained("Leaf", policy=LONG % ("x" * 1900))
    message = refused("networks", set_policy, house, networks=(OFFICE,))
    assert "“Leaf”" in message
    assert "2048" in message
    assert refused("policy", edit, house, leaf, networks=(OFFICE,))
    edit(house, leaf, policy=LONG % ("x" * 1500))
    set_policy(house, networks=(OFFICE,))


def test_a_table_whose_links_lead_nowhere_is_said_and_not_an_error(house):
    from sessions.chains.names import preview
    from sessions.models import AssumerLink

    first = house.chained("First")
    second = house.chained("Second", first)
    AssumerLink.objects.filter(session=first).update(assumer=second)
    assert "Repair or delete" in refused("", set_policy, house, names_locked=True)
    assert preview([first, second], house.ben, TeamPolicy.of(house.team.pk)) == []


def test_a_test_before_saving_goes_by_the_same_rules(house):
    from sessions.catalog.probes import start_probe
    from sessions.catalog.sessions import Draft

    draft = Draft(
        kind="iam-role-chained",
        alias="Leaf",
        profile="leaf",
        region="eu-west-1",
        assumer=house.root,
        hop=HopSettings(
            role_arn=house.role_arn("Leaf"),
            role_session_name="{username}",
            tags=(("stage", "live"),),
        ),
    )
    refused("tags", start_probe, draft, Actor(house.ben), None)
    set_policy(house, tags={"stage": ()}, role_session_name="{team}.{username}", names_locked=True)
    probe = start_probe(draft, Actor(house.ben), None)
    assert probe.credential.request["role_session_name"] == "platform.ben"
    assert probe.credential.request["tags"] == [["stage", "live"]]


def test_a_draft_of_the_stored_policy_is_the_stored_policy(house):
    set_policy(
        house,
        role_session_name="{alias}",
        source_identity=SourceIdentity.REQUIRED,
        tags={"a": ("1", "2"), "b": ()},
        networks=(OFFICE,),
    )
    draft = PolicyDraft.of(TeamPolicy.of(house.team.pk))
    assert PolicyDraft.of(draft.policy(house.team.pk)) == draft
