"""Guessing a password stays slow, and failing under another's name keeps nobody out."""

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse

from sessions.monitoring import request_limits
from sessions.monitoring.request_limits import Limit
from tests.house import PASSWORD

pytestmark = pytest.mark.django_db

HERE, ELSEWHERE = "203.0.113.7", "198.51.100.9"
COOKIE = django_settings.KNOWN_BROWSER_COOKIE_NAME


def log_in(client, username="ben", password=PASSWORD, address=HERE):
    words = {"login": username, "password": password}
    return client.post(reverse("account_login"), words, REMOTE_ADDR=address)


def fails(address, times=6, username="ben", client=None):
    return [
        log_in(client or Client(), username, "wrong", address).status_code for _ in range(times)
    ]


def known_browser(address=HERE):
    """Make a browser in which ben has logged in, and out again."""
    browser = Client()
    assert log_in(browser, address=address).status_code == 302
    browser.post(reverse("account_logout"))
    return browser


def test_a_stranger_who_fails_at_another_address_keeps_nobody_out(house):
    assert fails(ELSEWHERE, 8) == [200] * 5 + [429] * 3
    assert log_in(Client(), address=ELSEWHERE).status_code == 429
    assert log_in(Client(), address=HERE).status_code == 302


@pytest.mark.parametrize("name", ["ben", "BEN", "Ben"])
def test_a_name_is_counted_once_however_it_is_written(house, name):
    fails(ELSEWHERE, 5)
    assert fails(ELSEWHERE, 1, username=name) == [429]


def test_a_known_browser_gets_in_beside_a_stranger_at_its_address(house):
    browser = known_browser()
    assert fails(HERE, 6)[-1] == 429
    assert log_in(browser).status_code == 302


def test_a_known_person_confirms_beside_a_stranger_at_their_address(house):
    browser = Client()
    log_in(browser)
    fails(HERE)
    answer = browser.post(
        reverse("account_reauthenticate"), {"password": PASSWORD}, REMOTE_ADDR=HERE
    )
    assert answer.status_code == 302


def test_a_browser_that_is_known_guesses_no_faster(house):
    assert fails(HERE, 6, client=known_browser()) == [200] * 5 + [429]


@pytest.fixture
def eight_an_hour(monkeypatch):
    """Make a limit that two addresses reach."""
    monkeypatch.setattr(request_limits, "LOG_IN", Limit("log-in", 8, 3600))


def test_who_guesses_from_many_addresses_is_slowed_down_as_well(house, eight_an_hour):
    assert fails("198.51.100.1", 5) + fails("198.51.100.2", 5) == [200] * 8 + [429] * 2
    assert fails("198.51.100.3", 1) == [429]
    assert fails("198.51.100.3", 1, username="bea") == [200]


def test_guesses_from_many_addresses_do_not_keep_a_known_browser_out(house, eight_an_hour):
    browser = known_browser()
    for number in range(3):
        fails(f"198.51.100.{number}", 5)
    assert log_in(Client(), address=ELSEWHERE).status_code == 429
    assert log_in(browser, address="192.0.2.55").status_code == 302  # wherever it is carried


def test_a_known_browser_is_known_for_one_person_and_by_no_other_cookie(house, eight_an_hour):
    value = known_browser().cookies[COOKIE].value
    for number in range(2):
        fails(f"198.51.100.{number}", 5)
        fails(f"198.51.100.{number}", 5, username="bea")
    for username, cookie in (
        ("bea", value),
        ("ben", value[:-1] + "x"),
        ("ben", "x:y:z"),
        ("ben", ""),
    ):
        forged = Client()
        forged.cookies[COOKIE] = cookie
        assert log_in(forged, username, address=ELSEWHERE).status_code == 429, cookie


def test_the_cookie_is_kept_for_90_days_and_says_no_name(house):
    cookie = known_browser().cookies[COOKIE]
    assert cookie["max-age"] == 90 * 24 * 3600
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert "ben" not in cookie.value


def test_a_second_log_in_keeps_the_browsers_own_count(house):
    browser = known_browser()
    fails(HERE, 3, client=browser)
    assert log_in(browser).status_code == 302
    browser.post(reverse("account_logout"))
    assert fails(HERE, 3, client=browser) == [200, 200, 429]
