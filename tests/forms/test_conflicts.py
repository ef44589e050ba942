"""Two people change one thing: the second sees both versions; nothing is lost."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.urls import reverse

from sessions.actors import Actor, NamedActor
from sessions.catalog.access import save_group, set_access
from sessions.catalog.audiences import Access, Audience
from sessions.exceptions import NotThere
from sessions.models import AwsSession, Membership, Role, SourceIdentity, TeamGroup, TeamPolicy
from sessions.people.memberships import change_role
from sessions.people.people import rename_in_cloudtrail
from tests.api.tool import Api, chained

pytestmark = pytest.mark.django_db


def opened(browser, url):
    """Return the page's form, and everything that a browser would send of it unchanged."""
    form = browser.get(url).context["form"]
    return {"version": form.version, "began": form.began_json}


@pytest.fixture
def leaf(house):
    return house.chained("Leaf", member=house.ben, profile="leaf")


def fields_of(session, **changes):
    link = session.link
    return {
        "alias": session.alias,
        "profile": session.profile,
        "region": session.region,
        "role_arn": link.role_arn,
        "role_session_name": link.role_session_name,
        "assumer": str(link.assumer_id),
    } | changes


def test_the_second_to_save_a_session_sees_both_versions_and_loses_nothing(house, leaf):
    url = reverse("edit_session", args=[leaf.pk])
    ada, ben = house.browser(house.ada), house.browser(house.ben)
    of_ada, of_ben = opened(ada, url), opened(ben, url)
    assert (
        ada.post(url, fields_of(leaf, region="eu-central-1", profile="adas") | of_ada).status_code
        == 302
    )
    answer = ben.post(url, fields_of(leaf, alias="Bens", profile="bens") | of_ben)
    assert answer.status_code == 409
    form, page = answer.context["form"], answer.content.decode()
    assert "ada saved a change" in page
    assert "Your changes are not saved yet" in page
    # What ben typed is still there, and beside it what ada saved.
    assert (form["alias"].value(), form["profile"].value()) == ("Bens", "bens")
    assert (form["alias"].theirs, form["profile"].theirs, form["region"].theirs) == (
        "Leaf",
        "adas",
        "eu-central-1",
    )
    assert not hasattr(form["role_arn"], "theirs")
    # Only where ben had changed nothing is ada's ticked beforehand.
    assert form["region"].takes_theirs
    assert not form["alias"].takes_theirs
    assert AwsSession.objects.get(pk=leaf.pk).alias == "Leaf"
    chosen = fields_of(leaf, alias="Bens", profile="bens") | {
        "version": form.version,
        "began": form.began_json,
        "theirs": ["region", "profile"],
    }
    assert ben.post(url, chosen).status_code == 302
    saved = AwsSession.objects.get(pk=leaf.pk)
    assert (saved.alias, saved.profile, saved.region) == ("Bens", "adas", "eu-central-1")


def test_a_third_change_while_choosing_is_told_as_well(house, leaf):
    url = reverse("edit_session", args=[leaf.pk])
    ada, ben = house.browser(house.ada), house.browser(house.ben)
    of_ben = opened(ben, url)
    ada.post(url, fields_of(leaf, alias="Adas"))
    form = ben.post(url, fields_of(leaf, alias="Bens") | of_ben).context["form"]
    ada.post(url, fields_of(leaf, alias="Adas again"))
    answer = ben.post(
        url, fields_of(leaf, alias="Bens") | {"version": form.version, "began": form.began_json}
    )
    assert answer.status_code == 409
    assert answer.context["form"]["alias"].theirs == "Adas again"


def test_who_saved_the_same_is_not_bothered(house, leaf):
    url = reverse("edit_session", args=[leaf.pk])
    of_ben = opened(house.browser(house.ben), url)
    house.browser(house.ada).post(url, fields_of(leaf, alias="Same"))
    assert (
        house.browser(house.ben).post(url, fields_of(leaf, alias="Same") | of_ben).status_code
        == 302
    )


def test_what_was_wrong_is_said_first_and_the_version_seen_is_kept(house, leaf):
    url = reverse("edit_session", args=[leaf.pk])
    ben = house.browser(house.ben)
    of_ben = opened(ben, url)
    house.browser(house.ada).post(url, fields_of(leaf, alias="Adas"))
    answer = ben.post(url, fields_of(leaf, profile="a b") | of_ben)
    assert answer.status_code == 422
    assert answer.context["form"].version == int(of_ben["version"])


@pytest.mark.parametrize(
    ("version", "began"),
    [("x", ""), ("-1", "{"), ("9" * 30, "[1]"), ("١", "[" * 10_000), ("", "null")],
)
def test_hidden_fields_that_were_tampered_with_do_no_harm(house, leaf, version, began):
    url = reverse("edit_session", args=[leaf.pk])
    sent = fields_of(leaf) | {
        "version": version,
        "began": began,
        "theirs": ["nonsense", "__class__"],
    }
    assert house.browser(house.ben).post(url, sent).status_code == 302


def test_every_kind_of_field_can_be_taken_from_the_other(house, leaf):
    Api(house.token(house.ada))(
        "PATCH", "/policy", {"tags": {"stage": ["test", "live"], "ticket": []}}
    )
    url = reverse("edit_session", args=[leaf.pk])
    ada, ben = house.browser(house.ada), house.browser(house.ben)
    of_ben = opened(ben, url)
    other = house.chained("Other hub")
    adas = {
        "assumer": str(other.pk),
        "tags.stage": "live",
        "tags.ticket": "T 1",
        "transitive_tag_keys": ["stage", "ticket"],
        "policy_arns": "arn:aws:iam::aws:policy/ReadOnlyAccess",
        "networks": "203.0.113.0/24\n198.51.100.0/24",
        "policy": (
            '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource":'
            ' "*"}]}'
        ),
        "without_source_identity": "on",
        "external_id": "c0ffee",
    }
    assert ada.post(url, fields_of(leaf) | adas).status_code == 302
    answer = ben.post(url, fields_of(leaf, alias="Bens") | of_ben)
    form = answer.context["form"]
    differing = {bound.name for bound in form if hasattr(bound, "theirs")}
    assert differing == {"alias", *(name.partition(".")[0] for name in adas)}
    assert form["assumer"].theirs == "Other hub"
    assert form["without_source_identity"].theirs == "yes"
    assert {name for name in differing if form[name].takes_theirs} == differing - {"alias"}
    again = fields_of(leaf, alias="Bens") | {
        "version": form.version,
        "began": form.began_json,
        "theirs": sorted(differing - {"alias"}),
    }
    assert ben.post(url, again).status_code == 302
    saved = AwsSession.objects.select_related("link").get(pk=leaf.pk)
    assert saved.alias == "Bens"
    link = saved.link
    assert (link.assumer_id, link.external_id, link.without_source_identity) == (
        other.pk,
        "c0ffee",
        True,
    )
    assert dict(link.tags) == {"stage": "live", "ticket": "T 1"}
    assert link.transitive_tag_keys == ["stage", "ticket"]
    assert link.networks == ["203.0.113.0/24", "198.51.100.0/24"]
    assert link.policy_arns == ["arn:aws:iam::aws:policy/ReadOnlyAccess"]
    assert link.policy.startswith('{"Version"')


def test_a_box_can_be_taken_back_to_empty(house, leaf):
    url = reverse("edit_session", args=[leaf.pk])
    ada, ben = house.browser(house.ada), house.browser(house.ben)
    ada.post(url, fields_of(leaf, without_source_identity="on", networks="203.0.113.0/24"))
    of_ben = opened(ben, url)
    ada.post(url, fields_of(leaf))
    mine = fields_of(leaf, without_source_identity="on", networks="203.0.113.0/24", alias="Bens")
    form = ben.post(url, mine | of_ben).context["form"]
    taken = {"version": form.version, "theirs": ["without_source_identity", "networks"]}
    assert ben.post(url, mine | taken).status_code == 302
    link = AwsSession.objects.select_related("link").get(pk=leaf.pk).link
    assert (link.without_source_identity, link.networks) == (False, [])


def test_a_roots_new_secret_is_not_lost_to_an_older_page(house):
    url = reverse("edit_session", args=[house.root.pk])
    ada = house.browser(house.ada)
    seen = opened(ada, url)
    key = house.sts.add_user("second", account="111122223333")
    new = {"access_key_id": key.access_key_id, "secret_access_key": key.secret_access_key.reveal()}
    rest = {"alias": "Root key", "profile": "root-key", "region": "eu-west-1"}
    assert ada.post(url, rest | new | seen).status_code == 302
    before = AwsSession.objects.get(pk=house.root.pk)
    other = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    typed = rest | {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": other} | seen
    answer = ada.post(url, typed)
    assert answer.status_code == 409
    assert answer.context["form"]["access_key_id"].theirs == key.access_key_id
    assert "enter it again" in answer.context["form"].errors["secret_access_key"][0]
    assert other.encode() not in answer.content
    after = AwsSession.objects.get(pk=house.root.pk)
    assert bytes(after.sealed_secrets) == bytes(before.sealed_secrets)


def test_access_policy_group_role_and_name_tell_the_second_as_well(house, leaf):
    group = save_group(Actor(house.ada), "On call", [house.bea])
    team, ada = house.team, house.browser(house.ada)
    person = reverse("person", args=[team.slug, house.bea.user_id])
    person_page = ada.get(person).context
    pages = {
        name: opened(ada, url)
        for name, url in (
            ("access", reverse("session_access", args=[leaf.pk])),
            ("policy", reverse("team_policy", args=[team.slug])),
            ("group", reverse("group", args=[team.slug, group.pk])),
        )
    }
    role, name = (
        {"version": form.version, "began": form.began_json}
        for form in (person_page["role_form"], person_page["name_form"])
    )
    # Meanwhile somebody else…
    set_access(
        leaf, Access(Audience(everyone=False, members=[house.bea]), Audience()), NamedActor("eve")
    )
    Api(house.token(house.ada))("PATCH", "/policy", {"activation_hours": 5})
    save_group(Actor(house.ada), "On duty", [house.ben], group)
    change_role(Membership.objects.get(pk=house.bea.pk), Role.AUDITOR, NamedActor("eve"))
    rename_in_cloudtrail(house.bea, "bea-new", NamedActor("eve"))

    answer = ada.post(
        reverse("session_access", args=[leaf.pk]),
        {"start": "named", "start_people": [house.ben.pk], "assume": "everyone"} | pages["access"],
    )
    assert answer.status_code == 409
    assert answer.context["form"]["start_people"].theirs == "bea (auditor)"
    assert "eve saved a change" in answer.content.decode()

    answer = ada.post(
        reverse("team_policy", args=[team.slug]),
        {
            "role_session_name": "x-{username}",
            "source_identity": "off",
            "activation_hours": "12",
            "token_days": "90",
            "scoping": "off",
            "snippet_minutes": "60",
        }
        | pages["policy"],
    )
    assert answer.status_code == 409
    form = answer.context["form"]
    assert (form["activation_hours"].theirs, form["activation_hours"].takes_theirs) == ("5", True)
    assert form["role_session_name"].theirs == "{username}"

    url = reverse("group", args=[team.slug, group.pk])
    answer = ada.post(url, {"name": "On call!", "members": [house.bea.pk]} | pages["group"])
    assert answer.status_code == 409
    assert answer.context["form"]["name"].theirs == "On duty"
    assert answer.context["form"]["members"].theirs == "ben (member)"

    answer = ada.post(
        reverse("person_role", args=[team.slug, house.bea.user_id]), {"role-role": "admin"} | role
    )
    assert answer.status_code == 409
    assert answer.context["role_form"]["role"].theirs == "auditor"
    assert answer.context["role_form"]["role"].value() == "admin"

    answer = ada.post(
        reverse("person_name", args=[team.slug, house.bea.user_id]), {"aws_name": "bea-mine"} | name
    )
    assert answer.status_code == 409
    assert answer.context["name_form"]["aws_name"].theirs == "bea-new"

    assert TeamPolicy.of(team.pk).role_session_name == "{username}"
    assert TeamGroup.objects.get().name == "On duty"
    bea = Membership.objects.select_related("user").get(pk=house.bea.pk)
    assert (bea.role, bea.user.aws_name) == (Role.AUDITOR, "bea-new")


def test_what_was_built_below_meanwhile_is_not_deleted_unseen(house, leaf):
    url = reverse("delete_session", args=[leaf.pk])
    ada = house.browser(house.ada)
    below = ada.get(url).context["below"]
    house.chained("Built meanwhile", leaf)
    answer = ada.post(url, {"below": below}, follow=True)
    assert "Built meanwhile" in answer.content.decode()
    assert "Nothing is deleted yet" in answer.content.decode()
    assert AwsSession.objects.filter(pk=leaf.pk).exists()
    assert ada.post(url, {"below": answer.context["below"]}).status_code == 302
    assert not AwsSession.objects.filter(alias="Built meanwhile").exists()


# --- the API --------------------------------------------------------------------------------------


def test_the_api_answers_versions_and_honours_if_match(house):
    ben = Api(house.token())
    created = ben("POST", "/sessions", chained(house))
    assert (created.headers["ETag"], created.json()["version"]) == ('"1"', 1)
    path = f"/sessions/{created.json()['id']}"
    read = ben("GET", path)
    assert read.headers["ETag"] == '"1"'
    assert [each["version"] for each in ben("GET", "/sessions").json()] == [1, 1]
    changed = ben("PATCH", path, {"alias": "Second"}, **{"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["ETag"], changed.json()["version"]) == (
        200,
        '"2"',
        2,
    )
    for stale in ('"1"', 'W/"1"', '"0", "1"', "2", "nonsense", '"*"'):
        refused = ben("PATCH", path, {"alias": "Third"}, **{"If-Match": stale})
        assert (refused.status_code, refused.json()["code"]) == (412, "changed")
        assert refused.headers["ETag"] == '"2"'
    for right in ('"2"', 'W/"2"', '"1", "2"', "*"):
        assert ben("GET", path).json()["version"] == 2
        assert ben("DELETE", path, **{"If-Match": '"1"'}).status_code == 412
        answer = ben("PATCH", path, {"alias": "Second"}, **{"If-Match": right})
        assert answer.status_code == 200
        AwsSession.objects.filter(pk=created.json()["id"]).update(version=2)
    assert ben("DELETE", path, **{"If-Match": '"2"'}).status_code == 204


def test_a_version_in_the_body_is_honoured_with_409(house, leaf):
    ben, path = Api(house.token()), f"/sessions/{leaf.pk}"
    assert ben("PATCH", path, {"alias": "A", "version": 1}).status_code == 200
    stale = ben("PATCH", path, {"alias": "B", "version": 1})
    assert (stale.status_code, stale.json()["code"]) == (409, "changed")
    for wrong in ("1", True, 1.0, [1]):
        assert "version" in ben("PATCH", path, {"alias": "B", "version": wrong}).json()["fields"]
    assert ben("PATCH", path, {"alias": "B", "version": None}).status_code == 200
    assert "version" in ben("POST", "/sessions", chained(house, version=1)).json()["fields"]


def test_status_and_use_change_no_version(house, leaf):
    ben, path = Api(house.token()), f"/sessions/{leaf.pk}"
    ben("POST", f"{path}/start")
    house.work()
    assert ben("GET", path).json()["version"] == 1


def test_access_and_policy_honour_if_match_too(house, leaf):
    ada = Api(house.token(house.ada))
    path = f"/sessions/{leaf.pk}/access"
    closed = {"start": {"everyone": False}}
    first = ada("GET", path).headers["ETag"]
    assert ada("PUT", path, closed, **{"If-Match": first}).headers["ETag"] == '"2"'
    assert ada("PUT", path, {}, **{"If-Match": first}).status_code == 412
    assert ada("GET", path).json()["start"]["everyone"] is False
    policy = ada("GET", "/policy")
    assert policy.headers["ETag"] == '"1"'
    assert (
        ada("PATCH", "/policy", {"activation_hours": 5}, **{"If-Match": '"1"'}).headers["ETag"]
        == '"2"'
    )
    assert (
        ada("PATCH", "/policy", {"activation_hours": 6}, **{"If-Match": '"1"'}).status_code == 412
    )
    assert ada("PATCH", "/policy", {"activation_hours": 6}).headers["ETag"] == '"3"'


def test_what_a_worker_changes_raises_the_version(house):
    TeamPolicy.objects.create(team=house.team, source_identity=SourceIdentity.WHERE_POSSIBLE)
    session = house.chained("No identity", arn=house.role_arn("NoId", actions=["sts:TagSession"]))
    house.start(session)
    house.work()
    stored = AwsSession.objects.select_related("link").get(pk=session.pk)
    assert stored.link.without_source_identity
    assert stored.version == 2


# --- at the same moment ---------------------------------------------------------------------------


def at_once(works):
    """Run them in threads that begin together; return their results."""
    barrier = threading.Barrier(len(works))

    def run(work):
        barrier.wait()
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


@pytest.mark.django_db(transaction=True)
def test_of_many_who_saw_one_version_one_wins(lasting_house):
    house = lasting_house
    ben = Api(house.token())
    path = f"/sessions/{ben('POST', '/sessions', chained(house)).json()['id']}"
    for _ in range(5):
        seen = ben("GET", path).headers["ETag"]
        answers = at_once(
            [
                lambda number=number, seen=seen: another(ben)(
                    "PATCH", path, {"alias": f"A{number}"}, **{"If-Match": seen}
                )
                for number in range(6)
            ]
        )
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200] + [412] * 5
        [won] = [answer.json()["alias"] for answer in answers if answer.status_code == 200]
        assert ben("GET", path).json()["alias"] == won


@pytest.mark.django_db(transaction=True)
def test_without_if_match_changes_of_different_fields_all_stay(lasting_house):
    house = lasting_house
    ben = Api(house.token())
    path = f"/sessions/{ben('POST', '/sessions', chained(house)).json()['id']}"
    for number in range(4):
        wanted = {"alias": f"A{number}", "profile": f"p{number}", "external_id": f"id{number}"}
        answers = at_once(
            [
                lambda field=field, value=value: another(ben)("PATCH", path, {field: value})
                for field, value in wanted.items()
            ]
        )
        assert {answer.status_code for answer in answers} == {200}
        stored = ben("GET", path).json()
        assert {name: stored[name] for name in wanted} == wanted


@pytest.mark.django_db(transaction=True)
def test_an_edit_that_meets_a_deletion_brings_nothing_back(lasting_house):
    house = lasting_house
    ben = Api(house.token())
    for number in range(4):
        made = ben("POST", "/sessions", chained(house, alias=f"Doomed {number}")).json()
        path = f"/sessions/{made['id']}"
        gone, edited = at_once(
            [
                lambda path=path: another(ben)("DELETE", path),
                lambda path=path, number=number: another(ben)(
                    "PATCH", path, {"alias": f"Back {number}"}
                ),
            ]
        )
        assert gone.status_code == 204
        assert edited.status_code in (200, 404)
        assert ben("GET", path).status_code == 404


def test_a_deleted_group_is_not_brought_back_by_an_older_page(house):
    group = save_group(Actor(house.ada), "On call", [])
    url = reverse("group", args=[house.team.slug, group.pk])
    stale = TeamGroup.objects.get()
    TeamGroup.objects.all().delete()
    assert house.browser(house.ada).post(url, {"name": "Back"}).status_code == 404
    with pytest.raises(NotThere):
        save_group(Actor(house.ada), "Back", [], stale)
    assert not TeamGroup.objects.exists()


def another(api):
    """Return the same tool with a client of its own, for a thread."""
    other = Api(None)
    other.headers = api.headers
    return other
