"""rediss://: redis-py and Celery both verify certificate and host name."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.harness.processes import CHECKOUT, clean_environ, free_port
from tests.harness.waiting import wait_for
from tests.platform.test_settings import setting

PASSWORD = "p$ss/w#rd"
ENCODED = "p$ss%2Fw%23rd"
# Asks once by redis-py as the product does, and once by Celery's own connection.
ASK = """
import django
django.setup()
from chainweb.celery import app
from sessions.monitoring.redis import client
def says(ask):
    try:
        ask()
        return "ok"
    except Exception as error:
        return f"{type(error).__name__} {error}"
def celery():
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
        connection.default_channel.client.ping()
print("redis-py:", says(client().ping))
print("celery:", says(celery))
"""


def authority(folder, name):
    """Make a certificate authority of our own, and a certificate of it for `localhost` alone."""
    for line in (
        (
            f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=CA -keyout {name}.key -out"
            f" {name}.pem"
        ),
        f"req -newkey rsa:2048 -nodes -subj /CN=server -keyout {name}-server.key -out server.csr",
        (
            f"x509 -req -in server.csr -CA {name}.pem -CAkey {name}.key -CAcreateserial -days 2"
            f" -extfile san -out {name}-server.pem"
        ),
    ):
        (folder / "san").write_text("subjectAltName=DNS:localhost")
        subprocess.run(["openssl", *line.split()], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if not shutil.which("redis-server") or not shutil.which("openssl"):
        pytest.skip("there is no redis-server or openssl here")
    folder = tmp_path_factory.mktemp("tls")
    authority(folder, "ours")
    authority(folder, "other")
    port = free_port()
    process = subprocess.Popen(
        [
            *(
                "redis-server",
                "--port",
                "0",
                "--tls-port",
                str(port),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
            ),
            *("--tls-cert-file", "ours-server.pem", "--tls-key-file", "ours-server.key"),
            *(
                "--tls-ca-cert-file",
                "ours.pem",
                "--tls-auth-clients",
                "no",
                "--requirepass",
                PASSWORD,
            ),
        ],
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    url = f"rediss://:{ENCODED}@localhost:{port}/0"
    wait_for(lambda: "ok" in asked(folder, url, str(folder / "ours.pem")), "Redis with TLS", 20)
    yield folder, port
    process.terminate()
    process.wait()


def asked(folder, url, ca="", **environ):
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=CHECKOUT,
        env={
            **clean_environ(),
            "DJANGO_SETTINGS_MODULE": "chainweb.settings",
            "CHAINWEB_DATA": str(folder),
            "REDIS_URL": url,
            "CHAINWEB_REDIS_CA": ca,
            "SECRET_KEY": "x",
            "PATH": os.environ["PATH"],
            **environ,
        },
        capture_output=True,
        text=True,
    )
    return done.stdout or done.stderr


def test_a_server_signed_by_the_named_authority_is_talked_to(server):
    folder, port = server
    url = f"rediss://:{ENCODED}@localhost:{port}/0"
    for ca in (str(folder / "ours.pem"), (folder / "ours.pem").read_text()):
        assert asked(folder, url, ca) == "redis-py: ok\ncelery: ok\n"
    by_file = asked(folder, url, CHAINWEB_REDIS_CA_FILE=str(folder / "ours.pem"))
    assert by_file == "redis-py: ok\ncelery: ok\n"
    in_address = asked(folder, f"{url}?ssl_ca_certs={folder / 'ours.pem'}&ssl_cert_reqs=required")
    assert in_address == "redis-py: ok\ncelery: ok\n"


@pytest.mark.parametrize(
    ("host", "ca"), [("localhost", "other.pem"), ("localhost", ""), ("127.0.0.1", "ours.pem")]
)
def test_another_authority_and_another_host_are_refused_by_both(server, host, ca):
    folder, port = server
    said = asked(folder, f"rediss://:{ENCODED}@{host}:{port}/0", str(folder / ca) if ca else "")
    assert [line.partition(":")[0] for line in said.splitlines()] == ["redis-py", "celery"], said
    assert all("CERTIFICATE_VERIFY_FAILED" in line for line in said.splitlines()), said
    assert "ss/w" not in said


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("rediss://h:1?ssl_cert_reqs=none", "turns ssl_cert_reqs off"),
        ("rediss://h:1?ssl_cert_reqs=CERT_OPTIONAL", "turns ssl_cert_reqs off"),
        ("rediss://h:1?ssl_check_hostname=false", "turns ssl_check_hostname off"),
        ("rediss://h:1?ssl_ca_certs=/nonexistent/ca.pem", "No such file"),
        ("rediss://h:1?ssl_ciphers=NULL", "ssl_ciphers is not known"),
        ("amqp://h:1", "begins with redis://"),
    ],
)
def test_an_address_that_would_not_verify_is_refused(url, says):
    assert says in setting("REDIS_URL", REDIS_URL=url)


def test_an_authority_without_tls_or_without_a_certificate_is_refused(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    ca = {"CHAINWEB_REDIS_CA": str(tmp_path / "ca.pem")}
    assert "has to begin with rediss://" in setting("REDIS_URL", REDIS_URL="redis://h:1", **ca)
    assert "holds no certificate" in setting("REDIS_URL", REDIS_URL="rediss://h:1", **ca)
