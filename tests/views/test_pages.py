"""The pages without a screen: permissions, methods, headers, no secret before the click."""

import re
import uuid

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from sessions.actors import NamedActor
from sessions.db.clock import database_now
from sessions.ledger.events.credentials import CredentialMinted, CredentialRevealed
from sessions.ledger.events.roots import RootVerified
from sessions.ledger.events.sessions import SessionCreated
from sessions.models import AwsSession, Credential, Event, Heartbeat, LedgerHead, Probe, Role
from sessions.monitoring import heartbeats, request_limits
from tests.house import TeamFixture
from tests.views.page_forms import form_fields, form_url

pytestmark = pytest.mark.django_db

LIVE_PARTS = {"HX-Request": "true"}


def active(house, member=None):
    [leaf] = house.chain(1)
    house.start(leaf, member)
    house.work()
    return leaf


def test_the_way_from_the_plus_button_to_a_created_session(house):
    ben = house.browser()
    home = ben.get("/", follow=True)
    assert reverse("new_session", args=[house.team.slug]) in home.content.decode()
    provider = ben.get(reverse("new_session", args=[house.team.slug])).content.decode()
    assert "Amazon AWS" in provider
    method = ben.get(reverse("new_session_method", args=[house.team.slug, "aws"])).content.decode()
    assert "AWS IAM Role Chained" in method
    form = ben.get(form_url(house)).content.decode()
    labels = [
        "Session alias",
        "Named profile",
        "Region",
        "Role ARN",
        "Role session name",
        "Assumer session",
    ]
    positions = [form.index(label) for label in labels]
    assert positions == sorted(positions)
    answer = ben.post(form_url(house), form_fields(house))
    session = AwsSession.objects.get(alias="Deploy")
    assert answer.headers["Location"] == reverse("session", args=[session.pk])
    assert house.events(SessionCreated)[-1].actor == "ben"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("role_arn", "arn:aws:iam::1:role/X"),
        ("role_session_name", "ada\n"),
        ("role_session_name", "adé"),
        ("profile", "a]"),
        ("profile", "DEFAULT"),
        ("alias", ""),
        ("alias", "ROOT KEY"),
        ("assumer", str(uuid.uuid4())),
    ],
)
def test_a_refused_field_says_so_and_keeps_what_was_typed(house, field, value):
    sessions = AwsSession.objects.count()
    answer = house.browser().post(form_url(house), form_fields(house, **{field: value}))
    assert answer.status_code == 422
    page = answer.content.decode()
    assert 'aria-invalid="true"' in page
    assert "arn:aws:iam::" in page
    assert AwsSession.objects.count() == sessions


def test_create_chained_session_from_this_one_fills_in_the_assumer(house):
    page = house.browser().get(f"{form_url(house)}?assumer={house.root.pk}").content.decode()
    assert re.search(rf'<option value="{house.root.pk}"\s+selected', page)
    assert house.browser().get(f"{form_url(house)}?assumer=nonsense").status_code == 200


def test_a_typed_secret_is_never_given_back(house):
    fields = {
        "alias": "",
        "profile": "x",
        "region": "eu-west-1",
        "access_key_id": "AKIAIOSFODNN7EXAMPLE",
        "secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    }
    answer = house.browser(house.ada).post(form_url(house, "iam-user"), fields)
    assert answer.status_code == 422
    assert b"wJalrXUtnFEMI" not in answer.content
    edit = house.browser(house.ada).get(reverse("edit_session", args=[house.root.pk]))
    [password] = re.findall(r'<input type="password"[^>]*>', edit.content.decode())
    assert "value=" not in password


def test_members_create_no_root_and_nobody_an_unallowed_ambient_one(house):
    assert house.browser().get(form_url(house, "iam-user")).status_code == 403
    assert house.browser(house.ada).get(form_url(house, "ambient")).status_code == 403
    house.team.ambient_enabled = True
    house.team.save()
    assert house.browser(house.ada).get(form_url(house, "ambient")).status_code == 200


def test_no_page_holds_a_secret_before_the_click_which_is_in_the_ledger(house):
    leaf = active(house)
    ben = house.browser()
    before = b"".join(
        ben.get(url).content
        for url in (
            reverse("session_list", args=[house.team.slug]),
            reverse("session", args=[leaf.pk]),
            reverse("session_state", args=[leaf.pk]),
        )
    )
    assert house.events(CredentialRevealed) == []
    shown = ben.post(reverse("reveal_snippet", args=[leaf.pk, "process"])).content.decode()
    secret = re.search(
        r"SecretAccessKey&quot;: &quot;([^&]+)&quot;|SecretAccessKey\": \"([^\"]+)\"", shown
    )
    assert secret
    assert (secret[1] or secret[2]).encode() not in before
    assert len(house.events(CredentialRevealed)) == 1


def test_a_sessions_page_says_its_last_events_in_plain_words(house):
    leaf = active(house)
    ben = house.browser()
    ben.post(reverse("reveal_snippet", args=[leaf.pk, "process"]))
    [line] = house.events(CredentialRevealed)
    Event(
        team_id=line.team_id,
        session_id=line.session_id,
        actor="ben",
        at=line.at,
        seq=line.seq + 1,
        kind="session.teleported",
        data={"to": "the moon"},
    ).save()
    LedgerHead.objects.filter(pk=line.team_id).update(seq=line.seq + 1)
    page = " ".join(ben.get(reverse("session", args=[leaf.pk])).content.decode().split())
    assert f"copied credentials (credential_process JSON), {line.data['access_key_id']}" in page
    assert f"issued {line.data['access_key_id']} at hop 1 for ben, valid until" in page
    assert "started the session until" in page
    assert "this version does not know: session.teleported" in page


def test_a_downloaded_snippet_is_a_file_that_no_cache_keeps(house):
    leaf = active(house)
    answer = house.browser().post(reverse("download_snippet", args=[leaf.pk, "process"]))
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "no-store" in answer.headers["Cache-Control"]


def test_a_shown_snippet_says_until_when_and_how_to_take_it_back(house):
    leaf = active(house)
    [credential] = Credential.objects.filter(level=1)
    ben = house.browser()
    shown = ben.post(reverse("reveal_snippet", args=[leaf.pk, "posix"])).content.decode()
    assert f"Good until {credential.expires_at:%H:%M:%S} UTC" in shown
    undo = shown.partition('id="snippet-undo"')[2]
    assert "unset AWS_ACCESS_KEY_ID" in undo
    assert "ASIA" not in undo
    file = ben.post(reverse("reveal_snippet", args=[leaf.pk, "credentials-file"])).content.decode()
    assert "install -m 600 ~/Downloads/credentials ~/.aws/chainweb-credentials" in file


def test_the_formats_of_the_visitors_own_system_come_first(house):
    leaf = active(house)
    url = reverse("session", args=[leaf.pk])
    for agent, first in (("Windows NT 10.0", "tab-powershell"), ("X11; Linux", "tab-posix")):
        page = house.browser().get(url, headers={"user-agent": f"Mozilla/5.0 ({agent})"})
        tabs = re.findall(r'id="(tab-[a-z-]+)"', page.content.decode())
        shells = [tab for tab in tabs if tab in {"tab-powershell", "tab-posix"}]
        assert shells[0] == first


def test_a_snippet_of_what_is_not_active_says_so(house):
    [leaf] = house.chain(1)
    answer = house.browser().post(reverse("reveal_snippet", args=[leaf.pk, "process"]))
    assert answer.status_code == 200
    assert b"SecretAccessKey" not in answer.content


def test_one_member_does_not_take_anothers_credentials(house):
    leaf = active(house, house.ben)
    answer = house.browser(house.bea).post(reverse("reveal_snippet", args=[leaf.pk, "process"]))
    assert b"SecretAccessKey" not in answer.content


def test_acts_answer_a_live_page_with_a_trigger_a_plain_one_with_a_link(house):
    [leaf] = house.chain(1)
    ben = house.browser()
    for name in ("start_session", "rotate_session", "stop_session"):
        url = reverse(name, args=[leaf.pk])
        assert ben.post(url, headers=LIVE_PARTS).headers["HX-Trigger"] == '{"chainweb:changed": {}}'
        request_limits.forget()  # to rotate twice within ten seconds is too often
        assert ben.post(url).status_code == 302
        assert ben.get(url).status_code == 405


def test_the_way_back_never_leads_elsewhere(house):
    [leaf] = house.chain(1)
    for hostile in ("https://evil.example/", "//evil.example/", "javascript:alert(1)"):
        answer = house.browser().post(reverse("start_session", args=[leaf.pk]), {"next": hostile})
        assert answer.headers["Location"] == reverse("session", args=[leaf.pk])


def test_deleting_lists_every_level_first_and_takes_them_all(house):
    first, second, third = house.chain(3)
    ada = house.browser(house.ada)
    page = ada.get(reverse("delete_session", args=[first.pk])).content.decode()
    assert "Hop 2" in page
    assert "Hop 3" in page
    assert ada.post(reverse("delete_session", args=[first.pk])).status_code == 302
    assert not AwsSession.objects.filter(pk__in=[first.pk, second.pk, third.pk]).exists()


def test_a_member_does_not_delete_what_others_sessions_rest_on(house):
    [mine] = house.chain(1, member=house.ben)
    house.chained("Hers", mine, member=house.bea)
    answer = house.browser().post(reverse("delete_session", args=[mine.pk]), follow=True)
    assert "Only an admin" in answer.content.decode()
    assert AwsSession.objects.filter(pk=mine.pk).exists()


def test_testing_a_chained_draft_mints_it_and_saves_nothing(house, sts):
    sessions = AwsSession.objects.count()
    ben = house.browser()
    url = reverse("test_session", args=[house.team.slug, "iam-role-chained"])
    assert ben.post(url, form_fields(house)).status_code == 200
    probe = Probe.objects.get()
    house.work()
    page = ben.get(reverse("probe", args=[probe.pk])).content.decode()
    assert "assumed-role/Deploy/ben" in page
    assert AwsSession.objects.count() == sessions
    assert len(house.events(CredentialMinted)) == 1


def test_testing_a_draft_that_is_refused_says_at_which_hop(house):
    closed = house.role_arn("ShutToTests", trusts=[])
    ben = house.browser()
    ben.post(
        reverse("test_session", args=[house.team.slug, "iam-role-chained"]),
        form_fields(house, role_arn=closed),
    )
    house.work()
    page = ben.get(reverse("probe", args=[Probe.objects.get().pk])).content.decode()
    assert "AccessDenied" in page


def test_testing_a_root_asks_aws_who_it_is_and_forgets_the_secret(house, sts):
    from sessions.engine.root_probes import run_root_probe

    key = sts.add_user("probed", account="111122223333")
    fields = {
        "alias": "Probed",
        "profile": "probed",
        "region": "eu-west-1",
        "access_key_id": key.access_key_id,
        "secret_access_key": key.secret_access_key.reveal(),
    }
    ada = house.browser(house.ada)
    ada.post(reverse("test_session", args=[house.team.slug, "iam-user"]), fields)
    probe = Probe.objects.get()
    assert probe.sealed_secrets is not None
    run_root_probe(str(probe.pk))
    assert "user/probed" in ada.get(reverse("probe", args=[probe.pk])).content.decode()
    assert Probe.objects.get().sealed_secrets is None
    assert not AwsSession.objects.filter(alias="Probed").exists()


def test_a_root_is_not_asked_for_somebody_who_is_no_admin_any_more(house, sts):
    from sessions.engine.root_probes import run_root_probe
    from sessions.people.memberships import change_role

    carl = house.person("carl", Role.ADMIN)
    fields = {
        "session": str(house.root.pk),
        "alias": "Root key",
        "profile": "root-key",
        "region": "eu-west-1",
    }
    fields["access_key_id"] = house.root.settings["access_key_id"]
    house.browser(carl).post(reverse("test_session", args=[house.team.slug, "iam-user"]), fields)
    probe = Probe.objects.get()
    change_role(carl, Role.MEMBER, actor=NamedActor("ada"))
    calls = len(sts.calls)
    run_root_probe(str(probe.pk))
    assert len(sts.calls) == calls
    assert not house.events(RootVerified)


def test_another_persons_probe_is_not_shown(house):
    ben = house.browser()
    ben.post(
        reverse("test_session", args=[house.team.slug, "iam-role-chained"]), form_fields(house)
    )
    page = (
        house.browser(house.bea)
        .get(reverse("probe", args=[Probe.objects.get().pk]))
        .content.decode()
    )
    assert "Deploy" not in page


def test_the_list_is_searched_by_every_word_and_filtered_by_status(house):
    house.chained("Blue")
    active(house)
    ben = house.browser()
    url = reverse("session_list", args=[house.team.slug])
    assert "Blue" in (page := ben.get(f"{url}?q=blue+root").content.decode())
    assert "Hop 1" not in page
    assert "Blue" not in ben.get(f"{url}?status=active", headers=LIVE_PARTS).content.decode()


def test_a_list_that_asks_again_gets_nothing_while_nothing_has_changed(house):
    [leaf] = house.chain(1)
    ben = house.browser()
    url = reverse("session_list", args=[house.team.slug])
    seen = re.search(r'"X-Seen": "(\w+)"', ben.get(url).content.decode())[1]
    asked = {**LIVE_PARTS, "X-Seen": seen}
    assert ben.get(url, headers=asked).status_code == 204
    house.start(leaf)
    assert "pending" in ben.get(url, headers=asked).content.decode()


def test_foreign_and_missing_are_one_answer_on_every_page(house, sts):
    other = TeamFixture(sts, "other")
    [foreign] = other.chain(1, prefix="Other")
    ben = house.browser()
    for name in ("session", "session_state", "edit_session", "delete_session"):
        answers = [
            ben.get(reverse(name, args=[pk]))
            for pk in (foreign.pk, uuid.UUID(int=foreign.pk.int ^ 1))
        ]
        assert {answer.status_code for answer in answers} == {404}
        assert answers[0].content.replace(str(foreign.pk).encode(), b"") == answers[
            1
        ].content.replace(str(uuid.UUID(int=foreign.pk.int ^ 1)).encode(), b"")
    assert ben.get(reverse("session_list", args=["other"])).status_code == 404
    assert ben.get(reverse("session_list", args=["nowhere"])).status_code == 404


def test_a_removed_member_is_out_at_the_next_request(house):
    leaf = active(house)
    ben = house.browser()
    assert ben.get(reverse("session", args=[leaf.pk])).status_code == 200
    house.ben.delete()
    assert ben.get(reverse("session", args=[leaf.pk])).status_code == 404
    assert ben.post(reverse("reveal_snippet", args=[leaf.pk, "process"])).status_code == 404
    assert ben.get("/", follow=True).status_code == 200


def every_pattern(resolver=None, prefix=""):
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLResolver):
            yield from every_pattern(pattern, prefix + str(pattern.pattern))
        elif isinstance(pattern, URLPattern):
            yield prefix + str(pattern.pattern), pattern


# `api/v1/` itself is only where the API's addresses begin: a 404 for everybody.
# What these answer, and to whom, is in tests/test_rights.py.
OPEN_TO_ALL = re.compile(
    r"accounts/(login|logout|inactive|signup|password/reset|email/confirm|2fa/(authenticate|webauthn/login)|oidc|3rdparty/(signup|login))/"
    r"|join/|healthz$|readyz$|metrics$|simulated/federation$"
    r"|api/v1/(openapi.json|tokens/exchange)?$"
)


def test_every_page_asks_who_you_are_and_carries_the_strict_headers(house):
    samples = {
        "team_slug": house.team.slug,
        "provider": "aws",
        "kind": "iam-user",
        "format": "process",
    }
    samples |= dict.fromkeys(("pk", "person_id", "seq", "record_id", "label_id"), "1")
    asked = 0
    for route, _ in every_pattern():
        path = re.sub(
            r"<(?:\w+:)?(\w+)>", lambda match: samples.get(match[1], str(uuid.uuid4())), route
        )
        answer = Client().get(f"/{path}")
        csp = answer.headers["Content-Security-Policy"]
        assert "unsafe" not in csp
        assert "frame-ancestors 'none'" in csp
        assert "no-store" in answer.headers["Cache-Control"]
        if not OPEN_TO_ALL.match(route):
            asked += 1
            if answer.status_code == 405:
                allowed = {each.strip() for each in answer.headers["Allow"].split(",")}
                method = min(allowed - {"HEAD", "OPTIONS"})
                answer = Client().generic(method, f"/{path}")
            assert answer.status_code == 401 or "/accounts/login/" in answer.headers.get(
                "Location", ""
            ), route
    assert asked > 20


def test_nobody_signs_up(db):
    answer = Client().post(
        "/accounts/signup/", {"username": "eve", "password1": "x" * 20, "password2": "x" * 20}
    )
    assert answer.status_code == 200
    assert b"invitation" in answer.content.lower()


def test_readyz_says_what_is_missing_and_healthz_does_not_depend_on_it(db):
    from sessions import tasks

    client = Client()
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["missing"] == ["worker", "broker", "clock"]
    for part in ("worker", "broker", "clock"):
        tasks.stamp(part)
    assert client.get("/readyz").status_code == 200


def test_readyz_misses_a_clock_that_has_stopped_while_workers_live(db):
    for part in heartbeats.PARTS:
        heartbeats.stamp(part)
    Heartbeat.objects.filter(name="clock").update(at=database_now() - heartbeats.STALE_AFTER)
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert (answer.json()["missing"], answer.json()["worker"]) == (["clock"], True)
    heartbeats.stamp("clock")
    assert Client().get("/readyz").status_code == 200
