"""No secret is in PostgreSQL's dump, in its tables' files or in its write-ahead log."""

import os
import re
import subprocess

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from sessions.actors import Actor
from sessions.delivery.reveal import reveal
from tests.api.tool import Api
from tests.house import PASSWORD
from tests.login.browsers import code_of, log_in
from tests.platform.canaries import ENCODINGS, find

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="is about PostgreSQL's files"),
]


def asked(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def dumped():
    place = connection.settings_dict
    command = ["pg_dump", "--inserts", "--host", place["HOST"], "--username", place["USER"]]
    command += ["--port", str(place["PORT"] or 5432), place["NAME"]]
    environ = {**os.environ, "PGPASSWORD": place["PASSWORD"]}
    return subprocess.run(command, env=environ, check=True, capture_output=True).stdout


def table_files():
    """Read the files of all tables, indexes and large values, as they are on the disk."""
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")
    paths = asked(
        "SELECT DISTINCT pg_relation_filepath(oid) FROM pg_class WHERE relkind IN ('r', 'i', 't')"
        " AND relnamespace <> 'pg_catalog'::regnamespace AND pg_relation_filepath(oid) IS NOT NULL"
    )
    files = [asked("SELECT pg_read_binary_file(%s, 0, 500000000, true)", path) for (path,) in paths]
    return b"\n".join(bytes(content) for [(content,)] in files if content is not None)


def write_ahead_log(since):
    """Read the segments of the log that were written since then, of which others may write too."""
    names = asked(
        "SELECT name FROM pg_ls_waldir() WHERE name >= pg_walfile_name(%s)"
        " AND name <= pg_walfile_name(pg_current_wal_lsn()) ORDER BY name",
        since,
    )
    files = [asked("SELECT pg_read_binary_file('pg_wal/' || %s)", name) for (name,) in names]
    return b"".join(bytes(content) for [(content,)] in files)


def test_no_secret_is_left_in_dump_files_or_log(house, sts):
    [(since,)] = asked("SELECT pg_current_wal_lsn()::text")
    key = house.sts.add_user("canary", account="111122223333")
    ada = house.browser(house.ada)
    words = {"alias": "Canary", "profile": "canary", "region": "eu-west-1"}
    words |= {"access_key_id": key.access_key_id}
    secret = key.secret_access_key.reveal()
    form = reverse("new_session_form", args=[house.team.slug, "aws", "iam-user"])
    assert ada.post(form, words | {"secret_access_key": secret}).status_code == 302
    leaf = house.chained("Leaf")
    house.start(leaf)
    house.work()
    got = reveal(leaf, Actor(house.ben), form="process", via="tests")
    token = house.token()
    assert Api(token)("GET", f"/sessions/{leaf.pk}/credentials").status_code == 200
    page = ada.post(
        reverse("invite", args=[house.team.slug]), {"role": "member", "note": "", "days": 7}
    )
    invitation = re.search(r"/join/#([\w-]+)", page.content.decode())[1]
    client = Client()
    log_in(client)
    seed = re.search(
        r'value="([A-Z2-7]{16,})"', client.get(reverse("mfa_activate_totp")).content.decode()
    )[1]
    client.post(reverse("mfa_activate_totp"), {"code": code_of(seed)})
    page = client.get(reverse("mfa_view_recovery_codes")).content.decode()
    codes = re.search(r"<textarea[^>]*>([^<]+)</textarea>", page)[1].split()

    stores = {
        "the dump": dumped(),
        "the tables' files": table_files(),
        "the log": write_ahead_log(since),
    }
    secrets = [secret, got.secret_access_key.reveal(), got.session_token.reveal()]
    secrets += [token.reveal(), invitation, seed, *codes, PASSWORD]
    assert len(codes) == 10
    assert find(secrets, stores) == []
    # What has to be there is, and a control is found in each form.
    for name, content in stores.items():
        assert find([got.access_key_id], {name: content}), name
        for form, encode in ENCODINGS.items():
            planted = content[:1_000_000] + encode("wJalrXUtn/EMI+K7?>~CONTROL")
            assert find(["wJalrXUtn/EMI+K7?>~CONTROL"], {name: planted}), form
