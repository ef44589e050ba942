"""End a login twelve hours after it began.

Whatever is saved, confirmed or proved again in between.
"""

import time
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from sessions.login.session_store import BEGAN_KEY
from tests.house import PASSWORD
from tests.login.browsers import log_in

pytestmark = pytest.mark.django_db

HOUR = 3600


def began(client, hours_ago):
    """Make the browser's login that much older, as if nothing had happened since."""
    session = client.session
    session[BEGAN_KEY] -= int(hours_ago * HOUR)
    session.save()


def hours_left(client, settings):
    """By the browser's cookie where one was set just now, and by the database."""
    stored = Session.objects.get(pk=client.session.session_key).expire_date - timezone.now()
    return round(stored / timedelta(hours=1), 1)


def cookie_hours(answer, settings):
    return round(answer.cookies[settings.SESSION_COOKIE_NAME]["max-age"] / HOUR, 1)


@pytest.fixture
def client(house):
    client = Client()
    log_in(client)
    return client


def test_a_log_in_begins_with_twelve_hours(house, settings):
    client = Client()
    answer = log_in(client)
    assert cookie_hours(answer, settings) == hours_left(client, settings) == 12


SAVES = {
    "a message": lambda client: client.post(reverse("account_email"), {"email": ""}),
    "a confirmation": lambda client: client.post(
        reverse("account_reauthenticate"), {"password": PASSWORD}
    ),
    "a new password": lambda client: client.post(
        reverse("account_change_password"),
        {
            "oldpassword": PASSWORD,
            "password1": "another horse entirely",
            "password2": "another horse entirely",
        },
    ),
    "a login over it": lambda client: client.force_login(client.house_user),
}


@pytest.mark.parametrize("name", SAVES)
def test_nothing_that_is_saved_prolongs_it(house, client, settings, name):
    began(client, 11)
    client.house_user = house.ben.user
    answer = SAVES[name](client)
    assert hours_left(client, settings) == 1
    if answer is not None and settings.SESSION_COOKIE_NAME in answer.cookies:
        assert cookie_hours(answer, settings) == 1


def test_a_log_in_ends_after_12_h_though_the_cookie_is_kept(house, client):
    began(client, 12.01)
    assert (
        client.get(reverse("account_email"))
        .headers["Location"]
        .startswith(reverse("account_login"))
    )
    assert "_auth_user_id" not in client.session


def test_whoever_logs_in_after_logging_out_begins_anew(house, client, settings):
    began(client, 11)
    client.post(reverse("account_logout"))
    log_in(client)
    assert hours_left(client, settings) == 12


def test_another_persons_log_in_in_the_same_browser_is_its_own(house, client, settings):
    began(client, 11)
    client.force_login(house.bea.user)
    assert hours_left(client, settings) == 12


def test_a_log_in_from_before_the_upgrade_ends_12_h_after_its_next_save(house, client, settings):
    session = client.session
    del session[BEGAN_KEY]
    session.save()
    assert client.session[BEGAN_KEY] == pytest.approx(time.time(), abs=5)
    began(client, 3)
    assert hours_left(client, settings) == 9


def test_the_list_of_log_ins_does_not_show_those_that_are_over(house, client):
    other = Client()
    log_in(other, **{"User-Agent": "Gone"})
    began(other, 12.01)
    assert "Gone" not in client.get(reverse("usersessions_list")).content.decode()
