"""Give sessions without a role session name the team's default.

Also when the default changes.
"""

import importlib
import itertools

import pytest
from django.apps import apps
from django.urls import reverse

from sessions.models import AssumerLink, AwsSession, Move, TeamPolicy
from tests.api.tool import Api, chained

pytestmark = pytest.mark.django_db
BLANKS = ["", "   ", "\t", "\u00a0", None]
LEFT_OUT = object()


def set_policy(house, **changes):
    answer = Api(house.token(house.ada))("PATCH", "/policy", changes)
    assert answer.status_code == 200, answer.content


def body(house, name, **changes):
    fields = chained(house, role_session_name=name, **changes)
    if name is LEFT_OUT:
        del fields["role_session_name"]
    return fields


def said_to_aws(house):
    return {call["role_session_name"] for call in house.sts.calls if "role_session_name" in call}


@pytest.mark.parametrize("name", [LEFT_OUT, *BLANKS], ids=repr)
def test_left_out_blank_or_null_is_the_teams_default_by_the_api(house, name):
    set_policy(house, role_session_name="{team}-{username}")
    created = Api(house.token())("POST", "/sessions", body(house, name))
    assert created.status_code == 201, created.content
    answer = created.json()
    assert answer["role_session_name"] == "{team}-{username}"
    assert answer["role_session_name_is_default"] is True
    assert answer["cloudtrail_name"] == "platform-ben"
    assert AssumerLink.objects.get(pk=answer["id"]).role_session_name == ""


@pytest.mark.parametrize("name", [LEFT_OUT, "", "  ", "\t"], ids=repr)
def test_left_out_or_blank_is_the_teams_default_on_the_page(house, name):
    typed = {key: value for key, value in body(house, name).items() if key != "kind"}
    url = reverse("new_session_form", args=[house.team.slug, "aws", "iam-role-chained"])
    answer = house.browser().post(url, typed)
    assert answer.status_code == 302, answer.content
    assert AssumerLink.objects.get(session__alias="Deploy").role_session_name == ""


def test_what_the_page_showed_and_was_left_as_it_is_pins_nothing(house):
    url = reverse("new_session_form", args=[house.team.slug, "aws", "iam-role-chained"])
    ben = house.browser()
    assert ben.get(url).context["form"]["role_session_name"].value() == "{username}"
    typed = {key: value for key, value in body(house, "{username}").items() if key != "kind"}
    assert ben.post(url, typed).status_code == 302
    link = AssumerLink.objects.get(session__alias="Deploy")
    assert link.role_session_name == ""
    set_policy(house, role_session_name="{team}.{username}")
    page = reverse("edit_session", args=[link.pk])
    assert ben.get(page).context["form"]["role_session_name"].value() == "{team}.{username}"
    ben.post(page, typed | {"role_session_name": "{team}.{username}"})
    assert AssumerLink.objects.get().role_session_name == ""
    ben.post(page, typed | {"role_session_name": "own-{username}"})
    assert AssumerLink.objects.get().role_session_name == "own-{username}"
    ben.post(page, typed | {"role_session_name": "{team}.{username}"})
    assert AssumerLink.objects.get().role_session_name == "{team}.{username}"
    ben.post(page, typed | {"role_session_name": ""})
    assert AssumerLink.objects.get().role_session_name == ""


def test_what_it_says_is_sent_to_aws_and_follows_the_policy(house):
    [other] = house.chain(1, name="mine-{username}")
    session = AwsSession.objects.get(
        pk=Api(house.token())("POST", "/sessions", body(house, "")).json()["id"]
    )
    for each in (session, other):
        house.start(each)
    house.work()
    assert said_to_aws(house) == {"ben", "mine-ben"}
    set_policy(house, role_session_name="{alias}-{username}")
    house.work()
    assert said_to_aws(house) == {"ben", "mine-ben", "Deploy-ben"}


def test_a_patch_to_blank_goes_back_to_the_default(house):
    ben = Api(house.token())
    own = ben("POST", "/sessions", body(house, "x-{username}")).json()
    assert own["role_session_name_is_default"] is False
    for blank, number in zip(["", " ", None], itertools.count()):
        path = f"/sessions/{own['id']}"
        back = ben("PATCH", path, {"role_session_name": blank}).json()
        assert (back["role_session_name"], back["role_session_name_is_default"]) == (
            "{username}",
            True,
        )
        mine = ben("PATCH", path, {"role_session_name": f"x{number}-{{username}}"}).json()
        assert mine["role_session_name_is_default"] is False


def test_what_was_answered_and_is_sent_back_pins_nothing(house):
    ben = Api(house.token())
    made = ben("POST", "/sessions", body(house, LEFT_OUT)).json()
    sent = {name: made[name] for name in ("alias", "region", "role_session_name", "external_id")}
    after = ben("PATCH", f"/sessions/{made['id']}", sent | {"alias": "Renamed"}).json()
    assert (after["alias"], after["role_session_name_is_default"]) == ("Renamed", True)


def test_blank_is_right_where_a_person_is_demanded_or_the_name_is_locked(house):
    set_policy(house, username_demanded=True)
    ben = Api(house.token())
    assert ben("POST", "/sessions", body(house, "")).status_code == 201
    assert ben("POST", "/sessions", body(house, "fixed", alias="Other")).status_code == 422
    set_policy(house, names_locked=True)
    locked = ben("POST", "/sessions", body(house, "", alias="Locked"))
    assert (locked.status_code, locked.json()["cloudtrail_name"]) == (201, "ben")
    set_policy(house, names_locked=False, role_session_name="x.{username}")
    assert ben("GET", f"/sessions/{locked.json()['id']}").json()["cloudtrail_name"] == "x.ben"


def test_who_has_no_name_is_counted_by_the_default(house):
    made = Api(house.token())("POST", "/sessions", body(house, "")).json()
    ada = Api(house.token(house.ada))
    assert ada("GET", "/policy/unnamed").json() == []
    set_policy(house, role_session_name="shared")
    [unnamed] = ada("GET", "/policy/unnamed").json()
    assert (unnamed["id"], unnamed["template"]) == (made["id"], "shared")


def test_a_default_by_which_somebody_would_go_by_anothers_name_is_refused(house):
    Api(house.token())("POST", "/sessions", body(house, ""))
    answer = Api(house.token(house.ada))("PATCH", "/policy", {"role_session_name": "bea"})
    assert answer.status_code == 422
    assert "Deploy" in answer.json()["fields"]["role_session_name"][0]


def test_a_handle_that_the_default_shows_is_refused(house):
    Api(house.token())("POST", "/sessions", body(house, ""))
    set_policy(house, role_session_name="shared")
    ada = house.browser(house.ada)
    ada.post(
        reverse("person_name", args=[house.team.slug, house.bea.user_id]), {"aws_name": "shared"}
    )
    house.bea.user.refresh_from_db()
    assert house.bea.user.aws_name == "bea"


def test_the_preview_shows_what_a_blank_name_becomes(house):
    typed = {key: value for key, value in body(house, "").items() if key != "kind"}
    page = house.browser().post(reverse("preview_session", args=[house.team.slug]), typed)
    assert "assumed-role/Deploy/ben" in page.content.decode()


def test_an_alias_that_is_not_ascii_reaches_aws_readable(house):
    odd = {"name": "{alias}", "arn": house.role_arn("Odd")}
    session = house.chained("Größe 東京", profile="a", **odd)
    other = house.chained("Größe 大阪", profile="b", **odd)
    for each in (session, other):
        house.start(each)
    house.work()
    names = said_to_aws(house)
    assert len(names) == 2
    assert all(name.startswith("Grosse+") for name in names)


def test_after_the_upgrade_what_is_started_by_an_alias_moves(house):
    migration = importlib.import_module("sessions.migrations.0010_alias_names")
    house.start(house.chained("Größe", name="{alias}", arn=house.role_arn("Odd")))
    migration.have_names_follow(apps, None)
    assert Move.objects.get().team_id == house.team.pk
    Move.objects.all().delete()
    AssumerLink.objects.update(role_session_name="")
    migration.have_names_follow(apps, None)
    assert not Move.objects.exists()
    TeamPolicy.objects.create(team=house.team, role_session_name="{alias}")
    migration.have_names_follow(apps, None)
    assert Move.objects.exists()
