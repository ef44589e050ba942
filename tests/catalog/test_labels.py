"""Labels sort sessions, and a sensitive one marks every session that has it."""

import pytest
from django.urls import reverse

from sessions.actors import Actor
from sessions.catalog.labels import (
    delete_label,
    labels_in_use,
    save_label,
    validate_labels,
)
from sessions.catalog.sessions import save_session
from sessions.exceptions import Refused, RightLost
from sessions.ledger.events.labels import LabelDeleted, LabelEdited
from sessions.ledger.events.sessions import SessionCreated, SessionEdited
from sessions.models import Activation, AwsSession, Credential, Label
from tests.api.tool import Api
from tests.house import TeamFixture, draft_of

pytestmark = pytest.mark.django_db


def save(session, actor, **changes):
    return save_session(draft_of(session, **changes), Actor(actor), session)


def stored(session):
    return AwsSession.objects.get(pk=session.pk)


def edit_label(house, called, member=None, **changes):
    label = Label.objects.get(team=house.team, name=called)
    said = {"name": label.name, "colour": label.colour, "is_sensitive": label.is_sensitive}
    return save_label(label.pk, Actor(member or house.ada), **said | changes)


@pytest.mark.parametrize("name", ["", " x", "-x", "a,b", "é", "a\nb", "x" * 51, "x\n"])
def test_a_label_outside_the_legal_set_is_refused(name):
    with pytest.raises(ValueError, match=r"is no label|is longer"):
        validate_labels([name])


def test_names_that_differ_in_case_alone_are_one_label():
    assert validate_labels(["Prod", "prod", "billing"]) == ("Prod", "billing")
    with pytest.raises(ValueError, match="at most 20"):
        validate_labels([f"label {number}" for number in range(21)])


def test_a_label_is_made_on_first_use_and_found_whatever_its_case(house):
    one = house.chained("One")
    save(one, house.ada, labels=("Production", "billing"))
    two = house.chained("Two", member=house.ben)
    save(two, house.ben, labels=("PRODUCTION",))
    assert [each.name for each in stored(two).labels_shown] == ["Production"]
    assert [each.name for each in stored(one).labels_shown] == ["billing", "Production"]
    assert {each.label.name: each.sessions for each in labels_in_use(house.team)} == {
        "billing": 1,
        "Production": 2,
    }


def test_another_teams_label_of_that_name_stays_its_own(house, sts):
    other_house = TeamFixture(sts, "other")
    one, theirs = house.chained("One"), other_house.chained("One")
    save(one, house.ada, labels=("production",))
    save(theirs, other_house.ada, labels=("production",))
    assert Label.objects.filter(name="production").count() == 2
    assert {each.team_id for each in stored(one).labels_shown} == {house.team.pk}


def test_events_carry_labels_as_they_were_and_as_they_are(house):
    one = house.chained("One")
    save(one, house.ada, labels=("a", "b"))
    save(one, house.ada, labels=("b", "c"), sensitive=True)
    created, first, second = (
        house.events(SessionCreated)[-1],
        *house.events(SessionEdited),
    )
    assert "labels" not in created.data
    assert first.data["labels"] == ["a", "b"]
    assert first.data["before"] == {"labels": None}
    assert (second.data["labels"], second.data["sensitive"]) == (["b", "c"], True)
    assert second.data["before"] == {"labels": ["a", "b"], "sensitive": None}


def test_labelling_a_session_asks_aws_for_nothing_new(house):
    one = house.chained("One", member=house.ben)
    house.start(one)
    house.work()
    credential = Activation.objects.get(session=one).credential_id
    before = Credential.objects.get(pk=credential).access_key_id
    save(one, house.ben, labels=("a",))
    house.work()
    assert Activation.objects.get(session=one).credential_id == credential
    assert Credential.objects.get(pk=credential).access_key_id == before


def test_a_sensitive_label_marks_its_sessions_until_no_mark_is_left(house):
    one, two, own = house.chained("One"), house.chained("Two"), house.chained("Own")
    save(one, house.ada, labels=("a",))
    save(two, house.ada, labels=("a", "b"))
    save(own, house.ada, labels=("a",), sensitive=True)
    edit_label(house, "b", is_sensitive=True)
    assert [stored(each).is_sensitive for each in (one, two, own)] == [False, True, True]
    edit_label(house, "a", is_sensitive=True)
    assert [stored(each).is_sensitive for each in (one, two, own)] == [True, True, True]
    edit_label(house, "a", is_sensitive=False)
    assert [stored(each).is_sensitive for each in (one, two, own)] == [False, True, True]
    assert house.events(LabelEdited)[-1].data["before"] == {"is_sensitive": True}
    save(two, house.ada, labels=("a",))
    assert not stored(two).is_sensitive


def test_an_owner_marks_a_session_and_cannot_take_the_mark_off(house):
    one = house.chained("One", member=house.ben)
    save(one, house.ben, labels=("a",), sensitive=True)
    edit_label(house, "a", is_sensitive=True)
    with pytest.raises(Refused, match="Only an admin") as refused:
        save(one, house.ben, sensitive=False)
    assert refused.value.field == "sensitive"
    with pytest.raises(Refused, match="marks the session") as refused:
        save(one, house.ben, labels=())
    assert refused.value.field == "labels"
    assert stored(one).is_sensitive
    save(one, house.ada, labels=(), sensitive=False)
    assert not stored(one).is_sensitive


def test_an_admins_token_cannot_take_a_mark_off(house):
    one = house.chained("One")
    save(one, house.ada, sensitive=True)
    api = Api(house.token(house.ada))
    answer = api("PATCH", f"/sessions/{one.pk}", {"sensitive": False})
    assert answer.status_code == 422
    assert list(answer.json()["fields"]) == ["sensitive"]
    assert stored(one).is_sensitive


def test_a_second_session_with_a_sensitive_role_is_sensitive_too(house):
    arn = house.role_arn("Break-glass")
    one = house.chained("One", arn=arn)
    save(one, house.ada, sensitive=True)
    again = house.chained("Another way", arn=arn, member=house.ben)
    assert stored(again).is_sensitive
    assert house.events(SessionCreated)[-1].data["sensitive"] is True
    moved = house.chained("Moved here", member=house.ben)
    save(moved, house.ben, role_arn=arn)
    assert stored(moved).is_sensitive


def test_only_admins_edit_a_label_and_delete_one_that_nobody_uses(house):
    one = house.chained("One")
    save(one, house.ada, labels=("a",))
    label = Label.objects.get()
    with pytest.raises(RightLost):
        edit_label(house, "a", house.ben, colour="red")
    with pytest.raises(Refused, match="take it off"):
        delete_label(label.pk, Actor(house.ada))
    save(one, house.ada, labels=())
    delete_label(label.pk, Actor(house.ada))
    assert not Label.objects.exists()
    assert house.events(LabelDeleted)[-1].data == {"name": "a"}


def test_a_label_cannot_take_anothers_name_or_an_unknown_colour(house):
    save(house.chained("One"), house.ada, labels=("a", "b"))
    with pytest.raises(Refused, match="already has a label"):
        edit_label(house, "b", name="A")
    with pytest.raises(Refused) as refused:
        edit_label(house, "b", colour="mauve")
    assert refused.value.field == "colour"
    assert sorted(Label.objects.values_list("name", flat=True)) == ["a", "b"]


def test_the_api_takes_and_answers_labels_as_a_list_of_names(house):
    api = Api(house.token(house.ada))
    one = house.chained("One")
    assert api("GET", f"/sessions/{one.pk}").json()["labels"] == []
    answer = api("PATCH", f"/sessions/{one.pk}", {"labels": ["production", "billing"]})
    assert answer.json()["labels"] == ["billing", "production"]
    assert answer.json()["is_sensitive"] is False
    kept = api("PATCH", f"/sessions/{one.pk}", {"profile": "other"})
    assert kept.json()["labels"] == ["billing", "production"]
    assert [
        each["labels"] for each in api("GET", "/sessions").json() if each["alias"] == "One"
    ] == [["billing", "production"]]
    refused = api("PATCH", f"/sessions/{one.pk}", {"labels": ["a,b"]})
    assert (refused.status_code, list(refused.json()["fields"])) == (422, ["labels"])


def test_the_list_is_found_and_filtered_by_label(house):
    save(house.chained("Alpha"), house.ada, labels=("production",))
    house.chained("Beta")
    browser, url = house.browser(), reverse("session_list", args=[house.team.slug])
    for query in ({"q": "produc"}, {"label": "PRODUCTION"}):
        page = browser.get(url, query).content.decode()
        assert "Alpha" in page
        assert "Beta" not in page
    assert "No session is labelled" in browser.get(url, {"label": "x"}).content.decode()


def test_labels_of_a_whole_team_are_read_with_one_query(house, django_assert_max_num_queries):
    browser, url = house.browser(), reverse("session_list", args=[house.team.slug])
    save(house.chained("Alpha"), house.ada, labels=("a", "b"))
    browser.get(url)
    with django_assert_max_num_queries(100) as few:
        browser.get(url)
    for number in range(4):
        save(house.chained(f"S {number}"), house.ada, labels=("a", f"label {number}"))
    with django_assert_max_num_queries(len(few)):
        browser.get(url)
