"""Check what each hop says for each person, by the calls that reach AWS."""

import json

import pytest
from django.urls import reverse

from sessions.activations.status import Status
from sessions.actors import Actor, NamedActor
from sessions.aws.hop_settings import HopSettings
from sessions.catalog.probes import start_probe
from sessions.catalog.sessions import Draft
from sessions.chains.names import preview, unnamed_sessions
from sessions.exceptions import Refused
from sessions.ledger.events.credentials import CredentialMinted, CredentialRejected
from sessions.ledger.events.sessions import SourceIdentityDropped
from sessions.models import AwsSession, Credential, Role, SourceIdentity, TeamPolicy
from sessions.people.people import add_member, create_person
from tests.chains.policies import OFFICE, edit, set_policy

pytestmark = pytest.mark.django_db


def assumed(sts):
    """Return the AssumeRole calls that were answered."""
    return [call for call in sts.calls if call["action"] == "AssumeRole" and not call["code"]]


def start_and_work(house, session, *members):
    for member in members or (house.ben,):
        house.start(session, member)
    house.work()


def test_two_members_of_one_chain_are_each_named_at_every_hop(house, sts):
    *_, leaf = house.chain(3)
    start_and_work(house, leaf, house.ben, house.bea)
    calls = assumed(sts)
    for member in ("ben", "bea"):
        theirs = [call["role_arn"] for call in calls if call["role_session_name"] == member]
        assert theirs == [step.link.role_arn for step in leaf.chain()[1:]]
    assert len(calls) == 6


def test_a_hop_common_to_both_is_minted_once_and_others_once_each(house, sts):
    shared = house.chained("Hub", name="automation")
    middle = house.chained("Middle", shared)
    leaf = house.chained("Leaf", middle)
    start_and_work(house, leaf, house.ben, house.bea)
    names = [(call["role_arn"], call["role_session_name"]) for call in assumed(sts)]
    assert sorted(names) == sorted(
        [
            (shared.link.role_arn, "automation"),
            *((step.link.role_arn, name) for step in (middle, leaf) for name in ("ben", "bea")),
        ]
    )


def test_a_locked_template_names_everybody_whatever_the_links_say(house, sts):
    hub = house.chained("Hub", name="automation")
    leaf = house.chained("Leaf", hub, name="fixed")
    set_policy(house, role_session_name="{team}.{username}", names_locked=True)
    start_and_work(house, leaf, house.ben, house.bea)
    assert sorted(call["role_session_name"] for call in assumed(sts)) == [
        *["platform.bea"] * 2,
        *["platform.ben"] * 2,
    ]
    assert AwsSession.objects.get(pk=leaf.pk).link.role_session_name == "fixed"


def test_active_sessions_follow_the_policys_names_and_back(house, sts):
    leaf = house.chained("Leaf", name="fixed")
    start_and_work(house, leaf)
    before = Credential.objects.get(level=1).pk
    set_policy(house, names_locked=True)
    house.work()
    assert house.state(leaf).status is Status.ACTIVE
    assert [call["role_session_name"] for call in assumed(sts)] == ["fixed", "ben"]
    assert Credential.objects.get(level=1).pk != before
    set_policy(house, names_locked=False)
    assert Credential.objects.get(level=1).pk == before


def test_a_policy_that_changes_no_request_moves_nothing(house, sts):
    *_, leaf = house.chain(2)
    start_and_work(house, leaf)
    rows = set(Credential.objects.values_list("pk", "generation"))
    set_policy(house, names_locked=True, username_demanded=True, tags={"stage": ()})
    house.work()
    assert set(Credential.objects.values_list("pk", "generation")) == rows


def test_a_name_without_a_demanded_username_gives_way_to_the_default(house, sts):
    leaf = house.chained("Leaf", name="fixed")
    own = house.chained("Own", name="x-{username}")
    set_policy(house, role_session_name="{username}.{alias}", username_demanded=True)
    start_and_work(house, leaf)
    start_and_work(house, own)
    assert [call["role_session_name"] for call in assumed(sts)] == ["ben.Leaf", "x-ben"]


# --- source identity ------------------------------------------------------------------------------


def test_no_policy_sends_no_source_identity_and_changes_no_fingerprint(house, sts):
    *_, leaf = house.chain(2)
    start_and_work(house, leaf)
    assert {call["sent"].source_identity for call in assumed(sts)} == {""}
    # Found again by what these requests were called before there was a policy.
    row = Credential.objects.get(level=1)
    assert row.request == {
        "role_arn": leaf.link.assumer.link.role_arn,
        "role_session_name": "ben",
    }


def test_a_required_source_identity_is_sent_at_the_first_hop_alone(house, sts):
    set_policy(house, source_identity=SourceIdentity.REQUIRED)
    *_, leaf = house.chain(3, name="automation")
    start_and_work(house, leaf, house.ben, house.bea)
    calls = assumed(sts)
    assert len(calls) == 6
    sent = {(call["role_arn"], call["sent"].source_identity) for call in calls}
    first, *later = [step.link.role_arn for step in leaf.chain()[1:]]
    assert sent == {(first, "ben"), (first, "bea"), *((arn, "") for arn in later)}


def test_where_it_is_required_a_role_that_takes_none_is_refused_at_its_hop(house, sts):
    set_policy(house, source_identity=SourceIdentity.REQUIRED)
    hub = house.chained("Hub")
    shut = house.chained("Shut", hub, arn=house.role_arn("Shut", actions=["sts:TagSession"]))
    start_and_work(house, shut)
    state = house.state(shut)
    assert (state.status, state.problem.code, state.problem.hop) == (
        Status.FAILED,
        "AccessDenied",
        2,
    )
    assert "sts:SetSourceIdentity" in state.problem.check
    assert not AwsSession.objects.get(pk=shut.pk).link.without_source_identity


def test_where_possible_goes_on_without_after_the_refusal_and_says_so(house, sts):
    set_policy(house, source_identity=SourceIdentity.WHERE_POSSIBLE)
    hub = house.chained("Hub")
    shut = house.chained("Shut", hub, arn=house.role_arn("Shut", actions=[]))
    below = house.chained("Below", shut)
    beside = house.chained("Beside", hub)
    start_and_work(house, below)
    start_and_work(house, beside)
    assert house.state(below).status is Status.ACTIVE
    sent = [
        (call["role_arn"], call["sent"].source_identity)
        for call in sts.calls
        if call["action"] == "AssumeRole"
    ]
    arn = {session.alias: session.link.role_arn for session in (hub, shut, below, beside)}
    assert sent == [
        (arn["Hub"], "ben"),
        (arn["Shut"], ""),  # refused: what it is assumed from carries one
        (arn["Hub"], ""),
        (arn["Shut"], ""),
        (arn["Below"], ""),
        (arn["Hub"], "ben"),  # the other chain keeps its own
        (arn["Beside"], ""),
    ]
    [event] = house.events(SourceIdentityDropped)
    assert (event.actor, event.session_alias, event.data["hop"]) == ("worker", "Shut", 2)
    assert [line.data["code"] for line in house.events(CredentialRejected)] == ["AccessDenied"]
    assert AwsSession.objects.get(pk=shut.pk).link.without_source_identity
    # Nothing of the chain that could not be walked is left.
    assert not Credential.objects.exclude(problem=None).exists()


def test_a_person_can_have_it_tried_again(house, sts):
    set_policy(house, source_identity=SourceIdentity.WHERE_POSSIBLE)
    leaf = house.chained("Leaf", arn=house.role_arn("Later", actions=[]))
    start_and_work(house, leaf)
    assert Credential.objects.get(level=1).request.get("source_identity") is None
    house.role_arn("Later")
    leaf = AwsSession.objects.get(pk=leaf.pk)
    edit(house, leaf, without_source_identity=False)
    house.work()
    assert house.state(leaf).status is Status.ACTIVE
    assert Credential.objects.get(level=1).request["source_identity"] == "ben"


def test_another_refusal_marks_nothing(house, sts):
    set_policy(house, source_identity=SourceIdentity.WHERE_POSSIBLE)
    leaf = house.chained("Leaf", arn=house.role_arn("Closed", trusts=[]))
    start_and_work(house, leaf)
    assert house.state(leaf).status is Status.FAILED
    assert not AwsSession.objects.get(pk=leaf.pk).link.without_source_identity
    assert house.events(SourceIdentityDropped) == []


# --- tags, policies, networks ---------------------------------------------------------------------


def test_tags_policies_and_external_id_reach_aws_as_they_were_typed(house, sts):
    set_policy(house, tags={"stage": ("test", "live"), "ticket": ()})
    policy = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
    )
    leaf = house.chained(
        "Leaf",
        external_id="partner-7",
        tags=(("stage", "live"), ("ticket", "OPS-1")),
        transitive_tag_keys=("ticket",),
        policy=policy,
        policy_arns=("arn:aws:iam::aws:policy/ReadOnlyAccess",),
    )
    start_and_work(house, leaf)
    [call] = assumed(sts)
    sent = call["sent"]
    assert call["external_id"] == "partner-7"
    assert (sent.tags, sent.transitive_tag_keys) == (
        {"stage": "live", "ticket": "OPS-1"},
        ("ticket",),
    )
    assert (sent.policy, sent.policy_arns) == (policy, ("arn:aws:iam::aws:policy/ReadOnlyAccess",))


def test_the_packed_size_of_the_last_mint_is_kept(house, sts):
    arns = ("arn:aws:iam::aws:policy/ReadOnlyAccess",)
    with_policy, without = house.chained("With", policy_arns=arns), house.chained("Without")
    start_and_work(house, with_policy)
    start_and_work(house, without)
    sizes = {
        row.request["role_arn"]: row.packed_policy_size
        for row in Credential.objects.filter(level=1)
    }
    assert sizes == {with_policy.link.role_arn: 1, without.link.role_arn: None}


def test_a_delivered_leaf_is_bound_to_the_networks_a_hop_below_is_not(house, sts):
    set_policy(house, networks=(OFFICE,))
    hub = house.chained("Hub")
    leaf = house.chained("Leaf", hub)
    start_and_work(house, hub)
    start_and_work(house, leaf)
    hub_calls = [
        call["sent"].policy for call in assumed(sts) if call["role_arn"] == hub.link.role_arn
    ]
    assert [bool(policy) for policy in hub_calls] == [True, False]
    [leaf_policy] = [
        call["sent"].policy for call in assumed(sts) if call["role_arn"] == leaf.link.role_arn
    ]
    for policy in (hub_calls[0], leaf_policy):
        denial = json.loads(policy)["Statement"][-1]
        assert denial["Condition"]["NotIpAddress"] == {"aws:SourceIp": [OFFICE]}
    rows = Credential.objects.filter(level=1)
    assert len(rows) == 2
    # What the worker assumes from is the unbound one.
    assert "policy" not in Credential.objects.get(level=2).parent.request


def test_a_links_networks_narrow_the_teams(house, sts):
    set_policy(house, networks=(OFFICE,))
    leaf = house.chained("Leaf", networks=("203.0.113.0/29",))
    start_and_work(house, leaf)
    [call] = assumed(sts)
    lists = [
        each["Condition"]["NotIpAddress"]["aws:SourceIp"]
        for each in json.loads(call["sent"].policy)["Statement"]
        if each["Effect"] == "Deny"
    ]
    assert lists == [[OFFICE], ["203.0.113.0/29"]]


# --- looking beforehand ---------------------------------------------------------------------------


def test_the_preview_is_exactly_what_reaches_aws(house, sts):
    set_policy(
        house,
        role_session_name="{username}@{alias}",
        names_locked=True,
        source_identity=SourceIdentity.REQUIRED,
    )
    *_, leaf = house.chain(3)
    policy = TeamPolicy.of(house.team.pk)
    shown = preview(leaf.chain(), house.bea, policy)
    start_and_work(house, leaf, house.bea)
    minted = [event.data["arn"] for event in house.events(CredentialMinted)]
    assert [hop.arn for hop in shown] == minted
    assert {hop.source_identity for hop in shown} == {"bea"}
    assert [(hop.number, hop.alias) for hop in shown] == [(1, "Hop 1"), (2, "Hop 2"), (3, "Hop 3")]


def test_the_preview_says_which_hops_are_ones_own(house):
    hub = house.chained("Hub", name="automation")
    leaf = house.chained("Leaf", hub)
    policy = TeamPolicy.of(house.team.pk)
    assert [hop.is_personal for hop in preview(leaf.chain(), house.ben, policy)] == [False, True]
    policy.source_identity = SourceIdentity.REQUIRED
    assert [hop.is_personal for hop in preview(leaf.chain(), house.ben, policy)] == [True, True]


def unnamed(house):
    policy = TeamPolicy.of(house.team.pk)
    sessions = AwsSession.objects.filter(team=house.team)
    found = unnamed_sessions([each.chain() for each in sessions], policy, house.team)
    return {each.session.alias: each.has_source_identity for each in found}


def test_sessions_whose_names_do_not_identify_a_person_are_found(house):
    house.chained("Named")
    house.chained("Fixed", name="automation")
    house.chained("By alias", name="{alias}-{team}")
    assert unnamed(house) == {"Fixed": False, "By alias": False}
    set_policy(house, source_identity=SourceIdentity.WHERE_POSSIBLE)
    assert unnamed(house) == {"Fixed": True, "By alias": True}
    set_policy(house, username_demanded=True)
    assert unnamed(house) == {}


def test_a_fixed_name_that_is_a_joiners_own_is_found_when_they_join(house):
    grace = create_person("grace", None)
    fixed = house.chained("Fixed", name="Grace")
    policy = TeamPolicy.of(house.team.pk)
    assert [each.shows for each in unnamed_sessions([fixed.chain()], policy, house.team)] == [""]
    add_member(house.team, grace, Role.MEMBER, NamedActor("ada"))
    assert [each.shows for each in unnamed_sessions([fixed.chain()], policy, house.team)] == [
        "grace"
    ]
    page = house.browser(house.ada).get(reverse("team_policy", args=[house.team.slug]))
    assert "is grace's own name" in page.content.decode()


def test_a_locked_name_without_a_person_is_found_everywhere(house):
    house.chained("Named")
    set_policy(house, role_session_name="automation", names_locked=True)
    assert unnamed(house) == {"Named": False}


@pytest.mark.parametrize(
    ("alias", "name"), [("Leaf", "ada"), ("Leaf", "a{username}"), ("Ada", "{alias}")]
)
def test_nobody_gets_to_go_by_the_name_of_somebody_else_in_the_team(house, alias, name):
    """Refuse a fixed name, put together or the session's own.

    In CloudTrail ben would be ada, or aben.
    """
    house.person("aben", Role.MEMBER)
    with pytest.raises(Refused) as refused:
        house.chained(alias, member=house.ben, name=name)
    assert refused.value.field == "role_session_name"
    session = house.chained("Leaf", member=house.ben)
    with pytest.raises(Refused):
        edit(house, session, alias=alias, role_session_name=name)
    draft = Draft(
        kind=session.kind,
        alias=alias,
        profile="leaf",
        region="eu-west-1",
        assumer=house.root,
        hop=HopSettings(role_arn=session.link.role_arn, role_session_name=name),
    )
    with pytest.raises(Refused):
        start_probe(draft, Actor(house.ben), None)


def test_a_name_that_is_nobodys_may_be_fixed_or_put_together(house):
    house.person("aben", Role.MEMBER)
    for number, name in enumerate(("automation", "team-{username}", "{username}.{alias}")):
        house.chained(f"Leaf {number}", member=house.ben, name=name)
