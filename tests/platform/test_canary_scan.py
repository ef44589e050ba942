"""Drive a whole installation through every way by which it gives secrets out, then look for them.

In each place where something is kept or shown none of them may be, in no form; and the search finds
what is planted there, in each form.
"""

import base64
import json
import re
import shutil
import sqlite3
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from chainweb.local import embedded
from sessions.snippets import FORMATS
from tests.harness.installation import Installation
from tests.harness.processes import CHECKOUT
from tests.harness.sts import FakeSts
from tests.harness.waiting import wait_for
from tests.ledger.receivers import certificate  # noqa: F401  (a fixture)
from tests.login.browsers import code_of
from tests.platform import sinks
from tests.platform.canaries import ENCODINGS, files_below, find
from tests.platform.person import Person

pytestmark = [pytest.mark.processes, pytest.mark.own_servers]

HUB = "arn:aws:iam::111122223333:role/Hub"
PASSWORD, NEW_PASSWORD = "a-Password-that-no-log-may-hold-7", "another-Password/of+canaries-8"
WRONG_PASSWORD = "a-wrong-Password-that-was-typed-9"
SIEM_KEY = base64.b64encode(b"a key of canaries for signatures").decode()
SIEM_TOKEN = "Splunk 7c1f-canary-for-a-collector"
SIEM_PATH = "canary-in-the-path-of-an-address"
KEY_FILES = {"secret_key", "seal_keys", "root_keys", "root_public_key"} | {
    "checkpoint_key",
    "checkpoint_public_key",
    "up.lock",
}
STORES = (
    *("database", "dump", "WAL", "Redis", "logs", "terminal", "mails", "exports"),
    *("SIEM stream", "checkpoints", "static files", "process environment", "command lines"),
    *("pages before the click", "ledger"),
)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory, keys_and_tables, certificate):  # noqa: F811
    """Do everything once: {store: content}, {kind: secrets}, and what each store must show."""
    data = Path(tempfile.mkdtemp(prefix="cws-", dir="/tmp"))
    outside = tmp_path_factory.mktemp("outside")
    with (
        FakeSts() as sts,
        sinks.mails() as (email_url, mails),
        sinks.posts(certificate) as (webhook, posts),
        sinks.datagrams(data / "log") as datagrams,
    ):
        environ = {
            "CHAINWEB_AWS": "real",
            "AWS_ENDPOINT_URL_STS": sts.url,
            "LOG_LEVEL": "DEBUG",
            "EMAIL_URL": email_url,
            "CHAINWEB_CHECKPOINT_FILE": str(outside / "checkpoints.jsonl"),
            "CHAINWEB_SIEM_FILE": str(outside / "siem.jsonl"),
            "CHAINWEB_SIEM_LOOKUP_FILE": str(outside / "keys.csv"),
            "CHAINWEB_SIEM_SYSLOG": f"unix://{data}/log",
            "CHAINWEB_SIEM_WEBHOOK": webhook + SIEM_PATH,
            "CHAINWEB_SIEM_WEBHOOK_KEYS": SIEM_KEY,
            "CHAINWEB_SIEM_WEBHOOK_AUTHORIZATION": SIEM_TOKEN,
            "CHAINWEB_SIEM_CA": str(certificate),
        }
        one = Installation(data, environ, command=[str(CHECKOUT / "run")])
        shutil.copytree(keys_and_tables, one.folder)
        try:
            one.start()
            yield Scan(one, sts, outside, mails, posts, datagrams).done()
        finally:
            one.end()
    shutil.rmtree(data)


class Scan:
    """Act, gather, and remember what was secret."""

    def __init__(self, one, sts, outside, mails, posts, datagrams):
        self.one, self.sts, self.outside = one, sts, outside
        self.mails, self.posts, self.datagrams = mails, posts, datagrams
        self.stores: dict[str, bytes] = {}
        self.secrets: dict[str, set[str]] = {}
        self.pages: list[str] = []
        self.exports: list[bytes] = []

    def done(self):
        self.one.manage("setup", "--team", "ops", "--admin", "ada", CHAINWEB_PASSWORD=PASSWORD)
        self.token = self.one.token("ada", "ops")
        self.person = Person(f"http://localhost:{self.one.port}")
        self.keep("passwords", PASSWORD, NEW_PASSWORD, WRONG_PASSWORD)
        self.keep("tokens", self.token)
        with suppress(AssertionError):
            self.person.log_in("ada", WRONG_PASSWORD)
        self.person.log_in("ada", PASSWORD)
        self.sessions()
        self.people()
        self.second_factors()
        self.take_away()
        self.gather_running()
        code, printed = self.one.stop()
        assert code == 0, printed
        self.gather_stopped(printed)
        return self

    def keep(self, kind, *secrets):
        self.secrets.setdefault(kind, set()).update(secrets)

    def look(self, path):
        """Open a page on which nothing was clicked that shows a secret."""
        page = self.person.get(path)
        self.pages.append(page)
        return page

    # --- what gives secrets out -------------------------------------------------------------------

    def sessions(self):
        one, sts, token, person = self.one, self.sts, self.token, self.person
        key = sts.add_user("landing-zone")
        sts.add_role(HUB, trusts=[sts.arn_of(key)])
        hub = one.create_chained(token, one.create_root(token, key), HUB)
        self.leaf, other, closed = [
            one.create_chained(token, hub, sts.add_role(f"arn:aws:iam::444455556666:role/{name}"))
            for name in ("Leaf", "Other", "Closed")
        ]
        for name in ("Leaf", "Other"):
            sts.add_role(f"arn:aws:iam::444455556666:role/{name}", trusts=[HUB])
        for each in (self.leaf, other, closed):
            one.api("POST", f"/sessions/{each}/start", token)
        one.wait_until_active(self.leaf, token)
        one.wait_until_active(other, token)
        wait_for(lambda: one.status(closed, token) == "failed", "the rejection")
        self.credentials = one.credentials(self.leaf, token)
        for name, form in FORMATS.items():
            status, _ = one.request(
                "GET", f"/api/v1/sessions/{self.leaf}/credentials?format={name}", token
            )
            assert status in {200, 422}
            taken = person.post(f"/sessions/{self.leaf}/snippets/{name}/")
            assert not form.secret or self.credentials["AccessKeyId"] in taken
            person.post(f"/sessions/{self.leaf}/snippets/{name}/download/")
        # Answers that are not what they should be are written down somewhere.
        faults = (
            lambda: sts.change_next(SessionToken="with\na newline"),
            lambda: sts.answer_next(b"<html>" + b"x" * 5000),
        )
        for fault, session in zip(faults, (self.leaf, other), strict=True):
            calls = len(sts.calls)
            fault()
            one.api("POST", f"/sessions/{session}/rotate", token)
            wait_for(lambda calls=calls: len(sts.calls) > calls, "the call that goes wrong", 20)
        typed = sts.add_user("typed")
        fields = {"alias": "Typed", "profile": "typed", "region": "eu-west-1"}
        fields |= {"access_key_id": typed.access_key_id}
        for profile in ("]", "typed"):  # refused, then stored
            person.post(
                "/teams/ops/new/aws/iam-user/",
                **fields | {"profile": profile},
                secret_access_key=typed.secret_access_key.reveal(),
            )
        assert any(each["alias"] == "Typed" for each in one.api("GET", "/sessions", token))
        # A record of CloudTrail with a session token in it, as somebody may paste.
        record = {"eventName": "AssumeRole", "responseElements": {"credentials": self.credentials}}
        person.post("/teams/ops/audit/whois/", q=json.dumps(record))
        one.request("POST", "/api/v1/whois", token, {"q": json.dumps(record)})

    def people(self):
        person = self.person
        page = person.post("/teams/ops/tokens/", name="laptop", days="30", scopes="read")
        self.keep("tokens", re.search(r'id="token">(cwt_[^<]+)<', page)[1])
        page = person.post("/teams/ops/people/invite/", role="member", note="", days="7")
        invitation = re.search(r"/join/#([\w-]+)", page)[1]
        self.keep("invitations", invitation)
        guest = Person(person.address)
        guest.get("/accounts/login/")
        guest.post("/join/", code=invitation)
        person.get("/accounts/email/")
        person.post("/accounts/email/", email="ada@team.example", action_add="")
        wait_for(lambda: self.mails, "the mail that confirms the address")
        [link] = re.findall(r"/accounts/email/confirm/[^\s]+", self.mails[-1].decode())
        person.get(link)
        person.post(link)
        guest.post("/accounts/password/reset/", email="ada@team.example")
        wait_for(lambda: len(self.mails) > 1, "the mail with a link")
        person.post(
            "/accounts/password/change/",
            oldpassword=PASSWORD,
            password1=NEW_PASSWORD,
            password2=NEW_PASSWORD,
        )
        wait_for(lambda: len(self.mails) > 2, "the notice")
        for mail in self.mails:
            for link in re.findall(r"/accounts/[^\s]+/(?:key|confirm)/([^/\s]+)/", mail.decode()):
                self.keep("links", link)
        self.cookies = {
            cookie.value
            for who in (person, guest)
            for cookie in who.cookies
            if len(cookie.value) > 8
        }

    def second_factors(self):
        person = Person(self.person.address)
        person.log_in("ada", NEW_PASSWORD)
        page = person.get("/accounts/2fa/totp/activate/")
        seed = re.search(r'value="([A-Z2-7]{16,})"', page)[1]
        person.post("/accounts/2fa/totp/activate/", code=code_of(seed))
        page = person.get("/accounts/2fa/recovery-codes/")
        codes = re.search(r"<textarea[^>]*>([^<]+)</textarea>", page)[1].split()
        assert len(codes) == 10
        person.get("/accounts/2fa/recovery-codes/download/")
        self.keep("second factors", seed, *codes)
        self.cookies |= {cookie.value for cookie in person.cookies if len(cookie.value) > 8}
        self.person = person

    def take_away(self):
        # The old one ended with the old password.
        self.token = self.one.token("ada", "ops")
        self.keep("tokens", self.token)
        for name in ("jsonl", "csv", "keys-csv", "keys-jsonl"):
            status, content = self.one.request(
                "GET", f"/api/v1/events/export?format={name}", self.token
            )
            assert status == 200
            self.exports.append(content)
        self.exports.append(json.dumps(self.one.api("GET", "/keys", self.token)).encode())
        self.exports.append(json.dumps(self.one.api("GET", "/events", self.token)).encode())
        self.one.manage(
            "shell", "--command", "from sessions import tasks; tasks.write_lookup_file()"
        )
        file = self.outside / "export.jsonl"
        self.one.manage("export_ledger", "--team", "ops", "--output", str(file))
        self.exports.append(file.read_bytes())
        for path in (
            *("/teams/ops/", f"/sessions/{self.leaf}/", f"/sessions/{self.leaf}/state/"),
            *(f"/sessions/{self.leaf}/edit/", "/teams/ops/audit/", "/teams/ops/people/"),
            *("/teams/ops/tokens/", "/teams/ops/audit/names/", "/teams/ops/policy/"),
        ):
            self.look(path)

    # --- where they may not be --------------------------------------------------------------------

    def gather_running(self):
        stream = self.outside / "siem.jsonl"
        wait_for(
            lambda: stream.exists() and b"credential.revealed" in stream.read_bytes(), "the stream"
        )
        wait_for(lambda: self.posts and self.datagrams, "the stream to other places")
        folder = self.one.folder
        self.stores["WAL"] = (folder / "db.sqlite3-wal").read_bytes()
        with sqlite3.connect(folder / "db.sqlite3") as connection:
            self.stores["dump"] = "\n".join(connection.iterdump()).encode()
            ledger = connection.execute("SELECT * FROM chains_event").fetchall()
            self.stores["ledger"] = repr(ledger).encode()
        connection.close()
        self.stores["Redis"] = self.redis()
        self.processes = {
            name: (self.of(pid, "environ"), self.of(pid, "cmdline"))
            for name, pid in self.one.children().items()
        }
        assert {"web", "worker", "starter", "beat"} <= self.processes.keys()
        everything = [self.of(pid, "cmdline") for pid in self.one.left()]
        self.stores["command lines"] = b"\n".join(everything)
        self.stores["process environment"] = b"\n".join(
            environ for environ, _ in self.processes.values()
        )

    @staticmethod
    def of(pid, what):
        try:
            return Path(f"/proc/{pid}/{what}").read_bytes()
        except OSError:
            return b""

    def redis(self):
        folder = self.one.folder
        client = redis.Redis(unix_socket_path=str(embedded.socket_path(folder)))
        found = [b"%s %s" % (key, client.dump(key) or b"") for key in client.scan_iter()]
        client.close()
        files = files_below(folder / "valkey")
        return b"\n".join([*found, *files.values()])

    def gather_stopped(self, printed):
        folder = self.one.folder
        files = files_below(folder, but=KEY_FILES)
        logs = {name: content for name, content in files.items() if name.endswith(".log")}
        assert {"logs/web.log", "logs/worker.log", "logs/starter.log"} <= logs.keys()
        self.stores["database"] = files["db.sqlite3"]
        self.stores["logs"] = b"\n".join(logs.values())
        self.stores["terminal"] = printed.encode()
        self.stores["mails"] = b"\n".join(self.mails)
        self.stores["exports"] = b"\n".join(self.exports)
        self.stores["SIEM stream"] = b"\n".join(
            [
                *((self.outside / name).read_bytes() for name in ("siem.jsonl", "keys.csv")),
                *self.posts,
                *self.datagrams,
            ]
        )
        self.stores["checkpoints"] = (self.outside / "checkpoints.jsonl").read_bytes()
        self.stores["static files"] = b"\n".join(files_below(CHECKOUT / "sessions/static").values())
        self.stores["pages before the click"] = "\n".join(self.pages).encode()
        keys = self.sts.rules.keys.values()
        self.keep("credentials", *(each.secret for each in keys))
        self.keep("credentials", *(each.token for each in keys if each.token))
        self.keep("credentials", self.credentials["SessionToken"])
        for name in ("secret_key", "seal_keys", "root_keys", "checkpoint_key"):
            for each in (folder / name).read_text().strip().split(","):
                self.keep("keys", each.partition(":")[2] or each)
        self.keep("SIEM", SIEM_KEY, SIEM_TOKEN, SIEM_PATH)
        self.keep("cookies", *self.cookies)


# Where a secret has to be: a link in its mail, an operator's setting in the process that it is for.
# Session keys in the database are in docs/security.md, "Known and accepted".
MAY_BE = {
    "mails": {"links"},
    "process environment": {"SIEM"},
    "database": {"cookies"},
    "dump": {"cookies"},
    "WAL": {"cookies"},
}


def test_every_way_was_gone(scanned):
    counts = {kind: len(found) for kind, found in scanned.secrets.items()}
    assert counts["credentials"] >= 6
    assert counts["second factors"] == 11
    assert (counts["tokens"], counts["links"]) == (3, 2)
    assert counts["keys"] == 4
    assert set(scanned.stores) == set(STORES)


@pytest.mark.parametrize("store", STORES)
def test_no_secret_is_in(store, scanned):
    secrets = {
        secret
        for kind, some in scanned.secrets.items()
        if kind not in MAY_BE.get(store, set())
        for secret in some
    }
    assert len(secrets) > 25
    assert find(secrets, {store: scanned.stores[store]}) == []


def test_web_and_beat_know_nothing_of_the_siem(scanned):
    for name in ("web", "beat"):
        environ, _ = scanned.processes[name]
        assert b"CHAINWEB_DATA=" in environ
        assert find(scanned.secrets["SIEM"], {name: environ}) == []


@pytest.mark.parametrize("store", STORES)
def test_the_search_sees_into(store, scanned):
    """Find what has to be there: otherwise nothing was looked through."""
    key, leaf = scanned.credentials["AccessKeyId"], scanned.leaf
    there = {
        "database": [key, leaf.replace("-", "")],
        "dump": [key],
        "WAL": ["chains"],
        "ledger": [key],
        "Redis": ["chainweb"],
        "logs": ["ada"],
        "terminal": ["Chainweb is ready at"],
        "mails": ["ada@team.example"],
        "exports": [key, leaf],
        "SIEM stream": [key, leaf],
        "checkpoints": ["chainweb-checkpoint-1"],
        "static files": ["addEventListener"],
        "process environment": ["CHAINWEB_DATA"],
        "command lines": ["gunicorn"],
        "pages before the click": ["Leaf"],
    }
    for text in there[store]:
        assert find([text], {store: scanned.stores[store]}), text


@pytest.mark.parametrize("form", ENCODINGS)
@pytest.mark.parametrize("store", STORES)
def test_a_control_is_found_in(store, form, scanned):
    control = "wJalrXUtn/EMI+K7MDENG/bPxRfiCY?>~CONTROL"
    content = scanned.stores[store][:2_000_000]
    middle = len(content) // 2
    planted = content[:middle] + ENCODINGS[form](control) + content[middle:]
    assert find([control], {store: content}) == []
    assert find([control], {store: planted})
