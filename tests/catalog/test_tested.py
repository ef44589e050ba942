"""After a test before saving, exactly what was tested has its account and ARN."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from sessions.catalog import probes
from sessions.db.clock import database_now
from sessions.engine import root_probes
from sessions.ledger.events.sessions import SessionCreated
from sessions.models import AwsSession, Probe, ProbeState, Role

pytestmark = pytest.mark.django_db

ARN = "arn:aws:iam::444455556666:user/tested"


@pytest.fixture
def key(sts):
    return sts.add_user("tested", account="444455556666")


@pytest.fixture
def fields(key):
    return {
        "alias": "Tested",
        "profile": "tested",
        "region": "eu-west-1",
        "access_key_id": key.access_key_id,
        "secret_access_key": key.secret_access_key.reveal(),
    }


def tried(browser, house, fields, kind="iam-user"):
    """Press “Test before saving”, and have a worker do it."""
    browser.post(reverse("test_session", args=[house.team.slug, kind]), fields)
    probe = Probe.objects.order_by("-ends_at", "pk").exclude(state=ProbeState.OK).first()
    root_probes.run_root_probe(str(probe.pk))
    probe.refresh_from_db()
    return probe


def create(browser, house, fields, kind="iam-user"):
    made = browser.post(reverse("new_session_form", args=[house.team.slug, "aws", kind]), fields)
    assert made.status_code == 302, made.content.decode()
    return AwsSession.objects.get(alias=fields["alias"])


def edit(browser, session, fields):
    edited = browser.post(reverse("edit_session", args=[session.pk]), fields)
    assert edited.status_code == 302, edited.content.decode()
    session.refresh_from_db()
    return session


def test_list_page_and_api_show_the_identity_of_a_tested_root(house, fields):
    ada = house.browser(house.ada)
    assert tried(ada, house, fields).state == ProbeState.OK
    root = create(ada, house, fields)
    assert root.identity_arn == ARN
    assert (
        "444455556666" in ada.get(reverse("session_list", args=[house.team.slug])).content.decode()
    )
    assert ARN in ada.get(reverse("session", args=[root.pk])).content.decode()
    token = house.token(house.ada).reveal()
    shown = (
        Client()
        .get(f"/api/v1/sessions/{root.pk}", headers={"Authorization": f"Bearer {token}"})
        .json()
    )
    assert (shown["account"], shown["cloudtrail_arn"]) == ("444455556666", ARN)
    assert house.events(SessionCreated)[-1].data["identity"] == ARN


def test_alias_profile_and_region_may_change_between_test_and_save(house, fields):
    ada = house.browser(house.ada)
    tried(ada, house, fields)
    other = {"alias": "Other", "profile": "other", "region": "us-east-1", "sts_region": "us-west-2"}
    assert create(ada, house, fields | other).identity_arn == ARN


def test_another_key_or_secret_than_the_tested_one_is_not_known(house, sts, fields):
    ada = house.browser(house.ada)
    tried(ada, house, fields)
    other = sts.add_user("other")
    secret = {"secret_access_key": other.secret_access_key.reveal()}
    assert create(ada, house, fields | secret | {"alias": "Secret"}).identity_arn == ""
    whole = secret | {"access_key_id": other.access_key_id}
    assert create(ada, house, fields | whole | {"alias": "Key"}).identity_arn == ""


def test_nothing_that_a_browser_sends_is_believed(house, fields):
    ada = house.browser(house.ada)
    sent = {"identity_arn": ARN, "identity": ARN, "tested": "x", "probe": "x"}
    assert create(ada, house, fields | sent).identity_arn == ""


def test_a_failed_test_tells_nothing(house, sts, fields, key):
    ada = house.browser(house.ada)
    sts.remove_key(key.access_key_id)
    assert tried(ada, house, fields).state == ProbeState.FAILED
    assert create(ada, house, fields).identity_arn == ""


def test_another_persons_test_and_one_of_another_team_tell_nothing(house, sts, fields):
    carl = house.person("carl", Role.ADMIN)
    tried(house.browser(carl), house, fields)
    assert create(house.browser(house.ada), house, fields).identity_arn == ""


def test_a_test_tells_for_a_quarter_of_an_hour_and_keeps_no_secret(house, fields):
    ada = house.browser(house.ada)
    probe = tried(ada, house, fields)
    assert probe.sealed_secrets is None
    assert probe.ends_at > database_now() + timedelta(minutes=14)
    assert fields["secret_access_key"] not in str(Probe.objects.values().get())
    Probe.objects.update(ends_at=database_now())
    assert create(ada, house, fields).identity_arn == ""
    probes.delete_overdue()
    assert not Probe.objects.exists()


def test_two_tests_of_one_secret_have_nothing_in_common(house, fields):
    ada = house.browser(house.ada)
    first, second = tried(ada, house, fields), tried(ada, house, fields)
    assert len(first.tested) == 64
    assert first.tested != second.tested


def test_the_stored_keys_identity_is_forgotten_with_another_secret(house, fields):
    ada = house.browser(house.ada)
    root = create(ada, house, fields)
    kept = {**fields, "secret_access_key": "", "session": str(root.pk)}
    tried(ada, house, kept)
    root.refresh_from_db()
    assert root.identity_arn == ARN
    assert edit(ada, root, kept | {"alias": "Renamed"}).identity_arn == ARN
    assert edit(ada, root, kept | {"secret_access_key": "x" * 40}).identity_arn == ""


def test_a_key_that_replaces_another_is_known_after_its_test(house, sts, fields):
    ada = house.browser(house.ada)
    root = create(ada, house, fields)
    new = sts.add_user("new", account="777788889999")
    typed = {**fields, "access_key_id": new.access_key_id, "session": str(root.pk)}
    typed["secret_access_key"] = new.secret_access_key.reveal()
    tried(ada, house, typed)
    root.refresh_from_db()
    assert root.identity_arn == ""  # nothing is saved yet
    assert edit(ada, root, typed).identity_arn == "arn:aws:iam::777788889999:user/new"


def test_a_key_replaced_during_the_stored_ones_test_is_not_taken_for_it(house, fields):
    ada = house.browser(house.ada)
    root = create(ada, house, fields)
    kept = {**fields, "secret_access_key": "", "session": str(root.pk)}
    ada.post(reverse("test_session", args=[house.team.slug, "iam-user"]), kept)
    probe = Probe.objects.get()

    edit(ada, root, kept | {"secret_access_key": "x" * 40})
    root_probes.run_root_probe(str(probe.pk))
    root.refresh_from_db()
    assert root.identity_arn == ""


def test_a_root_users_key_is_told_apart_from_a_users(house, sts, fields, key):
    sts.rules.keys[key.access_key_id] = replace(
        sts.rules.keys[key.access_key_id], arn="arn:aws:iam::444455556666:root"
    )
    ada = house.browser(house.ada)
    probe = tried(ada, house, fields)
    assert (probe.state, probe.result["problem"]["code"]) == (ProbeState.FAILED, "RootUser")
    assert "444455556666" in probe.result["problem"]["message"]
    page = ada.get(reverse("probe", args=[probe.pk])).content.decode()
    assert "Create an IAM user" in page


def test_an_mfa_device_and_a_web_identitys_role_tell_the_account(house):
    device = {
        "access_key_id": "AKIAIOSFODNN7EXAMPLE",
        "mfa_serial": "arn:aws:iam::444455556666:mfa/ada",
    }
    role = {
        "role_arn": "arn:aws:iam::777788889999:role/Ci",
        "role_session_name": "ci",
        "token_file": "/x",
    }
    assert AwsSession(kind="iam-user", settings=device).account == "444455556666"
    assert AwsSession(kind="web-identity", settings=role).account == "777788889999"
    assert AwsSession(kind="identity-center", settings={"account_id": "1" * 12}).account == "1" * 12
    assert AwsSession(kind="ambient").account == ""


def test_a_draft_is_tested_at_its_sts_region_or_the_next_while_away(house, sts, fields):
    ada = house.browser(house.ada)
    tried(ada, house, fields | {"sts_region": "us-west-2"})
    sts.out_of_order["us-east-2"] = ""
    probe = tried(ada, house, fields | {"sts_region": "us-east-2"})
    assert probe.state == ProbeState.OK
    asked = [call["region"] for call in sts.calls if call["action"] == "GetCallerIdentity"]
    assert asked == ["us-west-2", "us-east-2", "us-east-1"]
