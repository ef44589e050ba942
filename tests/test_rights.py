"""Check every route × everyone who may ask; a route that is not in the table fails.

An expectation is a status, or "log in" / "confirm" / "home" for a redirect there; `ok(…)` is 200
unless said otherwise.
"""

import json
import re
import uuid
from contextlib import contextmanager

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from sessions.actors import Actor, NamedActor
from sessions.api import api
from sessions.catalog.access import save_group
from sessions.catalog.probes import start_probe
from sessions.catalog.sessions import Draft
from sessions.engine import trail
from sessions.engine.root_probes import run_root_probe
from sessions.exceptions import Refused
from sessions.ledger.drift.imports import take_file
from sessions.models import (
    AwsSession,
    ConsoleSignIn,
    Label,
    Probe,
    Role,
    SessionLabel,
    Token,
    TrailRecord,
    TrustRule,
)
from sessions.monitoring import request_limits
from sessions.people.invitations import invite
from sessions.people.memberships import disable_member, remove_member, set_person_active
from sessions.people.robots import RobotDraft, create_robot
from sessions.people.searches import save_search
from sessions.people.tokens import create_token
from tests.aws.cloudtrail.samples import event
from tests.house import TeamFixture

pytestmark = pytest.mark.django_db

ACTORS = ("anonymous", "member", "admin", "auditor", "foreign_admin", "disabled", "removed")
# Who may log in nowhere any more, by the operator's switch: as good as nobody, on every route.
SWITCHED_OFF = "switched_off"
MISSING = uuid.UUID("00000000-0000-4000-8000-000000000000")


def by_role(member, admin, auditor, outside=404):
    """Expect of a team's page a login for strangers, and nothing for other teams."""
    return {
        "anonymous": "log in",
        "member": member,
        "admin": admin,
        "auditor": auditor,
        "foreign_admin": outside,
        "disabled": outside,
        "removed": outside,
    }


def by_token(member, admin, auditor, outside=404):
    """Make a route of the API: tokens of people who are shut out or removed are none."""
    return by_role(member, admin, auditor, outside) | {
        "anonymous": 401,
        "disabled": 401,
        "removed": 401,
        # An auditor holds no token: there is none to ask with.
        "auditor": 401,
    }


def everybody(status, **others):
    return dict.fromkeys(ACTORS, status) | others


def in_person(status, **others):
    """One's own page: whoever can log in has it."""
    return everybody(status, anonymous="log in", **others)


EVERYONE, OPERATORS, ADMINS = by_role(200, 200, 200), by_role(200, 200, 403), by_role(403, 200, 403)
POSTED, BY_ADMINS = by_role(302, 302, 403), by_role(403, 302, 403)
SEEN_BY_ADMIN_AND_AUDITOR = by_role(403, 200, 200)

# route → (method, what is posted, {actor: expectation})
PAGES = {
    "": ("GET", None, in_person("team", foreign_admin="team", disabled=200, removed=200)),
    "teams/<slug:team_slug>/": ("GET", None, EVERYONE),
    "teams/<slug:team_slug>/new/": ("GET", None, OPERATORS),
    "teams/<slug:team_slug>/new/<slug:provider>/": ("GET", None, OPERATORS),
    "teams/<slug:team_slug>/new/<slug:provider>/<slug:kind>/": ("GET", None, ADMINS),
    "teams/<slug:team_slug>/choices/<slug:purpose>/": ("GET", None, OPERATORS),
    "teams/<slug:team_slug>/test/<slug:kind>/": ("POST", {}, ADMINS),
    "teams/<slug:team_slug>/preview/": ("POST", {}, OPERATORS),
    "teams/<slug:team_slug>/external-id/": ("POST", {}, OPERATORS),
    "teams/<slug:team_slug>/import/": ("GET", None, OPERATORS),
    # It is nobody's.
    "teams/<slug:team_slug>/import/<uuid:import_id>/": ("GET", None, by_role(404, 404, 403)),
    "teams/<slug:team_slug>/export/<slug:format>/": ("GET", None, by_role(404, 404, 404)),
    "teams/<slug:team_slug>/audit/names/": ("GET", None, SEEN_BY_ADMIN_AND_AUDITOR),
    "teams/<slug:team_slug>/audit/whois/": ("GET", None, SEEN_BY_ADMIN_AND_AUDITOR),
    "teams/<slug:team_slug>/audit/drift/": ("GET", None, SEEN_BY_ADMIN_AND_AUDITOR),
    "teams/<slug:team_slug>/audit/drift/imports/": ("GET", None, SEEN_BY_ADMIN_AND_AUDITOR),
    # With no file: back to the page.
    "teams/<slug:team_slug>/audit/drift/upload/": ("POST", {}, by_role(403, 302, 302)),
    "teams/<slug:team_slug>/audit/drift/lookup/": ("POST", {}, by_role(403, 302, 302)),
    "teams/<slug:team_slug>/audit/drift/imports/<uuid:import_id>/delete/": (
        "POST",
        {},
        by_role(403, 302, 302),
    ),
    "teams/<slug:team_slug>/audit/drift/records/<int:record_id>/": (
        "GET",
        None,
        SEEN_BY_ADMIN_AND_AUDITOR,
    ),
    "teams/<slug:team_slug>/audit/searches/": ("POST", {}, by_role(302, 302, 302)),
    # It is the admin's own.
    "teams/<slug:team_slug>/audit/searches/<uuid:search_id>/": (
        "POST",
        {},
        by_role(404, 302, 404),
    ),
    "teams/<slug:team_slug>/audit/searches/<uuid:search_id>/delete/": (
        "POST",
        {},
        by_role(404, 302, 404),
    ),
    "sessions/<uuid:session_id>/console/": ("GET", None, OPERATORS),
    # One's own sign-in: others' is over, as one that is missing.
    "console/<uuid:sign_in_id>/": ("GET", None, in_person(302)),
    "console/<uuid:sign_in_id>/go/": ("GET", None, in_person(302)),
    "go/<path:alias>": ("GET", None, OPERATORS),
    # With real AWS there is none.
    "simulated/federation": ("GET", None, everybody(404)),
    "sessions/<uuid:session_id>/calls/": ("GET", None, SEEN_BY_ADMIN_AND_AUDITOR),
    "teams/<slug:team_slug>/policy/": ("GET", None, SEEN_BY_ADMIN_AND_AUDITOR),
    "teams/<slug:team_slug>/policy/progress/": ("GET", None, SEEN_BY_ADMIN_AND_AUDITOR),
    "teams/<slug:team_slug>/policy/preview/": ("POST", {}, SEEN_BY_ADMIN_AND_AUDITOR),
    "teams/<slug:team_slug>/policy/labels/": ("GET", None, SEEN_BY_ADMIN_AND_AUDITOR),
    "teams/<slug:team_slug>/policy/labels/<int:label_id>/": (
        "POST",
        {"name": "renamed", "colour": "red"},
        BY_ADMINS,
    ),
    # A session has it: back to the page.
    "teams/<slug:team_slug>/policy/labels/<int:label_id>/delete/": ("POST", {}, BY_ADMINS),
    "teams/<slug:team_slug>/switch-roles/": ("GET", None, OPERATORS),
    "sessions/<uuid:session_id>/names/": ("GET", None, EVERYONE),
    "probes/<uuid:probe_id>/": ("GET", None, in_person(200)),
    "sessions/<uuid:session_id>/": ("GET", None, EVERYONE),
    "sessions/<uuid:session_id>/state/": ("GET", None, EVERYONE),
    "sessions/<uuid:session_id>/edit/": ("GET", None, ADMINS),
    "sessions/<uuid:session_id>/delete/": ("GET", None, ADMINS),
    "sessions/<uuid:session_id>/access/": ("GET", None, ADMINS),
    "sessions/<uuid:session_id>/answer/": ("POST", {}, POSTED),
    # Asked of a root that asks for no approval: there is nothing for whoever might give one.
    "sessions/<uuid:session_id>/approval/": ("GET", None, by_role(404, 404, 403)),
    "sessions/<uuid:session_id>/approval/forget/": ("POST", {}, by_role(404, 404, 403)),
    "sessions/<uuid:session_id>/choose/": ("GET", None, by_role(403, 404, 403)),
    "sessions/<uuid:session_id>/key/": ("GET", None, ADMINS),
    "sessions/<uuid:session_id>/key/rotate/": ("POST", {}, BY_ADMINS),
    "sessions/<uuid:session_id>/key/withdraw/": (
        "POST",
        {},
        by_role(403, 404, 403),
    ),  # there is no rotation
    "sessions/<uuid:session_id>/start/": ("POST", {}, POSTED),
    "sessions/<uuid:session_id>/stop/": ("POST", {}, POSTED),
    "sessions/<uuid:session_id>/rotate/": ("POST", {}, POSTED),
    "sessions/<uuid:session_id>/dismiss/": ("POST", {}, by_role(302, 302, 302)),  # one's own notice
    "sessions/<uuid:session_id>/snippets/<slug:format>/": ("POST", {}, OPERATORS),
    "sessions/<uuid:session_id>/snippets/<slug:format>/download/": ("POST", {}, POSTED),
    # Nothing is active: back to the list.
    "teams/<slug:team_slug>/snippets/": ("POST", {}, POSTED),
    "teams/<slug:team_slug>/snippets/download/": ("POST", {}, POSTED),
    "teams/<slug:team_slug>/audit/": ("GET", None, EVERYONE),
    # Asked for no format: back to the list.
    "teams/<slug:team_slug>/audit/export/": ("POST", {}, by_role(302, 302, 302)),
    # Members open their own events: the team's first is not theirs.
    "teams/<slug:team_slug>/audit/events/<int:seq>/": ("GET", None, by_role(404, 200, 200)),
    "teams/<slug:team_slug>/people/": ("GET", None, SEEN_BY_ADMIN_AND_AUDITOR),
    "teams/<slug:team_slug>/people/invite/": ("GET", None, ADMINS),
    "teams/<slug:team_slug>/people/invitations/<uuid:invitation_id>/withdraw/": (
        "POST",
        {},
        BY_ADMINS,
    ),
    "teams/<slug:team_slug>/people/groups/new/": ("GET", None, ADMINS),
    "teams/<slug:team_slug>/people/groups/<uuid:group_id>/": ("GET", None, ADMINS),
    "teams/<slug:team_slug>/people/groups/<uuid:group_id>/delete/": ("POST", {}, BY_ADMINS),
    "teams/<slug:team_slug>/people/<int:person_id>/": ("GET", None, SEEN_BY_ADMIN_AND_AUDITOR),
    "teams/<slug:team_slug>/people/<int:person_id>/role/": (
        "POST",
        {"role-role": "member"},
        BY_ADMINS,
    ),
    "teams/<slug:team_slug>/people/<int:person_id>/name/": ("POST", {"aws_name": "x.y"}, BY_ADMINS),
    "teams/<slug:team_slug>/people/<int:person_id>/disable/": ("POST", {}, BY_ADMINS),
    "teams/<slug:team_slug>/people/<int:person_id>/enable/": ("POST", {}, BY_ADMINS),
    "teams/<slug:team_slug>/people/<int:person_id>/remove/": ("GET", None, ADMINS),
    # The person is still a member: there is no removal to lift.
    "teams/<slug:team_slug>/people/<int:person_id>/readmit/": ("POST", {}, by_role(403, 404, 403)),
    "teams/<slug:team_slug>/tokens/": ("GET", None, OPERATORS),
    # The token is bea's: others' are for admins alone, and missing to the rest.
    "teams/<slug:team_slug>/tokens/<uuid:token_id>/revoke/": ("POST", {}, by_role(404, 302, 404)),
    "teams/<slug:team_slug>/connect/": ("GET", None, OPERATORS),
    "teams/<slug:team_slug>/robots/": ("GET", None, SEEN_BY_ADMIN_AND_AUDITOR),
    "teams/<slug:team_slug>/robots/new/": ("GET", None, ADMINS),
    "teams/<slug:team_slug>/robots/<uuid:robot_id>/": ("GET", None, SEEN_BY_ADMIN_AND_AUDITOR),
    # With nothing in the forms.
    "teams/<slug:team_slug>/robots/<uuid:robot_id>/tokens/": ("POST", {}, by_role(403, 422, 403)),
    "teams/<slug:team_slug>/robots/<uuid:robot_id>/trust/": ("POST", {}, by_role(403, 422, 403)),
    "teams/<slug:team_slug>/robots/trust/<uuid:rule_id>/end/": ("POST", {}, BY_ADMINS),
    "teams/<slug:team_slug>/robots/<uuid:robot_id>/remove/": ("POST", {}, BY_ADMINS),
    "join/": ("GET", None, everybody(200)),
    "join/accept/": ("POST", {}, everybody(302)),
    # With real AWS there is no such page for anybody.
    "components/": ("GET", None, in_person(404)),
    "healthz": ("GET", None, everybody(200)),
    "readyz": ("GET", None, everybody(503)),
    "metrics": ("GET", None, everybody(200)),
}

API = {
    "openapi.json": {"GET": everybody(200)},
    "sessions": {
        "GET": by_token(200, 200, 200, outside=200),
        "POST": by_token(422, 422, 403, outside=422),
    },
    "sessions/start": {"POST": by_token(200, 200, 403)},
    "sessions/stop": {"POST": by_token(200, 200, 403)},
    "sessions/<uuid:session_id>": {
        "GET": by_token(200, 200, 200),
        "PATCH": by_token(403, 200, 403),
        "DELETE": by_token(403, 204, 403),
    },
    "people": {"GET": by_token(403, 200, 200, outside=200)},
    "people/<int:person_id>": {
        "GET": by_token(403, 200, 200),
        "PATCH": by_token(403, 200, 403),
        "DELETE": by_token(403, 204, 403),
    },
    "people/<int:person_id>/suspend": {"POST": by_token(403, 200, 403)},
    "people/<int:person_id>/reinstate": {"POST": by_token(403, 200, 403)},
    # The person is still a member: there is no removal to lift.
    "people/<int:person_id>/readmit": {"POST": by_token(403, 404, 403)},
    "groups": {
        "GET": by_token(403, 200, 200, outside=200),
        "POST": by_token(403, 201, 403, outside=201),
    },
    "groups/<uuid:group_id>": {
        "GET": by_token(403, 200, 200),
        "PATCH": by_token(403, 200, 403),
        "DELETE": by_token(403, 204, 403),
    },
    "invitations": {
        "GET": by_token(403, 200, 200, outside=200),
        "POST": by_token(403, 201, 403, outside=201),
    },
    "invitations/<uuid:invitation_id>": {"DELETE": by_token(403, 204, 403)},
    "probes": {"POST": by_token(422, 422, 403, outside=422)},
    # One's own alone: this is bea's.
    "probes/<uuid:probe_id>": {"GET": by_token(404, 404, 404)},
    "sessions/bulk": {"POST": by_token(200, 200, 200, outside=200)},
    "apply": {"POST": by_token(200, 200, 200, outside=200)},
    "sessions/<uuid:session_id>/choices": {"GET": by_token(403, 404, 403)},
    # It is asked for a chained session, which has no key.
    "sessions/<uuid:session_id>/key-rotation": {
        "GET": by_token(403, 404, 403),
        "POST": by_token(403, 404, 403),
        "DELETE": by_token(403, 404, 403),
    },
    "sessions/by-alias/<path:alias>": {
        "GET": by_token(200, 200, 200),
        "PUT": by_token(403, 422, 403, outside=422),
    },
    "policy": {
        "GET": by_token(403, 200, 200, outside=200),
        "PATCH": by_token(403, 200, 403, outside=200),
    },
    # Members read their own events: the team's first is not theirs.
    "events": {"GET": by_token(200, 200, 200, outside=200)},
    "events/<int:seq>": {"GET": by_token(404, 200, 200, outside=200)},
    "events/export": {"GET": by_token(200, 200, 200, outside=200)},
    "config": {"GET": by_token(200, 200, 403, outside=200)},
    "formats": {"GET": by_token(200, 200, 200, outside=200)},
    "keys": {"GET": by_token(403, 200, 200, outside=200)},
    "names": {"GET": by_token(403, 200, 200, outside=200)},
    "switch-roles": {"GET": by_token(200, 200, 200, outside=200)},
    "drift/imports": {
        "GET": by_token(403, 200, 200, outside=200),
        "POST": by_token(403, 422, 422, outside=422),
    },
    "drift/imports/<uuid:import_id>": {
        "GET": by_token(403, 200, 200),
        "DELETE": by_token(403, 204, 204),
    },
    "searches": {
        "GET": by_token(200, 200, 200, outside=200),
        "POST": by_token(201, 201, 201, outside=201),
    },
    "searches/<uuid:search_id>": {
        "PATCH": by_token(404, 200, 404),
        "DELETE": by_token(404, 204, 404),
    },
    "drift/lookups": {"POST": by_token(403, 422, 422, outside=422)},
    "import": {"POST": by_token(200, 200, 403, outside=200)},
    "export": {"GET": by_token(200, 200, 200, outside=200)},
    "drift/records": {"GET": by_token(403, 200, 200, outside=200)},
    "drift/records/<int:record_id>": {"GET": by_token(403, 200, 200)},
    "sessions/<uuid:session_id>/calls": {"GET": by_token(403, 200, 200)},
    "whois": {
        "GET": by_token(403, 422, 422, outside=422),
        "POST": by_token(403, 422, 422, outside=422),
    },
    "tokens": {
        "GET": by_token(200, 200, 200, outside=200),
        "POST": by_token(403, 201, 403),
    },
    # The token is bea's: other people's are for pages alone.
    "tokens/<uuid:token_id>": {"DELETE": by_token(404, 404, 403)},
    "tokens/exchange": {"POST": everybody(422)},
    "robots": {
        "GET": by_token(403, 200, 403, outside=200),
        "POST": by_token(403, 201, 403, outside=201),
    },
    "robots/<uuid:robot_id>": {
        "GET": by_token(403, 200, 403),
        "PATCH": by_token(403, 200, 403),
        "DELETE": by_token(403, 204, 403),
    },
    "robots/<uuid:robot_id>/trust": {"POST": by_token(403, 422, 403)},
    "trust/<uuid:rule_id>": {"DELETE": by_token(403, 204, 403)},
    "policy/unnamed": {"GET": by_token(403, 200, 200, outside=200)},
    "sessions/<uuid:session_id>/access": {
        "GET": by_token(200, 200, 200),
        "PUT": by_token(403, 200, 403),
    },
    "sessions/<uuid:session_id>/access/ways": {"GET": by_token(403, 200, 403)},
    # It is open to everyone: nobody is left out who could come in by another.
    "sessions/<uuid:session_id>/access/ways/close": {"POST": by_token(403, 409, 403)},
    "sessions/<uuid:session_id>/answer": {"POST": by_token(409, 409, 403)},
    "sessions/<uuid:session_id>/approval": {
        "GET": by_token(409, 409, 403),
        "POST": by_token(409, 409, 403),
        "DELETE": by_token(409, 409, 403),
    },
    "sessions/<uuid:session_id>/start": {"POST": by_token(200, 200, 403)},
    "sessions/<uuid:session_id>/stop": {"POST": by_token(200, 200, 403)},
    "sessions/<uuid:session_id>/dismiss": {"POST": by_token(200, 200, 403)},
    "sessions/<uuid:session_id>/rotate": {"POST": by_token(409, 409, 403)},
    # Not started: they begin it, and come back for what a worker issues.
    "sessions/<uuid:session_id>/credentials": {"GET": by_token(503, 503, 403)},
}
# For tools as well, but at an address of its own; cookies count for nothing.
CONTAINER = "container/<uuid:session_id>"
API_BODY = {
    "robots": {"name": "another", "everything": True},
    "sessions": {"kind": "iam-role-chained"},
    "groups": {"name": "New group"},
    "invitations": {"role": "member"},
    "sessions/bulk": {"action": "stop", "ids": []},
    "sessions/<uuid:session_id>": {},
    "import": {"files": [{"text": "[profile a]\nregion = eu-west-1\n"}]},
    "searches": {"page": "events", "name": "Mine", "query": "kind=credential"},
    "searches/<uuid:search_id>": {"name": "Ours"},
    # Its region is none, so that whoever may do it is told so.
    "drift/lookups": {"session": "", "region": "nowhere", "since": "24h"},
}

LOGGED_OUT_ONLY = everybody(302, anonymous=200)
ACCOUNTS = {
    "login/": ("GET", None, LOGGED_OUT_ONLY),
    "logout/": ("GET", None, everybody(200, anonymous=302)),
    "inactive/": ("GET", None, everybody(200)),
    "signup/": ("GET", None, LOGGED_OUT_ONLY),
    "reauthenticate/": ("GET", None, in_person(200)),
    "email/": ("GET", None, in_person(200)),
    "password/change/": ("GET", None, in_person(200)),
    "password/set/": ("GET", None, in_person(302)),  # they have one: to the page that changes it
    "password/reset/": ("GET", None, everybody(200)),
    "password/reset/done/": ("GET", None, everybody(200)),
    "password/reset/key/<base36:uidb36>-<str:key>/": ("GET", None, everybody(200)),
    "password/reset/key/done/": ("GET", None, everybody(200)),
    "email/confirm/<str:key>/": ("GET", None, everybody(200)),
    "2fa/": ("GET", None, in_person(200)),
    "2fa/authenticate/": ("GET", None, everybody(302)),
    "2fa/reauthenticate/": (
        "GET",
        None,
        in_person("confirm"),
    ),  # they have no authenticator to confirm by
    "2fa/totp/activate/": ("GET", None, in_person(200)),
    "2fa/totp/deactivate/": ("GET", None, in_person(404)),
    "2fa/recovery-codes/": ("GET", None, in_person(404)),
    "2fa/recovery-codes/generate/": ("GET", None, in_person(200)),
    "2fa/recovery-codes/download/": ("GET", None, in_person(404)),
    "2fa/webauthn/": ("GET", None, in_person(200)),
    "2fa/webauthn/add/": ("GET", None, in_person(200)),
    "2fa/webauthn/keys/<int:pk>/remove/": ("GET", None, in_person(404)),
    "2fa/webauthn/keys/<int:pk>/edit/": ("GET", None, in_person(404)),
    "2fa/webauthn/login/": ("GET", None, everybody(302)),
    "2fa/webauthn/reauthenticate/": ("GET", None, in_person("confirm")),
    "sessions/": ("GET", None, in_person(200)),
    "3rdparty/": ("GET", None, in_person(200)),
    "3rdparty/signup/": ("GET", None, everybody(302)),
    "3rdparty/login/cancelled/": ("GET", None, everybody(200)),
    "3rdparty/login/error/": ("GET", None, everybody(401)),
    "oidc/<slug:provider_id>/login/": ("GET", None, everybody(404)),  # none is configured
    "oidc/<slug:provider_id>/login/callback/": ("GET", None, everybody(404)),
}
TABLE = PAGES | {f"accounts/{route}": row for route, row in ACCOUNTS.items()}
TABLE[CONTAINER] = ("GET", None, everybody(401))

# These are about the key of a root; all other routes with a session are asked for a chained one.
ABOUT_A_KEY = {route for route in PAGES if "/key/" in route}

# Pages of sensitive things: whoever has not proved within five minutes who they are is asked again.
SENSITIVE = {
    "sessions/<uuid:session_id>/key/rotate/",
    "sessions/<uuid:session_id>/key/withdraw/",
    "teams/<slug:team_slug>/new/<slug:provider>/<slug:kind>/",
    "teams/<slug:team_slug>/policy/",
    "teams/<slug:team_slug>/policy/labels/",
    "teams/<slug:team_slug>/policy/labels/<int:label_id>/",
    "teams/<slug:team_slug>/policy/labels/<int:label_id>/delete/",
    "sessions/<uuid:session_id>/access/",
    "sessions/<uuid:session_id>/choose/",
    "teams/<slug:team_slug>/audit/export/",
    "teams/<slug:team_slug>/audit/drift/imports/<uuid:import_id>/delete/",
    *(
        route
        for route in PAGES
        if "/people/" in route and not route.endswith(("people/", "<int:person_id>/"))
    ),
    *(route for route in PAGES if "/tokens/" in route),
    "teams/<slug:team_slug>/connect/",
    *(route for route in PAGES if "/robots/" in route and not route.endswith("/robots/")),
    "accounts/email/",
    "accounts/password/set/",
    *(
        f"accounts/{route}"
        for route in ACCOUNTS
        if route.startswith(("2fa/totp", "2fa/recovery", "2fa/webauthn/"))
        and "login" not in route
        and "reauthenticate" not in route
    ),
    "accounts/3rdparty/",
}


# Pages that change something without asking again, each with the reason.
NOT_ASKED_AGAIN = {
    "accounts/login/": "is the login",
    "accounts/logout/": "ends the login",
    "accounts/inactive/": "changes nothing",
    "accounts/signup/": "before any login",
    "accounts/reauthenticate/": "is the confirmation",
    "accounts/2fa/authenticate/": "a part of the login",
    "accounts/2fa/reauthenticate/": "is the confirmation",
    "accounts/2fa/webauthn/login/": "is the login",
    "accounts/2fa/webauthn/reauthenticate/": "is the confirmation",
    "accounts/2fa/": "changes nothing",
    "accounts/password/change/": "asks for the old password",
    "accounts/password/reset/": "before any login; the mailed link is the proof",
    "accounts/password/reset/done/": "changes nothing",
    "accounts/password/reset/key/<base36:uidb36>-<str:key>/": "the mailed link is the proof",
    "accounts/password/reset/key/done/": "changes nothing",
    "accounts/email/confirm/<str:key>/": "the mailed link is the proof",
    "accounts/sessions/": "ends logins, and begins none",
    "accounts/3rdparty/signup/": "before any login",
    "accounts/3rdparty/login/cancelled/": "changes nothing",
    "accounts/3rdparty/login/error/": "changes nothing",
    "accounts/oidc/<slug:provider_id>/login/": "is the login; to connect an account asks before",
    "accounts/oidc/<slug:provider_id>/login/callback/": "is the login",
    "teams/<slug:team_slug>/test/<slug:kind>/": (
        "of a chain it stores nothing but the test; a root's asks"
    ),
    "teams/<slug:team_slug>/preview/": "changes nothing",
    "teams/<slug:team_slug>/policy/preview/": "changes nothing",
    "teams/<slug:team_slug>/audit/whois/": "changes nothing",
    "teams/<slug:team_slug>/audit/drift/lookup/": "uses what one has started; is in the ledger",
    "teams/<slug:team_slug>/audit/searches/": "saves a link of one's own",
    "teams/<slug:team_slug>/audit/searches/<uuid:search_id>/": "renames a link of one's own",
    "teams/<slug:team_slug>/audit/searches/<uuid:search_id>/delete/": "deletes a link of one's own",
    "teams/<slug:team_slug>/audit/drift/upload/": "adds records, each import is in the ledger",
    "teams/<slug:team_slug>/external-id/": "changes nothing",
    "teams/<slug:team_slug>/import/": "changes nothing: what is sent waits for the preview",
    "teams/<slug:team_slug>/import/<uuid:import_id>/": (
        "a chain of one's own is everyday work; where roots come of it, it asks"
    ),
    "teams/<slug:team_slug>/export/<slug:format>/": "changes nothing",
    "sessions/<uuid:session_id>/edit/": (
        "a chain of one's own is everyday work; a root's, and taking over, ask"
    ),
    "sessions/<uuid:session_id>/delete/": "the same",
    "sessions/<uuid:session_id>/start/": "one's own activation",
    "sessions/<uuid:session_id>/stop/": "one's own activation",
    "sessions/<uuid:session_id>/rotate/": "one's own activation",
    "sessions/<uuid:session_id>/answer/": "a code is a proof itself",
    "sessions/<uuid:session_id>/approval/": "one's own approval, which the provider asks for",
    "sessions/<uuid:session_id>/approval/forget/": "one's own approval",
    "sessions/<uuid:session_id>/dismiss/": "one's own notice",
    "sessions/<uuid:session_id>/snippets/<slug:format>/": (
        "everyday work, and each is in the ledger"
    ),
    "sessions/<uuid:session_id>/snippets/<slug:format>/download/": "the same",
    "teams/<slug:team_slug>/snippets/": "the same; sensitive sessions are left out",
    "teams/<slug:team_slug>/snippets/download/": "the same",
    "sessions/<uuid:session_id>/console/": "the same",
    "simulated/federation": "stands in for AWS, and is not there with real AWS",
    "join/": "changes nothing",
    "join/accept/": "the invitation is the proof",
}


def every_route(resolver=None, prefix=""):
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLResolver):
            yield from every_route(pattern, prefix + str(pattern.pattern))
        elif isinstance(pattern, URLPattern):
            yield (prefix + str(pattern.pattern)).replace("<uuidstr:", "<uuid:"), pattern


def every_api_operation():
    """{(route, method)} as the API itself tells."""
    for prefix, router in api._routers:
        for path, view in router.path_operations.items():
            for operation in view.operations:
                for method in operation.methods:
                    yield (
                        f"{prefix}{path}".lstrip("/")
                        .replace("{", "<")
                        .replace("}", ">")
                        .replace("<uuidstr:", "<uuid:"),
                        method,
                    )


def test_every_route_is_in_the_table():
    routes = {route for route, _ in every_route()}
    listed = set(TABLE) | {f"api/v1/{route}" for route in API}
    # The root of the API answers nothing; ninja needs its name.
    assert routes - listed - {"api/v1/"} == set(), "say who may what on these routes"
    assert listed - routes == set(), "these routes are gone"


def test_every_method_of_the_api_is_in_the_table():
    listed = {(route, method) for route, methods in API.items() for method in methods}
    assert set(every_api_operation()) == listed - {("openapi.json", "GET")}


def _imported(house):
    """Import one record; return its number and that of its import."""
    taken = take_file(Actor(house.ada), "log", [json.dumps(event()).encode()])
    trail.work_off(60)
    return {
        "import_id": taken.pk,
        "record_id": TrailRecord.objects.get(trail_import=taken).pk,
    }


def _labelled(session):
    """Label a session without a line in the ledger, which tests count."""
    label = Label.objects.create(team=session.team, name="label")
    SessionLabel.objects.create(session=session, label=label)
    return label.pk


def _robot(house, session):
    """Make a robot that trusts somebody; return both numbers."""
    robot = create_robot(RobotDraft("deploy", house.ada, sessions=[session]), Actor(house.ada))
    rule = TrustRule.objects.create(
        robot=robot,
        name="main",
        issuer="https://issuer.example",
        audience="chainweb",
        claims={"sub": "somebody"},
        scopes=["read"],
    )
    return {"robot_id": robot.pk, "rule_id": rule.pk}


class World:
    """Hold a team with everybody in it, and another; things to ask for in both."""

    def __init__(self, sts):
        self.house, self.other = TeamFixture(sts), TeamFixture(sts, "other")
        house = self.house
        self.carl = house.person("carl", Role.MEMBER)
        self.dan = house.person("dan", Role.MEMBER)
        self.eli = house.person("eli", Role.ADMIN)
        self.actors = {
            "member": house.ben,
            "admin": house.ada,
            "auditor": house.eve,
            "foreign_admin": self.other.ada,
            "disabled": self.carl,
            "removed": self.dan,
            SWITCHED_OFF: self.eli,
        }
        self.tokens = {
            name: (
                house.token(member)
                if member.team_id == house.team.pk
                else create_token(member, "tests", actor=NamedActor("tests"))
            )
            for name, member in self.actors.items()
            if name != "auditor"
        }
        self.samples = self._things(house, "Thing")
        self.foreign = self._things(self.other, "Foreign")
        disable_member(self.carl, actor=NamedActor("ada"))
        remove_member(self.dan, actor=NamedActor("ada"))
        set_person_active(self.eli.user, False, actor=NamedActor("manage.py"))
        self.carl.user.refresh_from_db()  # their logins ended; these are new ones

    @staticmethod
    def _things(house, prefix):
        [session] = house.chain(1, prefix=prefix)
        create_token(house.bea, "thing", actor=NamedActor("tests"))
        return {
            "team_slug": house.team.slug,
            "seq": 1,
            **_imported(house),
            "search_id": save_search(Actor(house.ada), "events", "Theirs", "kind=credential").pk,
            "session_id": session.pk,
            "alias": session.alias,
            "label_id": _labelled(session),
            "sign_in_id": (
                ConsoleSignIn.objects.create(
                    team=house.team,
                    session=session,
                    user=house.bea.user,
                    region="eu-west-1",
                    ends_at="2100-01-01T00:00Z",
                ).pk
            ),
            "invitation_id": invite(Actor(house.ada), Role.MEMBER)[0].pk,
            "group_id": save_group(Actor(house.ada), "Group", [house.bea]).pk,
            "person_id": house.bea.user_id,
            "token_id": Token.objects.get(user=house.bea.user).pk,
            **_robot(house, session),
            "probe_id": (
                Probe.objects.create(
                    team=house.team,
                    user=house.bea.user,
                    kind="iam-user",
                    region="eu-west-1",
                    ends_at="2100-01-01T00:00Z",
                ).pk
            ),
        }

    def path(self, route, **changes):
        fixed = {
            "provider": "aws",
            "kind": "iam-user",
            "purpose": "assumer",
            "format": "process",
            "uidb36": "1",
            "key": "no-key",
            "pk": 1,
            "provider_id": "sso",
        }
        about = {"session_id": self.house.root.pk} if route in ABOUT_A_KEY else {}
        samples = fixed | self.samples | about | changes
        return "/" + re.sub(r"<\w+:(\w+)>", lambda match: str(samples[match[1]]), route)

    def browser(self, actor, minutes_ago=0.0):
        member = self.actors.get(actor)
        return self.house.browser(member, minutes_ago=minutes_ago) if member else Client()


@pytest.fixture
def world(db, sts):
    return World(sts)


def ask(client, method, path, data):
    return client.post(path, data) if method == "POST" else client.get(path)


def seen(answer):
    where = answer.headers.get("Location", "")
    if answer.status_code == 302 and "/accounts/login/?next=" in where:
        return "log in"
    if answer.status_code == 302 and "reauthenticate" in where:
        return "confirm"
    if answer.status_code == 302 and re.fullmatch(r"/teams/[a-z]+/", where):
        return "team"
    return answer.status_code


def matches(expected, found):
    # Where a redirect is expected, to one's team is as good as to any page; to the login is not.
    return found == expected or (expected == 302 and found == "team")


@contextmanager
def asked_alone(subtests, *about):
    """One row of the table, on the untouched world: what it changes is taken back."""
    # The table has more rows than a network may send bad tokens in a minute.
    request_limits.forget()
    with subtests.test(" ".join(map(str, about))):
        savepoint = (
            transaction.savepoint()
        )  # no atomic block: what wants to be durable is the outermost one here too
        try:
            yield
        finally:
            transaction.savepoint_rollback(savepoint)


def test_everyone_gets_what_the_table_says(world, subtests):
    for route, (method, data, expected) in sorted(TABLE.items()):
        assert set(expected) == set(ACTORS)
        for actor in (*ACTORS, SWITCHED_OFF):
            with asked_alone(subtests, route, actor):
                answer = ask(world.browser(actor), method, world.path(route), data)
                wanted = expected.get(actor, expected["anonymous"])
                assert matches(wanted, seen(answer)), (route, actor, seen(answer))


def test_every_token_gets_what_the_table_says(world, subtests):
    several = {"ids": [str(world.samples["session_id"])]}
    bodies = API_BODY | {"sessions/start": several, "sessions/stop": several}
    bodies |= {"tokens": {"robot": str(world.samples["robot_id"]), "name": "pipeline"}}
    for route, methods in sorted(API.items()):
        for method, expected in methods.items():
            for actor in (*ACTORS, SWITCHED_OFF):
                secret = world.tokens.get(actor)
                with asked_alone(subtests, method, route, actor):
                    answer = call(
                        world.path(f"api/v1/{route}"), method, secret, bodies.get(route, {})
                    )
                    wanted = expected.get(actor, expected["anonymous"])
                    assert answer.status_code == wanted, (route, actor, answer.content)


def test_the_container_endpoint_answers_as_the_api_does(world, subtests):
    for actor, wanted in API["sessions/<uuid:session_id>/credentials"]["GET"].items():
        with asked_alone(subtests, actor):
            answer = call(world.path(CONTAINER), "GET", world.tokens.get(actor), {})
            assert answer.status_code == wanted, answer.content
    answers = [
        call(world.path(CONTAINER, session_id=which), "GET", world.tokens["admin"], {})
        for which in (world.foreign["session_id"], MISSING)
    ]
    compare(answers, 404, (world.foreign["session_id"], MISSING))


def call(path, method, secret, body):
    return Client().generic(
        method,
        path,
        json.dumps(body) if method != "GET" else "",
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret.reveal()}"} if secret else {},
    )


def test_sensitive_things_want_a_log_in_of_the_last_five_minutes(world, subtests):
    for route in sorted(SENSITIVE):
        for method in ("GET", "POST"):
            with asked_alone(subtests, method, route):
                found = seen(
                    ask(world.browser("admin", minutes_ago=5.1), method, world.path(route), {})
                )
                assert found in {"confirm", 405}, route
                assert found == "confirm" or method != TABLE[route][0], route


def test_every_page_that_changes_something_says_whether_it_asks_again(world):
    """Asked with POST by an admin whose login is old; what takes no POST changes nothing."""
    old = world.browser("admin", minutes_ago=6)
    unsorted = set()
    for route in sorted(TABLE.keys() - SENSITIVE - NOT_ASKED_AGAIN.keys()):
        with transaction.atomic():
            if old.post(world.path(route)).status_code != 405:
                unsorted.add(route)
    assert unsorted == set(), (
        "say in SENSITIVE or NOT_ASKED_AGAIN whether these ask for a recent login"
    )
    assert not SENSITIVE & NOT_ASKED_AGAIN.keys()
    assert NOT_ASKED_AGAIN.keys() <= TABLE.keys()


def test_editing_a_root_wants_a_recent_log_in_and_editing_a_chain_does_not(world):
    old = world.browser("admin", minutes_ago=6)
    root = world.path("sessions/<uuid:session_id>/edit/", session_id=world.house.root.pk)
    assert seen(old.get(root)) == "confirm"
    assert old.get(world.path("sessions/<uuid:session_id>/edit/")).status_code == 200


def test_taking_over_a_chain_wants_a_recent_log_in(world):
    bens = world.house.chained("Bens", member=world.house.ben)
    path = world.path("sessions/<uuid:session_id>/edit/", session_id=bens.pk)
    old = world.browser("admin", minutes_ago=6)
    assert [seen(old.get(path)), seen(old.post(path))] == ["confirm", "confirm"]
    assert world.browser("member", minutes_ago=6).get(path).status_code == 200


def test_testing_a_root_wants_a_recent_log_in_and_testing_a_chain_does_not(world):
    old, house = world.browser("admin", minutes_ago=6), world.house
    before = Probe.objects.count()
    for about in ({}, {"session": house.root.pk}):
        path = world.path("teams/<slug:team_slug>/test/<slug:kind>/")
        assert (
            seen(old.post(path, {**DRAFTS["iam-user"], "alias": "T", "profile": "t", **about}))
            == "confirm"
        )
    assert Probe.objects.count() == before
    path = world.path("teams/<slug:team_slug>/test/<slug:kind>/", kind="iam-role-chained")
    assert old.post(path).status_code == 200


def test_deleting_a_root_wants_a_recent_log_in_a_chain_does_not(world):
    old = world.browser("admin", minutes_ago=6)
    root = world.path("sessions/<uuid:session_id>/delete/", session_id=world.house.root.pk)
    assert [seen(old.get(root)), seen(old.post(root))] == ["confirm", "confirm"]
    assert AwsSession.objects.filter(pk=world.house.root.pk).exists()
    assert old.get(world.path("sessions/<uuid:session_id>/delete/")).status_code == 200


IDS = (
    *("search_id", "import_id", "record_id", "session_id", "invitation_id"),
    *("group_id", "person_id", "token_id", "probe_id", "sign_in_id", "label_id"),
    *("robot_id", "rule_id"),
)


def test_foreign_and_missing_ids_give_byte_equal_answers(world, subtests):
    ada = world.browser("admin")
    for route in sorted(route for route in PAGES if "_id>" in route):
        method, data, _ = TABLE[route]
        [name] = [name for name in IDS if f":{name}>" in route]
        missing = 10**9 if name in {"person_id", "record_id", "label_id"} else MISSING
        with asked_alone(subtests, route):
            paths = [world.path(route, **{name: which}) for which in (world.foreign[name], missing)]
            expected = {"probe_id": 200, "sign_in_id": 302}.get(
                name, 404
            )  # of what is gone the panel, or a message, says so
            compare([ask(ada, method, path, data) for path in paths], expected)


@pytest.mark.parametrize("number", [10**6, 2**63, 10**40])
def test_a_persons_number_that_no_database_holds_is_missing_like_any_other(world, number):
    ada = world.browser("admin")
    assert ada.get(f"/teams/{world.house.team.slug}/people/{number}/").status_code == 404
    assert ada.post(f"/teams/{world.house.team.slug}/people/{number}/disable/").status_code == 404


def test_foreign_and_missing_teams_give_byte_equal_answers(world, subtests):
    ada = world.browser("admin")
    for route in sorted(route for route in PAGES if "team_slug" in route):
        method, data, _ = TABLE[route]
        with asked_alone(subtests, route):
            compare(
                [
                    ask(ada, method, world.path(route, team_slug=slug), data)
                    for slug in ("other", "none")
                ],
                404,
            )


def test_foreign_and_missing_ids_give_byte_equal_answers_to_a_token(world, subtests):
    secret = world.tokens["admin"]
    for route in sorted(route for route in API if "_id>" in route):
        for method in API[route]:
            with asked_alone(subtests, method, route):
                [name] = [name for name in IDS if f":{name}>" in route]
                missing = 10**9 if name in {"person_id", "record_id"} else MISSING
                paths = [
                    world.path(f"api/v1/{route}", **{name: which})
                    for which in (world.foreign[name], missing)
                ]
                answers = [call(path, method, secret, {}) for path in paths]
                compare(answers, 404, (world.foreign[name], missing))


def compare(answers, expected, ids=("-", "-")):
    """Compare two answers; the id that was asked for may stand in either."""
    foreign, missing = answers
    assert (foreign.status_code, missing.status_code) == (expected, expected)
    said = [
        answer.content.replace(str(each).encode(), b"-")
        for answer, each in zip(answers, ids, strict=True)
    ]
    assert said[0] == said[1]
    assert headers_of(foreign) == headers_of(missing)


def headers_of(answer):
    return {
        name: value for name, value in answer.headers.items() if name not in {"Date", "Expires"}
    }


DRAFTS = {
    "iam-role-chained": {
        "role_arn": "arn:aws:iam::111122223333:role/Any",
        "role_session_name": "{username}",
    },
    "iam-user": {
        "access_key_id": "AKIAIOSFODNN7EXAMPLE",
        "secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    },
    "ambient": {},
    "web-identity": {
        "role_arn": "arn:aws:iam::111122223333:role/Any",
        "token_file": "/var/run/token",
    },
}


@pytest.mark.parametrize("kind", DRAFTS)
@pytest.mark.parametrize("actor", ["member", "admin", "auditor"])
def test_naming_a_session_opens_no_other_gate_of_a_test(world, kind, actor):
    """`session=` says which session is edited: it lets nobody test what they could not create."""
    house, member = world.house, world.actors[actor]
    own = house.chained("Own", member=member if actor == "member" else house.ada)
    path = f"/teams/{house.team.slug}/test/{kind}/"
    body = {
        "alias": "Trial",
        "profile": "trial",
        "region": "eu-west-1",
        "assumer": house.root.pk,
        **DRAFTS[kind],
    }
    client = world.browser(actor)
    before = Probe.objects.count()
    for session in (own, house.root, AwsSession.objects.get(pk=world.foreign["session_id"])):
        answer = client.post(path, {**body, "session": session.pk})
        may = actor != "auditor" and (
            (kind == "iam-role-chained" and session == own)
            or (kind == "iam-user" and session == house.root and actor == "admin")
        )
        assert answer.status_code in ({200} if may else {403, 404}), (
            session.alias,
            answer.status_code,
        )
    assert Probe.objects.count() - before <= 1
    assert not Probe.objects.filter(kind__in=["ambient", "web-identity"]).exists()


def test_a_test_of_the_workers_own_identity_ends_with_the_operators_leave(world):
    house = world.house
    house.team.ambient_enabled = True
    house.team.save()
    probe = start_probe(Draft("ambient", "Worker", "worker", "eu-west-1"), Actor(house.ada), None)
    house.team.ambient_enabled = False
    house.team.save()
    calls = len(house.sts.calls)
    run_root_probe(str(probe.pk))
    assert len(house.sts.calls) == calls
    with pytest.raises(Refused, match="operator has not enabled"):
        start_probe(Draft("ambient", "Worker", "worker", "eu-west-1"), Actor(house.ada), None)
    with pytest.raises(Refused, match="another kind"):
        start_probe(
            Draft("iam-user", "Own", "own", "eu-west-1"), Actor(house.ada), house.chained("Own")
        )
