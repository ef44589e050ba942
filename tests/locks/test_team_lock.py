"""Read whoever acts again under the team's lock: a removed member's request changes nothing."""

import pytest
from django.core.exceptions import PermissionDenied
from django.urls import reverse

from sessions.activations.start_stop import rotate_session, start_session
from sessions.actors import Actor, NamedActor
from sessions.aws.hop_settings import HopSettings
from sessions.catalog.access import delete_group, save_group, set_access
from sessions.catalog.audiences import Access, Audience
from sessions.catalog.deletions import delete_session
from sessions.catalog.probes import start_probe
from sessions.catalog.sessions import Draft, save_session
from sessions.catalog.team_policy import PolicyDraft, save_policy
from sessions.db.clock import database_now
from sessions.exceptions import ActorGone, NotThere, Refused, RightLost
from sessions.ledger.events.people import MemberRemoved, MemberRoleChanged
from sessions.models import (
    CHAINED,
    AwsSession,
    Event,
    Membership,
    Role,
    SessionGrant,
    TeamPolicy,
    Token,
)
from sessions.people.invitations import accept_invitation, invite, revoke_invitation
from sessions.people.memberships import (
    change_role,
    disable_member,
    enable_member,
    remove_member,
    set_person_active,
)
from sessions.people.people import create_person, rename_in_cloudtrail
from sessions.people.tokens import create_token, revoke_token
from sessions.roots import approvals
from sessions.roots.codes import submit_codes
from sessions.roots.key_rotation import ask_rotation
from sessions.secret import Secret
from tests.house import PASSWORD
from tests.races import Aside, held_head, wait_for_waiting

EVERYONE = Access(Audience(), Audience())


@pytest.fixture
def cast(house):
    """Make a second admin, ann, with a session, group, token and invitation of hers."""
    house.ann = house.person("ann", Role.ADMIN)
    house.leaf = house.chained("Leaf", member=house.ann)
    house.spare = house.chained("Spare", member=house.ann)
    start_session(house.leaf, Actor(house.ann))
    house.group = save_group(Actor(house.ann), "Operators", [house.ben])
    house.token(house.ben)
    house.invitation, _ = invite(Actor(house.ann), Role.MEMBER)
    house.person_to_come = create_person("cid", Secret(PASSWORD))
    return house


def draft(house, alias="New"):
    return Draft(
        kind=CHAINED,
        alias=alias,
        profile="new",
        region="eu-west-1",
        assumer=house.root,
        hop=HopSettings(role_arn=house.role_arn("New"), role_session_name="{username}"),
    )


def policy(house):
    return PolicyDraft.of(TeamPolicy.of(house.team.pk))


# All that gives a secret or changes a right, each by ann.
ACTS = {
    "start": lambda house, ann: start_session(house.leaf, Actor(ann)),
    "rotate": lambda house, ann: rotate_session(house.leaf, Actor(ann)),
    "create": lambda house, ann: save_session(draft(house), Actor(ann)),
    "edit": lambda house, ann: save_session(draft(house, "Leaf"), Actor(ann), house.leaf),
    "delete": lambda house, ann: delete_session(house.spare, Actor(ann)),
    "probe": lambda house, ann: start_probe(draft(house), Actor(ann), None),
    "access": lambda house, ann: set_access(house.leaf, EVERYONE, Actor(ann)),
    "new group": lambda house, ann: save_group(Actor(ann), "Others", [house.bea]),
    "group": lambda house, ann: save_group(Actor(ann), "Operators", [house.bea], house.group),
    "no group": lambda house, ann: delete_group(house.group, Actor(ann)),
    "role": lambda house, ann: change_role(house.ben, Role.ADMIN, Actor(ann)),
    "disable": lambda house, ann: disable_member(house.ben, Actor(ann)),
    "enable": lambda house, ann: enable_member(house.bea, Actor(ann)),
    "remove": lambda house, ann: remove_member(house.ben, Actor(ann)),
    "rename": lambda house, ann: rename_in_cloudtrail(house.ben, "benjamin", Actor(ann)),
    "policy": lambda house, ann: save_policy(policy(house), Actor(ann)),
    "token": lambda house, ann: create_token(ann, "late", NamedActor("ann")),
    "revoke": lambda house, ann: revoke_token(Token.objects.get(user=house.ben.user), Actor(ann)),
    "invite": lambda house, ann: invite(Actor(ann), Role.ADMIN),
    "withdraw": lambda house, ann: revoke_invitation(house.invitation, Actor(ann)),
    "code": lambda house, ann: submit_codes(house.root, Actor(ann), {}),
    "approval": lambda house, ann: approvals.ask_approval(house.root, Actor(ann)),
    "key": lambda house, ann: ask_rotation(house.root, Actor(ann)),
}
# Codes and approvals are refused before for other reasons where the root asks for none.
NOT_HERE = {"code"}
# Whoever may only use things may still do these.
FOR_MEMBERS = {
    "start",
    "rotate",
    "create",
    "probe",
    "token",
    "edit",
    "delete",
    "access",
    "approval",
}


def as_read_before(member):
    return Membership.objects.select_related("user", "team").get(pk=member.pk)


@pytest.mark.django_db
@pytest.mark.parametrize("act", sorted(ACTS.keys() - NOT_HERE))
@pytest.mark.parametrize("end", ["removed", "disabled", "switched off"])
def test_who_is_out_by_the_time_of_the_lock_does_nothing(cast, act, end):
    ann = as_read_before(cast.ann)
    mine = Membership.objects.filter(pk=ann.pk)
    match end:
        case "removed":
            SessionGrant.objects.all().delete()
            mine.delete()
        case "disabled":
            mine.update(disabled_at=database_now())
        case "switched off":
            type(ann.user).objects.filter(pk=ann.user_id).update(is_active=False)
    before = Event.objects.count()
    with pytest.raises(ActorGone):
        ACTS[act](cast, ann)
    assert Event.objects.count() == before


@pytest.mark.django_db
@pytest.mark.parametrize("act", sorted(ACTS.keys() - NOT_HERE - FOR_MEMBERS))
def test_who_is_no_admin_any_more_by_the_time_of_the_lock_does_nothing(cast, act):
    ann = as_read_before(cast.ann)
    Membership.objects.filter(pk=ann.pk).update(role=Role.MEMBER)
    before = Event.objects.count()
    with pytest.raises(PermissionDenied):
        ACTS[act](cast, ann)
    assert Event.objects.count() == before


@pytest.mark.django_db
@pytest.mark.parametrize("act", sorted(FOR_MEMBERS))
def test_who_is_an_auditor_by_the_time_of_the_lock_does_nothing(cast, act):
    ann = as_read_before(cast.ann)
    Membership.objects.filter(pk=ann.pk).update(role=Role.AUDITOR)
    before = Event.objects.count()
    with pytest.raises(RightLost):
        ACTS[act](cast, ann)
    assert Event.objects.count() == before


@pytest.mark.django_db
def test_a_token_that_ended_meanwhile_does_nothing(cast):
    token = Token.objects.select_related("user").get()
    ben = as_read_before(cast.ben)
    revoke_token(token, NamedActor("ada"))
    with pytest.raises(ActorGone):
        start_session(cast.leaf, Actor(ben, token))


@pytest.mark.django_db
def test_what_was_deleted_meanwhile_is_not_there(cast):
    delete_session(AwsSession.objects.get(pk=cast.spare.pk), Actor(cast.ann))
    with pytest.raises(NotThere):
        start_session(cast.spare, Actor(cast.ben))


@pytest.mark.django_db
def test_a_suspended_person_accepts_no_invitation(cast):
    user = cast.person_to_come
    set_person_active(user, False, NamedActor("manage.py"))
    with pytest.raises(Refused):
        accept_invitation(cast.invitation, user)


@pytest.mark.django_db
def test_an_edit_does_not_open_again_what_was_closed_meanwhile(cast):
    leaf = AwsSession.objects.get(pk=cast.leaf.pk)  # as the form has read it
    only_ann = Audience(everyone=False, members=[cast.ann])
    set_access(cast.leaf, Access(only_ann, only_ann), NamedActor("ada"))
    save_session(draft(cast, "Leaf"), Actor(cast.ann), leaf)
    assert not AwsSession.objects.get(pk=leaf.pk).open_to_start


@pytest.mark.django_db
def test_a_start_takes_the_name_that_was_given_meanwhile(cast):
    ben = as_read_before(cast.ben)
    rename_in_cloudtrail(cast.ben, "benjamin", NamedActor("ada"))
    start_session(cast.leaf, Actor(ben))
    assert (
        cast.leaf.activations.get(user=ben.user).credential.request["role_session_name"]
        == "benjamin"
    )


def test_a_removed_admins_request_under_way_is_answered_as_the_next_one(lasting_house):
    house = lasting_house
    house.ann = house.person("ann", Role.ADMIN)
    ann = house.browser(house.ann)
    url = reverse("person_role", args=[house.team.slug, house.ben.user_id])
    with held_head(house.team):
        end = Aside(lambda: remove_member(house.ann, NamedActor("ada"), house.ada.user))
        wait_for_waiting(1)
        promoted = Aside(lambda: ann.post(url, {"role-role": "admin"}))
        wait_for_waiting(2)
    end.result()
    promoted.result()
    removed = house.events(MemberRemoved)[0].seq
    # SQLite lets either in first.
    assert all(event.seq < removed for event in house.events(MemberRoleChanged))
    assert ann.get(reverse("session_list", args=[house.team.slug])).status_code == 404


LET_IN = {
    "access": lambda house, leaf, who: set_access(leaf, only(members=[who]), Actor(house.ada)),
    "group": lambda house, leaf, who: save_group(Actor(house.ada), "Others", [house.ben, who]),
}


def only(**audience):
    return Access(Audience(everyone=False, **audience), Audience())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", LET_IN)
def test_nobody_is_let_in_who_was_removed_meanwhile(lasting_house, act):
    house, bea = lasting_house, as_read_before(lasting_house.bea)
    [leaf] = house.chain(1)
    remove_member(house.bea, NamedActor("ada"), house.ada.user)
    with pytest.raises(Refused, match="bea is no longer in the team"):
        LET_IN[act](house, leaf, bea)
    assert not SessionGrant.objects.exists()
    assert not house.team.groups.exists()


@pytest.mark.django_db(transaction=True)
def test_nobody_is_let_in_by_a_group_that_was_deleted_meanwhile(lasting_house):
    house = lasting_house
    [leaf] = house.chain(1)
    group = save_group(Actor(house.ada), "Operators", [house.ben])
    as_read = house.team.groups.get()
    delete_group(group, Actor(house.ada))
    with pytest.raises(Refused, match="“Operators” was deleted meanwhile"):
        set_access(leaf, only(groups=[as_read]), Actor(house.ada))
    assert not SessionGrant.objects.exists()
