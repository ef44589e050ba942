"""A form's page says beside the field what is wrong, and shows what was typed."""

import pytest
from django.forms import PasswordInput
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sessions.actors import Actor
from sessions.catalog.access import save_group
from sessions.exceptions import Refused
from sessions.views.people import access
from tests.api.tool import Api, chained
from tests.examples import examples

pytestmark = pytest.mark.django_db
FUZZ = settings(
    max_examples=examples(25),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
TYPED = st.one_of(
    st.sampled_from(
        [
            *(
                "",
                " ",
                "\t",
                "\x00",
                "a\tb",
                "a\r\nb",
                "\u202e",
                "\ufeffx",
                "a" * 3000,
                "é",
                "<b>",
                '"',
                "{",
                "{}",
            ),
            *(
                "%s",
                "-1",
                "0",
                "9" * 400,
                "1e9",
                "١٢",
                "[" * 2000,
                "null",
                "None",
                "true",
                "on",
                "everyone",
            ),
            *(
                "named",
                "admin",
                "{username}",
                "{alias}",
                "203.0.113.0/24",
                "a = b, c",
                "= x",
                "a\na",
            ),
            *(
                "arn:aws:iam::111122223333:role/X",
                "00000000-0000-0000-0000-000000000000",
                "99999999999999999999",
            ),
        ]
    ),
    st.text(max_size=20),
)


def pages(house):
    """{name: (address, its form in the context, what is right in it)}."""
    team = house.team.slug
    group = save_group(Actor(house.ada), "On call", [house.bea])
    leaf = house.chained("Leaf", profile="leaf")
    right = {name: value for name, value in chained(house).items() if name != "kind"}
    root = {"alias": "Root", "profile": "root", "region": "eu-west-1"}
    bea = house.bea.user_id

    def new(kind):
        return reverse("new_session_form", args=[team, "aws", kind])

    return {
        "chained": (new("iam-role-chained"), "form", right),
        "edited": (reverse("edit_session", args=[leaf.pk]), "form", right),
        "iam-user": (new("iam-user"), "form", root),
        "identity-center": (new("identity-center"), "form", root),
        "policy": (
            reverse("team_policy", args=[team]),
            "form",
            {"role_session_name": "{username}"},
        ),
        "access": (reverse("session_access", args=[leaf.pk]), "form", {"start": "everyone"}),
        "group": (reverse("group", args=[team, group.pk]), "form", {"name": "On duty"}),
        "invite": (reverse("invite", args=[team]), "form", {"role": "member", "days": "3"}),
        "role": (reverse("person_role", args=[team, bea]), "role_form", {}),
        "name": (reverse("person_name", args=[team, bea]), "name_form", {}),
        "token": (
            reverse("tokens", args=[team]),
            "form",
            {"name": "x", "days": "3", "scopes": ["read"]},
        ),
    }


FORMS = [
    *(
        "chained",
        "edited",
        "iam-user",
        "identity-center",
        "policy",
        "access",
        "group",
        "invite",
        "role",
        "name",
    ),
    *("token",),
]


@pytest.mark.parametrize("name", FORMS)
@FUZZ
@given(data=st.data())
def test_a_form_takes_anything_and_loses_nothing(house, name, data):
    Api(house.token(house.ada))(
        "PATCH", "/policy", {"tags": {"stage": ["test", "live"], "ticket": []}}
    )
    if not hasattr(house, "pages"):
        house.pages = pages(house)
    url, key, right = house.pages[name]
    ada = house.browser(house.ada)
    seen = ada.get(url.removesuffix("role/").removesuffix("name/"))
    form = seen.context[key]
    fields = [form.add_prefix(field) for field in form.fields]
    fields += ["version", "began", "theirs", "tags.stage", "tags.ticket", "tags"]
    typed = data.draw(st.dictionaries(st.sampled_from(fields), TYPED, min_size=1, max_size=4))
    answer = ada.post(url, right | typed)
    assert answer.status_code in (200, 302, 409, 422), answer.content
    if answer.status_code != 422:
        return
    again = answer.context[key]
    assert again.errors
    page = answer.content.decode()
    for field, errors in again.errors.items():
        assert all(errors)
        if field == "__all__":
            assert 'role="alert"' in page
    for bound in again:
        text = typed.get(bound.html_name)
        if (
            text is None
            or bound.name == "tags"
            or getattr(bound.field.widget, "allow_multiple_selected", False)
        ):
            continue
        if isinstance(bound.field.widget, PasswordInput):
            assert "value=" not in str(bound)
        else:
            assert bound.value() in (text, text == "on", bool(text)), bound.name


def test_a_tag_outside_the_policy_is_shown_again_and_not_dropped_unseen(house):
    ada = Api(house.token(house.ada))
    ada("PATCH", "/policy", {"tags": {"stage": ["test", "live"], "ticket": []}})
    leaf = house.chained("Leaf", tags=(("stage", "test"), ("ticket", "T1")), profile="leaf")
    house.team.policy.tags = [{"key": "stage", "values": ["live"]}]
    house.team.policy.save()
    url = reverse("edit_session", args=[leaf.pk])
    page = house.browser(house.ada).get(url).content.decode()
    assert '<option value="test" selected>' in page
    assert 'name="tags.ticket"' in page
    right = {name: value for name, value in chained(house).items() if name != "kind"}
    answer = house.browser(house.ada).post(url, right | {"tags.stage": "test", "tags.ticket": "T1"})
    assert answer.status_code == 422
    assert "tags" in answer.context["form"].errors
    page = answer.content.decode()
    assert '<option value="test" selected>' in page
    assert 'value="T1"' in page


def test_a_policy_that_is_refused_is_shown_as_it_was_typed(house):
    typed = '{"Version": "2012-10-17",  "Version": "x", "Statement": 1e9}'
    url = reverse("new_session_form", args=[house.team.slug, "aws", "iam-role-chained"])
    right = {name: value for name, value in chained(house).items() if name != "kind"}
    answer = house.browser(house.ada).post(url, right | {"policy": typed})
    assert answer.status_code == 422
    assert answer.context["form"]["policy"].value() == typed


def test_access_that_is_refused_under_the_lock_is_said_on_the_page(house, monkeypatch):
    leaf = house.chained("Leaf")

    def refuse(*arguments, **options):
        raise Refused("", "Choose people and groups of the session's own team.")

    monkeypatch.setattr(access, "set_access", refuse)
    answer = house.browser(house.ada).post(
        reverse("session_access", args=[leaf.pk]), {"start": "everyone", "assume": "named"}
    )
    assert answer.status_code == 422
    assert "own team" in answer.content.decode()
    assert answer.context["form"]["assume"].value() == "named"


def test_a_name_that_was_anothers_is_said_beside_the_field_and_kept(house):
    url = reverse("person_name", args=[house.team.slug, house.bea.user_id])
    answer = house.browser(house.ada).post(url, {"aws_name": "ben"})
    assert answer.status_code == 422
    form = answer.context["name_form"]
    assert "another person's" in form.errors["aws_name"][0]
    assert form["aws_name"].value() == "ben"
