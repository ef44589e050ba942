"""Whatever changes something writes its events: each writing route, command and task.

A route, command or task that is not in a table here fails.
"""

import base64
import importlib
import json
import re
from collections import Counter
from datetime import timedelta

import pytest
from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from celery import current_app
from django.conf import settings as django_settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.urls import reverse

from bench import large_team, routes
from sessions import tasks
from sessions.actors import OPERATOR, Actor, NamedActor
from sessions.catalog import deletions
from sessions.catalog.probes import start_probe
from sessions.catalog.sessions import Draft
from sessions.db.clock import database_now
from sessions.ledger.drift.imports import take_file
from sessions.ledger.origin import Origin
from sessions.locks import parts
from sessions.management.origin import asked_by_command
from sessions.models import Activation, Approval, ApprovalStage, Event, Role
from sessions.monitoring import request_limits
from sessions.people.failed_log_ins import tell_of_failures
from sessions.people.invitations import invite
from sessions.people.memberships import disable_member
from sessions.roots.key_rotation import ask_rotation
from tests.api.tool import Api
from tests.house import browser_of
from tests.locks.test_races_of_routes import request_by
from tests.login.browsers import code_of, log_in, recovery_codes, with_totp

pytestmark = pytest.mark.django_db
PASSWORD = large_team.PASSWORD
NEW_PASSWORD = "another horse entirely"

SESSION, TEAM = "/sessions/<uuid:session_id>/", "/teams/<slug:team_slug>/"
PERSON = f"{TEAM}people/<int:person_id>/"
API = "/api/v1/sessions/<uuid:session_id>"
# request → the kinds of its events. The first of them says what was asked for, once for each
# session or person that it is about; the others are what follows from it.
WRITES = {
    f"POST {TEAM}new/<slug:provider>/<slug:kind>/": ["session.created"],
    f"POST {TEAM}new/<slug:provider>/<slug:kind>/ (a root)": ["session.created"],
    f"POST {TEAM}test/<slug:kind>/": ["probe.asked"],
    f"POST {TEAM}test/<slug:kind>/ (a root)": ["probe.asked"],
    f"POST {TEAM}policy/": ["policy.changed"],
    f"POST {TEAM}policy/labels/<int:label_id>/": ["label.edited"],
    f"POST {TEAM}policy/labels/<int:label_id>/delete/": ["label.deleted"],
    f"GET {TEAM}audit/whois/": ["ledger.asked"],
    f"POST {SESSION}edit/": ["session.edited", *["session.ended_by_edit"] * 2],
    f"POST {SESSION}delete/": [*["session.deleted"] * 2, *["session.stopped"] * 2],
    f"POST {SESSION}access/": ["session.access"],
    f"POST {SESSION}start/ by member": ["session.started"],
    f"POST {SESSION}stop/ by member": ["session.stopped"],
    f"POST {SESSION}rotate/ by member": ["rotation.asked"],
    f"POST {SESSION}answer/ by member": ["root.answered"],
    f"POST {SESSION}answer/ by member (a root)": ["root.answered"],
    f"POST {SESSION}approval/": ["approval.asked"],
    f"POST {SESSION}approval/forget/": ["approval.ended"],
    f"POST {SESSION}key/rotate/": ["key.asked"],
    f"POST {SESSION}key/withdraw/": ["key.asked"],
    f"POST {SESSION}snippets/<slug:format>/ by member": ["credential.revealed"],
    f"POST {SESSION}snippets/<slug:format>/download/ by member": ["credential.revealed"],
    f"POST {TEAM}snippets/ by member": ["credential.revealed"],
    f"POST {TEAM}snippets/download/ by member": ["credential.revealed"],
    f"POST {SESSION}console/ by member": ["console.signed_in", "credential.revealed"],
    f"POST {TEAM}people/invite/": ["invitation.created"],
    f"POST {TEAM}people/invitations/<uuid:invitation_id>/withdraw/": ["invitation.revoked"],
    f"POST {TEAM}people/groups/new/": ["group.created"],
    f"POST {TEAM}people/groups/<uuid:group_id>/": ["group.changed"],
    f"POST {TEAM}people/groups/<uuid:group_id>/delete/": ["group.deleted"],
    f"POST {PERSON}role/": ["member.role", "token.revoked"],
    f"POST {PERSON}name/": ["member.renamed"],
    f"POST {PERSON}disable/": ["member.disabled", "token.revoked"],
    f"POST {PERSON}enable/": ["member.enabled"],
    f"POST {PERSON}readmit/": ["member.readmitted"],
    f"POST {PERSON}remove/": ["member.removed", "token.revoked"],
    f"GET {TEAM}audit/ (a search)": ["ledger.searched"],
    f"GET {TEAM}audit/drift/records/<int:record_id>/": ["trail.read"],
    f"POST {TEAM}audit/drift/imports/<uuid:import_id>/delete/": ["trail.deleted"],
    f"GET {SESSION}calls/": ["trail.read"],
    f"POST {TEAM}audit/export/ (one person's events)": ["ledger.exported"],
    f"POST {TEAM}tokens/": ["token.created"],
    f"POST {TEAM}tokens/<uuid:token_id>/revoke/": ["token.revoked"],
    f"POST {TEAM}connect/": ["token.created"],
    f"POST {TEAM}robots/new/": ["robot.created"],
    f"POST {TEAM}robots/<uuid:robot_id>/": ["robot.changed"],
    f"POST {TEAM}robots/<uuid:robot_id>/tokens/": ["token.created"],
    f"POST {TEAM}robots/trust/<uuid:rule_id>/end/": ["trust.ended"],
    f"POST {TEAM}robots/<uuid:robot_id>/remove/": ["robot.removed"],
    "POST /join/accept/": ["invitation.accepted", "member.added"],
    "POST /api/v1/sessions": ["session.created"],
    "POST /api/v1/sessions (a root)": ["session.created"],
    "POST /api/v1/sessions/start by member": ["session.started"],
    "POST /api/v1/sessions/stop by member": ["session.stopped"],
    f"PATCH {API}": ["session.edited"],
    f"PATCH {API} (its role)": ["session.edited", *["session.ended_by_edit"] * 2],
    "PATCH /api/v1/people/<int:person_id>": ["member.role", "token.revoked"],
    "DELETE /api/v1/people/<int:person_id>": ["member.removed", "token.revoked"],
    "POST /api/v1/people/<int:person_id>/suspend": ["member.disabled", "token.revoked"],
    "POST /api/v1/people/<int:person_id>/reinstate": ["member.enabled"],
    "POST /api/v1/people/<int:person_id>/readmit": ["member.readmitted"],
    "POST /api/v1/groups": ["group.created"],
    "PATCH /api/v1/groups/<uuid:group_id>": ["group.changed"],
    "DELETE /api/v1/groups/<uuid:group_id>": ["group.deleted"],
    "POST /api/v1/invitations": ["invitation.created"],
    "DELETE /api/v1/invitations/<uuid:invitation_id>": ["invitation.revoked"],
    "POST /api/v1/probes": ["probe.asked"],
    "POST /api/v1/sessions/bulk by member": ["session.stopped"],
    "POST /api/v1/apply": ["group.created"],
    f"DELETE {API}/approval": ["approval.ended"],
    f"POST {API}/key-rotation": ["key.asked"],
    f"DELETE {API}/key-rotation": ["key.asked"],
    "PUT /api/v1/sessions/by-alias/<path:alias>": [
        "session.edited",
        *["session.ended_by_edit"] * 2,
    ],
    "POST /api/v1/import (for real)": ["session.created"],
    f"DELETE {API}": ["session.deleted", "session.stopped"],
    "GET /api/v1/events (a search)": ["ledger.searched"],
    "GET /api/v1/events/export": ["ledger.exported"],
    "GET /api/v1/keys": ["ledger.searched"],
    "GET /api/v1/whois": ["ledger.asked"],
    "POST /api/v1/whois": ["ledger.asked"],
    "GET /api/v1/drift/records": ["trail.read"],
    "GET /api/v1/drift/records/<int:record_id>": ["trail.read"],
    "DELETE /api/v1/drift/imports/<uuid:import_id>": ["trail.deleted"],
    f"GET {API}/calls": ["trail.read"],
    "PATCH /api/v1/policy": ["policy.changed"],
    "POST /api/v1/tokens": ["token.created"],
    "POST /api/v1/robots": ["robot.created"],
    "PATCH /api/v1/robots/<uuid:robot_id>": ["robot.changed"],
    "DELETE /api/v1/robots/<uuid:robot_id>": ["robot.removed"],
    "DELETE /api/v1/trust/<uuid:rule_id>": ["trust.ended"],
    f"PUT {API}/access": ["session.access"],
    f"POST {API}/access/ways/close": ["session.access"],
    f"POST {API}/answer by member": ["root.answered"],
    f"POST {API}/approval": ["approval.asked"],
    f"POST {API}/start by member": ["session.started"],
    f"POST {API}/stop by member": ["session.stopped"],
    f"POST {API}/rotate by member": ["rotation.asked"],
    f"GET {API}/credentials by member": ["credential.revealed"],
    "GET /container/<uuid:session_id> by member": ["credential.revealed"],
}
NOTHING_CHANGED = {
    f"POST {TEAM}new/<slug:provider>/<slug:kind>/ (with errors)": "refused",
    f"POST {TEAM}preview/": "shows what would be",
    f"POST {TEAM}external-id/": "draws a number",
    f"POST {TEAM}audit/whois/": "leads to the page, which asks",
    f"POST {TEAM}policy/preview/": "shows what would be",
    f"POST {SESSION}dismiss/ by member": "hides a notice from the one who was told",
    f"POST {API}/dismiss by member": "hides a notice from the one who was told",
    f"DELETE {API} (unconfirmed)": "refused",
    "POST /api/v1/import": "shows what would be",
    f"POST {TEAM}import/": "holds files until their preview is confirmed",
    f"POST {TEAM}audit/searches/": "saves a link for oneself",
    f"POST {TEAM}audit/searches/<uuid:search_id>/": "renames a link of one's own",
    f"POST {TEAM}audit/searches/<uuid:search_id>/delete/": "deletes a link of one's own",
    "POST /api/v1/searches": "saves a link for oneself",
    "PATCH /api/v1/searches/<uuid:search_id>": "renames a link of one's own",
    "DELETE /api/v1/searches/<uuid:search_id>": "deletes a link of one's own",
    f"POST {TEAM}audit/drift/upload/": "has no file; with one, by a test below",
    "POST /api/v1/drift/imports": "has no file; with one, by a test below",
    f"POST {TEAM}audit/drift/lookup/": "names no session; with one, by a test below",
    "POST /api/v1/drift/lookups": "names no session; with one, by a test below",
    f"POST {TEAM}robots/<uuid:robot_id>/trust/": (
        "no issuer is trusted; with one, by a test of the exchange"
    ),
    "POST /api/v1/robots/<uuid:robot_id>/trust": "the same",
    "POST /api/v1/tokens/exchange by nobody": "the same",
    "DELETE /api/v1/tokens/<uuid:token_id>": "it is another person's; one's own by a test",
}
# Pages that take a POST and are not among the bench's requests.
BY_A_TEST = {
    "teams/<slug:team_slug>/import/<uuid:import_id>/": "test_a_confirmed_import_is_told_by_row",
    "sessions/<uuid:session_id>/choose/": "test_a_choice_is_an_edit",
    "join/": "test_a_code_that_is_shown_changes_nothing",
}


def lines_after(last):
    return list(Event.objects.filter(pk__gt=last).order_by("pk"))


def newest():
    return Event.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def told_by(do):
    """Return the lines that something leads to, and its answer."""
    last = newest()
    answer = do()
    if getattr(answer, "streaming", False):
        b"".join(answer.streaming_content)
    return lines_after(last), answer


def check(lines, expected):
    assert Counter(line.kind for line in lines) == Counter(expected)
    # Each about somebody or something else.
    keys = ("token_id", "of", "member", "step")
    about = [(line.kind, line.session_id, *map(line.data.get, keys)) for line in lines]
    assert len(set(about)) == len(lines)


def suspend(team):
    disable_member(team.leaver, NamedActor("tests"))


def begin_rotation(team):
    ask_rotation(team.root, Actor(team.admin))


def hold_invitation(team):
    """Make an invitation into another team, whose code the admin's browser has shown."""
    elsewhere = large_team.build("elsewhere")
    return invite(Actor(elsewhere.admin), Role.MEMBER)[1]


PREPARED = {
    f"POST {PERSON}enable/": suspend,
    f"POST {SESSION}key/withdraw/": begin_rotation,
    "POST /api/v1/people/<int:person_id>/reinstate": suspend,
    f"DELETE {API}/key-rotation": begin_rotation,
}


def send(ask, team):
    who = team.member if ask.by == "member" else team.admin
    if ask.name == "POST /join/accept/":
        code = hold_invitation(team)
        browser = browser_of(team.admin)
        browser.post("/join/", {"code": code.reveal()})
        return lambda: browser.post("/join/accept/")
    if prepare := PREPARED.get(ask.name):
        prepare(team)
    return request_by(who, ask, team)


def test_each_request_writes_its_events_and_no_others(sts, subtests):
    team = large_team.build()
    asks = [each for each in routes.asks() if not each.route.startswith(routes.ACCOUNTS)]
    for ask in asks:
        request_limits.forget()
        with subtests.test(ask.name):
            savepoint = transaction.savepoint()
            try:
                lines, answer = told_by(send(ask, team))
                assert answer.status_code < 500 or ask.route == "readyz"
                check(lines, WRITES.get(ask.name, []))
                if ask.name in WRITES:
                    assert answer.status_code < 400
                    assert all(Origin.read(line.data).address == "127.0.0.1" for line in lines)
            finally:
                transaction.savepoint_rollback(savepoint)


def test_each_writing_request_is_in_the_table(sts):
    names = {each.name for each in routes.asks() if not each.route.startswith(routes.ACCOUNTS)}
    writing = {name for name in names if not name.startswith("GET ")}
    tables = WRITES.keys() | NOTHING_CHANGED.keys()
    assert writing <= tables
    assert tables <= names
    known = {(each.method, each.route) for each in routes.asks()}
    assert {each for each in routes.every_api_operation() if each[0] != "GET"} <= known


def test_every_other_page_takes_no_post(sts, subtests):
    team = large_team.build()
    posted = {each.route for each in routes.asks() if each.method == "POST"}
    admin = browser_of(team.admin)
    for route in sorted(set(routes.every_route()) - posted):
        if route.startswith((routes.ACCOUNTS, "api/")) or route in BY_A_TEST:
            continue
        about = {"seq": 1}
        path = routes.Ask(route, "POST", about=lambda team, about=about: about).path(team)
        with subtests.test(route):
            lines, answer = told_by(lambda path=path: admin.post(path))
            assert answer.status_code in {404, 405}
            assert lines == []


def test_a_confirmed_import_is_told_by_row(sts):
    team = large_team.build()
    text = (
        "[profile top]\nrole_arn = arn:aws:iam::111122223333:role/Top\nsource_profile = mid\n"
        "region = eu-west-1\n[profile mid]\nrole_arn = arn:aws:iam::111122223333:role/Mid\n"
        "source_profile = elsewhere\nregion = eu-west-1\n[profile elsewhere]\n"
    )
    browser = browser_of(team.admin)
    url = browser.post(reverse("import", args=[team.admin.team.slug]), {"text": text}).url
    lines, answer = told_by(
        lambda: browser.post(f"{url}?use.2={team.root.pk}", {"choose": ["0", "1"]})
    )
    assert answer.status_code == 302, answer.content
    check(lines, ["session.created", "session.created"])


@pytest.mark.parametrize("name", BY_A_TEST.values())
def test_what_is_left_to_a_test_has_one(name):
    assert callable(globals()[name])


def test_a_choice_is_an_edit(sts):
    team = large_team.build()
    root = team.approval_root
    Approval.objects.update(stage=ApprovalStage.GIVEN)
    picked = {"account_id": "111122223333", "role_name": "Another"}
    lines, _ = told_by(
        lambda: browser_of(team.admin).post(reverse("choose", args=[root.pk]), picked)
    )
    check(lines, ["session.edited"])
    assert lines[0].data["before"]["settings"]["role_name"] == "Deploy"


@pytest.mark.parametrize(
    ("path", "field"),
    [("/teams/large/audit/drift/upload/", "files"), ("/api/v1/drift/imports", "file")],
)
def test_an_upload_writes_its_event(sts, path, field):
    team = large_team.build()
    bearer = {"Authorization": f"Bearer {team.tokens['admin'].reveal()}"}
    browser = Client() if "api" in path else browser_of(team.admin)
    file = SimpleUploadedFile("trail.json", json.dumps({"Records": [RECORD]}).encode())
    headers = bearer if "api" in path else {}
    lines, answer = told_by(lambda: browser.post(path, {field: file}, headers=headers))
    assert answer.status_code < 400
    check(lines, ["trail.started"])


@pytest.mark.parametrize("path", ["/teams/platform/audit/drift/lookup/", "/api/v1/drift/lookups"])
def test_a_lookup_writes_its_event(house, path):
    [leaf] = house.chain(1)
    house.start(leaf, house.ada)
    house.work()
    body = {"session": str(leaf.pk), "region": "eu-west-1", "since": "24h"}
    if "api" in path:
        api = Api(house.token(house.ada))
        lines, answer = told_by(lambda: api("POST", path.removeprefix("/api/v1"), body))
    else:
        lines, answer = told_by(lambda: house.browser(house.ada).post(path, body))
    assert answer.status_code < 400
    check(lines, ["trail.started"])


def test_a_code_that_is_shown_changes_nothing(sts):
    team = large_team.build()
    code = invite(Actor(team.admin), Role.MEMBER)[1]
    lines, _ = told_by(lambda: Client().post("/join/", {"code": code.reveal()}))
    assert lines == []


# --- one's own account ----------------------------------------------------------------------------


def half_logged_in(house):
    """Make a browser that has given the password and owes a code, and some codes."""
    with_totp(house)
    codes = recovery_codes(house)
    browser = Client()
    log_in(browser)
    return browser, codes


def by_recovery_code(house):
    browser, codes = half_logged_in(house)
    return lambda: browser.post(reverse("mfa_authenticate"), {"code": codes[0]})


def by_a_wrong_code(house):
    browser, _ = half_logged_in(house)

    def do():
        browser.post(reverse("mfa_authenticate"), {"code": "000000"})
        tell_of_failures()

    return do


def posts(name, data=None, *, of=lambda house: house.browser(), args=()):
    """Make a POST to that page by somebody, prepared."""

    def prepare(house):
        browser = of(house)
        given = data(house) if callable(data) else data or {}
        found = args(house) if callable(args) else args
        return lambda: browser.post(reverse(name, args=found), given)

    return prepare


def with_a_code_app(house):
    return with_totp(house)[0]


def a_code(house):
    return {"code": recovery_codes(house)[0]}


def passkey(house):
    data = {"name": "Laptop", "credential": {}}
    return [Authenticator.objects.create(user=house.ben.user, type="webauthn", data=data).pk]


def logged_in_twice(house):
    browsers = [Client(), Client()]
    for each in browsers:
        log_in(each)
    return browsers[0]


def logged_in(house):
    browser = Client()
    log_in(browser)
    return browser


def invited(house):
    browser = Client()
    code = invite(Actor(house.ada), Role.MEMBER)[1]
    browser.post("/join/", {"code": code.reveal()})
    return browser


def activates(house):
    browser = house.browser()
    page = browser.get(reverse("mfa_activate_totp")).content.decode()
    code = code_of(re.search(r'value="([A-Z2-7]{16,})"', page)[1])
    return lambda: browser.post(reverse("mfa_activate_totp"), {"code": code})


def resets(house):
    user = house.ben.user
    browser = Client()
    key = default_token_generator.make_token(user)
    uid = user_pk_to_url_str(user)
    page = browser.get(
        reverse("account_reset_password_from_key", kwargs={"uidb36": uid, "key": key})
    )
    new = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    return lambda: browser.post(page.headers["Location"], new)


def confirms_email(house):
    address = EmailAddress.objects.create(user=house.ben.user, email="ben@example.com")
    key = EmailConfirmationHMAC.create(address).key
    return lambda: Client().post(reverse("account_confirm_email", args=[key]))


def sets_first_password(house):
    user = house.ben.user
    user.set_unusable_password()
    user.new_password_by = "the test"
    user.save()
    browser = browser_of(house.ben)
    new = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    return lambda: browser.post(reverse("account_set_password"), new)


def identity(house):
    account = SocialAccount.objects.create(user=house.ben.user, provider="sso", uid="ben")
    return {"account": account.pk}


def logs_in(house):
    return lambda: log_in(Client())


def fails_to_log_in(house):
    def do():
        log_in(Client(), password="wrong")
        tell_of_failures()

    return do


def fails_to_confirm(house):
    browser = house.browser()

    def do():
        browser.post(reverse("account_reauthenticate"), {"password": "wrong"})
        tell_of_failures()

    return do


PROVIDER = {
    "provider_id": "sso",
    "name": "SSO",
    "client_id": "chainweb",
    "secret": "",
    "settings": {"server_url": "https://idp.example"},
}
CHANGE = {"oldpassword": "correct horse battery staple"}
NEW = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
# route → (what is done there by whom, the kinds of its events)
ACCOUNT = {
    "login/": (logs_in, ["login.done"]),
    "login/ (wrong)": (fails_to_log_in, ["login.failed"]),
    "logout/": (posts("account_logout", of=logged_in), ["login.ended"]),
    "signup/": (
        posts("account_signup", {"username": "nora", "password1": NEW_PASSWORD}, of=invited),
        ["member.added", "invitation.accepted", "login.done"],
    ),
    "reauthenticate/": (posts("account_reauthenticate", CHANGE | {"password": PASSWORD}), []),
    "reauthenticate/ (wrong)": (fails_to_confirm, ["login.failed"]),
    "email/": (posts("account_email", {"email": "ben@example.com"}), ["email.asked"]),
    "email/confirm/<str:key>/": (confirms_email, ["email.changed"]),
    "password/change/": (posts("account_change_password", CHANGE | NEW), ["password.changed"]),
    "password/set/": (sets_first_password, ["password.changed"]),
    "password/reset/": (posts("account_reset_password", {"email": "ben@example.com"}), []),
    "password/reset/key/<base36:uidb36>-<str:key>/": (resets, ["password.changed"]),
    "2fa/authenticate/": (by_recovery_code, ["login.done", "codes.used"]),
    "2fa/authenticate/ (wrong)": (by_a_wrong_code, ["login.failed"]),
    "2fa/reauthenticate/": (
        posts(
            "mfa_reauthenticate",
            a_code,
            of=with_a_code_app,
        ),
        ["codes.used"],
    ),
    "2fa/totp/activate/": (activates, ["factor.added", "codes.created"]),
    "2fa/totp/deactivate/": (
        posts("mfa_deactivate_totp", of=with_a_code_app),
        ["factor.removed", "factor.removed"],
    ),
    "2fa/recovery-codes/generate/": (
        posts("mfa_generate_recovery_codes", of=with_a_code_app),
        ["codes.created"],
    ),
    "2fa/webauthn/keys/<int:pk>/remove/": (
        posts("mfa_remove_webauthn", args=passkey),
        ["factor.removed"],
    ),
    "2fa/webauthn/keys/<int:pk>/edit/": (
        posts("mfa_edit_webauthn", {"name": "Desk"}, args=passkey),
        ["factor.renamed"],
    ),
    "sessions/": (posts("usersessions_list", of=logged_in_twice), ["login.others_ended"]),
    "3rdparty/": (posts("socialaccount_connections", identity), ["identity.removed"]),
}
# What needs a key in hardware or a provider is tested where there is one.
ACCOUNT_ELSEWHERE = {
    "2fa/webauthn/add/": "tests/browser/test_people.py",
    "2fa/webauthn/login/": "tests/browser/test_people.py",
    "2fa/webauthn/reauthenticate/": "tests/browser/test_people.py",
    "3rdparty/signup/": "tests/oidc/test_oidc.py",
    "oidc/<slug:provider_id>/login/": "tests/oidc/test_oidc.py",
    "oidc/<slug:provider_id>/login/callback/": "tests/oidc/test_oidc.py",
}
ACCOUNT_READ = {
    "inactive/",
    "password/reset/done/",
    "password/reset/key/done/",
    "2fa/",
    "2fa/recovery-codes/",
    "2fa/recovery-codes/download/",
    "2fa/webauthn/",
    "3rdparty/login/cancelled/",
    "3rdparty/login/error/",
}


@pytest.mark.parametrize("route", ACCOUNT)
def test_a_page_of_ones_account_writes_its_events(house, settings, route):
    settings.MAIL_ENABLED = True
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [PROVIDER]}}
    prepare, expected = ACCOUNT[route]
    do = prepare(house)
    lines, _ = told_by(do)
    assert Counter(line.kind for line in lines) == Counter(expected)


def test_each_page_of_ones_account_is_in_a_table(house):
    found = {
        route.removeprefix(routes.ACCOUNTS)
        for route in routes.every_route()
        if route.startswith(routes.ACCOUNTS)
    }
    listed = {each.partition(" ")[0] for each in ACCOUNT}
    assert found == listed | ACCOUNT_ELSEWHERE.keys() | ACCOUNT_READ
    assert all((django_settings.BASE_DIR / path).exists() for path in ACCOUNT_ELSEWHERE.values())


@pytest.mark.parametrize("route", sorted(ACCOUNT_READ))
def test_the_other_pages_of_ones_account_write_nothing(house, route):
    lines, _ = told_by(lambda: house.browser().post(f"/accounts/{route}"))
    assert lines == []


# --- commands -------------------------------------------------------------------------------------


def reseals(house, settings):
    house.start(house.chain(1)[0])
    house.work()
    settings.CHAINWEB_SEAL_KEYS = (
        f"k2:{base64.b64encode(bytes(range(32))).decode()},{settings.CHAINWEB_SEAL_KEYS}"
    )
    return ["reseal"]


COMMANDS = {
    "person --disable": (lambda *_: ["person", "ben", "--disable"], ["member.disabled"]),
    "person --enable": (lambda *_: ["person", "ben", "--enable"], ["member.enabled"]),
    "person --remove-two-factor": (
        lambda *_: ["person", "ben", "--remove-two-factor"],
        ["member.factors"],
    ),
    "setup": (
        lambda *_: ["setup", "--team=data", "--admin=nora"],
        ["team.created", "member.added"],
    ),
    "setup --ambient": (
        lambda *_: ["setup", "--team=platform", "--admin=ada", "--ambient"],
        ["team.changed", "member.added"],
    ),
    "token": (
        lambda *_: ["token", "ben", "--team=platform", "--name=laptop"],
        ["token.created"],
    ),
    "reseal": (reseals, ["secrets.resealed"]),
    "export_ledger": (lambda *_: ["export_ledger", "--team=platform"], ["ledger.exported"]),
    "changepassword": (lambda *_: ["changepassword", "ben"], ["password.changed"]),
}
COMMANDS_ELSEWHERE = {
    "apply": "tests/api/test_apply.py",
    "remove_events": "tests/ledger/test_retention.py",
}
COMMANDS_OF_NOTHING = {
    "keys": "writes files, before there is a database; what they change is resealed later",
    "seed_demo": "makes the demo by the product's own functions",
    "sweep": "does the tasks' work",
    "up": "starts processes",
    "verify_ledger": "reads what the operator has in hand anyway",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_writes_its_events_as_the_operator(house, settings, monkeypatch, name):
    monkeypatch.setenv("CHAINWEB_PASSWORD", NEW_PASSWORD)
    monkeypatch.setattr("getpass.getpass", lambda prompt: NEW_PASSWORD)
    prepare, expected = COMMANDS[name]
    command = prepare(house, settings)
    with asked_by_command(command[0]):
        lines, _ = told_by(lambda: call_command(*command))
    assert Counter(line.kind for line in lines) == Counter(expected)
    assert {line.actor for line in lines} == {OPERATOR.username}
    clients = {Origin.read(line.data).client for line in lines}
    assert all(each.startswith(f"manage.py {command[0]}, run by ") for each in clients)
    assert NEW_PASSWORD not in str([line.data for line in lines])


def test_each_command_is_in_a_table():
    folder = django_settings.BASE_DIR / "sessions" / "management" / "commands"
    found = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    listed = {each.partition(" ")[0] for each in COMMANDS} - {"changepassword"}
    assert found == listed | COMMANDS_ELSEWHERE.keys() | COMMANDS_OF_NOTHING.keys()
    assert all((django_settings.BASE_DIR / path).exists() for path in COMMANDS_ELSEWHERE.values())


# --- tasks ----------------------------------------------------------------------------------------


def started(house):
    [leaf] = house.chain(1)
    house.start(leaf)


def overdue(house):
    started(house)
    Activation.objects.update(ends_at=database_now() - timedelta(seconds=1))


def failed_before(house):
    log_in(Client(), password="wrong")


def deleted(house):
    first, *_ = house.chain(3)
    deletions.decide(first, Actor(house.ada))


def probed(house):
    key = house.sts.add_user("probed", account="111122223333")
    settings = {"access_key_id": key.access_key_id}
    secrets = {"secret_access_key": key.secret_access_key}
    draft = Draft("iam-user", "P", "p", "eu-west-1", settings=settings, secrets=secrets)
    return str(start_probe(draft, Actor(house.ada), None).pk)


RECORD = {
    "eventVersion": "1.08",
    "eventID": "b1946ac9-2492-4d23-a9c4-5a1b7d1f0a11",
    "eventTime": "2026-11-27T14:02:11Z",
    "eventSource": "sts.amazonaws.com",
    "eventName": "GetCallerIdentity",
    "awsRegion": "eu-west-1",
    "sourceIPAddress": "192.0.2.17",
    "userAgent": "aws-cli/2.31.0",
    "userIdentity": {"type": "IAMUser", "userName": "ben", "accountId": "111122223333"},
    "recipientAccountId": "111122223333",
}


def file_of_cloudtrail(house):
    take_file(Actor(house.ada), "trail.json", [json.dumps({"Records": [RECORD]}).encode()])


def broken_file_of_cloudtrail(house):
    take_file(Actor(house.ada), "trail.json", [b'{"Records": ['])


def key_to_replace(house):
    ask_rotation(house.root, Actor(house.ada))


ROTATED = ["credential.minted"]
STEPS = [*["key.step"] * 5, "key.ended"]
# task → [(what was asked for before, the kinds of its events)]
TASKS = {
    "rotate_due": [(started, ROTATED)],
    "rotate_asked": [(started, ROTATED)],
    "tick": [(overdue, ["session.ended"]), (failed_before, ["login.failed"])],
    "sweep": [(overdue, ["session.ended"]), (failed_before, ["login.failed"])],
    "run_root_probe": [(probed, ["root.verified"])],
    "clear_deleted": [(deleted, ["session.deleted"] * 2)],
    "read_trail": [
        (file_of_cloudtrail, ["trail.imported"]),
        (broken_file_of_cloudtrail, ["trail.refused"]),
    ],
    "rotate_keys": [(key_to_replace, STEPS)],
}
TASKS_ELSEWHERE = {
    "look_at_approvals": "tests/roots/test_approvals.py",
    "follow_changes": "tests/chains/test_identity.py",
}
TASKS_OF_NOTHING = {
    "sign_checkpoints": "signs what the ledger says",
    "send_to_siem": "sends what the ledger says",
    "write_lookup_file": "writes what the ledger says to a file",
    "count_names": "counts what the ledger says",
    "compare_trail": "compares with what the ledger says",
    "get_sign_in_tokens": "gets what two lines have said before",
}


@pytest.mark.parametrize("name", TASKS)
def test_a_task_writes_its_events(house, iam, monkeypatch, name):
    monkeypatch.setattr(parts, "AT_ONCE", 2)
    for prepare, expected in TASKS[name]:
        savepoint = transaction.savepoint()
        ids = [given] if (given := prepare(house)) else []
        lines, _ = told_by(lambda ids=ids: getattr(tasks, name)(*ids))
        check(lines, expected)
        assert {line.actor for line in lines} <= {"worker", "clock", "ada"}
        assert all(not Origin.read(line.data).as_data() for line in lines)
        transaction.savepoint_rollback(savepoint)


@pytest.mark.parametrize("name", TASKS_OF_NOTHING)
def test_a_task_that_changes_nothing_writes_nothing(house, name):
    lines, _ = told_by(getattr(tasks, name))
    assert lines == []


def test_each_task_is_in_a_table():
    importlib.import_module("sessions.tasks")
    found = {
        name.removeprefix("sessions.tasks.")
        for name in current_app.tasks
        if name.startswith("sessions.")
    }
    assert found == TASKS.keys() | TASKS_ELSEWHERE.keys() | TASKS_OF_NOTHING.keys()
    assert all((django_settings.BASE_DIR / path).exists() for path in TASKS_ELSEWHERE.values())
