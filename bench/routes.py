"""List every route about one session, person or token with a request for it.

A route without a request fails the bench.

`every_route` and `every_api_operation` read the URLconf and the API's router; `missing` says what
has no request here.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.urls import URLPattern, URLResolver, get_resolver

from bench.large_team import LargeTeam
from sessions.api import api

Values = dict[str, Any]
NOTHING: Callable[[LargeTeam], Values] = lambda team: {}  # noqa: E731


@dataclass(frozen=True)
class Ask:
    """Describe one request.

    `by`: who asks, None for nobody; `about`: values in the address other than the usual ones.
    """

    route: str
    method: str = "GET"
    status: int = 200
    by: str | None = "admin"
    data: Callable[[LargeTeam], Values] = NOTHING
    about: Callable[[LargeTeam], Values] = NOTHING
    what: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def is_api(self) -> bool:
        """Tell if it is asked with a token."""
        return self.route.startswith(("api/", "container/"))

    @property
    def name(self) -> str:
        """Name the figure of this request."""
        who = "" if self.by == "admin" else f" by {self.by or 'nobody'}"
        return f"{self.method} /{self.route}{who}{f' ({self.what})' if self.what else ''}"

    def path(self, team: LargeTeam) -> str:
        """Return the address with that team's samples in it, and with a GET's data as its query."""
        fixed = {
            "provider": "aws",
            "kind": "iam-role-chained",
            "purpose": "assumer",
            "format": "posix",
            "uidb36": "1",
            "key": "no-key",
            "pk": 1,
            "provider_id": "sso",
        }
        samples = fixed | team.samples | self.about(team)
        path = "/" + re.sub(r"<\w+:(\w+)>", lambda match: str(samples[match[1]]), self.route)
        asked = urlencode(self.data(team), doseq=True) if self.method == "GET" else ""
        return f"{path}?{asked}" if asked else path

    def body(self, team: LargeTeam) -> str:
        """Return the JSON body for the API."""
        return "" if self.method in {"GET", "DELETE"} else json.dumps(self.data(team))


SESSION = "sessions/<uuid:session_id>/"
TEAM = "teams/<slug:team_slug>/"
PERSON = f"{TEAM}people/<int:person_id>/"
API_SESSION = "api/v1/sessions/<uuid:session_id>"
API_PERSON = "api/v1/people/<int:person_id>"
API_GROUP = "api/v1/groups/<uuid:group_id>"
API_ALIAS = "api/v1/sessions/by-alias/<path:alias>"
NEW = f"{TEAM}new/<slug:provider>/<slug:kind>/"
LIVE = {"HX-Request": "true"}
# Another one in everything, so that every session is checked against it in every way.
SEARCH = {"page": "events", "name": "Mine", "query": "kind=credential"}
POLICY = {
    "role_session_name": "{alias}-{username}",
    "source_identity": "where-possible",
    "networks": ["203.0.113.0/24"],
    "activation_hours": 10,
    "token_days": 90,
    "scoping": "off",
    "snippet_minutes": 60,
}


def _one(name: str) -> Callable[[LargeTeam], Values]:
    return lambda team: {"session_id": getattr(team, name).pk}


def _new(team: LargeTeam) -> Values:
    return _chained(team) | {"alias": "New one", "profile": "new-one"}


def _chained(team: LargeTeam) -> Values:
    """Return the subject as it is, but for its role: what is active below it follows."""
    return {
        "alias": team.session.alias,
        "profile": team.session.profile,
        "region": team.session.region,
        "role_arn": "arn:aws:iam::111122223333:role/Other",
        "role_session_name": "{username}",
        "assumer": str(team.root.pk),
    }


def _files(team: LargeTeam, *, dry_run: bool = True) -> Values:
    """Return a file with a role on a source that the team's root stands in for."""
    text = (
        "[profile imported]\nrole_arn = arn:aws:iam::111122223333:role/Imported\n"
        "source_profile = elsewhere\nregion = eu-west-1\n[profile elsewhere]\n"
    )
    files = [{"name": "config", "text": text}]
    return {"files": files, "use": {"elsewhere": str(team.root.pk)}, "dry_run": dry_run}


def _typed_root(team: LargeTeam) -> Values:
    return {
        "alias": "New root",
        "profile": "new-root",
        "region": "eu-west-1",
        "access_key_id": "AKIAIOSFODNN7EXAMPLE",
        "secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    }


def _a_key(team: LargeTeam) -> Values:
    return {"q": "ASIAIOSFODNN7EXAMPLE"}


def _access(team: LargeTeam) -> Values:
    return {"start": "named", "start_people": [team.member.pk], "assume": "named"}


PAGES = (
    Ask("", status=302),
    Ask(f"{TEAM}new/"),
    Ask(f"{TEAM}new/<slug:provider>/"),
    Ask(NEW),
    Ask(NEW, by="member"),
    Ask(NEW, what="a root", about=lambda team: {"kind": "iam-user"}),
    Ask(NEW, "POST", 302, data=_new),
    Ask(NEW, "POST", 302, what="a root", data=_typed_root, about=lambda team: {"kind": "iam-user"}),
    Ask(NEW, "POST", 422, what="with errors"),
    Ask(f"{TEAM}choices/<slug:purpose>/"),
    Ask(f"{TEAM}choices/<slug:purpose>/", by="member"),
    Ask(
        f"{TEAM}choices/<slug:purpose>/",
        what="for a token",
        about=lambda team: {"purpose": "token"},
    ),
    Ask(
        f"{TEAM}choices/<slug:purpose>/",
        what="for a preview",
        about=lambda team: {"purpose": "preview"},
    ),
    Ask(f"{TEAM}test/<slug:kind>/", "POST", data=_new),
    Ask(
        f"{TEAM}test/<slug:kind>/",
        "POST",
        what="a root",
        data=_typed_root,
        about=lambda team: {"kind": "iam-user"},
    ),
    Ask(f"{TEAM}preview/", "POST", data=_new),
    Ask(f"{TEAM}external-id/", "POST"),
    Ask(
        f"{TEAM}policy/",
        "POST",
        302,
        data=lambda team: POLICY | {"names_locked": "on", "tags": "stage"},
    ),
    Ask(f"{TEAM}import/"),
    Ask(f"{TEAM}import/", "POST", 302, data=lambda team: {"text": "[profile a]\n"}),
    Ask(f"{TEAM}import/<uuid:import_id>/", status=404),
    Ask(f"{TEAM}export/<slug:format>/", about=lambda team: {"format": "aws-config"}),
    Ask(f"{TEAM}audit/whois/", data=_a_key),
    Ask(f"{TEAM}audit/whois/", "POST", 302, data=_a_key),
    Ask(f"{TEAM}audit/drift/"),
    Ask(f"{TEAM}audit/drift/imports/", headers=LIVE),
    Ask(f"{TEAM}audit/drift/records/<int:record_id>/"),
    # The file itself is a worker's: see docs/audit.md.
    Ask(f"{TEAM}audit/drift/upload/", "POST", 302),
    Ask(f"{TEAM}audit/drift/lookup/", "POST", 302),
    Ask(f"{SESSION}calls/"),
    Ask(f"{TEAM}audit/drift/imports/<uuid:import_id>/delete/", "POST", 302),
    Ask(f"{TEAM}audit/searches/", "POST", 302, data=lambda team: SEARCH),
    Ask(f"{TEAM}audit/searches/<uuid:search_id>/", "POST", 302, data=lambda team: {"name": "Its"}),
    Ask(f"{TEAM}audit/searches/<uuid:search_id>/delete/", "POST", 302),
    Ask(f"{TEAM}policy/progress/"),
    Ask(f"{TEAM}policy/labels/"),
    Ask(
        f"{TEAM}policy/labels/<int:label_id>/",
        "POST",
        302,
        data=lambda team: {"name": "label", "colour": "red", "is_sensitive": "on"},
    ),
    Ask(f"{TEAM}policy/labels/<int:label_id>/delete/", "POST", 302),
    Ask(f"{TEAM}switch-roles/", by="member"),
    Ask(f"{TEAM}policy/preview/", "POST", data=lambda team: {"session": str(team.child.pk)}),
    Ask("probes/<uuid:probe_id>/"),
    Ask(SESSION),
    Ask(SESSION, by="member"),
    Ask(SESSION, what="a large root", about=_one("big_root")),
    Ask(SESSION, by="member", what="a large root", about=_one("big_root")),
    Ask(f"{SESSION}state/", headers=LIVE),
    Ask(f"{SESSION}state/", by="member", headers=LIVE),
    Ask(f"{SESSION}names/", headers=LIVE),
    Ask(f"{SESSION}edit/"),
    Ask(f"{SESSION}edit/", by="member", about=_one("own")),
    Ask(f"{SESSION}edit/", what="a large root", about=_one("big_root")),
    Ask(f"{SESSION}edit/", "POST", 302, data=_chained),
    Ask(f"{SESSION}delete/"),
    Ask(f"{SESSION}delete/", "POST", 302),
    Ask(f"{SESSION}access/"),
    Ask(f"{SESSION}access/", what="a large root", about=_one("big_root")),
    Ask(f"{SESSION}access/", what="with another way", about=_one("closed")),
    Ask(f"{SESSION}access/", "POST", 302, data=_access),
    Ask(f"{SESSION}dismiss/", "POST", 302, by="member"),
    Ask(f"{SESSION}start/", "POST", 302, by="member"),
    Ask(f"{SESSION}stop/", "POST", 302, by="member"),
    Ask(f"{SESSION}rotate/", "POST", 302, by="member"),
    Ask(
        f"{SESSION}answer/",
        "POST",
        302,
        by="member",
        about=_one("waiting"),
        data=lambda team: {"code": "123456"},
    ),
    Ask(
        f"{SESSION}answer/",
        "POST",
        302,
        by="member",
        what="a root",
        about=_one("code_root"),
        data=lambda team: {"code": "123456"},
    ),
    Ask(f"{SESSION}approval/", about=_one("approval_root")),
    Ask(f"{SESSION}approval/", "POST", 302, about=_one("approval_root")),
    Ask(f"{SESSION}approval/forget/", "POST", 302, about=_one("approval_root")),
    Ask(f"{SESSION}choose/", status=302, about=_one("approval_root")),
    Ask(f"{SESSION}key/", about=_one("root")),
    Ask(f"{SESSION}key/rotate/", "POST", 302, about=_one("root")),
    Ask(f"{SESSION}key/withdraw/", "POST", 404, about=_one("root")),
    Ask(f"{SESSION}snippets/<slug:format>/", "POST", by="member"),
    Ask(f"{SESSION}snippets/<slug:format>/download/", "POST", by="member"),
    Ask(
        f"{TEAM}snippets/",
        "POST",
        by="member",
        data=lambda team: {"session": [str(team.session.pk)]},
    ),
    Ask(
        f"{TEAM}snippets/download/",
        "POST",
        by="member",
        data=lambda team: {"session": [str(team.session.pk)]},
    ),
    Ask(f"{SESSION}console/", by="member"),
    Ask(
        f"{SESSION}console/",
        "POST",
        302,
        by="member",
        data=lambda team: {"service": "s3", "region": "eu-west-1"},
    ),
    Ask("console/<uuid:sign_in_id>/"),
    Ask("console/<uuid:sign_in_id>/go/", status=302),
    Ask("go/<path:alias>", by="member"),
    Ask("simulated/federation", status=404, by=None),
    Ask(f"{TEAM}people/"),
    Ask(f"{TEAM}people/invite/"),
    Ask(f"{TEAM}people/invite/", "POST", data=lambda team: {"role": "member", "days": "7"}),
    Ask(f"{TEAM}people/invitations/<uuid:invitation_id>/withdraw/", "POST", 302),
    Ask(f"{TEAM}people/groups/new/"),
    Ask(
        f"{TEAM}people/groups/new/",
        "POST",
        302,
        data=lambda team: {"name": "G2", "members": [team.leaver.pk]},
    ),
    Ask(f"{TEAM}people/groups/<uuid:group_id>/"),
    Ask(f"{TEAM}people/groups/<uuid:group_id>/", "POST", 302, data=lambda team: {"name": "G3"}),
    Ask(f"{TEAM}people/groups/<uuid:group_id>/delete/", "POST", 302),
    Ask(PERSON),
    Ask(f"{PERSON}role/", "POST", 302, data=lambda team: {"role-role": "auditor"}),
    Ask(f"{PERSON}name/", "POST", 302, data=lambda team: {"aws_name": "another.name"}),
    Ask(f"{PERSON}disable/", "POST", 302),
    Ask(f"{PERSON}enable/", "POST", 302),
    Ask(f"{PERSON}readmit/", "POST", 302, about=lambda team: {"person_id": team.removed_id}),
    Ask(PERSON, what="who was removed", about=lambda team: {"person_id": team.removed_id}),
    Ask(f"{PERSON}remove/"),
    Ask(f"{PERSON}remove/", "POST", 302),
    Ask(f"{TEAM}audit/"),
    Ask(f"{TEAM}audit/", by="member"),
    Ask(f"{TEAM}audit/", what="a search", data=lambda team: {"person": "large-ben"}),
    Ask(
        f"{TEAM}audit/export/",
        "POST",
        data=lambda team: {"format": "csv", "person": "large-ben"},
        what="one person's events",
    ),
    Ask(f"{TEAM}audit/events/<int:seq>/", about=lambda team: {"seq": 1}),
    Ask(f"{TEAM}tokens/"),
    Ask(f"{TEAM}tokens/", by="member"),
    Ask(f"{TEAM}tokens/", "POST", data=lambda team: {"name": "t", "scopes": ["read"], "days": "1"}),
    Ask(f"{TEAM}tokens/<uuid:token_id>/revoke/", "POST", 302),
    Ask(f"{TEAM}connect/"),
    Ask(
        f"{TEAM}connect/",
        "POST",
        data=lambda team: {"device": "laptop", "scopes": ["read"], "days": "1"},
    ),
    Ask(f"{TEAM}robots/"),
    Ask(f"{TEAM}robots/new/"),
    Ask(
        f"{TEAM}robots/new/",
        "POST",
        302,
        data=lambda team: {"name": "another", "owner": team.admin.pk, "everything": "on"},
    ),
    Ask(f"{TEAM}robots/<uuid:robot_id>/"),
    Ask(
        f"{TEAM}robots/<uuid:robot_id>/",
        "POST",
        302,
        data=lambda team: {"owner": team.admin.pk, "everything": "on"},
    ),
    Ask(
        f"{TEAM}robots/<uuid:robot_id>/tokens/",
        "POST",
        data=lambda team: {"token-name": "t", "token-scopes": ["read"], "token-days": "1"},
    ),
    # Whom it may trust is the operator's to say.
    Ask(f"{TEAM}robots/<uuid:robot_id>/trust/", "POST", 422),
    Ask(f"{TEAM}robots/trust/<uuid:rule_id>/end/", "POST", 302),
    Ask(f"{TEAM}robots/<uuid:robot_id>/remove/", "POST", 302),
    Ask("join/", by=None),
    Ask("join/accept/", "POST", 302),
    Ask("healthz", by=None),
    Ask("readyz", status=503, by=None),
)

API = (
    Ask("api/v1/openapi.json", by=None),
    Ask(
        "api/v1/sessions", "POST", 201, data=lambda team: _new(team) | {"kind": "iam-role-chained"}
    ),
    Ask(
        "api/v1/sessions",
        "POST",
        201,
        what="a root",
        data=lambda team: _typed_root(team) | {"kind": "iam-user"},
    ),
    Ask(
        "api/v1/sessions/start",
        "POST",
        by="member",
        data=lambda team: {"ids": [str(team.session.pk)]},
    ),
    Ask(
        "api/v1/sessions/stop",
        "POST",
        by="member",
        data=lambda team: {"ids": [str(team.session.pk)]},
    ),
    Ask(API_SESSION),
    Ask(API_SESSION, by="member", what="a large root", about=_one("big_root")),
    Ask(API_SESSION, "PATCH", data=lambda team: {"alias": "Renamed"}),
    Ask(
        API_SESSION,
        "PATCH",
        what="its role",
        data=lambda team: {"role_arn": "arn:aws:iam::111122223333:role/Other"},
    ),
    Ask(API_SESSION, "DELETE", 409, what="unconfirmed"),
    Ask(API_SESSION, "DELETE", 204, about=_one("child")),
    Ask("api/v1/events"),
    Ask("api/v1/events", by="member"),
    Ask("api/v1/events", what="a search", data=lambda team: {"kind": "credential"}),
    Ask("api/v1/events/export", data=lambda team: {"person": "large-ben"}),
    Ask("api/v1/keys", data=lambda team: {"limit": "5"}),  # a list costs its rows
    Ask("api/v1/events/<int:seq>", about=lambda team: {"seq": 1}),
    Ask("api/v1/drift/imports"),
    Ask("api/v1/drift/imports/<uuid:import_id>"),
    Ask("api/v1/drift/records"),
    Ask("api/v1/drift/records/<int:record_id>"),
    Ask(f"{API_SESSION}/calls"),
    Ask("api/v1/drift/imports", "POST", 422),
    # What it starts is a worker's.
    Ask(
        "api/v1/drift/lookups",
        "POST",
        422,
        data=lambda team: {"session": "", "region": "eu-west-1", "since": "24h"},
    ),
    Ask("api/v1/drift/imports/<uuid:import_id>", "DELETE", 204),
    Ask("api/v1/searches"),
    Ask("api/v1/searches", "POST", 201, data=lambda team: SEARCH),
    Ask("api/v1/searches/<uuid:search_id>", "PATCH", data=lambda team: {"name": "Its"}),
    Ask("api/v1/searches/<uuid:search_id>", "DELETE", 204),
    Ask("api/v1/formats"),
    Ask("api/v1/export"),
    Ask("api/v1/import", "POST", data=_files),
    Ask("api/v1/import", "POST", what="for real", data=lambda team: _files(team, dry_run=False)),
    Ask("api/v1/config", by="member"),
    Ask("api/v1/whois", data=_a_key),
    Ask("api/v1/whois", "POST", data=_a_key),
    Ask("api/v1/tokens"),
    Ask(
        "api/v1/tokens",
        "POST",
        201,
        data=lambda team: {"robot": str(team.samples["robot_id"]), "name": "t"},
    ),
    Ask("api/v1/tokens/<uuid:token_id>", "DELETE", 404),
    Ask("api/v1/tokens/exchange", "POST", 422, by=None),
    Ask("api/v1/robots"),
    Ask("api/v1/robots", "POST", 201, data=lambda team: {"name": "another", "everything": True}),
    Ask("api/v1/robots/<uuid:robot_id>"),
    Ask("api/v1/robots/<uuid:robot_id>", "PATCH", data=lambda team: {"everything": True}),
    Ask("api/v1/robots/<uuid:robot_id>", "DELETE", 204),
    Ask("api/v1/robots/<uuid:robot_id>/trust", "POST", 422),
    Ask("api/v1/trust/<uuid:rule_id>", "DELETE", 204),
    Ask("api/v1/policy"),
    Ask(
        "api/v1/policy",
        "PATCH",
        data=lambda team: POLICY | {"names_locked": True, "tags": {"stage": []}},
    ),
    Ask(f"{API_SESSION}/access"),
    Ask(
        f"{API_SESSION}/access",
        "PUT",
        data=lambda team: {"assume": {"everyone": False, "people": []}},
    ),
    Ask(f"{API_SESSION}/access/ways", about=_one("closed")),
    Ask(f"{API_SESSION}/access/ways/close", "POST", about=_one("closed")),
    Ask(f"{API_SESSION}/dismiss", "POST", by="member"),
    Ask(
        f"{API_SESSION}/answer",
        "POST",
        204,
        by="member",
        about=_one("waiting"),
        data=lambda team: {"code": "123456"},
    ),
    Ask(f"{API_SESSION}/approval", about=_one("approval_root")),
    Ask(f"{API_SESSION}/approval", "POST", 202, about=_one("approval_root")),
    Ask("api/v1/people"),
    Ask(API_PERSON),
    Ask(API_PERSON, "PATCH", data=lambda team: {"role": "auditor"}),
    Ask(API_PERSON, "DELETE", 204),
    Ask(f"{API_PERSON}/suspend", "POST"),
    Ask(f"{API_PERSON}/reinstate", "POST"),
    Ask(f"{API_PERSON}/readmit", "POST", 204, about=lambda team: {"person_id": team.removed_id}),
    Ask("api/v1/groups"),
    Ask(
        "api/v1/groups",
        "POST",
        201,
        data=lambda team: {"name": "G4", "people": [team.leaver.user.get_username()]},
    ),
    Ask(API_GROUP),
    Ask(API_GROUP, "PATCH", data=lambda team: {"name": "G5"}),
    Ask(API_GROUP, "DELETE", 204),
    Ask("api/v1/invitations"),
    Ask("api/v1/invitations", "POST", 201, data=lambda team: {"role": "member"}),
    Ask("api/v1/invitations/<uuid:invitation_id>", "DELETE", 204),
    Ask("api/v1/probes", "POST", 202, data=lambda team: _new(team) | {"kind": "iam-role-chained"}),
    Ask("api/v1/probes/<uuid:probe_id>"),
    Ask(
        "api/v1/sessions/bulk",
        "POST",
        by="member",
        data=lambda team: {"action": "stop", "ids": [str(team.session.pk)]},
    ),
    Ask(
        "api/v1/apply",
        "POST",
        data=lambda team: {"groups": [{"name": "Declared", "people": []}]},
    ),
    Ask(f"{API_SESSION}/approval", "DELETE", 204, about=_one("approval_root")),
    Ask(f"{API_SESSION}/choices", status=409, about=_one("approval_root")),
    Ask(f"{API_SESSION}/key-rotation", status=404, about=_one("root")),
    Ask(f"{API_SESSION}/key-rotation", "POST", 202, about=_one("root")),
    Ask(f"{API_SESSION}/key-rotation", "DELETE", 404, about=_one("root")),
    Ask(API_ALIAS),
    Ask(API_ALIAS, "PUT", data=lambda team: _chained(team) | {"kind": "iam-role-chained"}),
    Ask(f"{API_SESSION}/start", "POST", by="member"),
    Ask(f"{API_SESSION}/stop", "POST", by="member"),
    Ask(f"{API_SESSION}/rotate", "POST", by="member"),
    Ask(f"{API_SESSION}/credentials", by="member"),
    Ask("container/<uuid:session_id>", by="member"),
    Ask("api/v1/switch-roles", by="member"),
)

# About a team as a whole, or the installation: what these cost may grow.
ABOUT_MANY = {
    ("GET", TEAM): "the list of a team's sessions",
    ("GET", f"{TEAM}policy/"): "it lists the sessions of a team whose names identify nobody",
    ("GET", "metrics"): "counts of the installation",
    ("GET", "components/"): "the parts of the pages: about nobody's session",
    ("GET", "api/v1/sessions"): "the list of a team's sessions",
    ("GET", "api/v1/policy/unnamed"): "a list of sessions",
    ("GET", f"{TEAM}switch-roles/"): "a list of sessions",
    ("GET", "api/v1/switch-roles"): "a list of sessions",
    ("GET", f"{TEAM}policy/labels/"): "a list of labels",
    ("GET", f"{TEAM}audit/names/"): "a list of names",
    ("GET", "api/v1/names"): "a list of names",
    # The name by which ninja finds its own addresses; nothing is there.
    ("GET", "api/v1/"): "no page",
}
# Login and one's own account: whatever the library has there is asked for as it is.
ACCOUNTS = "accounts/"


def asks() -> tuple[Ask, ...]:
    """Return every request, those for the login pages as the URLconf has them."""
    accounts = (Ask(route, status=0) for route in every_route() if route.startswith(ACCOUNTS))
    return (*PAGES, *API, *accounts)


def missing() -> set[tuple[str, str]]:
    """List the routes and API operations without a request here.

    Or without a reason why not.
    """
    known = {(each.method, each.route) for each in asks()} | set(ABOUT_MANY)
    pages = {
        ("", route)
        for route in every_route()
        if route not in {known_route for _, known_route in known}
    }
    return pages | (set(every_api_operation()) - known)


def every_route(resolver: Any = None, prefix: str = "") -> Iterator[str]:
    """Return every address that the URLconf knows."""
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLResolver):
            yield from every_route(pattern, prefix + str(pattern.pattern))
        elif isinstance(pattern, URLPattern):
            yield (prefix + str(pattern.pattern)).replace("<uuidstr:", "<uuid:")


def every_api_operation() -> Iterator[tuple[str, str]]:
    """Return (method, route) of each route that the API itself tells."""
    for prefix, router in api._routers:
        for path, view in router.path_operations.items():
            route = f"{prefix}{path}".lstrip("/").replace("{", "<").replace("}", ">")
            for operation in view.operations:
                for method in operation.methods:
                    yield method, f"api/v1/{route.replace('<uuidstr:', '<uuid:')}"
