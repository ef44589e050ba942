"""Name for each page what does the same by the API, or why nothing does."""

import re

from bench.routes import every_route
from sessions.api import api

ROBOTS = "teams/<slug:team_slug>/robots/"
SESSION, TEAM = "sessions/<uuid:session_id>/", "teams/<slug:team_slug>/"
PERSON, DRIFT = f"{TEAM}people/<int:person_id>/", f"{TEAM}audit/drift/"
ONE, KEY = "/sessions/{session_id}", "/sessions/{session_id}/key-rotation"
BROWSER = "a part of a form, which a program has no use for"
# page → operations of the API that do all that it does
TWINS = {
    TEAM: ["GET /sessions", "POST /sessions/bulk"],
    f"{TEAM}new/<slug:provider>/<slug:kind>/": ["POST /sessions"],
    f"{TEAM}test/<slug:kind>/": ["POST /probes"],
    "probes/<uuid:probe_id>/": ["GET /probes/{probe_id}"],
    f"{TEAM}policy/": ["GET /policy", "PATCH /policy", "GET /policy/unnamed"],
    f"{TEAM}policy/progress/": ["GET /policy"],
    SESSION: [f"GET {ONE}", "GET /sessions/by-alias/{alias}", "GET /events"],
    f"{SESSION}state/": [f"GET {ONE}"],
    f"{SESSION}edit/": [f"PATCH {ONE}", "PUT /sessions/by-alias/{alias}"],
    f"{SESSION}delete/": [f"DELETE {ONE}"],
    f"{SESSION}access/": [
        *(f"GET {ONE}/access", f"PUT {ONE}/access"),
        *(f"GET {ONE}/access/ways", f"POST {ONE}/access/ways/close"),
    ],
    f"{SESSION}start/": [f"POST {ONE}/start", "POST /sessions/start"],
    f"{SESSION}stop/": [f"POST {ONE}/stop", "POST /sessions/stop"],
    f"{SESSION}rotate/": [f"POST {ONE}/rotate"],
    f"{SESSION}dismiss/": [f"POST {ONE}/dismiss"],
    f"{SESSION}answer/": [f"POST {ONE}/answer"],
    f"{SESSION}approval/": [f"GET {ONE}/approval", f"POST {ONE}/approval"],
    f"{SESSION}approval/forget/": [f"DELETE {ONE}/approval"],
    f"{SESSION}choose/": [f"GET {ONE}/choices", f"PATCH {ONE}"],
    f"{SESSION}key/": [f"GET {KEY}"],
    f"{SESSION}key/rotate/": [f"POST {KEY}"],
    f"{SESSION}key/withdraw/": [f"DELETE {KEY}"],
    f"{SESSION}snippets/<slug:format>/": [f"GET {ONE}/credentials", "GET /formats"],
    f"{SESSION}snippets/<slug:format>/download/": [f"GET {ONE}/credentials"],
    f"{SESSION}calls/": [f"GET {ONE}/calls"],
    f"{TEAM}audit/": ["GET /events"],
    f"{TEAM}audit/events/<int:seq>/": ["GET /events/{seq}"],
    f"{TEAM}audit/export/": ["GET /events/export", "GET /keys"],
    f"{TEAM}audit/names/": ["GET /names"],
    f"{TEAM}audit/whois/": ["GET /whois", "POST /whois"],
    DRIFT: ["GET /drift/records"],
    f"{DRIFT}imports/": ["GET /drift/imports", "GET /drift/imports/{import_id}"],
    f"{DRIFT}upload/": ["POST /drift/imports"],
    f"{DRIFT}lookup/": ["POST /drift/lookups"],
    f"{DRIFT}imports/<uuid:import_id>/delete/": ["DELETE /drift/imports/{import_id}"],
    f"{DRIFT}records/<int:record_id>/": ["GET /drift/records/{record_id}"],
    f"{TEAM}people/": ["GET /people", "GET /groups", "GET /invitations"],
    f"{TEAM}people/invite/": ["POST /invitations"],
    f"{TEAM}people/invitations/<uuid:invitation_id>/withdraw/": [
        "DELETE /invitations/{invitation_id}"
    ],
    f"{TEAM}people/groups/new/": ["POST /groups"],
    f"{TEAM}people/groups/<uuid:group_id>/": ["GET /groups/{group_id}", "PATCH /groups/{group_id}"],
    f"{TEAM}people/groups/<uuid:group_id>/delete/": ["DELETE /groups/{group_id}"],
    PERSON: ["GET /people/{person_id}"],
    f"{PERSON}role/": ["PATCH /people/{person_id}"],
    f"{PERSON}name/": ["PATCH /people/{person_id}"],
    f"{PERSON}disable/": ["POST /people/{person_id}/suspend"],
    f"{PERSON}enable/": ["POST /people/{person_id}/reinstate"],
    f"{PERSON}remove/": ["DELETE /people/{person_id}"],
    f"{TEAM}import/": ["POST /import"],
    f"{TEAM}import/<uuid:import_id>/": ["POST /import"],
    f"{TEAM}export/<slug:format>/": ["GET /export"],
    f"{PERSON}readmit/": ["POST /people/{person_id}/readmit"],
    f"{TEAM}audit/searches/": ["GET /searches", "POST /searches"],
    f"{TEAM}audit/searches/<uuid:search_id>/": ["PATCH /searches/{search_id}"],
    f"{TEAM}audit/searches/<uuid:search_id>/delete/": ["DELETE /searches/{search_id}"],
    ROBOTS: ["GET /robots"],
    f"{ROBOTS}new/": ["POST /robots"],
    f"{ROBOTS}<uuid:robot_id>/": ["GET /robots/{robot_id}", "PATCH /robots/{robot_id}"],
    f"{ROBOTS}<uuid:robot_id>/remove/": ["DELETE /robots/{robot_id}"],
    f"{ROBOTS}<uuid:robot_id>/tokens/": ["GET /tokens", "POST /tokens"],
    f"{ROBOTS}<uuid:robot_id>/trust/": ["POST /robots/{robot_id}/trust"],
    f"{ROBOTS}trust/<uuid:rule_id>/end/": ["DELETE /trust/{rule_id}"],
    f"{TEAM}snippets/": [f"GET {ONE}/credentials", "GET /config"],
    f"{TEAM}snippets/download/": [f"GET {ONE}/credentials"],
    f"{TEAM}switch-roles/": ["GET /switch-roles"],
}
# page → why the API does not do it
ALONE = {
    "": "leads a browser to a team's list",
    f"{TEAM}new/": "the first step of a form, which has no content",
    f"{TEAM}new/<slug:provider>/": "the second step of a form; the document lists the kinds",
    f"{TEAM}choices/<slug:purpose>/": f"{BROWSER}: GET /sessions?q= finds the same",
    f"{TEAM}preview/": f"{BROWSER}: POST /probes tries what is typed",
    f"{TEAM}external-id/": f"{BROWSER}: it draws a random text",
    f"{TEAM}policy/preview/": BROWSER,
    f"{SESSION}names/": f"{BROWSER}: a session answers its own `cloudtrail_name`",
    f"{TEAM}tokens/": "a token makes no tokens: its person does, having logged in",
    f"{TEAM}tokens/<uuid:token_id>/revoke/": "a token ends no tokens: its person does",
    f"{TEAM}connect/": "a token makes no tokens: its person does, having logged in",
    f"{TEAM}policy/labels/": "a colour is for pages; the mark is an admin's, logged in",
    f"{TEAM}policy/labels/<int:label_id>/": "the colour and the mark, as above",
    f"{TEAM}policy/labels/<int:label_id>/delete/": "a label that no session has, as above",
    f"{SESSION}console/": "signs a browser in",
    "console/<uuid:sign_in_id>/": "signs a browser in",
    "console/<uuid:sign_in_id>/go/": "signs a browser in",
    "go/<path:alias>": "signs a browser in",
    "simulated/federation": "plays AWS's own page in the demo",
    "join/": "takes a person's browser into a team",
    "join/accept/": "takes a person's browser into a team",
    "components/": "shows the parts of pages",
    "healthz": "is asked without a token",
    "readyz": "is asked without a token",
    "metrics": "is asked without a token",
}


def pages():
    """List the addresses of pages that are the product's own."""
    return {
        route
        for route in every_route()
        if not route.startswith(("accounts/", "api/", "container/"))
    }


def operations():
    return {
        f"{method.upper()} {path.removeprefix('/api/v1')}"
        for path, methods in api.get_openapi_schema()["paths"].items()
        for method in methods
    }


def test_every_page_has_a_twin_in_the_api_or_a_reason():
    known = TWINS.keys() | ALONE.keys()
    assert pages() - known == set(), "name its operation of the API, or why there is none"
    assert known - pages() == set(), "these pages are gone"
    assert not TWINS.keys() & ALONE.keys()


def test_every_twin_is_there():
    named = {each for twins in TWINS.values() for each in twins}
    assert named - operations() == set()


def test_a_page_that_changes_something_has_a_twin_that_does():
    """Pages that only take a POST have an operation that is no GET."""
    changing = re.compile(r"(start|stop|rotate|delete|withdraw|role|disable|enable|upload)/$")
    for page, twins in TWINS.items():
        if changing.search(page):
            assert any(not twin.startswith("GET ") for twin in twins), page
