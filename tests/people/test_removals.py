"""Shut out people who left: groups, removals, suspensions and passwords end logins and tokens."""

import io
import time
from contextlib import suppress
from datetime import timedelta
from importlib import import_module

import pytest
from allauth.account.adapter import get_adapter
from allauth.socialaccount.models import SocialAccount
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from chainweb.identity import oidc_provider, parse_group_map
from sessions.actors import Actor, NamedActor
from sessions.catalog.access import set_access
from sessions.catalog.audiences import Access, Audience
from sessions.db.clock import database_now
from sessions.delivery.reveal import NotYours, reveal
from sessions.exceptions import Refused
from sessions.ledger.events.people import MemberReadmitted
from sessions.ledger.events.tokens import TokenRevoked
from sessions.locks.team_lock import lock_team
from sessions.models import (
    Activation,
    Credential,
    Membership,
    Removal,
    Role,
    Token,
    User,
)
from sessions.people.group_sync import follow_groups
from sessions.people.invitations import accept_invitation, invite
from sessions.people.memberships import (
    change_role,
    disable_member,
    enable_member,
    remove_member,
    set_person_active,
)
from sessions.people.people import add_member, create_person, create_team, rename_in_cloudtrail
from sessions.people.removals import readmit, remember_removal, removals_of
from sessions.people.tokens import actor_of_token, create_token
from sessions.permissions import GroupsTooOld
from sessions.secret import Secret
from tests.api.tool import Api
from tests.house import PASSWORD, browser_of
from tests.login.browsers import log_in
from tests.races import Aside, held_head, wait_for_waiting

pytestmark = pytest.mark.django_db

MAP = {"users": ("platform", "member"), "admins": ("platform", "admin")}
NEW = "another horse entirely"


@pytest.fixture
def gina(house):
    """Make a member by groups, as a login at the provider makes one."""
    user = house.person("gina", Role.MEMBER).user
    Membership.objects.filter(user=user).delete()
    follow_groups(user, {"users"}, MAP)
    return member_of(user)


def member_of(user):
    return Membership.objects.select_related("user", "team").get(user=user)


def read_groups(member, hours_ago):
    Membership.objects.filter(pk=member.pk).update(
        groups_read_at=database_now() - timedelta(hours=hours_ago)
    )


# --- the age of groups ----------------------------------------------------------------------------


def test_groups_read_a_day_ago_open_no_page_and_say_how_to_get_back(house, gina, settings):
    browser = browser_of(gina)
    [leaf] = house.chain(1)
    pages = [reverse("session_list", args=["platform"]), reverse("session", args=[leaf.pk])]
    for hours, status in ((23.9, 200), (24.1, 403)):
        read_groups(gina, hours)
        for page in pages:
            answer = browser.get(page)
            assert answer.status_code == status, (hours, page)
    text = answer.content.decode()
    assert "Your groups were last read" in text
    assert "every 24 hours" in text
    assert browser.get("/").status_code == 403
    assert browser.post(reverse("start_session", args=[leaf.pk])).status_code == 403
    follow_groups(gina.user, {"users"}, MAP)
    assert browser.get(pages[0]).status_code == 200


def test_how_old_groups_may_be_is_a_setting(house, gina, settings):
    read_groups(gina, 30)
    settings.CHAINWEB_GROUPS_MAX_AGE_HOURS = 48
    assert browser_of(gina).get(reverse("session_list", args=["platform"])).status_code == 200


def test_another_teams_pages_stay_missing_and_a_suspended_one_too(house, gina, sts):
    from tests.house import TeamFixture

    other = TeamFixture(sts, "other")
    read_groups(gina, 30)
    browser = browser_of(gina)
    assert browser.get(reverse("session_list", args=["other"])).status_code == 404
    assert browser.get(reverse("session", args=[other.root.pk])).status_code == 404
    disable_member(house.ben, NamedActor("ada"))
    assert house.browser(house.ben).get(reverse("session_list", args=["platform"])).status_code in {
        302,
        404,
    }


def test_a_token_of_whose_groups_are_old_opens_nothing_and_says_why(house, gina):
    secret = create_token(gina, "laptop", NamedActor("gina"))
    [leaf] = house.chain(1)
    read_groups(gina, 25)
    for method, path in (
        ("GET", "/sessions"),
        ("GET", f"/sessions/{leaf.pk}/credentials"),
        ("POST", f"/sessions/{leaf.pk}/start"),
    ):
        answer = Api(secret)(method, path)
        assert (answer.status_code, answer.json()["code"]) == (403, "groups_too_old")
        assert "Log in again by single sign-on" in answer.json()["message"]
    with pytest.raises(GroupsTooOld):
        actor_of_token(secret)
    with pytest.raises(Refused):
        create_token(gina, "another", NamedActor("gina"))
    with pytest.raises(CommandError, match="Log in again by single sign-on"):
        call_command("token", "gina", team="platform", name="another")
    follow_groups(gina.user, {"users"}, MAP)
    assert Api(secret)("GET", "/sessions").status_code == 200


def test_nothing_is_minted_for_whose_groups_are_old_until_they_are_read(house, gina):
    [leaf] = house.chain(1)
    house.start(leaf, gina)
    house.work()
    read_groups(gina, 25)
    calls = len(house.sts.calls)
    Credential.objects.update(due_at=database_now())
    house.work()
    assert len(house.sts.calls) == calls
    assert Activation.objects.filter(user=gina.user).exists()
    follow_groups(gina.user, {"users"}, MAP)
    Credential.objects.filter(level=1).update(expires_at=database_now() + timedelta(minutes=10))
    follow_groups(gina.user, {"users"}, MAP)
    house.work()
    assert len(house.sts.calls) > calls


def test_others_go_on_and_a_change_of_access_ends_nothing_of_theirs(house, gina):
    [leaf] = house.chain(1)
    for member in (gina, house.ben):
        house.start(leaf, member)
    read_groups(gina, 25)
    everyone = Access(Audience(), Audience())
    set_access(leaf, everyone, NamedActor("ada"))
    house.work()
    assert house.state(leaf, house.ben).status == "active"
    assert Activation.objects.count() == 2


def test_chains_of_an_author_on_leave_go_on_for_others(house, gina):
    follow_groups(gina.user, {"admins"}, MAP)
    built = house.chained("Built by gina", member=member_of(gina.user))
    read_groups(gina, 100)
    house.start(built)
    house.work()
    assert house.state(built).status == "active"


def test_the_last_admin_whose_groups_are_fresh_stays(house, gina):
    follow_groups(gina.user, {"admins"}, MAP)
    read_groups(gina, 25)
    with pytest.raises(Refused):
        remove_member(house.ada, NamedActor("ada"))


def test_setup_makes_a_member_by_groups_one_by_hand(house, gina):
    read_groups(gina, 25)
    add_member(house.team, gina.user, Role.ADMIN, actor=NamedActor("setup"))
    assert browser_of(gina).get(reverse("session_list", args=["platform"])).status_code == 200


# --- removals and suspensions last ----------------------------------------------------------------


def test_a_removal_by_an_admin_outlasts_every_log_in_with_groups(house, gina):
    remove_member(gina, NamedActor("ada"))
    follow_groups(gina.user, {"users", "admins"}, MAP)
    assert not Membership.objects.filter(user=gina.user).exists()
    removal = removals_of(house.team).get()
    assert (removal.user, removal.by) == (gina.user, "ada")
    readmit(removal, Actor(house.ada))
    follow_groups(gina.user, {"users"}, MAP)
    assert member_of(gina.user).role == Role.MEMBER
    assert house.events(MemberReadmitted)[0].actor == "ada"


def test_the_identity_is_remembered_whatever_account_it_goes_to(house, gina):
    SocialAccount.objects.create(user=gina.user, provider="sso", uid="4711", extra_data={})
    remove_member(gina, NamedActor("ada"))
    SocialAccount.objects.all().delete()
    again = house.person("gina.two", Role.MEMBER).user
    Membership.objects.filter(user=again).delete()
    follow_groups(again, {"users"}, MAP, ("sso", "4711"))
    assert not Membership.objects.filter(user=again).exists()
    readmit(removals_of(house.team).get(), Actor(house.ada))
    follow_groups(again, {"users"}, MAP, ("sso", "4711"))
    assert Membership.objects.filter(user=again).exists()


@pytest.mark.parametrize("groups", ["users=platform:member", ""])
def test_nobody_takes_off_an_identity_whose_groups_let_people_in(house, gina, settings, groups):
    settings.OIDC_GROUPS = parse_group_map("OIDC_GROUPS", groups)
    provider = oidc_provider(
        "https://idp.example", "chainweb", "a secret", name="IdP", scopes=["openid"]
    )
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": provider}
    account = SocialAccount.objects.create(
        user=gina.user, provider="sso", uid="4711", extra_data={}
    )
    answer = browser_of(gina).post(reverse("socialaccount_connections"), {"account": account.pk})
    assert SocialAccount.objects.exists() == bool(groups)
    assert ("it stays connected" in answer.content.decode()) == bool(groups)


def test_groups_that_end_and_come_back_bring_the_person_back(house, gina):
    follow_groups(gina.user, set(), MAP)
    assert not Membership.objects.filter(user=gina.user).exists()
    follow_groups(gina.user, {"users"}, MAP)
    assert member_of(gina.user).from_sso


def test_a_suspension_outlasts_groups_that_end_and_come_back(house, gina):
    disable_member(gina, NamedActor("ada"))
    for groups in (set(), {"admins"}):
        follow_groups(gina.user, groups, MAP)
        assert member_of(gina.user).disabled_at
    assert member_of(gina.user).role == Role.ADMIN
    enable_member(member_of(gina.user), NamedActor("ada"))
    assert not member_of(gina.user).disabled_at


def test_a_suspension_made_while_groups_are_read_outlasts_them(house, gina):
    as_read = member_of(gina.user)
    disable_member(gina, NamedActor("ada"))
    remove_member(as_read, NamedActor("sso"), by_groups=True)
    assert member_of(gina.user).disabled_at


def test_who_is_made_a_member_by_hand_while_groups_are_read_is_not_theirs(house, gina):
    as_read = member_of(gina.user)
    add_member(house.team, gina.user, Role.ADMIN, NamedActor("setup"))
    change_role(as_read, Role.AUDITOR, NamedActor("sso"), by_groups=True)
    remove_member(as_read, NamedActor("sso"), by_groups=True)
    assert member_of(gina.user).role == Role.ADMIN


@pytest.mark.django_db(transaction=True)
def test_a_removal_made_while_groups_are_read_lasts(lasting_house):
    team, user = lasting_house.team, create_person("gina", Secret(PASSWORD))
    with transaction.atomic():
        lock_team(team.pk)
        log_in_by_groups = Aside(lambda: follow_groups(user, {"users"}, MAP))
        wait_for_waiting(1)
        remember_removal(team, user, NamedActor("ada"))
    log_in_by_groups.result()
    assert not Membership.objects.filter(user=user).exists()


def test_an_invitation_from_before_the_removal_brings_nobody_back(house, gina):
    early, _ = invite(Actor(house.ada), Role.MEMBER)
    remove_member(gina, NamedActor("ada"))
    with pytest.raises(Refused, match="removed from this team after"):
        accept_invitation(early, gina.user)
    late, _ = invite(Actor(house.ada), Role.MEMBER)
    accept_invitation(late, gina.user)
    assert not Removal.objects.exists()
    assert not member_of(gina.user).from_sso


def test_nobody_returns_by_their_own_invitation_with_old_groups(house, gina):
    follow_groups(gina.user, {"admins"}, MAP)
    invitation, code = invite(Actor(member_of(gina.user)), Role.ADMIN)
    _, operators = invite(Actor(house.ada), Role.MEMBER)
    read_groups(gina, 24.1)
    browser = Client()
    assert browser.post(reverse("join"), {"code": code.reveal()}).status_code == 422
    assert browser.get(reverse("account_signup")).status_code == 200
    newcomer = create_person("gina2", Secret(PASSWORD))
    with pytest.raises(Refused, match="Ask for a new one"):
        accept_invitation(invitation, newcomer)
    assert Client().post(reverse("join"), {"code": operators.reveal()}).status_code == 302
    # It waits until her groups are read again.
    read_groups(gina, 0)
    assert browser.post(reverse("join"), {"code": code.reveal()}).status_code == 302
    read_groups(gina, 24.1)  # also for a browser that has shown it before
    made = {"username": "gina3", "email": "", "password1": "correct horse battery staple"}
    browser.post(reverse("account_signup"), made)
    assert not User.objects.filter(username="gina3").exists()
    read_groups(gina, 0)
    accept_invitation(invitation, newcomer)
    assert Membership.objects.get(user=newcomer).role == Role.ADMIN


def test_an_admin_sees_removals_and_lifts_them_on_the_persons_page(house, gina):
    remove_member(gina, NamedActor("ada"))
    ada = house.browser(house.ada)
    assert "gina" in ada.get(reverse("people", args=["platform"])).content.decode()
    page = reverse("person", args=["platform", gina.user_id])
    assert "Allow gina to return" in ada.get(page).content.decode()
    assert house.browser(house.eve).get(page).content.decode().count("Let gina") == 0
    readmitted = reverse("person_readmit", args=["platform", gina.user_id])
    assert house.browser(house.ben).post(readmitted).status_code == 403
    assert ada.post(readmitted).status_code == 302
    assert not Removal.objects.exists()
    assert ada.post(readmitted).status_code == 404


def test_removals_of_before_the_upgrade_last_as_well(house, gina):
    SocialAccount.objects.create(user=gina.user, provider="sso", uid="4711", extra_data={})
    remove_member(gina, NamedActor("ada"))
    remove_member(house.bea, NamedActor("ada"))
    add_member(house.team, house.bea.user, Role.MEMBER, actor=NamedActor("setup"))
    Removal.objects.all().delete()
    migration = import_module("sessions.migrations.0011_off_boarding")
    migration.remember_removals(apps, None)
    found = set(Removal.objects.values_list("user__username", "provider", "uid", "by"))
    assert found == {("gina", "", "", "ada"), ("gina", "sso", "4711", "ada")}


# --- passwords and suspensions end tokens and logins ---------------------------------------------


def change_on_the_page(house, client):
    words = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
    assert client.post(reverse("account_change_password"), words).status_code == 302


def change_by_command(house, client, monkeypatch):
    monkeypatch.setattr("getpass.getpass", lambda prompt: NEW)
    call_command("changepassword", "ben", stdout=io.StringIO())


@pytest.mark.parametrize("by_command", [False, True])
def test_a_new_password_revokes_tokens_and_ends_the_other_log_ins(house, monkeypatch, by_command):
    here, there = Client(), Client()
    log_in(here)
    log_in(there)
    secret, others = house.token(), house.token(house.bea)
    if by_command:
        change_by_command(house, here, monkeypatch)
    else:
        change_on_the_page(house, here)
    assert actor_of_token(secret) is None
    assert actor_of_token(others) is not None
    [event] = house.events(TokenRevoked)
    assert event.data["reason"] == "password changed"
    assert there.get(reverse("account_email")).status_code == 302
    assert here.get(reverse("account_email")).status_code == (302 if by_command else 200)


def test_a_log_in_that_strengthens_a_hash_revokes_nothing(house, settings):
    secret = house.token()
    User.objects.filter(pk=house.ben.user_id).update(password=argon2_of(PASSWORD))
    assert log_in(Client()).status_code == 302
    assert User.objects.get(pk=house.ben.user_id).password.startswith("md5$")
    assert actor_of_token(secret) is not None


def argon2_of(password):
    from django.contrib.auth.hashers import Argon2PasswordHasher

    return Argon2PasswordHasher().encode(password, "saltsalt")


SUSPENSIONS = {
    "operator": (
        lambda house: set_person_active(house.ben.user, False, NamedActor("manage.py")),
        lambda house: set_person_active(house.ben.user, True, NamedActor("manage.py")),
    ),
    "admin": (
        lambda house: disable_member(house.ben, NamedActor("ada")),
        lambda house: enable_member(house.ben, NamedActor("ada")),
    ),
}


@pytest.mark.parametrize("by", SUSPENSIONS)
def test_a_suspension_ends_tokens_and_log_ins_for_good(house, by):
    suspend, reinstate = SUSPENSIONS[by]
    client = Client()
    log_in(client)
    secret = house.token()
    suspend(house)
    assert "_auth_user_id" in client.session
    assert client.get(reverse("account_email")).status_code == 302
    assert actor_of_token(secret) is None
    reinstate(house)
    assert client.get(reverse("account_email")).status_code == 302
    assert actor_of_token(secret) is None
    assert Token.objects.get().revoked_at
    [event] = house.events(TokenRevoked)
    assert event.data["reason"] == "suspended"
    log_in(client)
    assert client.get(reverse("session_list", args=["platform"])).status_code == 200


def test_a_log_in_that_was_not_used_while_suspended_is_over_too(house):
    client = Client()
    log_in(client)
    set_person_active(house.ben.user, False, NamedActor("manage.py"))
    set_person_active(house.ben.user, True, NamedActor("manage.py"))
    assert client.get(reverse("account_email")).status_code == 302


def test_a_new_password_overwrites_no_newer_field_of_the_person(house):
    ben = User.objects.get(pk=house.ben.user_id)
    rename_in_cloudtrail(house.ben, "benjamin", NamedActor("ada"))
    set_person_active(house.ben.user, False, NamedActor("manage.py"))
    get_adapter().set_password(ben, NEW)  # saves the whole row
    ben = User.objects.get(pk=ben.pk)
    assert (ben.is_active, ben.log_ins_ended, ben.aws_name) == (False, 1, "benjamin")
    assert ben.check_password(NEW)


@pytest.mark.django_db(transaction=True)
def test_no_token_is_made_behind_a_new_password(lasting_house):
    house, other = lasting_house, create_team("other", "Other", NamedActor("tests"))
    create_token(
        add_member(other, house.ben.user, Role.MEMBER, NamedActor("tests")),
        "there",
        NamedActor("ben"),
    )
    ben, read_before = User.objects.get(pk=house.ben.user_id), member_in(house)
    ben.set_password(NEW)
    with held_head(other):
        changed = Aside(ben.save)
        wait_for_waiting(1)
        made = Aside(lambda: create_token(read_before, "late", NamedActor("ben")))
        time.sleep(0.3)
    changed.result()
    with suppress(Refused):
        made.result()
    assert not Token.objects.filter(user=ben, revoked_at=None).exists()


@pytest.mark.django_db(transaction=True)
def test_no_secret_is_handed_out_behind_a_new_password(lasting_house):
    house = lasting_house
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    ben, read_before = User.objects.get(pk=house.ben.user_id), member_in(house)
    ben.set_password(NEW)
    with held_head(house.team):
        changed = Aside(ben.save)
        wait_for_waiting(1)
        revealed = Aside(lambda: reveal(leaf, Actor(read_before), form="posix", via="page"))
        wait_for_waiting(2)
    changed.result()
    if connection.vendor == "postgresql":  # SQLite lets either in first
        with pytest.raises(NotYours):
            revealed.result()


def member_in(house):
    return Membership.objects.select_related("user", "team").get(pk=house.ben.pk)
