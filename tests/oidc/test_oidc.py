"""OpenID Connect against a certified provider: who gets in, as what, until when."""

import html
import json
import os
import re
import subprocess
import sys
import time
from datetime import timedelta
from urllib.parse import parse_qs

import pytest
import requests
from allauth.socialaccount.models import SocialAccount
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.urls import reverse

from chainweb.identity import parse_group_map
from sessions.actors import Actor, NamedActor
from sessions.db.clock import database_now
from sessions.ledger.events import read
from sessions.ledger.events.accounts import IdentityConnected, LoggedIn, LoggedOut
from sessions.ledger.events.people import MemberAdded, MemberRemoved
from sessions.login.adapters import ASKED_AT_KEY
from sessions.login.session_store import BEGAN_KEY
from sessions.models import Membership, Role, User
from sessions.people.invitations import invite
from sessions.people.memberships import change_role, disable_member, remove_member
from tests.harness.processes import CHECKOUT
from tests.house import PASSWORD
from tests.platform.canaries import find
from tests.platform.logged import logged

pytestmark = pytest.mark.django_db

MAP = (
    "aws-admins=platform:admin,aws-users=platform:member,"
    "aws-readers=platform:auditor,gone=nowhere:member"
)


def role_of(name):
    return Membership.objects.get(user__username=name, team__slug="platform").role


def test_groups_make_a_new_person_a_member_of_their_team(house, openid, connect, person):
    connect(openid, MAP)
    openid.person(
        "grace.hopper",
        groups=["aws-users", "others"],
        email="grace@navy.example",
        name="Grace Hopper",
    )
    grace = person("grace.hopper")
    answer = grace.come_in()
    assert answer.status_code == 302, answer.content
    assert grace.client.get("/").headers["Location"] == reverse("session_list", args=["platform"])
    user = User.objects.get(username="grace.hopper")
    assert (role_of("grace.hopper"), user.aws_name, user.get_full_name()) == (
        "member",
        "grace.hopper",
        "Grace Hopper",
    )
    assert not user.has_usable_password()
    event = house.events(MemberAdded)[-1]
    assert (event.actor, event.data["member"]) == ("sso", "grace.hopper")


def test_roles_follow_the_groups_at_each_log_in_and_end_with_them(house, openid, connect, person):
    connect(openid, MAP)
    grace = person("grace")
    for groups, role in (
        (["aws-users"], "member"),
        (["aws-admins", "aws-users"], "admin"),
        (["aws-readers"], "auditor"),
    ):
        openid.person("grace", groups=groups)
        grace.come_in()
        assert role_of("grace") == role
    openid.person("grace", groups=[])
    grace.come_in()
    assert not Membership.objects.filter(user__username="grace").exists()
    assert grace.client.get(reverse("session_list", args=["platform"])).status_code == 404
    assert house.events(MemberRemoved)[-1].actor == "sso"
    openid.person("grace", groups=["aws-users"])
    grace.come_in()
    assert role_of("grace") == "member"


def test_no_name_for_the_way_in_gets_round_the_groups(house, openid, connect, person):
    connect(openid, MAP)
    openid.person("grace", groups=["aws-admins"])
    grace = person("grace")
    grace.come_in()
    openid.person("grace", groups=[])
    grace.come_in("/accounts/oidc/sso/login/?process=x")
    assert not Membership.objects.filter(user__username="grace").exists()


def test_who_has_no_group_that_is_mapped_gets_no_account(house, openid, connect, person):
    connect(openid, MAP)
    openid.person("mallory", groups=["others"])
    assert "Accounts need an invitation" in person("mallory").come_in().content.decode()
    assert not User.objects.filter(username="mallory").exists()


def test_without_a_map_people_come_in_by_invitation_alone(house, openid, connect, person):
    connect(openid)
    openid.person("grace")
    grace = person("grace")
    assert "Accounts need an invitation" in grace.come_in().content.decode()
    _, code = invite(Actor(house.ada), Role.AUDITOR)
    grace.client.post(reverse("join"), {"code": code.reveal()})
    grace.come_in()
    assert role_of("grace") == "auditor"
    # Made by hand, so no login takes it away.
    grace.come_in()
    assert role_of("grace") == "auditor"


def test_a_membership_made_by_hand_is_left_alone_by_the_groups(house, openid, connect, person):
    connect(openid, MAP)
    openid.person("grace", groups=["aws-admins"])
    grace = person("grace")
    grace.come_in()
    by_hand = Membership.objects.get(user__username="grace")
    Membership.objects.filter(pk=by_hand.pk).update(from_sso=False)
    change_role(by_hand, Role.AUDITOR, NamedActor("ada"))
    grace.come_in()
    assert role_of("grace") == "auditor"


def test_a_stranger_with_a_members_name_or_email_gets_no_account(house, openid, connect, person):
    connect(openid, MAP)
    User.objects.filter(pk=house.ben.user_id).update(email="ben@team.example")
    openid.person("ben", groups=["aws-users"], email="ben@team.example", email_verified=True)
    stranger = person("ben")
    answer = stranger.come_in()
    assert str(stranger.client.session.get("_auth_user_id")) != str(house.ben.user_id)
    assert not SocialAccount.objects.filter(user=house.ben.user).exists()
    assert answer.status_code == 302


def test_a_member_connects_their_account_and_then_logs_in_by_it(house, openid, connect, person):
    connect(openid)
    openid.person("ben-at-idp")
    ben = person("ben-at-idp")
    ben.client.post(reverse("account_login"), {"login": "ben", "password": PASSWORD})
    ben.come_in("/accounts/oidc/sso/login/?process=connect")
    assert SocialAccount.objects.get().user == house.ben.user
    ben.client.post(reverse("account_logout"))
    ben.come_in()
    assert ben.client.session["_auth_user_id"] == str(house.ben.user_id)
    told = [line for line in house.events() if line.actor == "ben"]
    assert [line.kind for line in told] == [
        LoggedIn.tag,
        IdentityConnected.tag,
        LoggedOut.tag,
        LoggedIn.tag,
    ]
    assert LoggedIn.read(told[0].data) == LoggedIn(how=("password",))
    assert LoggedIn.read(told[-1].data) == LoggedIn(how=("identity provider",), provider="sso")
    assert told[1].data["uid"] == SocialAccount.objects.get().uid


def test_sensitive_things_ask_the_provider_to_ask_again(house, openid, connect, person):
    connect(openid, MAP)
    openid.person("grace", groups=["aws-admins"])
    grace = person("grace")
    grace.come_in()
    asked = grace.asked_for_password
    wanted = reverse("invite", args=["platform"])
    # The first login asked for no time of authentication, so it proves nothing about when.
    confirm = grace.client.get(wanted)
    assert confirm.headers["Location"].startswith("/accounts/oidc/sso/login/")
    back = grace.come_in(confirm.headers["Location"])
    assert back.headers["Location"] == wanted
    assert grace.asked_for_password == asked + 1
    assert grace.client.get(wanted).status_code == 200
    # A round through the provider that was not asked to ask is no confirmation: it says when it
    # last did.
    session = grace.client.session
    session[ASKED_AT_KEY] = int(time.time()) - 301
    session.save()
    assert grace.client.get(wanted).status_code == 302


def test_a_person_the_operator_disabled_does_not_come_in_by_provider(
    house, openid, connect, person
):
    connect(openid, MAP)
    openid.person("grace", groups=["aws-users"])
    grace = person("grace")
    grace.come_in()
    grace.client.post(reverse("account_logout"))
    User.objects.filter(username="grace").update(is_active=False)
    assert grace.come_in().headers["Location"] == reverse("account_inactive")
    assert "_auth_user_id" not in grace.client.session


def test_a_forged_state_and_a_code_of_elsewhere_are_refused(house, openid, connect, client):
    connect(openid, MAP)
    answer = client.get("/accounts/oidc/sso/login/callback/?code=stolen&state=forged")
    assert answer.status_code in {401, 403}
    assert "_auth_user_id" not in client.session


def test_the_environment_alone_sets_it_up(openid):
    environ = {
        **os.environ,
        "OIDC_ISSUER": openid.issuer,
        "OIDC_CLIENT_ID": "chainweb",
        "OIDC_CLIENT_SECRET": "x",
        "OIDC_GROUPS": "a b=ops:admin",
        "SECRET_KEY": "x",
    }
    code = (
        "from django.conf import settings as s; print(s.OIDC_GROUPS,"
        " s.SOCIALACCOUNT_PROVIDERS['openid_connect']['APPS'][0]['settings'])"
    )
    environ["DJANGO_SETTINGS_MODULE"] = "chainweb.settings"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, cwd=CHECKOUT, capture_output=True, text=True
    )
    assert (
        done.stdout
        == f"{{'a b': ('ops', 'admin')}} {{'server_url': '{openid.issuer}', 'scope': ['openid',"
        " 'profile', 'email']}\n"
    ), done.stderr


@pytest.mark.parametrize(
    "text", ["group", "group=team", "group=team:owner", "=team:admin", "group=:admin"]
)
def test_a_map_of_groups_that_says_nothing_stops_the_start(text):
    with pytest.raises(ImproperlyConfigured):
        parse_group_map("OIDC_GROUPS", text)


def test_at_debug_neither_code_nor_token_nor_client_secret_is_logged(
    house, openid, connect, person, monkeypatch
):
    connect(openid, MAP)
    openid.person("grace", groups=["aws-users"])
    seen = []
    send = requests.Session.send

    def remember(session, request, **options):
        answer = send(session, request, **options)
        if request.url.endswith("/token"):
            seen.extend(
                [
                    request.body if isinstance(request.body, str) else request.body.decode(),
                    answer.text,
                ]
            )
        return answer

    monkeypatch.setattr(requests.Session, "send", remember)
    connection.force_debug_cursor = True
    grace = person("grace")
    with logged("DEBUG") as written:
        grace.come_in()
    connection.force_debug_cursor = False
    code = parse_qs(seen[0])["code"][0]
    tokens = json.loads(seen[1])
    secrets = [code, tokens["id_token"], tokens["access_token"], "a secret of the tests alone"]
    assert find(secrets, {"the log": written.getvalue().encode()}) == []


def test_whom_an_admin_removed_or_suspended_no_log_in_brings_back(house, openid, connect, person):
    connect(openid, MAP)
    openid.person("grace", groups=["aws-users"])
    grace = person("grace")
    grace.come_in()
    user = User.objects.get(username="grace")
    remove_member(Membership.objects.get(user=user), NamedActor("ada"))
    grace.come_in()
    assert not Membership.objects.filter(user=user).exists()
    # Nor does another account for the same person at the provider.
    SocialAccount.objects.filter(user=user).delete()
    grace.client.post(reverse("account_logout"))
    grace.come_in()
    another = SocialAccount.objects.get().user
    assert another != user
    assert not Membership.objects.filter(user__in=[user, another]).exists()
    SocialAccount.objects.all().delete()
    openid.person("hal", groups=["aws-users"])
    hal = person("hal")
    hal.come_in()
    disable_member(Membership.objects.get(user__username="hal"), NamedActor("ada"))
    for groups in ([], ["aws-admins"]):
        openid.person("hal", groups=groups)
        hal.come_in()
        assert Membership.objects.get(user__username="hal").disabled_at


def test_old_groups_lead_to_the_provider_and_back(house, openid, connect, person):
    connect(openid, MAP)
    openid.person("grace", groups=["aws-users"])
    grace = person("grace")
    grace.come_in()
    Membership.objects.filter(user__username="grace").update(
        groups_read_at=database_now() - timedelta(hours=25)
    )
    wanted = reverse("session_list", args=["platform"])
    page = grace.client.get(wanted)
    assert page.status_code == 403
    action = html.unescape(
        re.search(r'<form method="post" action="([^"]+)"', page.content.decode())[1]
    )
    assert grace.come_in(action).headers["Location"] == wanted
    assert grace.client.get(wanted).status_code == 200


def test_confirming_at_the_provider_does_not_prolong_the_log_in(house, openid, connect, person):
    connect(openid, MAP)
    openid.person("grace", groups=["aws-admins"])
    grace = person("grace")
    grace.come_in()
    session = grace.client.session
    session[BEGAN_KEY] -= 11 * 3600
    session.save()
    began = session[BEGAN_KEY]
    confirm = grace.client.get(reverse("invite", args=["platform"]))
    grace.come_in(confirm.headers["Location"])
    assert grace.client.get(reverse("invite", args=["platform"])).status_code == 200
    assert grace.client.session[BEGAN_KEY] == began
    told = [read(line.kind, line.data) for line in house.events() if line.actor == "grace"]
    assert [each.confirms for each in told] == [False, True]  # and no logout between
