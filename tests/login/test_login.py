"""Log in: limits, codes, confirmation, lost passwords.

One-time codes, recovery codes, and the list of logins.
"""

import base64
import re
import time

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth import hashers
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.urls import reverse

from sessions.actors import Actor, NamedActor
from sessions.db.clock import database_now
from sessions.maintenance.reseal import reseal_all
from sessions.models import Role, User
from sessions.people.invitations import invite
from sessions.people.memberships import set_person_active
from sessions.people.tokens import actor_of_token
from sessions.tasks import sweep_now
from tests.house import PASSWORD
from tests.login.browsers import code_of, log_in, recovery_codes, with_totp

pytestmark = pytest.mark.django_db


def test_the_sixth_failure_is_429_even_with_the_right_password(house):
    client = Client()
    assert [log_in(client, password="wrong").status_code for _ in range(5)] == [200] * 5
    assert log_in(client).status_code == 429
    assert log_in(Client(), username="bea").status_code == 302


def test_the_eleventh_failure_of_an_address_in_a_minute_is_429(house):
    client = Client()
    found = [
        log_in(client, username=f"user{number}", password="wrong").status_code
        for number in range(11)
    ]
    assert found == [200] * 10 + [429]


def test_counted_failures_are_not_forgotten_for_many_others(house):
    for _ in range(5):
        log_in(Client(), password="wrong")
    for number in range(700):  # as a crowd of addresses that try other names would
        cache.set(f"other-{number}", [time.time()], 300)
    assert log_in(Client()).status_code == 429


def test_known_and_unknown_names_get_equal_answers_and_hash_calls(house, monkeypatch):
    calls = []
    encode = hashers.MD5PasswordHasher.encode

    def counted(self, *arguments, **named):
        calls.append(1)
        return encode(self, *arguments, **named)

    monkeypatch.setattr(hashers.MD5PasswordHasher, "encode", counted)

    def attempt(username):
        calls.clear()
        page = log_in(Client(), username=username, password="wrong").content.decode()
        page = re.sub(r'value="[^"]*"', "", page)
        return len(calls), page

    assert attempt("ben") == attempt("nobody-of-that-name")
    assert attempt("ben")[0] >= 1


def test_a_person_whom_the_operator_has_switched_off_does_not_log_in(house):
    User.objects.filter(pk=house.ben.user_id).update(is_active=False)
    assert "inactive" in log_in(Client()).headers["Location"]


# --- two factors ----------------------------------------------------------------------------------


def test_with_an_authenticator_the_password_alone_is_not_enough(house):
    _, secret = with_totp(house)
    client = Client()
    assert log_in(client).headers["Location"] == reverse("mfa_authenticate")
    assert client.get("/").headers["Location"].startswith("/accounts/login/")
    # A code is good once; the next one is of the next half minute.
    answer = client.post(reverse("mfa_authenticate"), {"code": code_of(secret, time.time() + 30)})
    if answer.status_code != 302:
        answer = client.post(reverse("mfa_authenticate"), {"code": recovery_codes(house)[0]})
    assert answer.status_code == 302
    assert client.get("/").headers["Location"] == reverse("session_list", args=[house.team.slug])


def test_a_recovery_code_is_good_once(house):
    with_totp(house)
    codes = recovery_codes(house)
    assert len(codes) == 10
    for expected in (302, 200):
        client = Client()
        log_in(client)
        assert client.post(reverse("mfa_authenticate"), {"code": codes[0]}).status_code == expected


def test_the_seed_of_codes_is_sealed_and_moves_to_a_new_key(house, settings):
    _, secret = with_totp(house)
    codes = recovery_codes(house)
    with connection.cursor() as cursor:
        cursor.execute("SELECT data FROM mfa_authenticator")
        stored = str(cursor.fetchall())
    assert secret not in stored
    assert not any(code in stored for code in codes)
    settings.CHAINWEB_SEAL_KEYS = (
        f"k2:{base64.b64encode(bytes(range(32))).decode()},{settings.CHAINWEB_SEAL_KEYS}"
    )
    assert reseal_all().moved >= 2
    settings.CHAINWEB_SEAL_KEYS = settings.CHAINWEB_SEAL_KEYS.split(",")[0]
    assert recovery_codes(house) == codes


def test_an_authenticator_is_taken_off_only_after_a_recent_confirmation(house):
    with_totp(house)
    old = house.browser(minutes_ago=6)
    answer = old.post(reverse("mfa_deactivate_totp"))
    assert "/reauthenticate/" in answer.headers["Location"]
    assert Authenticator.objects.filter(type="totp").exists()
    assert house.browser().post(reverse("mfa_deactivate_totp")).status_code == 302
    assert not Authenticator.objects.filter(type="totp").exists()


# --- confirmation ---------------------------------------------------------------------------------


def test_confirming_by_password_leads_back_and_lasts_five_minutes(house):
    ada = house.browser(house.ada, minutes_ago=6)
    wanted = reverse("invite", args=[house.team.slug])
    asked = ada.get(wanted).headers["Location"]
    assert asked == f"{reverse('account_reauthenticate')}?next={wanted.replace('/', '%2F')}"
    assert ada.post(asked, {"password": "wrong", "next": wanted}).status_code == 200
    assert ada.post(asked, {"password": PASSWORD, "next": wanted}).headers["Location"] == wanted
    assert ada.get(wanted).status_code == 200


def test_what_was_posted_too_late_is_not_kept_in_the_session(house):
    ada = house.browser(house.ada, minutes_ago=6)
    form = reverse("new_session_form", args=[house.team.slug, "aws", "iam-user"])
    answer = ada.post(
        form,
        {"secret_access_key": "wJalrXUtnFEMI/K7MDENG"},
        headers={"Referer": f"http://testserver{form}"},
    )
    assert answer.headers["Location"].endswith(form.replace("/", "%2F"))
    assert "wJalrXUtnFEMI" not in str(dict(ada.session.items()))


def test_a_live_part_that_needs_confirmation_sends_the_whole_page_there(house):
    ada = house.browser(house.ada, minutes_ago=6)
    answer = ada.post(
        reverse("new_group", args=[house.team.slug]),
        headers={"HX-Request": "true", "HX-Current-URL": "http://evil.example/"},
    )
    assert answer.headers["HX-Redirect"] == f"{reverse('account_reauthenticate')}?next=%2F"


# --- where one is logged in -----------------------------------------------------------------------


def test_the_list_of_log_ins_ends_the_others(house):
    here, there = Client(), Client()
    log_in(here, **{"User-Agent": "Here"})
    log_in(there, **{"User-Agent": "There"})
    page = here.get(reverse("usersessions_list")).content.decode()
    assert "There" in page
    assert here.post(reverse("usersessions_list")).status_code == 302
    assert here.get(reverse("account_email")).status_code == 200
    assert there.get(reverse("account_email")).status_code == 302


def test_the_clock_forgets_log_ins_that_have_ended(house):
    ended, open_still = house.browser(), house.browser()
    Session.objects.filter(pk=ended.session.session_key).update(expire_date=database_now())
    sweep_now()
    assert [each.pk for each in Session.objects.all()] == [open_still.session.session_key]


def test_a_new_password_ends_every_other_log_in(house):
    here, there = Client(), Client()
    log_in(here)
    log_in(there)
    words = {
        "oldpassword": PASSWORD,
        "password1": "another horse entirely",
        "password2": "another horse entirely",
    }
    assert here.post(reverse("account_change_password"), words).status_code == 302
    assert here.get(reverse("account_email")).status_code == 200
    assert there.get(reverse("account_email")).status_code == 302


def test_logging_out_clears_what_the_browser_keeps(house):
    answer = house.browser().post(reverse("account_logout"))
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'


# --- lost passwords -------------------------------------------------------------------------------


def test_without_mail_settings_the_page_for_lost_passwords_says_so(house):
    page = Client().get(reverse("account_reset_password"))
    assert "sends no mail" in page.content.decode()
    answer = Client().post(reverse("account_reset_password"), {"email": "ben@team.example"})
    assert answer.status_code == 409
    assert mail.outbox == []


@pytest.fixture
def mailing(settings):
    """Make an installation that sends mail; the outbox."""
    settings.MAIL_ENABLED = settings.ACCOUNT_EMAIL_NOTIFICATIONS = True
    settings.ACCOUNT_EMAIL_VERIFICATION = "optional"
    return mail.outbox


def links_to(address):
    """Return the paths in the mails to that address, the newest last."""
    bodies = [message.body for message in mail.outbox if message.to == [address]]
    return [
        link
        for body in bodies
        for link in re.findall(r"http://testserver(\S+/(?:key|confirm)/\S+)", body)
    ]


def ask_for(client, address):
    assert client.post(reverse("account_email"), {"email": address}).status_code == 302


def verify(client, address):
    assert client.post(links_to(address)[-1]).status_code == 302


def asks_for_reset(address):
    """Return the links to a new password that whoever has lost theirs gets at that address."""
    before = len(links_to(address))
    answer = Client().post(reverse("account_reset_password"), {"email": address})
    assert answer.headers["Location"] == reverse("account_reset_password_done")
    return links_to(address)[before:]


def email_of(house):
    return User.objects.get(pk=house.ben.user_id).email


def test_with_mail_settings_a_link_gives_a_new_password_once(house, mailing):
    ben = house.browser()
    ask_for(ben, "ben@team.example")
    verify(ben, "ben@team.example")
    secret = house.token()
    client = Client()
    [link] = asks_for_reset("ben@team.example")
    form = client.get(link).headers[
        "Location"
    ]  # the key goes into the session and out of the address
    assert all(message.body.count(form) == 0 for message in mailing)
    words = {"password1": "another horse entirely", "password2": "another horse entirely"}
    assert client.post(form, words).status_code == 302
    assert log_in(Client(), password="another horse entirely").status_code == 302
    assert "invalid link" in Client().get(link, follow=True).content.decode().lower()
    assert actor_of_token(secret) is None


def test_an_address_resets_no_password_until_its_link_was_opened(house, mailing):
    ben = house.browser()
    ask_for(ben, "Ben@team.example")
    assert email_of(house) == ""
    assert asks_for_reset("ben@team.example") == []
    assert (
        "A link was sent to ben@team.example" in ben.get(reverse("account_email")).content.decode()
    )
    assert (
        Client().get(links_to("ben@team.example")[-1]).status_code == 200
    )  # looking at it verifies nothing
    assert asks_for_reset("ben@team.example") == []
    verify(Client(), "ben@team.example")
    assert email_of(house) == "ben@team.example"
    assert len(asks_for_reset("ben@team.example")) == 1


def test_the_old_address_works_until_the_new_one_is_verified(house, mailing):
    ben = house.browser()
    ask_for(ben, "old@team.example")
    verify(ben, "old@team.example")
    ask_for(ben, "new@team.example")
    assert email_of(house) == "old@team.example"
    assert (len(asks_for_reset("old@team.example")), asks_for_reset("new@team.example")) == (1, [])
    told = [message.subject for message in mailing if message.to == ["old@team.example"]]
    assert any("about to change" in subject for subject in told)
    link = asks_for_reset("old@team.example")[0]
    verify(ben, "new@team.example")
    told = [message for message in mailing if message.to == ["old@team.example"]]
    assert "changed from old@team.example to new@team.example" in told[-1].body
    assert asks_for_reset("old@team.example") == []
    assert len(asks_for_reset("new@team.example")) == 1
    # Nor does a link that the old one got before.
    assert "invalid link" in Client().get(link, follow=True).content.decode().lower()


def test_a_link_verifies_the_address_it_was_sent_to_and_no_other(house, mailing):
    ben = house.browser()
    ask_for(ben, "mine@team.example")
    ask_for(ben, "theirs@team.example")
    [mine] = links_to("mine@team.example")
    assert Client().post(mine).status_code == 404
    assert email_of(house) == ""


def test_an_unverified_address_ends_with_a_new_password_or_suspension(house, mailing):
    ben = house.browser()
    ask_for(ben, "ben@team.example")
    verify(ben, "ben@team.example")
    for ends in (new_password, suspended_and_back):
        ask_for(house.browser(), "thief@else.example")
        ends(house)
        assert Client().post(links_to("thief@else.example")[-1]).status_code == 404
        assert email_of(house) == "ben@team.example"
    assert len(asks_for_reset("ben@team.example")) == 1


def new_password(house):
    house.ben.user.refresh_from_db()
    house.ben.user.set_password("another horse entirely")
    house.ben.user.save()


def suspended_and_back(house):
    set_person_active(house.ben.user, False, NamedActor("manage.py"))
    set_person_active(house.ben.user, True, NamedActor("manage.py"))
    house.ben.user.refresh_from_db()


def test_an_address_of_before_that_nobody_verified_resets_nothing(house, mailing):
    User.objects.filter(pk=house.ben.user_id).update(email="ben@team.example")
    assert asks_for_reset("ben@team.example") == []
    ben = house.browser()
    assert "not verified" in ben.get(reverse("account_email")).content.decode()
    ask_for(ben, "ben@team.example")
    verify(ben, "ben@team.example")
    assert len(asks_for_reset("ben@team.example")) == 1


def test_an_address_that_is_removed_is_told_and_resets_nothing(house, mailing):
    ben = house.browser()
    ask_for(ben, "ben@team.example")
    verify(ben, "ben@team.example")
    ask_for(ben, "")
    assert (email_of(house), asks_for_reset("ben@team.example")) == ("", [])
    assert any("has been removed" in message.body for message in mailing)


def test_nobody_verifies_an_address_that_is_anothers(house, mailing):
    for member in (house.bea, house.ben):
        browser = house.browser(member)
        ask_for(browser, "shared@team.example")
        Client().post(links_to("shared@team.example")[-1])
    assert email_of(house) == ""
    assert User.objects.get(pk=house.bea.user_id).email == "shared@team.example"


def test_without_mail_settings_no_address_is_changed(house):
    User.objects.filter(pk=house.ben.user_id).update(email="old@team.example")
    ben = house.browser()
    answer = ben.post(reverse("account_email"), {"email": "new@team.example"})
    assert answer.status_code == 422
    assert "sends no mail" in answer.content.decode()
    assert email_of(house) == "old@team.example"
    ask_for(ben, "")
    assert email_of(house) == ""


def test_who_signs_up_by_invitation_is_sent_a_link_to_verify(house, mailing):
    _, code = invite(Actor(house.ada), Role.MEMBER)
    guest = Client()
    guest.post(reverse("join"), {"code": code.reveal()})
    words = {"username": "gil", "email": "gil@team.example", "password1": PASSWORD}
    assert guest.post(reverse("account_signup"), words).status_code == 302
    assert asks_for_reset("gil@team.example") == []
    verify(guest, "gil@team.example")
    assert len(asks_for_reset("gil@team.example")) == 1


def test_an_unknown_address_gets_no_mail_and_the_same_answer(house, settings):
    settings.MAIL_ENABLED = True
    answer = Client().post(reverse("account_reset_password"), {"email": "nobody@team.example"})
    assert answer.headers["Location"] == reverse("account_reset_password_done")
    assert all(
        "nobody@team.example" not in message.to or "reset" not in message.body
        for message in mail.outbox
    )
