"""An edit makes nobody somebody else: others' activations end with a notice."""

from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sessions.activations import moves
from sessions.activations.start_stop import dismiss_notice, rotate_session, start_sessions
from sessions.activations.status import Status
from sessions.actors import Actor, NamedActor
from sessions.catalog.access import set_access
from sessions.catalog.audiences import Access, Audience
from sessions.catalog.sessions import save_session
from sessions.catalog.team_policy import PolicyDraft, save_policy
from sessions.chains.identity import identity_of
from sessions.delivery.reveal import NotReady, reveal
from sessions.engine import rotation
from sessions.ledger.events.sessions import SessionEndedByEdit
from sessions.models import (
    Activation,
    AwsSession,
    Credential,
    Ended,
    Problem,
    TeamPolicy,
)
from sessions.people.people import rename_in_cloudtrail
from sessions.people.tokens import create_token
from sessions.secret import Secret
from tests.api.tool import Api
from tests.house import crowd, draft_of

pytestmark = pytest.mark.django_db
ELSEWHERE = "222233334444"


def edit(house, session, by=None, **changes):
    stored = AwsSession.objects.get(pk=session.pk)
    saved = save_session(draft_of(stored, **changes), Actor(by or house.ada), stored)
    house.work()
    return saved


@pytest.fixture
def started(house):
    """Make a chain of three whose leaf ben and ada have active."""
    sessions = house.chain(3)
    for member in (house.ben, house.ada):
        house.start(sessions[-1], member)
    house.work()
    return sessions


def is_active(house, session, member):
    return house.state(session, member).status is Status.ACTIVE


def role_in(house, session, member):
    return Activation.objects.get(session=session, user=member.user).credential.request["role_arn"]


def other_key(house):
    key = house.sts.add_user("somebody-else", account=ELSEWHERE)
    return {
        "settings": {"access_key_id": key.access_key_id},
        "secrets": {"secret_access_key": key.secret_access_key},
    }


# (which session of root, first, middle and leaf is edited, how, and what the notice calls it)
CHANGES = {
    "role": (3, lambda house: {"role_arn": house.role_arn("Other")}, "the role of “{alias}”"),
    "account": (
        3,
        lambda house: {"role_arn": house.role_arn("Other", ELSEWHERE)},
        "the account of “{alias}”",
    ),
    "assumer": (
        3,
        lambda house: {"assumer": house.chained("Side door")},
        "what “{alias}” is assumed from",
    ),
    "role above": (2, lambda house: {"role_arn": house.role_arn("Other")}, "the role of “{alias}”"),
    "assumer above": (
        1,
        lambda house: {"assumer": house.iam_user("Other root")},
        "what “{alias}” is assumed from",
    ),
    "key of the root": (0, other_key, "the identity of the root “{alias}”"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_edit_of_the_identity_ends_what_others_have_started(house, started, change):
    place, changes, what = CHANGES[change]
    edited = [house.root, *started][place]
    leaf = started[-1]
    edit(house, edited, **changes(house))
    state = house.state(leaf, house.ben)
    assert state.status is Status.INACTIVE
    assert state.problem.code == "IdentityChanged"
    assert state.problem.message == f"Ended because ada changed {what.format(alias=edited.alias)}."
    [event] = house.events(SessionEndedByEdit)
    assert (event.actor, event.data["of"], event.session_alias) == ("ada", "ben", leaf.alias)
    with pytest.raises(NotReady):
        reveal(leaf, Actor(house.ben), form="process", via="tests")
    assert is_active(house, leaf, house.ada)
    assert reveal(leaf, Actor(house.ada), form="process", via="tests")


KEPT = {
    "alias": (2, {"alias": "Renamed"}),
    "region": (3, {"region": "us-west-2"}),
    "profile": (3, {"profile": "another"}),
    "external id": (2, {"external_id": "an-external-id"}),
    "name": (3, {"role_session_name": "{username}-x"}),
    "root's region": (0, {"region": "us-west-2"}),
    "root's alias": (0, {"alias": "Renamed root"}),
}


@pytest.mark.parametrize("change", KEPT)
def test_an_edit_that_leaves_the_identity_moves_everybody_on(house, started, change):
    place, changes = KEPT[change]
    edit(house, [house.root, *started][place], **changes)
    for member in (house.ben, house.ada):
        assert is_active(house, started[-1], member)
        assert reveal(started[-1], Actor(member), form="process", via="tests")
    assert not house.events(SessionEndedByEdit)


def test_the_same_key_with_another_secret_is_the_same_user(house, started):
    root = AwsSession.objects.get(pk=house.root.pk)
    key_id = root.settings["access_key_id"]
    edit(house, root, secrets={"secret_access_key": Secret(house.sts.rules.keys[key_id].secret)})
    assert is_active(house, started[-1], house.ben)


def test_a_key_that_a_test_found_to_be_the_same_users_moves_everybody_on(house, started):
    arn = f"arn:aws:iam::{ELSEWHERE}:user/landing-zone"
    AwsSession.objects.filter(pk=house.root.pk).update(identity_arn=arn)
    edit(house, house.root, **other_key(house), identity_arn=arn)
    assert is_active(house, started[-1], house.ben)
    edit(house, house.root, **other_key(house), identity_arn=arn.replace("landing-zone", "eve"))
    assert not is_active(house, started[-1], house.ben)


def test_a_key_in_place_of_one_that_aws_refuses_mends_the_root(house, started):
    Credential.objects.filter(level=0).update(problem=Problem("InvalidClientTokenId", 0, "", ""))
    edit(house, house.root, **other_key(house))
    assert is_active(house, started[-1], house.ben)


def test_a_policy_and_a_new_name_move_everybody_on(house, started):
    policy = PolicyDraft.of(TeamPolicy.of(house.team.pk))
    save_policy(
        replace(policy, role_session_name="x-{username}", names_locked=True), Actor(house.ada)
    )
    rename_in_cloudtrail(house.ben, "benjamin", NamedActor("ada"))
    house.work()
    assert is_active(house, started[-1], house.ben)


def test_a_change_that_is_taken_back_ends_it_all_the_same(house, started):
    leaf = started[-1]
    before = leaf.link.role_arn
    edit(house, leaf, role_arn=house.role_arn("Other"))
    edit(house, leaf, role_arn=before)
    assert house.state(leaf, house.ben).status is Status.INACTIVE


def test_starting_again_forgets_the_notice(house, started):
    leaf = started[-1]
    edit(house, leaf, role_arn=house.role_arn("Other"))
    house.start(leaf, house.ben)
    house.work()
    assert house.state(leaf, house.ben).problem is None
    assert role_in(house, leaf, house.ben).endswith("/Other")
    assert not Ended.objects.exists()


def test_a_notice_can_be_dismissed(house, started):
    leaf = started[-1]
    edit(house, leaf, role_arn=house.role_arn("Other"))
    dismiss_notice(leaf, Actor(house.ben))
    assert house.state(leaf, house.ben).problem is None


def test_by_the_api_one_dismisses_ones_own_notice_alone(house, started):
    leaf = started[-1]
    house.start(leaf, house.bea)
    edit(house, leaf, role_arn=house.role_arn("Other"))
    path = f"/sessions/{leaf.pk}/dismiss"
    for scopes in (["read"], ["read", "credentials", "manage"]):
        answer = Api(create_token(house.ben, f"{scopes[-1]}", NamedActor("ben"), scopes=scopes))(
            "POST", path
        )
        assert (answer.status_code, answer.json()["fields"]) == (403, {"scope": ["use"]})
    answer = Api(create_token(house.ben, "use", NamedActor("ben"), scopes=["use"]))("POST", path)
    assert (answer.status_code, answer.json()["problem"]) == (200, None)
    assert house.state(leaf, house.ben).problem is None
    assert house.state(leaf, house.bea).problem.code == "IdentityChanged"
    set_access(leaf, Access(Audience(everyone=False), Audience(everyone=False)), Actor(house.ada))
    assert (
        Api(house.token(house.bea))("POST", path).json()["problem"] is None
    )  # though closed to her by now


def test_rotating_is_no_way_to_become_somebody_else(house, started, monkeypatch):
    leaf = started[-1]
    monkeypatch.setattr(moves, "AT_ONCE", 0)
    edit(house, leaf, role_arn=house.role_arn("Other"))
    assert Activation.objects.filter(session=leaf, user=house.ben.user).exists()
    assert not rotate_session(leaf, Actor(house.ben))
    assert house.state(leaf, house.ben).problem.code == "IdentityChanged"


def test_what_a_worker_comes_to_later_is_handed_to_nobody_meanwhile(house, started, monkeypatch):
    leaf = started[-1]
    monkeypatch.setattr(moves, "AT_ONCE", 0)
    edit(house, leaf, role_arn=house.role_arn("Other"))
    with pytest.raises(NotReady):
        reveal(leaf, Actor(house.ada), form="process", via="tests")
    moves.work_off(60)
    house.work()
    assert house.state(leaf, house.ben).problem.message.startswith(
        "Ended because ada changed the role"
    )
    assert is_active(house, leaf, house.ada)


def test_who_asks_before_a_worker_comes_is_told_at_once_whose_edit_it_was(
    house, started, monkeypatch
):
    leaf = started[-1]
    monkeypatch.setattr(moves, "AT_ONCE", 0)
    edit(house, leaf, role_arn=house.role_arn("Other"))
    with pytest.raises(NotReady):
        reveal(leaf, Actor(house.ben), form="process", via="tests")
    assert house.state(leaf, house.ben).problem.message.startswith(
        "Ended because ada changed the role"
    )


def test_two_edits_before_a_worker_comes_move_neither_editor_along(house, started, monkeypatch):
    leaf = started[-1]
    monkeypatch.setattr(moves, "AT_ONCE", 0)
    ann = house.person("ann", "admin")
    edit(house, leaf, role_arn=house.role_arn("Other"))
    edit(house, leaf, ann, role_arn=house.role_arn("Third"))
    moves.work_off(60)
    house.work()
    assert house.state(leaf, house.ada).problem.message.startswith(
        "Ended because ann changed the role"
    )


def test_an_activation_of_before_the_upgrade_ends_as_well(house, started):
    Activation.objects.update(identity=None)
    edit(house, started[1], alias="Renamed")
    assert is_active(house, started[-1], house.ben)
    edit(house, started[1], role_arn=house.role_arn("Other"))
    assert house.state(started[-1], house.ben).problem.code == "IdentityChanged"
    assert is_active(house, started[-1], house.ada)


def test_a_root_with_another_key_signs_nothing_for_what_has_not_moved(
    house, sts, started, monkeypatch
):
    monkeypatch.setattr(moves, "AT_ONCE", 0)
    Credential.objects.filter(level__gt=0).update(
        sealed=None, expires_at=None, due_at=house.root.created_at
    )
    sts.calls.clear()
    save_session(
        draft_of(house.root, **other_key(house)),
        Actor(house.ada),
        AwsSession.objects.get(pk=house.root.pk),
    )
    rotation.run(seconds=0.5)
    assert sts.calls == []


def test_a_patch_by_token_ends_others_as_a_form_does(house, started):
    leaf = started[-1]
    api = Api(house.token(house.ada))
    answer = api("PATCH", f"/sessions/{leaf.pk}", {"role_arn": house.role_arn("Other", ELSEWHERE)})
    assert answer.status_code == 200, answer.content
    theirs = Api(house.token(house.ben))
    said = theirs("GET", f"/sessions/{leaf.pk}").json()
    assert (said["status"], said["problem"]["code"]) == ("inactive", "IdentityChanged")
    refused = theirs("GET", f"/sessions/{leaf.pk}/credentials")
    assert refused.status_code == 409
    assert "ada changed the account" in refused.json()["message"]


def test_list_and_page_say_who_ended_it_until_it_is_dismissed(house, started):
    leaf = started[-1]
    edit(house, leaf, role_arn=house.role_arn("Other"))
    ben = house.browser(house.ben)
    pages = [reverse("session_list", args=[house.team.slug]), reverse("session", args=[leaf.pk])]
    for page in pages:
        assert "Ended because ada changed the role of" in ben.get(page).content.decode()
    assert ben.post(reverse("dismiss_notice", args=[leaf.pk])).status_code == 302
    for page in pages:
        assert "Ended because" not in ben.get(page).content.decode()
    assert "Ended because" not in house.browser(house.ada).get(pages[1]).content.decode()


def test_the_editors_own_go_along_in_one_statement_however_many(house, started):
    def written(role):
        with CaptureQueriesContext(connection) as run:
            save_session(
                draft_of(started[0], role_arn=house.role_arn(role)),
                Actor(house.ada),
                AwsSession.objects.get(pk=started[0].pk),
            )
        said = [each["sql"] for each in run]
        return [len(sql) for sql in said if sql.startswith('UPDATE "chains_activation" SET "ide')]

    written("First")
    few = written("Other")
    more = crowd(house, 60, assumer=started[0])
    start_sessions(AwsSession.objects.filter(pk__in=[each.pk for each in more]), Actor(house.ada))
    assert written("Third") == few
    assert len(few) == 1
    while moves.is_due():
        moves.work_off(60)
    theirs = Activation.objects.filter(user=house.ada.user).select_related("session")
    assert len(theirs) == 61
    for each in theirs:
        assert each.identity == identity_of(each.session.chain())


def test_only_what_is_below_the_edited_session_goes_along(house, started):
    twin = house.chained("Twin", arn=started[0].link.role_arn)
    beside = house.chained("Beside", twin)
    house.start(beside, house.ada)
    edit(house, started[0], role_arn=house.role_arn("Other"))
    assert is_active(house, beside, house.ada)
    assert is_active(house, started[-1], house.ada)


def test_what_another_edit_ends_further_down_goes_along_with_none(house, started, monkeypatch):
    leaf = started[-1]
    monkeypatch.setattr(moves, "AT_ONCE", 0)
    ann = house.person("ann", "admin")
    edit(house, leaf, ann, role_arn=house.role_arn("Other"))
    edit(house, started[0], role_arn=house.role_arn("Third"))
    moves.work_off(60)
    house.work()
    assert house.state(leaf, house.ada).problem.code == "IdentityChanged"


def test_a_role_whose_path_has_quotes_is_followed(house):
    leaf = house.chained("Quoted", arn=f'arn:aws:iam::{ELSEWHERE}:role/a"b\\c/Deploy')
    house.start(leaf, house.ada)
    save_session(draft_of(leaf, role_arn=house.role_arn("Other")), Actor(house.ada), leaf)
    assert Activation.objects.get().identity == identity_of(
        AwsSession.objects.get(pk=leaf.pk).chain()
    )
