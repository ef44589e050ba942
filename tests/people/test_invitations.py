"""Invitations work once, for a while, for whoever has the link, and for nobody else."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from sessions.actors import Actor, NamedActor
from sessions.db.clock import database_now
from sessions.exceptions import Refused
from sessions.ledger.events.people import InvitationAccepted, InvitationCreated
from sessions.models import Invitation, Membership, Role, User
from sessions.people.invitations import (
    accept_invitation,
    invitation_by_code,
    invite,
    revoke_invitation,
)
from sessions.people.memberships import disable_member
from sessions.people.people import create_person
from sessions.secret import Secret
from tests.house import PASSWORD, browser_of

pytestmark = pytest.mark.django_db

NEW = {"username": "newcomer", "email": "", "password1": "a long enough secret"}


def link_from(house, role="member"):
    page = house.browser(house.ada).post(
        reverse("invite", args=[house.team.slug]), {"role": role, "note": "Nora", "days": 7}
    )
    return re.search(r'id="link">http://testserver/join/#([^<]+)<', page.content.decode())[1]


def show(client, code):
    return client.post(reverse("join"), {"code": code})


def test_a_new_person_comes_in_by_a_link_with_its_role_and_team(house):
    code = link_from(house, role="auditor")
    client = Client()
    assert show(client, code).status_code == 302
    page = client.get(reverse("join")).content.decode()
    assert "Platform" in page
    assert "auditor" in page
    assert client.post(reverse("account_signup"), NEW).status_code == 302
    member = Membership.objects.get(user__username="newcomer")
    assert (member.team, member.role, member.user.aws_name) == (house.team, "auditor", "newcomer")
    assert client.get(reverse("session_list", args=[house.team.slug])).status_code == 200
    [made], [taken] = (
        house.events(InvitationCreated),
        house.events(InvitationAccepted),
    )
    assert (made.actor, made.data["note"]) == ("ada", "Nora")
    assert (taken.actor, taken.data["invited_by"]) == ("newcomer", "ada")


def test_an_existing_person_joins_with_the_account_they_have(house):
    from tests.house import TeamFixture

    other = TeamFixture(house.sts, "other")
    code = link_from(house)
    client = browser_of(other.ben)
    show(client, code)
    assert "Join as other-ben" in client.get(reverse("join")).content.decode()
    assert client.post(reverse("accept_invitation")).headers["Location"] == reverse(
        "session_list", args=[house.team.slug]
    )
    assert Membership.objects.filter(user=other.ben.user).count() == 2


def test_a_link_is_good_once(house):
    code = link_from(house)
    client = Client()
    show(client, code)
    client.post(reverse("account_signup"), NEW)
    late = Client()
    assert show(late, code).status_code == 422
    assert "need an invitation" in late.get(reverse("account_signup")).content.decode()


def test_of_two_who_hold_the_link_the_second_gets_no_account(house):
    code = link_from(house)
    first, second = Client(), Client()
    show(first, code)
    show(second, code)
    second.get(reverse("account_signup"))
    first.post(reverse("account_signup"), NEW)
    second.post(reverse("account_signup"), {**NEW, "username": "latecomer"})
    assert not User.objects.filter(username="latecomer").exists()


def test_the_code_is_stored_as_a_hash_alone_and_is_in_no_event(house):
    invitation, code = invite(Actor(house.ada), Role.MEMBER)
    stored = " ".join(
        str(value) for value in Invitation.objects.values_list().get(pk=invitation.pk)
    )
    assert code.reveal() not in stored
    assert all(code.reveal() not in str(event.data) for event in house.events())
    assert invitation_by_code(code) == invitation
    assert invitation_by_code(Secret(invitation.digest)) is None


def test_an_expired_a_withdrawn_and_an_unknown_code_get_one_answer(house):
    expired, expired_code = invite(Actor(house.ada), Role.MEMBER)
    Invitation.objects.filter(pk=expired.pk).update(
        expires_at=database_now() - timedelta(seconds=1)
    )
    withdrawn, withdrawn_code = invite(Actor(house.ada), Role.MEMBER)
    assert revoke_invitation(withdrawn, NamedActor("ada"))
    assert not revoke_invitation(withdrawn, NamedActor("ada"))
    pages = set()
    for code in (expired_code.reveal(), withdrawn_code.reveal(), "nonsense"):
        page = show(Client(), code)
        assert page.status_code == 422
        pages.add(re.sub(r'value="[^"]*"', "", page.content.decode()))
    assert len(pages) == 1
    with pytest.raises(Refused):
        accept_invitation(expired, create_person("late", None))


def test_a_link_changes_no_members_role_and_stays_good(house):
    invitation, _ = invite(Actor(house.ada), Role.ADMIN)
    with pytest.raises(Refused, match="already"):
        accept_invitation(invitation, house.ben.user)
    disable_member(house.bea, actor=NamedActor("ada"))
    with pytest.raises(Refused):
        accept_invitation(invitation, house.bea.user)
    invitation.refresh_from_db()
    assert invitation.ended_at is None


def test_sign_up_without_an_invitation_is_closed_unless_opened(house, settings):
    assert b"need an invitation" in Client().post(reverse("account_signup"), NEW).content
    assert not User.objects.filter(username="newcomer").exists()
    settings.CHAINWEB_OPEN_SIGNUP = True
    client = Client()
    assert client.post(reverse("account_signup"), NEW).status_code == 302
    assert "No team yet" in client.get("/").content.decode()


@pytest.mark.parametrize(
    "change",
    [
        {"username": "BEN"},
        {"username": "worker"},
        {"username": "nöra"},
        {"username": "a b"},
        {"password1": "short"},
    ],
)
def test_a_sign_up_that_is_refused_uses_nothing_up(house, change):
    code = link_from(house)
    client = Client()
    show(client, code)
    assert client.post(reverse("account_signup"), {**NEW, **change}).status_code == 200
    assert Invitation.objects.get().ended_at is None
    assert client.post(reverse("account_signup"), NEW).status_code == 302


def test_logging_in_on_the_way_keeps_the_invitation(house):
    outsider = create_person("nora", Secret(PASSWORD))
    client = Client()
    show(client, link_from(house))
    client.post(
        reverse("account_login"), {"login": "nora", "password": PASSWORD, "next": reverse("join")}
    )
    assert client.post(reverse("accept_invitation")).status_code == 302
    assert Membership.objects.filter(user=outsider, team=house.team).exists()
