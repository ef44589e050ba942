"""Codes, approvals, choices and key rotation by pages and API: who may, what is shown."""

import re
import sys
import uuid

import pytest
from django.urls import reverse

from sessions import tasks
from sessions.activations.status import Status
from sessions.actors import Actor
from sessions.aws import roots
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import WaitingForPerson
from sessions.aws.roots import ROOT_KINDS, Challenge, Choice, Field, RootKind, register
from sessions.db.clock import database_now
from sessions.engine import key_steps
from sessions.ledger.events.roots import ApprovalEnded
from sessions.ledger.events.sessions import SessionEdited
from sessions.models import Approval, AwsSession, Credential, KeyRotation, RootAnswer
from sessions.roots import approvals, key_rotation
from tests.api.tool import Api
from tests.house import TeamFixture
from tests.roots.mfa import CODE, mfa_root, protected
from tests.roots.portals import ACCOUNT, portal

pytestmark = pytest.mark.django_db
CODE_FORM = 'name="code"'


@pytest.fixture
def root(house):
    return mfa_root(house)


@pytest.fixture
def leaves(house, root):
    leaves = [protected(house, root, f"Leaf {number}") for number in range(3)]
    for leaf in leaves:
        house.start(leaf)
    house.work()
    return leaves


def text(answer):
    return answer.content.decode()


def the_list(house):
    return reverse("session_list", args=[house.team.slug])


# --- codes ----------------------------------------------------------------------------------------


def test_the_list_asks_once_for_a_code_and_its_form_makes_all_active(house, root, leaves):
    ben = house.browser()
    page = text(ben.get(the_list(house)))
    assert page.count(CODE_FORM) == 1
    assert page.count("waiting for a code") >= 1
    url = reverse("give_code", args=[root.pk])
    answer = ben.post(url, {"code": CODE, "next": the_list(house)}, follow=True)
    assert answer.redirect_chain == [(the_list(house), 302)]
    assert "A worker is using it now" in text(answer)
    house.work()
    assert [state.status for state in house.states(leaves)] == [Status.ACTIVE] * 3
    page = text(ben.get(the_list(house)))
    assert CODE_FORM not in page
    assert CODE not in page


def test_the_roots_page_and_each_waiting_sessions_page_have_the_form(house, root, leaves):
    ben = house.browser()
    for session in (root, leaves[0]):
        assert text(ben.get(reverse("session", args=[session.pk]))).count(CODE_FORM) == 1
        assert text(ben.get(reverse("session_state", args=[session.pk]))).count(CODE_FORM) == 1
    assert CODE_FORM not in text(
        house.browser(house.bea).get(reverse("session", args=[leaves[0].pk]))
    )
    assert CODE_FORM not in text(house.browser(house.eve).get(reverse("session", args=[root.pk])))
    assert CODE_FORM not in text(house.browser(house.eve).get(the_list(house)))


def test_until_when_a_code_serves_is_shown_before_it_ends(house, root, leaves):
    ben = house.browser()
    pages = [reverse("session", args=[session.pk]) for session in (root, leaves[0])]
    assert not any(
        re.search("ext login( required</dt>| <time)", text(ben.get(page))) for page in pages
    )
    ben.post(reverse("give_code", args=[root.pk]), {"code": CODE})
    house.work()
    ends_at = Credential.objects.get(root=root, level=0).expires_at.isoformat(timespec="seconds")
    assert re.search(rf'next login <time datetime="{re.escape(ends_at)}"', text(ben.get(pages[1])))
    assert re.search(
        rf'Next login required</dt><dd><time datetime="{re.escape(ends_at)}"',
        text(ben.get(pages[0])),
    )


def test_a_wrong_code_is_shown_at_the_form(house, root, leaves):
    ben = house.browser()
    ben.post(reverse("give_code", args=[leaves[1].pk]), {"code": "999999"})
    house.work()
    page = text(ben.get(reverse("session", args=[root.pk])))
    assert page.count(CODE_FORM) == 1
    assert "invalid MFA one time pass code" in page


def test_what_is_no_code_is_refused_and_not_given_back(house, root, leaves):
    answer = house.browser().post(
        reverse("give_code", args=[root.pk]), {"code": "hunter2"}, follow=True
    )
    assert "six digits" in text(answer)
    assert "hunter2" not in text(answer)
    assert not RootAnswer.objects.exists()


def test_the_way_back_from_a_code_never_leads_elsewhere(house, root, leaves):
    url = reverse("give_code", args=[root.pk])
    for elsewhere in ("https://evil.example/", "//evil.example/", "javascript:alert(1)"):
        answer = house.browser().post(url, {"code": CODE, "next": elsewhere})
        assert answer.headers["Location"] == reverse("session", args=[root.pk])


def test_a_root_that_waits_for_a_code_is_not_told_as_broken(house, root, leaves):
    assert "does not work" not in text(house.browser(house.ada).get(the_list(house)))


def test_a_code_is_given_by_token_as_well(house, root, leaves):
    ben = Api(house.token(house.ben))
    assert ben("GET", f"/sessions/{leaves[0].pk}").json()["problem"]["code"] == "CodeNeeded"
    assert ben("GET", f"/sessions/{leaves[0].pk}").json()["status"] == "pending"
    assert ben("POST", f"/sessions/{leaves[0].pk}/answer", {"code": CODE}).status_code == 204
    house.work()
    assert [ben("GET", f"/sessions/{leaf.pk}").json()["status"] for leaf in leaves] == [
        "active"
    ] * 3


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"code": "12"}, 422, "invalid"),
        ({}, 422, "invalid"),
        ({"code": 123456}, 422, "invalid"),
        ({"code": CODE, "other": "x"}, 422, "invalid"),
        ([], 422, "invalid"),
    ],
)
def test_the_api_refuses_what_is_no_code(house, root, leaves, body, status, code):
    answer = Api(house.token(house.ben))("POST", f"/sessions/{root.pk}/answer", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not RootAnswer.objects.exists()


def test_the_api_says_when_nothing_waits(house, root):
    protected(house, root, "Leaf")
    for session in (root, house.root):
        house.chained(f"Below {session.alias}", session)
        answer = Api(house.token(house.ben))(
            "POST", f"/sessions/{session.pk}/answer", {"code": CODE}
        )
        assert (answer.status_code, answer.json()["code"]) == (409, "not_waiting")


def test_auditors_and_strangers_give_no_codes(house, sts, root, leaves):
    other = TeamFixture(sts, "other")
    for session in (root, leaves[0]):
        url, path = reverse("give_code", args=[session.pk]), f"/sessions/{session.pk}/answer"
        assert house.browser(house.eve).post(url, {"code": CODE}).status_code == 403
        assert Api(house.token(house.eve))("POST", path, {"code": CODE}).status_code == 403
        missing = reverse("give_code", args=[uuid.uuid4()])
        stranger = other.browser(other.ada)
        assert stranger.post(url, {"code": CODE}).status_code == 404
        assert text(stranger.post(url, {"code": CODE})) == text(
            stranger.post(missing, {"code": CODE})
        )
        api = Api(other.token(other.ada))
        foreign, none = (
            api("POST", p, {"code": CODE}) for p in (path, f"/sessions/{uuid.uuid4()}/answer")
        )
        assert (foreign.status_code, foreign.content) == (404, none.content)
    assert not RootAnswer.objects.exists()


# --- approvals ------------------------------------------------------------------------------------


@pytest.fixture
def with_center(house, center):
    for person in ("ada", "ben"):
        center.assign(person, ACCOUNT, "Production", "Deploy", "ReadOnly")
    return portal(house, center)


def test_from_a_new_portal_to_an_active_session_with_nothing_but_pages(house, center):
    for person in ("ada", "ben"):
        center.assign(person, ACCOUNT, "Production", "Deploy", "ReadOnly")
    ada = house.browser(house.ada)
    form = reverse("new_session_form", args=[house.team.slug, "aws", "identity-center"])
    typed = {
        "alias": "Portal",
        "profile": "portal",
        "region": "eu-west-1",
        "start_url": f"{center.start_url}/#/",
        "sso_region": "eu-central-1",
    }
    page = text(ada.post(form, typed, follow=True))
    root = AwsSession.objects.get(alias="Portal")
    approval_url = reverse("approval", args=[root.pk])
    assert approval_url in page
    assert ada.post(approval_url).headers["Location"] == approval_url
    assert "Getting the approval page" in text(ada.get(approval_url))
    tasks.look_at_approvals()
    approval = Approval.objects.get()
    page = text(ada.get(approval_url, headers={"HX-Request": "true"}))
    assert approval.user_code in page
    assert f'href="{center.start_url}/#/device?user_code={approval.user_code}"' in page
    assert 'rel="noopener noreferrer"' in page
    center.approve(approval.user_code, "ada")
    Approval.objects.update(due_at=database_now())
    tasks.look_at_approvals()
    assert "Approved" in text(ada.get(approval_url))
    choose = reverse("choose", args=[root.pk])
    assert "from AWS" in text(ada.get(choose))
    tasks.look_at_approvals()
    assert f"Production ({ACCOUNT})" in text(ada.get(choose))
    step = ada.post(choose, {"account_id": ACCOUNT}).headers["Location"]
    ada.get(step)
    tasks.look_at_approvals()
    assert "ReadOnly" in text(ada.get(step))
    assert "saved" in text(
        ada.post(choose, {"account_id": ACCOUNT, "role_name": "Deploy"}, follow=True)
    )
    root.refresh_from_db()
    assert (root.settings["account_id"], root.settings["role_name"]) == (ACCOUNT, "Deploy")
    assert house.events(SessionEdited)[-1].data["settings"]["role_name"] == "Deploy"
    leaf = house.chained("Leaf", root)
    house.start(leaf)
    house.work()
    ben = house.browser()
    assert approval_url in text(ben.get(the_list(house)))
    assert approval.user_code not in text(ben.get(approval_url))
    ben.post(approval_url)
    tasks.look_at_approvals()
    center.approve(Approval.objects.get(user=house.ben.user).user_code, "ben")
    Approval.objects.update(due_at=database_now())
    tasks.look_at_approvals()
    house.work()
    assert house.state(leaf).status is Status.ACTIVE


def test_an_approval_by_token(house, center, with_center):
    house.chained("Leaf", with_center)
    ben, path = Api(house.token(house.ben)), f"/sessions/{with_center.pk}/approval"
    assert ben("GET", path).json()["stage"] == "none"
    assert ben("POST", path).status_code == 202
    tasks.look_at_approvals()
    answer = ben("GET", path).json()
    assert (answer["stage"], answer["url"].rpartition("=")[2]) == ("open", answer["user_code"])
    assert ben("GET", f"/sessions/{house.root.pk}/approval").status_code in {403, 409}
    assert Api(house.token(house.eve))("POST", path).status_code == 403


def test_a_hostile_page_address_never_becomes_a_link(house, center, with_center):
    approvals.ask_approval(with_center, Actor(house.ada))
    center.rules.start = lambda asked: {
        "deviceCode": "d" * 20,
        "userCode": "ABCD-EFGH",
        "verificationUri": "javascript:alert(1)",
        "expiresIn": 600,
    }
    tasks.look_at_approvals()
    page = text(house.browser(house.ada).get(reverse("approval", args=[with_center.pk])))
    assert "javascript:" not in page
    assert "Not approved" in page


def test_forgetting_is_ones_own_and_only_by_post(house, center, with_center):
    house.chained("Leaf", with_center)
    for member in (house.ada, house.ben):
        approvals.ask_approval(with_center, Actor(member))
    tasks.look_at_approvals()
    url = reverse("forget_approval", args=[with_center.pk])
    assert house.browser().get(url).status_code == 405
    house.browser().post(url)
    assert [approval.user for approval in Approval.objects.all()] == [house.ada.user]
    assert house.events(ApprovalEnded)[0].actor == "ben"


def test_who_may_not_is_refused_on_every_page_of_a_root(house, sts, center, with_center):
    house.chained("Leaf", with_center)
    approvals.ask_approval(with_center, Actor(house.ada))
    other = TeamFixture(sts, "other")
    for name in (
        "approval",
        "forget_approval",
        "choose",
        "key_rotation",
        "rotate_key",
        "withdraw_key_rotation",
    ):
        root = with_center if "key" not in name else house.root
        url = reverse(name, args=[root.pk])
        assert house.browser(house.eve).post(url).status_code in {403, 405}
        stranger = other.browser(other.ada)
        answers = [stranger.post(each) for each in (url, reverse(name, args=[uuid.uuid4()]))]
        assert answers[0].content == answers[1].content
        assert answers[0].status_code == answers[1].status_code
        assert answers[0].status_code in {404, 405}
        if name in {"choose", "rotate_key", "withdraw_key_rotation"}:
            assert house.browser(house.ben).post(url).status_code == 403


def test_pages_of_what_a_kind_does_not_have_are_not_there(house, center, with_center):
    ada = house.browser(house.ada)
    for name, session in (
        ("approval", house.root),
        ("choose", house.root),
        ("key_rotation", with_center),
    ):
        assert ada.get(reverse(name, args=[session.pk])).status_code == 404


def test_a_choice_that_is_not_legal_is_refused_and_not_stored(house, center, with_center):
    ada = house.browser(house.ada)
    approvals.ask_approval(with_center, Actor(house.ada))
    Approval.objects.update(stage="given")
    typed = {"account_id": "1 OR 1", "role_name": "Deploy"}
    assert "12 digits" in text(
        ada.post(reverse("choose", args=[with_center.pk]), typed, follow=True)
    )
    with_center.refresh_from_db()
    assert "account_id" not in with_center.settings


# --- keys -----------------------------------------------------------------------------------------


def test_a_key_is_rotated_from_the_roots_page_which_shows_progress(house, sts, iam):
    ada = house.browser(house.ada)
    page = reverse("key_rotation", args=[house.root.pk])
    assert page in text(ada.get(reverse("session", args=[house.root.pk])))
    assert page not in text(house.browser().get(reverse("session", args=[house.root.pk])))
    assert house.browser().get(page).status_code == 403
    assert "Five steps" in text(ada.get(page))
    ada.post(reverse("rotate_key", args=[house.root.pk]))
    assert "Rotating" in text(ada.get(page))
    tasks.rotate_keys()
    shown = text(ada.get(page, headers={"HX-Request": "true"}))
    assert "Key rotated" in shown
    assert shown.count(">done<") == 5
    new = AwsSession.objects.get(pk=house.root.pk).settings["access_key_id"]
    assert new in shown


def test_a_stopped_key_rotation_says_why_and_can_go_on_or_be_given_up(house, sts, iam):
    ada, url = house.browser(house.ada), reverse("key_rotation", args=[house.root.pk])
    sts.iam.denied.add("CreateAccessKey")
    ada.post(reverse("rotate_key", args=[house.root.pk]))
    tasks.rotate_keys()
    # A policy that was changed a moment ago is not known everywhere yet: it is tried again a few
    # times.
    assert "iam:CreateAccessKey" in text(ada.get(url))
    for _ in range(key_steps.MOST_SECOND_TRIES):
        KeyRotation.objects.filter(due_at__isnull=False).update(due_at=database_now())
        tasks.rotate_keys()
    page = text(ada.get(url))
    assert "Waiting for you" in page
    assert "iam:CreateAccessKey" in page
    ada.post(reverse("withdraw_key_rotation", args=[house.root.pk]))
    tasks.rotate_keys()
    assert "Cancelled" in text(ada.get(url))
    assert KeyRotation.objects.get().step == "withdraw"
    sts.iam.denied.clear()
    ada.post(reverse("rotate_key", args=[house.root.pk]))
    tasks.rotate_keys()
    assert "Key rotated" in text(ada.get(url))


def test_the_sweep_does_all_of_it_without_any_message(house, sts, iam, center, with_center, root):
    leaf = protected(house, root, "Leaf")
    house.start(leaf)
    key_rotation.ask_rotation(house.root, Actor(house.ada))
    approvals.ask_approval(with_center, Actor(house.ada))
    tasks.sweep_now()
    assert KeyRotation.objects.get().step == "done"
    assert Approval.objects.get().user_code
    assert house.state(leaf).problem.code == "CodeNeeded"


# --- a fifth kind ---------------------------------------------------------------------------------


class Vault(RootKind):
    """Ask for a PIN, give an IAM user's key; nothing outside of this class knows it."""

    kind, label, help, icon = "vault", "Vault", "Keys from a vault.", "server"
    fields = (
        Field("address", "Address", "Where it is.", validate=str),
        Field("password", "Password", "What opens it.", secret=True, validate=str),
        Field(
            "engine",
            "Engine",
            "One of two.",
            options=lambda: (Choice("kv", "Keys"), Choice("aws", "AWS")),
        ),
    )
    given: AwsCredentials

    def challenges(self, settings):
        return (Challenge("pin", "PIN", "The vault's PIN.", validate=str),)

    def get_credentials(self, settings, secrets, answers, region):
        if "pin" not in answers:
            raise WaitingForPerson("PinNeeded", 0, "The vault wants its PIN.", "Type the PIN.")
        assert secrets["password"].reveal() == "open sesame"
        assert settings == {"address": "vault", "engine": "kv"}
        return Vault.given


@pytest.fixture
def vault(monkeypatch, sts):
    registry, extended = ROOT_KINDS, dict(ROOT_KINDS)
    for name, module in list(sys.modules.items()):
        if name.startswith("sessions.") and getattr(module, "ROOT_KINDS", None) is registry:
            monkeypatch.setattr(module, "ROOT_KINDS", extended)
    assert roots.ROOT_KINDS is extended
    register(Vault())
    role = "arn:aws:iam::111122223333:role/FromVault"
    Vault.given = sts.role_session(role, "vault")


def test_a_fifth_kind_works_everywhere_without_anything_else_being_touched(house, sts, vault):
    ada, ben = house.browser(house.ada), house.browser()
    methods = text(ada.get(reverse("new_session_method", args=[house.team.slug, "aws"])))
    assert "Keys from a vault." in methods
    form = reverse("new_session_form", args=[house.team.slug, "aws", "vault"])
    assert re.search(r"<select[^>]*name=\"engine\"", text(ada.get(form)))
    typed = {
        "alias": "Vault",
        "profile": "vault",
        "region": "eu-west-1",
        "address": "vault",
        "password": "open sesame",
        "engine": "kv",
    }
    assert ada.post(form, typed).status_code == 302
    root = AwsSession.objects.get(alias="Vault")
    assert b"open sesame" not in bytes(root.sealed_secrets)
    leaf = house.chained("Leaf", root)
    house.start(leaf)
    house.work()
    state = house.state(leaf)
    assert (state.problem.code, state.problem.label) == ("PinNeeded", "waiting for a person")
    assert 'name="pin"' in text(ben.get(the_list(house)))
    ben.post(reverse("give_code", args=[leaf.pk]), {"pin": "0000"})
    house.work()
    assert house.state(leaf).status is Status.ACTIVE
    assert sts.calls[-1]["caller_arn"].endswith("FromVault/vault")
    answer = Api(house.token(house.ada))("GET", f"/sessions/{root.pk}").json()
    assert (answer["kind"], answer["address"]) == ("vault", "vault")
    assert "password" not in answer
