"""No page fails for what stands in an address, on either database."""

import pytest
from django.test import Client
from django.urls import reverse

from sessions.forms.ledger import EventSearchForm

pytestmark = pytest.mark.django_db
ODD = [
    "%00",
    "a%00b",
    "%ff",
    "%ed%a0%80",
    "%E2%80%AE",
    "9" * 400,
    "-1",
    "%25",
    "_",
    "'",
    "%5B",
    "None",
    "a" * 3000,
]


def addresses(house, odd):
    team, leaf = house.team.slug, house.chained("Leaf")
    yield f"{reverse('session_list', args=[team])}?q={odd}&status={odd}"
    for purpose in ("assumer", "token", "preview"):
        url = reverse("session_choices", args=[team, purpose])
        for name in ("q", "editing", "assumer", "session", "sessions", "chosen", "name"):
            yield f"{url}?{name}={odd}"
        names = ("assumer.q", "sessions.q", "session.q", "assumer", "session", "q")
        yield f"{url}?" + "&".join(f"{name}={odd}" for name in names)
    yield f"{reverse('new_session_form', args=[team, 'aws', 'iam-role-chained'])}?assumer={odd}"
    yield f"{reverse('session_names', args=[leaf.pk])}?as={odd}"
    for name in (*EventSearchForm.base_fields, "before"):
        yield f"{reverse('events', args=[team])}?{name}={odd}"
    yield f"/teams/{team}/audit/events/{odd}/"
    yield f"/teams/{odd}/"
    yield f"/teams/{team}/people/{odd}/"
    yield f"/sessions/{odd}/"
    yield f"/sessions/{leaf.pk}/snippets/{odd}/"


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_no_page_fails_for_what_stands_in_its_address(house, odd):
    ada = house.browser(house.ada)
    for address in addresses(house, odd):
        answer = ada.get(address)
        assert answer.status_code < 500, address


@pytest.mark.parametrize("odd", ["\x00", "a\x00b", "9" * 400, "\u202e"])
def test_no_form_before_log_in_fails_for_what_is_typed(house, odd):
    nobody = Client()
    for name, typed in (
        ("account_login", {"login": odd, "password": odd}),
        ("account_signup", {"username": odd, "password1": odd, "email": odd}),
        ("account_reset_password", {"email": odd}),
        ("join", {"code": odd}),
        ("accept_invitation", {"code": odd}),
    ):
        assert nobody.post(reverse(name), typed).status_code < 500, name
    ada = house.browser(house.ada)
    leaf = house.chained("Leaf")
    for address, typed in (
        (reverse("choose", args=[house.root.pk]), {"account_id": odd}),
        (reverse("give_code", args=[leaf.pk]), {"code": odd, "next": odd}),
        (
            reverse("test_session", args=[house.team.slug, "iam-user"]),
            {"session": odd, "alias": odd},
        ),
        (reverse("preview_session", args=[house.team.slug]), {"as": odd, "assumer": odd}),
        (reverse("preview_policy", args=[house.team.slug]), {"as": odd, "session": odd}),
        (
            reverse("tokens", args=[house.team.slug]),
            {"sessions": [odd], "name": odd, "sessions.q": odd},
        ),
    ):
        assert ada.post(address, typed).status_code < 500, address


@pytest.mark.parametrize(
    "back", ["//evil.example/", "https://evil.example/", "/\\evil.example", "home", "a b", ""]
)
def test_the_way_back_is_a_path_of_ours_or_the_sessions_page(house, back):
    leaf = house.chained("Leaf")
    answer = house.browser().post(reverse("start_session", args=[leaf.pk]), {"next": back})
    assert answer.headers["Location"] == reverse("session", args=[leaf.pk])
