"""The API: the pages' validators, permissions and events, with a token instead of a cookie."""

import uuid

import pytest
from django.test import Client

from sessions.actors import Actor, NamedActor
from sessions.ledger.events.credentials import CredentialRevealed
from sessions.ledger.events.sessions import AccessChanged, SessionDeleted
from sessions.models import AwsSession, Credential, Token
from tests.api.tool import Api, chained, is_problem
from tests.house import TeamFixture

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(house):
    return Api(house.token(house.ada))


@pytest.fixture
def ben(house):
    return Api(house.token(house.ben))


def test_a_chained_session_is_created_started_and_taken_away(house, ben):
    created = ben("POST", "/sessions", chained(house))
    assert created.status_code == 201, created.content
    session = created.json()
    assert session["status"] == "inactive"
    assert [step["alias"] for step in session["chain"]] == ["Root key", "Deploy"]
    path = f"/sessions/{session['id']}"
    assert ben("POST", f"{path}/start").json()["status"] == "pending"
    house.work()
    assert ben("GET", path).json()["status"] == "active"
    answer = ben("GET", f"{path}/credentials?format=process")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"].find("no-store") >= 0
    body = answer.json()
    assert set(body) == {
        *("Version", "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration", "AccountId")
    }
    assert body["Version"] == 1
    event = house.events(CredentialRevealed)[-1]
    assert (event.actor, event.data["via"]) == ("ben", "token tests")


def test_an_iam_user_is_created_and_its_secret_never_shown(house, ada):
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    body = {
        "kind": "iam-user",
        "alias": "Other key",
        "profile": "other",
        "region": "eu-west-1",
        "access_key_id": "AKIAIOSFODNN7EXAMPLE",
        "secret_access_key": secret,
    }
    answer = ada("POST", "/sessions", body)
    assert answer.status_code == 201, answer.content
    assert answer.json()["access_key_id"] == "AKIAIOSFODNN7EXAMPLE"
    assert secret.encode() not in answer.content + ada("GET", "/sessions").content
    assert secret.encode() not in bytes(AwsSession.objects.get(alias="Other key").sealed_secrets)


def test_the_secret_stays_when_only_the_alias_of_an_iam_user_changes(house, ada):
    before = AwsSession.objects.get(pk=house.root.pk)
    assert ada("PATCH", f"/sessions/{house.root.pk}", {"alias": "Renamed"}).status_code == 200
    after = AwsSession.objects.get(pk=house.root.pk)
    assert (after.alias, bytes(after.sealed_secrets)) == ("Renamed", bytes(before.sealed_secrets))


def test_an_edit_by_the_api_moves_active_sessions(house, ada):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    before = Credential.objects.get(level=1).pk
    answer = ada("PATCH", f"/sessions/{leaf.pk}", {"role_session_name": "changed"})
    assert answer.status_code == 200
    assert answer.json()["cloudtrail_name"] == "changed"
    assert Credential.objects.get(level=1).pk != before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("role_arn", "arn:aws:iam::12345:role/X"),
        ("role_arn", "arn:aws:iam::111122223333:user/X"),
        ("role_arn", "not an arn"),
        ("role_session_name", "a\nda"),
        ("role_session_name", "adé"),
        ("role_session_name", "a"),
        ("role_session_name", "{nobody}"),
        ("role_session_name", "x" * 65),
        ("profile", "a]b"),
        ("profile", "a b"),
        ("profile", "a\n[default]"),
        ("region", "mars-north-1"),
        ("region", "cn-north-1"),
        ("alias", "a\x00b"),
        ("alias", "root key"),
        ("assumer", str(uuid.uuid4())),
        ("assumer", "1"),
        ("external_id", "a b"),
    ],
)
def test_bad_input_is_refused_on_its_field_and_nothing_is_saved(house, ben, field, value):
    sessions, events = AwsSession.objects.count(), len(house.events())
    answer = ben("POST", "/sessions", chained(house, **{field: value}))
    assert answer.status_code == 422, answer.content
    assert field in answer.json()["fields"]
    assert (AwsSession.objects.count(), len(house.events())) == (sessions, events)


def test_a_foreign_assumer_is_refused_like_one_that_does_not_exist(house, ben, sts):
    other = TeamFixture(sts, "other")
    answers = [
        ben("POST", "/sessions", chained(house, assumer=str(pk)))
        for pk in (other.root.pk, uuid.uuid4())
    ]
    assert answers[0].content == answers[1].content


def test_a_session_as_its_own_assumer_is_refused(house, ada):
    [leaf] = house.chain(1)
    answer = ada("PATCH", f"/sessions/{leaf.pk}", {"assumer": str(leaf.pk)})
    assert answer.status_code == 422
    assert "own assumer" in answer.json()["fields"]["assumer"][0]


def test_a_circle_is_refused(house, ada):
    first, _, third = house.chain(3)
    answer = ada("PATCH", f"/sessions/{first.pk}", {"assumer": str(third.pk)})
    assert answer.status_code == 422
    assert "circle" in answer.json()["fields"]["assumer"][0]


def test_a_chain_over_the_limit_is_refused_also_when_grown_from_above(house, ada):
    chain = house.chain(5)
    answer = ada("POST", "/sessions", chained(house, assumer=str(chain[-1].pk)))
    assert "limit is 5" in answer.json()["fields"]["assumer"][0]
    spare = house.chained("Spare")
    answer = ada("PATCH", f"/sessions/{chain[0].pk}", {"assumer": str(spare.pk)})
    assert "limit is 5" in answer.json()["fields"]["assumer"][0]


def test_unknown_fields_and_kinds_are_refused(house, ben):
    assert "nonsense" in ben("POST", "/sessions", chained(house, nonsense="x")).json()["fields"]
    assert ben("POST", "/sessions", chained(house, kind="gcp")).status_code == 422
    assert ben("POST", "/sessions", chained(house, alias=["x"])).status_code == 422
    assert ben("POST", "/sessions", "not an object").status_code in (400, 422)


def test_a_body_that_is_no_json_is_refused_in_the_form_of_every_refusal(ben):
    answer = ben.client.post(
        "/api/v1/sessions", "{", content_type="application/json", headers=ben.headers
    )
    assert answer.status_code == 400
    body = is_problem(answer.json(), 400)
    assert (body["code"], body["message"]) == ("invalid", "Cannot parse request body")


def test_a_member_sets_up_no_roots_and_edits_only_their_own(house, ben):
    [others] = house.chain(1, member=house.bea)
    assert (
        ben(
            "POST",
            "/sessions",
            {"kind": "iam-user", "alias": "x", "profile": "x", "region": "eu-west-1"},
        ).status_code
        == 403
    )
    assert ben("PATCH", f"/sessions/{others.pk}", {"alias": "mine"}).status_code == 403
    assert ben("DELETE", f"/sessions/{others.pk}").status_code == 403


def test_an_auditor_reads_and_takes_nothing(house):
    [leaf] = house.chain(1)
    eve = Api(house.token(house.eve))
    assert eve("GET", f"/sessions/{leaf.pk}").status_code == 200
    for method, path in (
        ("POST", "start"),
        ("POST", "stop"),
        ("POST", "rotate"),
        ("GET", "credentials"),
    ):
        assert eve(method, f"/sessions/{leaf.pk}/{path}").status_code == 403


def test_foreign_and_missing_sessions_get_the_same_answer(house, ben, sts):
    other = TeamFixture(sts, "other")
    [foreign] = other.chain(1, prefix="Other")
    for method, path in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/start"),
        ("POST", "/stop"),
        ("POST", "/rotate"),
        ("GET", "/credentials"),
    ):
        body = {} if method == "PATCH" else None
        ids = (foreign.pk, uuid.uuid4())
        answers = [ben(method, f"/sessions/{pk}{path}", body) for pk in ids]
        assert {answer.status_code for answer in answers} == {404}
        # The page that a refused fetch names is that of the id that was asked for.
        said = [
            answer.content.replace(str(pk).encode(), b"-")
            for pk, answer in zip(ids, answers, strict=True)
        ]
        assert said[0] == said[1]


def test_a_token_reaches_its_own_team_only_even_if_its_person_is_in_two(house, sts):
    from sessions.models import Role
    from sessions.people.people import add_member

    other = TeamFixture(sts, "other")
    [elsewhere] = other.chain(1, prefix="Other")
    add_member(other.team, house.ben.user, Role.ADMIN, actor=NamedActor("tests"))
    ben = Api(house.token(house.ben))
    assert ben("GET", f"/sessions/{elsewhere.pk}").status_code == 404


def test_without_a_valid_token_there_is_nothing(house, ben):
    [leaf] = house.chain(1)
    for headers in (
        {"Authorization": "Bearer cwt_" + "x" * 43},
        {"Authorization": ""},
        {"Authorization": "Basic eDp5"},
    ):
        answer = Api(None)("GET", f"/sessions/{leaf.pk}", **headers)
        assert answer.status_code == 401
        assert answer.json()["code"] == "unauthenticated"
    cookie = house.browser()
    assert cookie.get(f"/api/v1/sessions/{leaf.pk}").status_code == 401


def test_a_removed_a_disabled_and_a_revoked_one_are_out_at_once(house):
    from django.utils import timezone

    for end in ("membership", "user", "token", "expiry"):
        member = house.person(f"x{end}", "member")
        api = Api(house.token(member))
        assert api("GET", "/sessions").status_code == 200
        match end:
            case "membership":
                member.delete()
            case "user":
                member.user.is_active = False
                member.user.save()
            case "token":
                Token.objects.filter(user=member.user).update(revoked_at=timezone.now())
            case "expiry":
                Token.objects.filter(user=member.user).update(expires_at=timezone.now())
        assert api("GET", "/sessions").status_code == 401


@pytest.mark.parametrize(
    "header", ["Origin", "Referer", "Sec-Fetch-Site", "Sec-Fetch-Dest", "Sec-Fetch-User"]
)
def test_credentials_are_not_handed_to_a_browser(house, ben, header):
    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    assert (
        ben(
            "GET", f"/sessions/{leaf.pk}/credentials", **{header: "https://evil.example"}
        ).status_code
        == 403
    )
    assert house.events(CredentialRevealed) == []


def test_credentials_of_what_is_not_active_are_an_explained_error(house, ben):
    [leaf] = house.chain(1)
    refused = house.chained("Refused", arn=house.role_arn("Shut", trusts=[]))
    path = f"/sessions/{leaf.pk}/credentials?format=posix"
    assert ben("GET", path).json()["code"] == "inactive"
    assert ben("GET", f"/sessions/{house.root.pk}/credentials").json()["code"] == "is_a_root"
    house.start(leaf)
    house.start(refused)
    pending = ben("GET", path)
    assert (pending.status_code, pending.json()["code"]) == (409, "pending")
    house.work()
    answer = ben("GET", f"/sessions/{refused.pk}/credentials")
    assert (answer.status_code, answer.json()["code"]) == (409, "AccessDenied")
    assert "Hop 1" in answer.json()["message"]


def test_every_snippet_format_can_be_had_and_an_unknown_one_is_refused(house, ben):
    from sessions.snippets import FORMATS

    [leaf] = house.chain(1)
    house.start(leaf)
    house.work()
    for key, chosen in FORMATS.items():
        answer = ben("GET", f"/sessions/{leaf.pk}/credentials?format={key}")
        assert answer.status_code == (200 if chosen.secret else 422)
    assert ben("GET", f"/sessions/{leaf.pk}/credentials?format=nonsense").status_code == 422


def test_deleting_what_others_rest_on_needs_a_confirmation(house, ada):
    first, second, third = house.chain(3)
    house.start(third)
    answer = ada("DELETE", f"/sessions/{first.pk}")
    assert answer.status_code == 409
    assert "Hop 2" in answer.json()["message"]
    assert "Hop 3" in answer.json()["message"]
    assert ada("DELETE", f"/sessions/{first.pk}?dependants=true").status_code == 204
    assert not AwsSession.objects.filter(pk__in=[first.pk, second.pk, third.pk]).exists()
    assert not Credential.objects.filter(level__gt=0).exists()
    assert [event.session_alias for event in house.events(SessionDeleted)] == [
        "Hop 3",
        "Hop 2",
        "Hop 1",
    ]


def test_the_openapi_document_names_every_path(house):
    document = Client().get("/api/v1/openapi.json")
    assert document.status_code == 200
    paths = document.json()["paths"]
    assert set(paths) == {
        "/api/v1/policy",
        "/api/v1/policy/unnamed",
        "/api/v1/sessions",
        "/api/v1/sessions/{session_id}",
        "/api/v1/sessions/by-alias/{alias}",
        "/api/v1/people",
        "/api/v1/people/{person_id}",
        "/api/v1/people/{person_id}/suspend",
        "/api/v1/people/{person_id}/reinstate",
        "/api/v1/people/{person_id}/readmit",
        "/api/v1/groups",
        "/api/v1/groups/{group_id}",
        "/api/v1/invitations",
        "/api/v1/invitations/{invitation_id}",
        "/api/v1/probes",
        "/api/v1/probes/{probe_id}",
        "/api/v1/sessions/bulk",
        "/api/v1/apply",
        "/api/v1/sessions/{session_id}/choices",
        "/api/v1/sessions/{session_id}/key-rotation",
        "/api/v1/sessions/start",
        "/api/v1/sessions/stop",
        "/api/v1/sessions/{session_id}/start",
        "/api/v1/sessions/{session_id}/stop",
        "/api/v1/sessions/{session_id}/rotate",
        "/api/v1/sessions/{session_id}/credentials",
        "/api/v1/sessions/{session_id}/dismiss",
        "/api/v1/sessions/{session_id}/access",
        "/api/v1/sessions/{session_id}/access/ways",
        "/api/v1/sessions/{session_id}/access/ways/close",
        "/api/v1/sessions/{session_id}/answer",
        "/api/v1/sessions/{session_id}/approval",
        "/api/v1/events",
        "/api/v1/events/{seq}",
        "/api/v1/events/export",
        "/api/v1/keys",
        "/api/v1/names",
        "/api/v1/drift/imports",
        "/api/v1/drift/imports/{import_id}",
        "/api/v1/drift/lookups",
        "/api/v1/drift/records",
        "/api/v1/drift/records/{record_id}",
        "/api/v1/searches",
        "/api/v1/searches/{search_id}",
        "/api/v1/sessions/{session_id}/calls",
        "/api/v1/config",
        "/api/v1/formats",
        "/api/v1/import",
        "/api/v1/export",
        "/api/v1/tokens",
        "/api/v1/tokens/{token_id}",
        "/api/v1/tokens/exchange",
        "/api/v1/robots",
        "/api/v1/robots/{robot_id}",
        "/api/v1/robots/{robot_id}/trust",
        "/api/v1/trust/{rule_id}",
        "/api/v1/switch-roles",
        "/api/v1/whois",
    }


def test_several_are_started_in_one_step_and_none_with_a_foreign_one(house, ben):
    other = TeamFixture(house.sts, "other")
    [foreign] = other.chain(1, prefix="Other")
    leaves = house.chain(3)
    ids = [str(leaf.pk) for leaf in leaves]
    assert ben("POST", "/sessions/start", {"ids": [*ids, str(foreign.pk)]}).status_code == 404
    assert {state.status for state in house.states(leaves)} == {"inactive"}
    started = ben("POST", "/sessions/start", {"ids": ids})
    assert [each["status"] for each in started.json()] == ["pending"] * 3
    house.work()
    assert {state.status for state in house.states(leaves)} == {"active"}
    assert ben("POST", "/sessions/stop", {"ids": ids}).status_code == 200
    assert {state.status for state in house.states(leaves)} == {"inactive"}


def test_a_session_is_opened_and_closed_by_its_author_and_by_admins(house, ada, ben):
    from sessions.catalog.access import save_group

    save_group(Actor(house.ada), "On call", [house.bea])
    mine, hers = house.chained("Mine", member=house.ben), house.chained("Hers", member=house.bea)
    path = f"/sessions/{mine.pk}/access"
    assert ben("GET", path).json() == {
        "start": {"everyone": True, "people": [], "groups": []},
        "assume": {"everyone": True, "people": [], "groups": []},
    }
    narrow = {"start": {"everyone": False, "people": ["ben"], "groups": ["On call"]}}
    changed = ben("PUT", path, narrow)
    assert changed.status_code == 200, changed.content
    assert changed.json()["start"] == {"everyone": False, "people": ["ben"], "groups": ["On call"]}
    assert ada("POST", f"/sessions/{mine.pk}/start").status_code == 403
    assert ben("PUT", f"/sessions/{hers.pk}/access", narrow).status_code == 403
    assert ada("PUT", path, {"start": {"everyone": False, "people": ["nobody"]}}).status_code == 422
    assert ada("PUT", path, {}).json()["start"]["everyone"] is True
    assert [event.actor for event in house.events(AccessChanged)] == ["ben", "ada"]


def test_a_chain_that_nobody_answers_for_is_not_started_and_says_why(house, ada):
    from sessions.catalog.access import set_access
    from sessions.catalog.audiences import Access, Audience

    hub = house.chained("Hub")
    leaf = house.chained("Leaf", hub, member=house.ben)
    set_access(hub, Access(Audience(), Audience(everyone=False)), NamedActor("ada"))
    for path, body in (
        (f"/sessions/{leaf.pk}/start", None),
        ("/sessions/start", {"ids": [str(leaf.pk)]}),
    ):
        answer = ada("POST", path, body)
        assert (answer.status_code, answer.json()["code"]) == (409, "cut_off")
    assert house.browser(house.ada).post(f"/sessions/{leaf.pk}/start/").status_code == 403
    assert (
        ada("PATCH", f"/sessions/{leaf.pk}", {}).status_code == 200
    )  # the admin answers for it from now on
    assert ada("POST", f"/sessions/{leaf.pk}/start").status_code == 200


def test_a_nul_in_a_name_is_refused_and_no_error_of_ours(house, ada):
    [leaf] = house.chain(1)
    wanted = {"start": {"everyone": False, "people": ["be\x00n"]}}
    assert ada("PUT", f"/sessions/{leaf.pk}/access", wanted).status_code == 422
