"""Pasted tabs, line breaks and zero-width marks: off at the ends, named inside."""

import importlib
import json

import pytest
from django.apps import apps
from django.urls import reverse

from sessions.models import AwsSession
from tests.api.tool import Api, chained

pytestmark = pytest.mark.django_db
AROUND = ["\t{}", "{}\r\n", "\u00a0{}\u00a0", "\ufeff{}", "{}\u200b"]
INSIDE = {
    "\t": "a tab",
    "\r\n": "a carriage return",
    "\u00a0": "a no-break space",
    "\u200b": "a zero width space",
}
TEXTS = {
    "alias": "Deploy now",
    "profile": "deploy",
    "region": "eu-west-1",
    "role_arn": "arn:aws:iam::111122223333:role/Deploy",
    "role_session_name": "{username}",
    "external_id": "c0ffee",
    "policy_arns": "arn:aws:iam::aws:policy/ReadOnlyAccess",
    "networks": "203.0.113.0/24",
}
KEY = {
    "alias": "Other key",
    "profile": "other",
    "region": "eu-west-1",
    "access_key_id": "AKIAIOSFODNN7EXAMPLE",
    "secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "mfa_serial": "arn:aws:iam::111122223333:mfa/ada",
}


def inside(text, unseen):
    return f"{text[:3]}{unseen}{text[3:]}"


def form_of(house):
    return {name: value for name, value in chained(house).items() if name != "kind"} | TEXTS


def page(house, kind):
    return reverse("new_session_form", args=[house.team.slug, "aws", kind])


@pytest.mark.parametrize("around", AROUND)
def test_what_is_around_a_text_goes_on_the_page_and_in_the_api(house, around):
    padded = {name: around.format(value) for name, value in TEXTS.items()}
    answer = house.browser(house.ben).post(page(house, "iam-role-chained"), form_of(house) | padded)
    assert answer.status_code == 302, answer.content
    body = chained(house) | padded | {"alias": around.format("By API")}
    sent = {
        name: [value] if name in {"policy_arns", "networks"} else value
        for name, value in body.items()
    }
    created = Api(house.token())("POST", "/sessions", sent)
    assert created.status_code == 201, created.content
    for alias in ("Deploy now", "By API"):
        session = AwsSession.objects.select_related("link").get(alias=alias)
        assert (session.profile, session.region) == ("deploy", "eu-west-1")
        assert session.link.role_arn == TEXTS["role_arn"]
        assert session.link.external_id == "c0ffee"
        assert session.link.networks == ["203.0.113.0/24"]


@pytest.mark.parametrize("around", AROUND)
def test_what_is_around_a_key_goes(house, around):
    padded = {name: around.format(value) for name, value in KEY.items()}
    assert house.browser(house.ada).post(page(house, "iam-user"), padded).status_code == 302
    root = AwsSession.objects.get(alias="Other key")
    assert root.settings == {"access_key_id": KEY["access_key_id"], "mfa_serial": KEY["mfa_serial"]}


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize(("unseen", "name"), INSIDE.items(), ids=["tab", "crlf", "nbsp", "zwsp"])
def test_what_is_inside_is_named_and_nothing_is_lost(house, field, unseen, name):
    typed = form_of(house) | {field: inside(TEXTS[field], unseen)}
    answer = house.browser(house.ben).post(page(house, "iam-role-chained"), typed)
    if field in {"policy_arns", "networks"} and unseen == "\r\n":
        return  # two lines, each with a message of its own
    form = answer.context["form"]
    assert answer.status_code == 422
    assert form.errors[field] == [f"It contains {name} at position 4."]
    assert list(form.errors) == [field]
    for other in set(TEXTS) - {field}:
        assert form[other].value() == typed[other]
    value = [typed[field]] if field in {"policy_arns", "networks"} else typed[field]
    refused = Api(house.token())("POST", "/sessions", chained(house, **{field: value}))
    assert refused.status_code == 422
    assert refused.json()["fields"] == {field: [f"It contains {name} at position 4."]}


@pytest.mark.parametrize("field", KEY)
def test_a_tab_in_a_key_is_named_and_the_secret_not_shown_again(house, field):
    typed = KEY | {field: inside(KEY[field], "\t")}
    answer = house.browser(house.ada).post(page(house, "iam-user"), typed)
    assert answer.status_code == 422
    assert answer.context["form"].errors == {field: ["It contains a tab at position 4."]}
    assert b"wJa" not in answer.content


def test_a_tag_with_a_tab_is_named(house):
    house.team.policy = None
    ada = Api(house.token(house.ada))
    assert ada("PATCH", "/policy", {"tags": {"ticket": []}}).status_code == 200
    answer = ada("POST", "/sessions", chained(house, tags={"ticket": "a\tb"}))
    assert "a tab" in answer.json()["fields"]["tags"][0]
    refused = ada("PATCH", "/policy", {"tags": "tic\tket"})
    assert refused.json()["fields"]["tags"] == ["It contains a tab at position 4."]


def test_the_second_of_several_lines_is_named(house):
    arns = ["arn:aws:iam::aws:policy/A", "arn:aws:iam\t::aws:policy/B"]
    answer = Api(house.token())("POST", "/sessions", chained(house, policy_arns=arns))
    assert answer.json()["fields"]["policy_arns"] == ["Line 2 contains a tab at position 12."]


def test_a_policy_may_have_lines_and_tabs_between_its_words_and_no_others(house):
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
    ben = Api(house.token())
    text = "\ufeff" + json.dumps(policy, indent="\t") + "\r\n"
    assert ben("POST", "/sessions", chained(house, policy=text)).status_code == 201
    odd = text.replace(": [", ":\u00a0[")
    answer = ben("POST", "/sessions", chained(house, policy=odd, alias="Other"))
    assert "a no-break space" in answer.json()["fields"]["policy"][0]


@pytest.mark.parametrize("name", ["Ops\tteam", "Ops\nteam", "Ops\u200bteam"])
def test_people_forms_name_it_too(house, name):
    ada = house.browser(house.ada)
    answer = ada.post(reverse("new_group", args=[house.team.slug]), {"name": name})
    assert answer.status_code == 422
    assert "at position 4" in answer.context["form"].errors["name"][0]
    answer = ada.post(
        reverse("person_name", args=[house.team.slug, house.ben.user_id]), {"aws_name": name}
    )
    assert answer.status_code == 422
    assert "at position 4" in answer.context["name_form"].errors["aws_name"][0]


def test_a_profile_of_the_older_grammar_is_renamed_and_meets_no_other(house):
    migration = importlib.import_module("sessions.migrations.0009_profile_names")
    old, taken, fine = (house.chained(alias, profile="x") for alias in ("Old", "Taken", "Fine"))
    for session, profile in ((old, "a=b,c"), (taken, "a_b_c"), (fine, "p/q")):
        AwsSession.objects.filter(pk=session.pk).update(profile=profile)
    migration.rename(apps, None)
    stored = dict(AwsSession.objects.values_list("alias", "profile"))
    assert (stored["Old"], stored["Taken"], stored["Fine"]) == ("a_b_c_2", "a_b_c", "p/q")
