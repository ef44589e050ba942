"""Run a production installation by hand.

The very commands of docker-compose.yml, with the environments that it gives them,
against PostgreSQL and Redis and the strict STS.
"""

import http.client
import json
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

from tests.harness import proc, processes
from tests.harness.processes import clean_environ, free_port
from tests.harness.sts import FakeSts
from tests.harness.waiting import wait_for
from tests.platform import compose
from tests.platform.proxy import Nginx, need_nginx

pytestmark = [pytest.mark.processes, pytest.mark.own_servers]

HOST = "chainweb.example"
WORKERS = {"worker", "starter"}
HUB = "arn:aws:iam::111122223333:role/Hub"
LEAF = "arn:aws:iam::444455556666:role/Leaf"
AMBIENT = "arn:aws:iam::111122223333:role/ChainwebWorker"


class Production:
    """Hold the services of docker-compose.yml as processes of this machine."""

    def __init__(self, folder: Path, urls: tuple[str, str], sts: FakeSts) -> None:
        self.app, self.secrets, self.logs = (folder / each for each in ("app", "secrets", "logs"))
        self.checkpoints = folder / "checkpoints.jsonl"
        self.app.mkdir()
        self.logs.mkdir()
        compose.unpack_image(self.app)
        self.port = free_port()
        self.redis_url = urls[1]
        self.sts_url = sts.url
        self.shell = {"CHAINWEB_HOST": HOST}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.run("keys", str(self.secrets), environ=clean_environ())
        for name in ("database_url", "database_owner_url"):
            (self.secrets / name).write_text(urls[0] + "\n")

    def environ(self, service: str) -> dict[str, str]:
        found = compose.environment(service, self.shell, self.secrets)
        found |= {"REDIS_URL": self.redis_url, "PATH": compose.path(), "HOME": "/nonexistent"}
        found |= {"STATIC_ROOT": str(self.app / "staticfiles"), "PYTHONDONTWRITEBYTECODE": "1"}
        if service == "migrate":  # one role is both here
            found["CHAINWEB_DATABASE_APP_ROLE"] = ""
        if service in WORKERS:  # stands for the way out to AWS, which these alone have
            found["AWS_ENDPOINT_URL_STS"] = self.sts_url
            found["CHAINWEB_CHECKPOINT_FILE"] = str(self.checkpoints)
        return found

    def run(self, *arguments: str, environ: dict[str, str], **more: str) -> str:
        """`python manage.py …` in a container of that environment."""
        found = {**environ, "PATH": compose.path(), **more}
        return processes.manage(*arguments, environ=found, cwd=self.app, python="python")

    def up(self) -> None:
        migrate = compose.command("migrate")
        assert migrate[:2] == ["python", "manage.py"]
        self.run(*migrate[2:], environ=self.environ("migrate"))
        for service in ("web", "worker", "starter", "beat"):
            self.start(service)
        wait_for(lambda: self.ask("GET", "/readyz")[0] == 200 or self.ended(), "/readyz")
        assert not self.ended(), {
            name: (self.logs / f"{name}.log").read_text()[-2000:] for name in self.ended()
        }

    def start(self, service: str, **environ: str) -> None:
        command = [
            each.replace("0.0.0.0:8000", f"127.0.0.1:{self.port}")
            for each in compose.command(service)
        ]
        self.running[service] = processes.start(
            command, self.logs / f"{service}.log", self.environ(service) | environ, self.app
        )

    def stop(self, service: str) -> None:
        process = self.running.pop(service)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)

    @contextmanager
    def without(self, *services: str) -> Iterator[None]:
        """Kill these, and start them again at the end of the block."""
        for service in services:
            self.stop(service)
        try:
            yield
        finally:
            for service in services:
                self.start(service)

    @contextmanager
    def started(self, service: str, **environ: str) -> Iterator[None]:
        self.start(service, **environ)
        try:
            yield
        finally:
            self.stop(service)

    def ended(self) -> list[str]:
        return [name for name, process in self.running.items() if process.poll() is not None]

    def down(self) -> None:
        for process in self.running.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.running.values():
            process.wait(60)
        for process_id in proc.marked("no mark", self.logs):
            os.kill(process_id, signal.SIGKILL)

    def ask(
        self, method: str, path: str, token: str = "", body: object = None, **headers: str
    ) -> tuple[int, bytes]:
        """Make a request as the TLS proxy passes it on."""
        sent = {
            "Host": HOST,
            "X-Forwarded-Proto": "https",
            "Content-Type": "application/json",
            **headers,
        }
        if token:
            sent["Authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()

    def api(self, method: str, path: str, token: str, body: object = None) -> dict:
        status, answer = self.ask(method, f"/api/v1{path}", token, body)
        assert status < 300, (method, path, status, answer)
        return json.loads(answer)

    def active(self, session: str, token: str) -> dict:
        wait_for(
            lambda: self.api("GET", f"/sessions/{session}", token)["status"] == "active",
            "the session",
        )
        return self.api("GET", f"/sessions/{session}/credentials?format=process", token)


@pytest.fixture(scope="module")
def sts():
    with FakeSts() as server:
        yield server


@pytest.fixture(scope="module")
def production(tmp_path_factory, scratch, sts):
    one = Production(tmp_path_factory.mktemp("production"), scratch, sts)
    identity = sts.role_session(AMBIENT, "chainweb-worker")
    one.shell |= {
        "AWS_ACCESS_KEY_ID": identity.access_key_id,
        "AWS_SECRET_ACCESS_KEY": identity.secret_access_key.reveal(),
        "AWS_SESSION_TOKEN": identity.session_token.reveal(),
        "AWS_REGION": "eu-west-1",
    }
    try:
        one.up()
        yield one
    finally:
        one.down()


def chained(alias, assumer, role_arn):
    return {
        "kind": "iam-role-chained",
        "alias": alias,
        "profile": alias.lower(),
        "region": "eu-west-1",
        "role_arn": role_arn,
        "role_session_name": "{username}",
        "assumer": assumer,
    }


def who(credentials, sts):
    client = boto3.client(
        "sts",
        region_name="eu-west-1",
        endpoint_url=sts.url,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
    try:
        return client.get_caller_identity()["Arn"]
    finally:
        client.close()


def test_the_compose_services_mint_chains_and_the_web_opens_no_root(production, sts):
    web = production.environ("web")
    said = production.run(
        "setup",
        "--team",
        "ops",
        "--admin",
        "ada",
        "--ambient",
        environ=web,
        CHAINWEB_PASSWORD="a-Long-one-for-ada-7",
    )
    assert said.startswith("ada is admin of the team ops")
    scopes = [f"--scope={each}" for each in ("read", "use", "credentials", "manage")]
    token = production.run("token", "ada", "--team", "ops", "--name", "tests", *scopes, environ=web)
    key = sts.add_user("landing-zone")
    sts.add_role(HUB, trusts=[sts.arn_of(key), AMBIENT])
    sts.add_role(LEAF, trusts=[HUB])
    root = {
        "kind": "iam-user",
        "alias": "Root",
        "profile": "root",
        "region": "eu-west-1",
        "access_key_id": key.access_key_id,
        "secret_access_key": key.secret_access_key.reveal(),
    }
    root_id = production.api("POST", "/sessions", token, root)["id"]
    ambient = {"kind": "ambient", "alias": "Worker", "profile": "worker", "region": "eu-west-1"}
    ambient_id = production.api("POST", "/sessions", token, ambient)["id"]
    hub = production.api("POST", "/sessions", token, chained("Hub", root_id, HUB))["id"]
    leaf = production.api("POST", "/sessions", token, chained("Leaf", hub, LEAF))["id"]
    other = production.api("POST", "/sessions", token, chained("Other", ambient_id, HUB))["id"]
    for session, role in ((leaf, "Leaf"), (other, "Hub")):
        production.api("POST", f"/sessions/{session}/start", token)
        account = {"Leaf": "444455556666", "Hub": "111122223333"}[role]
        assert (
            who(production.active(session, token), sts)
            == f"arn:aws:sts::{account}:assumed-role/{role}/ada"
        )

    # The web has neither the private root keys nor an AWS identity, nor the path to a file with
    # them.
    for name, process in production.running.items():
        lines = Path(f"/proc/{process.pid}/environ").read_text().split("\0")
        given = dict(line.partition("=")[::2] for line in lines)
        held = {
            each
            for each in given
            if re.match(r"CHAINWEB_ROOT_KEYS|CHAINWEB_CHECKPOINT_KEY|AWS_", each)
        }
        assert bool(held) == (name in WORKERS), (name, held)
    assert production.run("shell", "-c", open_the_root(root_id), environ=web).endswith(
        "SealingError"
    )
    worker = production.environ("worker")
    assert production.run("shell", "-c", open_the_root(root_id), environ=worker).endswith("opened")

    assert "ops: " in production.run("verify_ledger", environ=web)
    assert production.ended() == []


def open_the_root(root_id):
    return f"""
from sessions.models import AwsSession
from sessions import sealing
root = AwsSession.objects.get(pk="{root_id}")
try:
    sealing.open_as_worker(root.sealed_secrets, root.seal_context)
    print("opened")
except sealing.SealingError:
    print("SealingError")
"""


def test_a_worker_without_a_broker_takes_up_blocked_rows_at_its_start(production, sts):
    """Every message is lost, and the cause of a rejection has ended while no worker ran."""
    scopes = [f"--scope={each}" for each in ("read", "use", "credentials", "manage")]
    web = production.environ("web")
    token = production.run("token", "ada", "--team", "ops", "--name", "lost", *scopes, environ=web)
    by_alias = {each["alias"]: each["id"] for each in production.api("GET", "/sessions", token)}
    role = "arn:aws:iam::111122223333:role/Late"
    sts.add_role(role, trusts=["*"])
    sts.deny(role)
    late = production.api("POST", "/sessions", token, chained("Late", by_alias["Root"], role))["id"]
    production.api("POST", f"/sessions/{late}/start", token)
    wait_for(
        lambda: production.api("GET", f"/sessions/{late}", token)["status"] == "failed",
        "the rejection",
    )
    with production.without("worker", "starter", "beat"):
        sts.allow(role)
        with production.started("worker", REDIS_URL=f"redis://127.0.0.1:{free_port()}/0"):
            production.active(late, token)


def test_the_web_answers_as_behind_a_proxy_that_ends_tls(production):
    def headers_of(path, **headers):
        request = urllib.request.Request(
            f"http://127.0.0.1:{production.port}{path}", headers={"Host": HOST, **headers}
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            return answer.headers, answer.read().decode()

    headers, page = headers_of("/accounts/login/", **{"X-Forwarded-Proto": "https"})
    assert headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert headers["Set-Cookie"].startswith("__Host-csrftoken-")
    assert "Secure" in headers["Set-Cookie"]
    # The collected files, by names that change with their content, may be kept for ever.
    [style, *_] = re.findall(r'href="(/static/[^"]+\.css)"', page)
    assert re.search(r"\.[0-9a-f]{12}\.css$", style)
    headers, _ = headers_of(style, **{"X-Forwarded-Proto": "https"})
    assert "immutable" in headers["Cache-Control"]
    # What a proxy has let through by one path is not answered as another.
    for name in ("SCRIPT_NAME", "Script-Name", "PATH_INFO", "X-Script-Name"):
        assert production.ask("GET", "/x/metrics", **{name: "/x"})[0] in {400, 404}
        assert b"chainweb_" not in production.ask("GET", "/healthz", **{name: "/metrics"})[1]
    # Without https said by the proxy everything but health is redirected; an unknown host is
    # refused.
    assert production.ask("GET", "/accounts/login/", **{"X-Forwarded-Proto": "http"})[0] == 301
    assert production.ask("GET", "/healthz", **{"X-Forwarded-Proto": "http"})[0] == 200
    assert production.ask("GET", "/healthz", Host="localhost")[0] == 400
    checked = ["python", "-m", "chainweb.healthcheck", str(production.port)]
    assert (
        subprocess.run(
            checked, cwd=production.app, env=production.environ("web"), check=False
        ).returncode
        == 0
    )
    checked[-1] = str(free_port())
    assert (
        subprocess.run(
            checked, cwd=production.app, env=production.environ("web"), check=False
        ).returncode
        == 1
    )


@pytest.fixture(scope="module")
def proxy(tmp_path_factory, production):
    need_nginx()
    with Nginx(tmp_path_factory.mktemp("proxy"), production.port) as one:
        yield one


SLOW = 40  # of each kind: more than three times the web's threads


def test_slow_clients_hold_nobody_up_behind_the_proxy(production, proxy):
    head = f"Host: {HOST}\r\n".encode()
    slow = []
    for _ in range(SLOW):
        headers, body = proxy.connect(), proxy.connect()
        headers.sendall(b"GET /accounts/login/ HTTP/1.1\r\n" + head + b"X-Slow: ")
        body.sendall(
            b"POST /accounts/login/ HTTP/1.1\r\n" + head + b"Content-Length: 900\r\n\r\nlogin="
        )
        slow += [headers, body]
    for _ in range(5):
        assert proxy.ask("/healthz")[0] == 200
        assert proxy.ask("/accounts/login/")[0] == 200
        for each in slow:
            each.sendall(b"a")
    for each in slow:
        each.close()
    assert production.ended() == []


def test_the_proxy_lets_through_what_it_should_and_nothing_else(production, proxy):
    assert proxy.ask("/metrics")[0] == 404
    assert proxy.ask("/healthz", SCRIPT_NAME="/evil", X_Forwarded_Proto="http")[0] == 200
    assert proxy.ask("/x/metrics", **{"Script-Name": "/x"})[0] == 404
    # What a client says of itself is not believed: it is https here, whatever it says.
    assert proxy.ask("/accounts/login/", **{"X-Forwarded-Proto": "http"})[0] == 200
    with pytest.raises(OSError, match=r"(?i)unrecognized.name"):
        proxy.connect(name="other.example")
    status, answer = production.ask("GET", "/api/v1/sessions", "cwt_" + "x" * 40)
    assert status == 401, answer


def test_a_worker_that_ends_in_order_has_signed_the_ledger(production):
    web = production.environ("web")
    production.run(
        "setup",
        "--team",
        "signed",
        "--admin",
        "sid",
        environ=web,
        CHAINWEB_PASSWORD="a-Long-one-for-sid-7",
    )
    worker = production.running.pop("worker")
    worker.terminate()
    worker.wait(60)
    copy = str(production.checkpoints)
    said = production.run("verify_ledger", "--checkpoints", copy, environ=web)
    assert re.search(r"^signed: (\d+) lines hold; signed up to line \1 on ", said, re.M)
    production.start("worker")
