"""The STS region of a root: by form, page and API, and for roots older than the field."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from chainweb.local import embedded
from sessions.actors import Actor
from sessions.aws.roots import ROOT_KINDS
from sessions.models import CHAINED, AwsSession

DATABASE = {"DATABASE_URL", "DJANGO_SETTINGS_MODULE"}
CHECKOUT = Path(__file__).parents[2]
pytestmark = pytest.mark.django_db


@pytest.fixture
def api(house):
    client, token = Client(), house.token(house.ada).reveal()

    def ask(method, path, **body):
        headers = {"Authorization": f"Bearer {token}"}
        text = json.dumps(body) if body else ""
        return client.generic(
            method, f"/api/v1{path}", text, content_type="application/json", headers=headers
        )

    return ask


def a_user(sts, **changes):
    key = sts.add_user("another")
    return {
        "kind": "iam-user",
        "alias": "Another",
        "profile": "another",
        "region": "eu-west-1",
        "access_key_id": key.access_key_id,
        "secret_access_key": key.secret_access_key.reveal(),
        **changes,
    }


@pytest.mark.parametrize("kind", list(ROOT_KINDS))
def test_every_root_kind_has_the_field_and_chained_sessions_have_not(house, kind):
    from sessions.catalog.team_view import view_of_sessions
    from sessions.forms.sessions import form_for

    view = view_of_sessions(Actor(house.ada), None)
    assert "sts_region" in form_for(kind, None, view=view).fields
    assert "sts_region" not in form_for("iam-role-chained", None, view=view).fields


def test_by_api_it_is_created_shown_changed_and_given_back(sts, api, house):
    created = api("POST", "/sessions", **a_user(sts)).json()
    assert created["sts_region"] == "eu-west-1"
    path = f"/sessions/{created['id']}"
    assert api("PATCH", path, sts_region="us-east-1").json()["sts_region"] == "us-east-1"
    assert api("PATCH", path, region="eu-north-1").json()["sts_region"] == "us-east-1"
    assert api("PATCH", path, sts_region="").json()["sts_region"] == "eu-north-1"
    assert api("PATCH", path, region="eu-west-3").json()["sts_region"] == "eu-west-3"
    assert house.events()[-1].data["region"] == "eu-west-3"
    assert (
        api("POST", "/sessions", **a_user(sts, alias="B", sts_region="us-west-2")).status_code
        == 201
    )
    assert AwsSession.objects.get(alias="B").sts_region == "us-west-2"


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1", "mars-north-1", "EU-WEST-1"])
def test_a_region_of_another_partition_is_refused_on_the_field(sts, api, region):
    answer = api("POST", "/sessions", **a_user(sts, sts_region=region))
    assert (answer.status_code, list(answer.json()["fields"])) == (422, ["sts_region"])


def test_a_chained_session_has_no_such_field(api, house):
    [leaf] = house.chain(1)
    assert api("GET", f"/sessions/{leaf.pk}").json()["sts_region"] is None
    assert api("PATCH", f"/sessions/{leaf.pk}", sts_region="us-east-1").status_code == 422


def test_the_roots_page_and_form_show_it(house):
    ada = house.browser(house.ada)
    AwsSession.objects.filter(pk=house.root.pk).update(sts_region="us-west-2")
    page = ada.get(reverse("session", args=[house.root.pk])).content.decode()
    assert '<dt>STS region</dt><dd class="mono">us-west-2</dd>' in page
    form = ada.get(reverse("edit_session", args=[house.root.pk])).content.decode()
    assert '<option value="us-west-2" selected>us-west-2</option>' in form
    [leaf] = house.chain(1)
    assert "STS region" not in ada.get(reverse("session", args=[leaf.pk])).content.decode()


def test_the_openapi_document_tells_of_it(api):
    schemas = api("GET", "/openapi.json").json()["components"]["schemas"]
    assert "sts_region" in schemas["SessionOut"]["properties"]
    for each in schemas["SessionIn"]["oneOf"]:
        assert ("sts_region" in each["properties"]) == (each["title"] != CHAINED)


def test_an_older_root_in_an_opt_in_region_stays_where_its_calls_succeed(tmp_path):
    def migrate(*to):
        kept = {name: value for name, value in os.environ.items() if name not in DATABASE}
        environment = kept | {"CHAINWEB_DATA": str(tmp_path), "CHAINWEB_AWS": "simulated"}
        embedded.data_folder(environment).mkdir(exist_ok=True)
        command = [sys.executable, "manage.py", "migrate", "--verbosity=0", *to]
        subprocess.run(command, cwd=CHECKOUT, env=environment, check=True, timeout=120)

    migrate("chains", "0012")
    [file] = tmp_path.rglob("*.sqlite3")
    roots = {
        "enabled": "ap-south-2",
        "refused": "ap-south-2",
        "usual": "eu-west-1",
        "unused": "ap-south-2",
    }
    calls = {
        "enabled": ["ap-south-2", "us-east-1", "us-east-1"],
        "refused": ["us-east-1", "eu-west-1", "eu-west-1"],
        "usual": ["us-east-1"],
        "unused": [],
    }
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        team = uuid.uuid4().hex
        insert(database, "chains_team", id=team)
        for name, region in roots.items():
            root = uuid.uuid4().hex
            insert(
                database,
                "chains_awssession",
                id=root,
                team_id=team,
                kind="iam-user",
                alias=name,
                region=region,
            )
            for number, where in enumerate(calls[name]):
                insert(
                    database,
                    "chains_credential",
                    fingerprint=f"{name}{number}",
                    root_id=root,
                    team_id=team,
                    level=1,
                    region=where,
                    minted_at="2026-11-01",
                )
    migrate()
    with contextlib.closing(sqlite3.connect(file)) as database:
        found = dict(database.execute("SELECT alias, sts_region FROM chains_awssession"))
    assert found == {"enabled": "", "refused": "eu-west-1", "usual": "", "unused": ""}


def insert(database, table, **given):
    """One row; what is not given and may not be null is empty."""
    columns = database.execute(f"PRAGMA table_info({table})").fetchall()
    needed = {
        name: "{}" if kind == "TEXT" else 0 for _, name, kind, not_null, _, _ in columns if not_null
    }
    values = needed | given
    marks = ", ".join("?" for _ in values)
    database.execute(
        f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values())
    )
