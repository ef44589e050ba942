"""Make a team what a file says: all or nothing, once, with the rights of who does it."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sessions.actors import Actor, NamedActor
from sessions.catalog.access import save_group
from sessions.forms.declared.apply import PlanChanged, apply_document
from sessions.forms.declared.reading import Faulty, read
from sessions.models import AwsSession, Scope
from sessions.people.tokens import actor_of_token, create_token

pytestmark = pytest.mark.django_db
FILE = """
groups:
  - name: On call
    people: [ben, bea]
sessions:
  - alias: Leaf
    assumer: Hub
    profile: leaf
    region: eu-west-1
    role_arn: arn:aws:iam::111122223333:role/Leaf
    labels: [managed, billing]
    access:
      start: {groups: [On call]}
  - alias: Hub
    assumer: Root key
    profile: hub
    region: eu-west-1
    role_arn: arn:aws:iam::111122223333:role/Hub
    external_id: 12345
    labels: [managed]
"""


def apply(house, text, member=None, **how):
    return apply_document(read(text.encode()), Actor(member or house.ada), **how)


def names(result):
    return [(str(each.made), each.what, each.name) for each in result.changes]


def kinds(house, since):
    return [event.kind for event in house.events()[since:]]


def faults(house, text, **how):
    with pytest.raises(Faulty) as caught:
        apply(house, text, **how)
    return [(each.line, each.message) for each in caught.value.faults]


def test_a_file_is_applied_once_with_an_event_for_each_change(house):
    since = len(house.events())
    result = apply(house, FILE)
    assert names(result) == [
        ("create", "group", "On call"),
        ("create", "session", "Hub"),
        ("create", "session", "Leaf"),
        ("change", "access", "Leaf"),
    ]
    created = ["group.created", "session.created", "session.created", "session.access"]
    assert kinds(house, since) == created
    leaf = AwsSession.objects.get(alias="Leaf")
    assert leaf.link.assumer.link.external_id == "12345"
    assert not leaf.open_to_start
    again = apply(house, FILE)
    assert (names(again), again.unchanged) == ([], 3)
    assert kinds(house, since) == created
    assert AwsSession.objects.get(alias="Leaf").version == leaf.version


def test_a_dry_run_shows_the_same_and_changes_nothing(house):
    since = len(house.events())
    shown = apply(house, FILE, dry_run=True)
    assert not shown.applied
    assert kinds(house, since) == []
    assert not AwsSession.objects.filter(alias="Hub").exists()
    assert apply(house, FILE, expected=shown).changes == shown.changes


def test_what_was_shown_and_is_otherwise_by_now_is_not_applied(house):
    shown = apply(house, FILE, dry_run=True)
    save_group(Actor(house.ada), "On call", [house.ben])
    with pytest.raises(PlanChanged):
        apply(house, FILE, expected=shown)
    assert not AwsSession.objects.filter(alias="Hub").exists()


def test_the_difference_names_fields_and_no_defaults(house):
    apply(house, FILE)
    edited = FILE.replace("external_id: 12345", "external_id: other").replace(
        "[managed, billing]", "[managed]"
    )
    result = apply(house, edited)
    assert [(each.name, dict(each.fields)) for each in result.changes] == [
        ("Hub", {"external_id": ("12345", "other")}),
        ("Leaf", {"labels": (["billing", "managed"], ["managed"])}),
    ]
    assert "\n".join(result.lines()) == (
        "~ “Hub”\n    external_id: 12345 → other\n"
        "~ “Leaf”\n    labels: billing, managed → managed\n"
        "2 to change; 1 unchanged."
    )


def test_one_fault_takes_everything_back_and_each_has_its_line(house):
    since = len(house.events())
    bad = FILE.replace("role/Hub", "user/Hub").replace("profile: leaf", "profile: a]b")
    found = faults(house, bad)
    assert {line for line, _ in found} >= {18}
    assert kinds(house, since) == []
    assert not AwsSession.objects.filter(alias__in=["Hub", "Leaf"]).exists()


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("assumer: Root key", "assumer: Leaf", 7, "circle: “Leaf” (line 7) from “Hub” (line 15)"),
        ("assumer: Root key", "assumer: Nobody", 15, "neither in the file nor in the team"),
        ("alias: Hub", "alias: leaf", 14, "“leaf” stands here twice, first at line 6"),
        ("people: [ben, bea]", "people: [ben, cal]", 4, "Not in the team: cal."),
        ("groups: [On call]", "groups: [Off call]", 13, "no such group: Off call"),
        ("external_id: 12345", "external-id: 12345", 19, "no field “external-id”"),
        ("assumer: Hub", "kind: gcp", 7, "no such kind"),
        ("start: {groups", "begin: {groups", 13, "no field “begin”"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(house, old, new, line, message):
    found = faults(house, FILE.replace(old, new, 1))
    assert any(at == line and message in said for at, said in found), found


def test_a_circle_through_what_the_file_does_not_have_is_named(house):
    apply(house, FILE)
    moved = (
        "sessions:\n  - alias: Hub\n    assumer: Leaf\n    profile: hub\n    region: eu-west-1\n"
    )
    moved += "    role_arn: arn:aws:iam::111122223333:role/Hub\n"
    [(line, message)] = faults(house, moved)
    assert (line, "circle" in message) == (3, True)


def test_chains_are_turned_over_though_too_long_in_between(house):
    house.chain(5)
    text = "sessions:\n"
    for number, assumer in (
        (1, "Hop 2"),
        (2, "Hop 3"),
        (3, "Hop 4"),
        (4, "Hop 5"),
        (5, "Root key"),
    ):
        hop = AwsSession.objects.get(alias=f"Hop {number}")
        text += f"  - {{alias: Hop {number}, assumer: {assumer}, profile: {hop.profile},"
        text += f" region: eu-west-1, role_arn: '{hop.link.role_arn}',"
        text += " role_session_name: '{username}'}\n"
    assert len(apply(house, text).changes) == 5
    assert [each.alias for each in AwsSession.objects.get(alias="Hop 1").chain()] == [
        "Root key",
        *(f"Hop {number}" for number in (5, 4, 3, 2, 1)),
    ]


ROOT = """
sessions:
  - alias: New root
    kind: iam-user
    profile: new-root
    region: eu-west-1
    access_key_id: AKIAIOSFODNN7EXAMPLE
    secret_access_key: ${THE_SECRET}
"""
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def test_a_roots_secret_comes_from_the_environment_and_is_shown_nowhere(house):
    result = apply(house, ROOT, secrets={"THE_SECRET": SECRET}.get)
    assert dict(result.changes[0].fields)["secret_access_key"] == (None, "(set)")
    assert SECRET not in str(result.to_json())
    assert apply(house, ROOT, secrets={"THE_SECRET": SECRET}.get).changes == ()
    without = ROOT.replace("    secret_access_key: ${THE_SECRET}\n", "")
    assert apply(house, without).changes == ()


@pytest.mark.parametrize(
    ("text", "source", "message"),
    [
        (ROOT.replace("${THE_SECRET}", SECRET), {}.get, "never written in the file"),
        (ROOT, {}.get, "no variable THE_SECRET"),
        (ROOT, None, "Only `manage.py apply`"),
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(house, text, source, message):
    [(line, said)] = faults(house, text, secrets=source)
    assert (line, message in said) == (8, True)
    assert SECRET not in said


def test_a_root_that_is_not_there_needs_its_secret(house):
    text = ROOT.replace("    secret_access_key: ${THE_SECRET}\n", "")
    assert any("secret_access_key" in said for _, said in faults(house, text))


def test_pruning_deletes_what_has_the_label_and_is_not_in_the_file(house):
    apply(house, FILE)
    house.chained("Stays")
    hub_alone = FILE.partition("  - alias: Leaf")[0] + "  - alias" + FILE.split("  - alias")[2]
    since = len(house.events())
    assert names(apply(house, hub_alone, prune="billing")) == [("delete", "session", "Leaf")]
    assert kinds(house, since) == ["session.deleted"]
    nothing = "sessions: []"
    house.chained("On it", AwsSession.objects.get(alias="Hub"))
    [(_, message)] = faults(house, nothing, prune="managed")
    assert "“Hub” has the label" in message
    assert "On it" in message
    AwsSession.objects.get(alias="On it").link.delete()
    AwsSession.objects.get(alias="On it").delete()
    assert names(apply(house, nothing, prune="managed")) == [("delete", "session", "Hub")]
    assert AwsSession.objects.filter(alias="Stays").exists()


def test_without_pruning_nothing_is_deleted(house):
    apply(house, FILE)
    assert apply(house, "sessions: []").changes == ()


def test_it_takes_the_rights_of_the_form(house):
    others = FILE.replace("groups:\n  - name: On call\n    people: [ben, bea]\n", "", 1)
    apply(house, FILE)
    edited = others.replace("external_id: 12345", "external_id: other")
    with pytest.raises(Faulty) as caught:
        apply(house, edited, member=house.ben)
    assert caught.value.status == 403
    with pytest.raises(Faulty) as caught:
        apply(house, ROOT, member=house.ben, secrets={"THE_SECRET": SECRET}.get)
    assert caught.value.status == 403


def test_groups_take_the_scope_for_people(house):
    scopes = [each for each in Scope if each != Scope.PEOPLE]
    token = create_token(house.ada, "t", NamedActor("tests"), scopes=scopes)
    with pytest.raises(Faulty) as caught:
        apply_document(read(FILE.encode()), actor_of_token(token))
    assert caught.value.status == 403


def test_what_is_unchanged_costs_little(house):
    text = "sessions:\n"
    for number in range(20):
        session = house.chained(f"S{number}")
        text += f"  - {{alias: S{number}, assumer: Root key, profile: s{number},"
        text += f" region: eu-west-1, role_arn: '{session.link.role_arn}',"
        text += " role_session_name: '{username}'}\n"
    with CaptureQueriesContext(connection) as captured:
        assert apply(house, text).unchanged == 20
    assert len(captured) < 60
