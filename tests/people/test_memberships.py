"""A change of rights ends what is running in the same transaction."""

import threading
import time

import pytest
from allauth.mfa.models import Authenticator
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, connections

from sessions import ledger
from sessions.activations.status import Status
from sessions.actors import Actor, NamedActor
from sessions.catalog.access import delete_group, save_group, set_access
from sessions.catalog.audiences import Access, Audience
from sessions.credentials.needs import needs_of
from sessions.db.clock import database_now
from sessions.delivery.reveal import NotReady, reveal
from sessions.engine import rotation
from sessions.exceptions import Refused
from sessions.ledger.events.credentials import CredentialMinted
from sessions.ledger.events.people import (
    InvitationCreated,
    InvitationRevoked,
    MemberFactorsRemoved,
    MemberReinstated,
    MemberRemoved,
)
from sessions.ledger.events.sessions import AccessChanged, SessionStopped
from sessions.ledger.events.tokens import TokenRevoked
from sessions.ledger.held import held_by, name_of_former_member
from sessions.models import (
    Activation,
    AssumerLink,
    AwsSession,
    Credential,
    Membership,
    Role,
    SessionGrant,
    User,
)
from sessions.people.invitations import invitation_by_code, invite
from sessions.people.memberships import (
    change_role,
    disable_member,
    enable_member,
    orphaned_sessions,
    remove_member,
    set_person_active,
)
from sessions.people.people import add_member
from sessions.people.tokens import actor_of_token
from sessions.permissions import Action, can, is_orphaned, orphaned_links
from tests.house import TeamFixture

pytestmark = pytest.mark.django_db

EVERYONE = Audience()


def only(*members, groups=()):
    return Audience(everyone=False, members=list(members), groups=list(groups))


def running(house, session, member):
    house.start(session, member)
    house.work()
    assert house.state(session, member).status is Status.ACTIVE


def test_a_removed_member_loses_activations_tokens_and_every_right_at_once(house):
    [leaf] = house.chain(1)
    running(house, leaf, house.ben)
    secret = house.token(house.ben)
    remove_member(house.ben, actor=NamedActor("ada"), successor=house.ada.user)
    assert not Activation.objects.exists()
    assert not Credential.objects.filter(level__gt=0).exists()
    assert actor_of_token(secret) is None
    kinds = [event.kind for event in house.events()[-3:]]
    assert kinds == [MemberRemoved.tag, TokenRevoked.tag, SessionStopped.tag]
    assert house.events(MemberRemoved)[0].data["member"] == "ben"
    assert ledger.verify(str(house.team.pk)) is None


def test_what_others_share_with_a_removed_member_goes_on(house):
    [leaf] = house.chain(1, name="team")
    running(house, leaf, house.ben)
    running(house, leaf, house.bea)
    remove_member(house.ben, actor=NamedActor("ada"))
    assert house.state(leaf, house.bea).status is Status.ACTIVE


def test_a_removed_members_sessions_stay_and_the_admin_answers_for_them(house):
    [leaf] = house.chain(1, member=house.ben)
    remove_member(house.ben, actor=NamedActor("ada"), successor=house.ada.user)
    assert AssumerLink.objects.get(pk=leaf.pk).author == house.ada.user
    assert house.events(MemberRemoved)[0].data["sessions_handed_over"] == [leaf.alias]
    running(house, leaf, house.bea)


def test_without_a_successor_the_removed_members_links_carry_nothing(house, sts):
    first, second = house.chain(2, member=house.ben)
    running(house, second, house.bea)
    remove_member(house.ben, actor=NamedActor("ada"))
    assert [each.alias for each in orphaned_sessions(house.team)] == [first.alias, second.alias]
    assert not Activation.objects.exists()
    sts.calls.clear()
    house.start(second, house.bea)
    house.work()
    assert sts.calls == []
    assert house.state(second, house.bea).status is not Status.ACTIVE


def test_a_team_keeps_an_admin(house):
    for act in (
        lambda: remove_member(house.ada, actor=NamedActor("ada")),
        lambda: disable_member(house.ada, actor=NamedActor("ada")),
        lambda: change_role(house.ada, Role.MEMBER, actor=NamedActor("ada")),
    ):
        with pytest.raises(Refused, match="without an admin"):
            act()
    change_role(house.bea, Role.ADMIN, actor=NamedActor("ada"))
    change_role(house.ada, Role.MEMBER, actor=NamedActor("bea"))
    assert Membership.objects.get(pk=house.ada.pk).role == Role.MEMBER


def test_who_is_shut_out_has_nothing_minted_and_is_let_in_again(house, sts):
    [leaf] = house.chain(1)
    running(house, leaf, house.ben)
    secret = house.token(house.ben)
    disable_member(house.ben, actor=NamedActor("ada"))
    assert not Activation.objects.exists()
    assert actor_of_token(secret) is None
    enable_member(house.ben, actor=NamedActor("ada"))
    assert [e.kind for e in house.events()][-1] == MemberReinstated.tag
    assert actor_of_token(secret) is None
    house.ben.user.refresh_from_db()  # as another login reads it
    assert actor_of_token(house.token(house.ben)) is not None


def test_the_operators_switch_ends_what_runs_in_every_team(house):
    [leaf] = house.chain(1)
    running(house, leaf, house.ben)
    secret = house.token(house.ben)
    set_person_active(house.ben.user, False, actor=NamedActor("manage.py"))
    assert not Activation.objects.exists()
    assert actor_of_token(secret) is None
    set_person_active(house.ben.user, True, actor=NamedActor("manage.py"))
    assert actor_of_token(secret) is None
    assert [event.data["reason"] for event in house.events(TokenRevoked)] == ["suspended"]


def test_the_operators_command_disables_enables_and_removes_factors(house, capsys):
    Authenticator.objects.create(user=house.ben.user, type="totp", data={"secret": "x"})
    call_command("person", "ben", "--disable")
    assert "disabled" in capsys.readouterr().out
    assert not User.objects.get(username="ben").is_active
    call_command("person", "ben", "--enable")
    assert "second factors: totp" in capsys.readouterr().out
    call_command("person", "ben", "--remove-two-factor")
    assert (
        capsys.readouterr().out
        == "ben: can log in; in CloudTrail ben; member of platform; second factors: none.\n"
    )
    [event] = house.events(MemberFactorsRemoved)
    assert (event.actor, event.data) == ("manage.py", {"member": "ben", "removed": ["totp"]})
    with pytest.raises(CommandError):
        call_command("person", "nobody")


def test_who_becomes_an_auditor_keeps_nothing_running_and_no_token(house):
    [leaf] = house.chain(1)
    running(house, leaf, house.ben)
    secret = house.token(house.ben)
    change_role(house.ben, Role.AUDITOR, actor=NamedActor("ada"), successor=house.ada.user)
    assert not Activation.objects.exists()
    change_role(house.ben, Role.MEMBER, actor=NamedActor("ada"))
    assert actor_of_token(secret) is None


def test_an_admin_who_goes_leaves_no_invitation_behind(house):
    carl = house.person("carl", Role.ADMIN)
    invitation, _ = invite(Actor(carl), Role.ADMIN)
    remove_member(carl, actor=NamedActor("ada"))
    invitation.refresh_from_db()
    assert invitation.ended_at is not None


def test_a_disabled_admin_leaves_no_invitation_behind(house):
    carl = house.person("carl", Role.ADMIN)
    _, code = invite(Actor(carl), Role.ADMIN)
    set_person_active(carl.user, False, actor=NamedActor("manage.py"))
    assert invitation_by_code(code) is None
    assert house.events(InvitationRevoked)[-1].actor == "manage.py"
    set_person_active(carl.user, True, actor=NamedActor("manage.py"))
    assert invitation_by_code(code) is None


def test_who_has_lost_the_right_to_invite_meanwhile_invites_nobody(house):
    """Take the right away after the request looked.

    What it would leave behind would outlive the loss.
    """
    carl = house.person("carl", Role.ADMIN)
    asked_before = Membership.objects.select_related("user", "team").get(pk=carl.pk)
    change_role(carl, Role.MEMBER, actor=NamedActor("ada"))
    with pytest.raises(Refused):
        invite(Actor(asked_before), Role.ADMIN)
    assert not house.events(InvitationCreated)


def test_changing_nothing_writes_nothing(house):
    lines = len(house.events())
    change_role(house.ben, Role.MEMBER, actor=NamedActor("ada"))
    enable_member(house.ben, actor=NamedActor("ada"))
    assert len(house.events()) == lines


# --- access ---------------------------------------------------------------------------------------


def test_a_session_is_open_to_those_who_are_named_and_to_their_groups(house):
    [leaf] = house.chain(1)
    group = save_group(Actor(house.ada), "On call", [house.bea])
    set_access(leaf, Access(only(groups=[group]), EVERYONE), actor=NamedActor("ada"))
    assert can(Actor(house.bea), Action.START, leaf)
    assert not can(Actor(house.ben), Action.START, leaf)
    assert not can(Actor(house.ada), Action.START, leaf)
    assert can(Actor(house.ben), Action.VIEW, leaf)
    set_access(leaf, Access(only(house.ben), EVERYONE), actor=NamedActor("ada"))
    assert can(Actor(house.ben), Action.TAKE_CREDENTIALS, leaf)
    assert not can(Actor(house.bea), Action.TAKE_CREDENTIALS, leaf)


def test_to_assume_from_a_session_is_a_right_of_its_own(house):
    [hub] = house.chain(1)
    set_access(hub, Access(EVERYONE, only(house.ben)), actor=NamedActor("ada"))
    assert can(Actor(house.bea), Action.START, hub)
    assert not can(Actor(house.bea), Action.USE_AS_ASSUMER, hub)
    with pytest.raises(Refused):
        house.chained("Hers", hub, member=house.bea)
    leaf = house.chained("His", hub, member=house.ben)
    running(house, leaf, house.bea)


def test_closing_a_session_ends_what_runs_for_those_who_lose_it_alone(house):
    [leaf] = house.chain(1)
    running(house, leaf, house.ben)
    running(house, leaf, house.bea)
    set_access(leaf, Access(only(house.bea), EVERYONE), actor=NamedActor("ada"))
    assert [a.user for a in Activation.objects.all()] == [house.bea.user]
    assert house.state(leaf, house.bea).status is Status.ACTIVE
    [event] = house.events(AccessChanged)
    assert event.data["start"] == {"everyone": False, "people": ["bea"], "groups": []}


def test_who_leaves_a_group_loses_what_it_opened(house):
    [leaf] = house.chain(1)
    group = save_group(Actor(house.ada), "On call", [house.ben, house.bea])
    set_access(leaf, Access(only(groups=[group]), EVERYONE), actor=NamedActor("ada"))
    running(house, leaf, house.ben)
    save_group(Actor(house.ada), "On call", [house.bea], group)
    assert not Activation.objects.exists()
    running(house, leaf, house.bea)
    delete_group(group, actor=NamedActor("ada"))
    assert not Activation.objects.exists()


def test_an_author_who_loses_the_assumer_takes_the_chain_below_with_them(house, sts):
    [hub] = house.chain(1)
    leaf = house.chained("His", hub, member=house.ben)
    below = house.chained("Below", leaf, member=house.bea)
    running(house, below, house.bea)
    set_access(hub, Access(EVERYONE, only(house.bea)), actor=NamedActor("ada"))
    assert house.events(AccessChanged)[0].data["cut_off"] == ["His"]
    assert not Activation.objects.exists()
    assert is_orphaned(below)
    assert not is_orphaned(hub)
    sts.calls.clear()
    house.start(below, house.bea)
    house.work()
    assert sts.calls == []


def test_a_worker_looks_again_whatever_was_true_at_the_start(house, sts):
    """Check the claim by the rights of its moment, though no function told of the change."""
    [leaf] = house.chain(1)
    house.start(leaf, house.ben)
    AwsSession.objects.filter(pk=leaf.pk).update(open_to_start=False)
    sts.calls.clear()
    house.work()
    assert sts.calls == []
    AwsSession.objects.filter(pk=leaf.pk).update(open_to_start=True)
    activation = Activation.objects.get()
    assert needs_of([activation.credential_id])[activation.credential_id]
    Membership.objects.filter(pk=house.ben.pk).update(role=Role.AUDITOR)
    assert not needs_of([activation.credential_id])[activation.credential_id]


def test_people_and_groups_of_another_team_are_refused(house, sts):
    from tests.house import TeamFixture

    other = TeamFixture(sts, "other")
    [leaf] = house.chain(1)
    with pytest.raises(Refused):
        set_access(leaf, Access(only(other.ben), EVERYONE), actor=NamedActor("ada"))
    with pytest.raises(Refused):
        save_group(Actor(house.ada), "Mixed", [other.ben])


def test_two_groups_of_a_team_are_not_called_the_same(house):
    save_group(Actor(house.ada), "On call", [])
    with pytest.raises(Refused, match="already"):
        save_group(Actor(house.ada), "ON CALL", [])


def test_who_comes_back_finds_no_grant_of_before(house):
    [leaf] = house.chain(1)
    set_access(leaf, Access(only(house.ben), EVERYONE), actor=NamedActor("ada"))
    remove_member(house.ben, actor=NamedActor("ada"))
    back = add_member(house.team, house.ben.user, Role.MEMBER, actor=NamedActor("ada"))
    assert not can(Actor(back), Action.START, leaf)


# --- what they still hold -------------------------------------------------------------------------


def test_the_exposure_list_says_what_a_removed_member_holds_until_when(house):
    [leaf] = house.chain(1)
    running(house, leaf, house.ben)
    taken = reveal(leaf, Actor(house.ben), form="process", via="page")
    remove_member(house.ben, actor=NamedActor("ada"))
    [held] = held_by(house.team.pk, "ben", 50)
    assert held.access_key_id == taken.access_key_id
    assert held.session_alias == leaf.alias
    assert held.until == taken.expires_at.replace(microsecond=0)
    assert held_by(house.team.pk, "bea", 50) == []
    assert name_of_former_member(house.team.pk, house.ben.user_id) == "ben"
    assert name_of_former_member(house.team.pk, 10**9) == ""


def test_reveal_finds_nothing_after_the_commit_of_a_removal(house):
    [leaf] = house.chain(1)
    running(house, leaf, house.ben)
    remove_member(house.ben, actor=NamedActor("ada"))
    with pytest.raises(NotReady):
        reveal(leaf, Actor(house.ben), form="process", via="page")


# --- the race -------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_after_the_commit_of_a_revoke_no_worker_mints_for_its_person(lasting_house, sts):
    """Let twenty workers issue one person's sessions while an admin takes the right away."""
    house = lasting_house
    sessions = [house.chained(f"Leaf {number}") for number in range(40)]
    for session in sessions:
        house.start(session, house.ben)
    sts.latency_seconds = 0.02
    stop = threading.Event()

    def worker():
        try:
            while not stop.is_set():
                if not rotation.run(limit=4):
                    time.sleep(0.01)
        finally:
            connections.close_all()

    workers = [
        threading.Thread(target=worker)
        for _ in range(20 if connection.vendor == "postgresql" else 4)
    ]
    for each in workers:
        each.start()
    try:
        deadline = time.monotonic() + 30
        while not house.events(CredentialMinted) and time.monotonic() < deadline:
            time.sleep(0.01)
        remove_member(house.ben, actor=NamedActor("ada"))
        time.sleep(1)
    finally:
        stop.set()
        for each in workers:
            each.join()
    events = house.events()
    removed = next(event.seq for event in events if event.kind == MemberRemoved.tag)
    minted = [event.seq for event in events if event.kind == CredentialMinted.tag]
    assert minted
    assert [seq for seq in minted if seq > removed] == []
    assert not Credential.objects.filter(level__gt=0, sealed__isnull=False).exists()


def test_what_is_cut_off_is_found_by_indexes_as_by_looking_at_every_link(house, sts):
    """Combine each kind of author with each kind of assumer.

    Open, closed, or closed to all but them or their group.
    """
    other = TeamFixture(sts, "other")
    carl, dan = house.person("carl", Role.MEMBER), house.person("dan", Role.MEMBER)
    hugo = house.person("hugo", Role.MEMBER)
    group = save_group(Actor(house.ada), "Crew", [house.bea])
    authors = [house.ada, house.ben, house.bea, house.eve, carl, dan, hugo, other.ben, None]
    for at, author in enumerate(authors):
        for kind in ("open", "closed", "granted", "group"):
            assumer = house.chained(f"Assumer {at} {kind}")
            link = house.chained(f"Built {at} {kind}", assumer).link
            AssumerLink.objects.filter(pk=link.pk).update(author=author and author.user)
            AwsSession.objects.filter(pk=assumer.pk).update(open_to_assume=kind == "open")
            if kind == "granted" and author and author.team_id == house.team.pk:
                SessionGrant.objects.create(session=assumer, right="assume", member=author)
            if kind == "group":
                SessionGrant.objects.create(session=assumer, right="assume", group=group)
    Membership.objects.filter(pk=carl.pk).update(disabled_at=database_now())
    Membership.objects.filter(pk=dan.pk).delete()
    User.objects.filter(pk=hugo.user_id).update(is_active=False)
    team = [house.team.pk]
    every_link = AssumerLink.objects.filter(session__team=house.team).values("pk")
    found = orphaned_links(team)
    assert found == orphaned_links(team, among=every_link)
    names = set(AwsSession.objects.filter(pk__in=found).values_list("alias", flat=True))
    assert {
        "Built 1 closed",
        "Built 2 closed",
        "Built 3 open",
        "Built 5 granted",
        "Built 8 open",
    } <= names
    assert not {"Built 0 closed", "Built 1 open", "Built 1 granted", "Built 2 group"} & names
    assert orphaned_links([other.team.pk]) == set()
