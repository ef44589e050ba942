"""The nginx of deploy/nginx.conf on ports of its own, before a web process of a test."""

import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.platform.installation import CHECKOUT, free_port, wait_for

HOST = "chainweb.example"


def nginx() -> str:
    """Its path; without it the test is skipped, or fails where CI has to have it."""
    path = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("There is no nginx here, and CI has to have one.")
        pytest.skip("There is no nginx here.")
    return path


class Proxy:
    """Started as an operator would start it, but for the places that are the machine's."""

    def __init__(self, folder: Path, web_port: int) -> None:
        self.port, plain = free_port(), free_port()
        certificate(folder)
        given = (CHECKOUT / "deploy" / "nginx.conf").read_text()
        temporary = "".join(
            f"    {name}_temp_path {folder / name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        places = {
            "http {\n": f"http {{\n{temporary}",
            "listen 80 ": f"listen 127.0.0.1:{plain} ",
            "listen 443 ": f"listen 127.0.0.1:{self.port} ",
            "/etc/nginx/tls/chainweb.pem": str(folder / "tls.pem"),
            "/etc/nginx/tls/chainweb.key": str(folder / "tls.key"),
            "127.0.0.1:8000": f"127.0.0.1:{web_port}",
        }
        for standing, ours in places.items():
            assert standing in given, standing
            given = re.sub(re.escape(standing), lambda _, ours=ours: ours, given)
        config = folder / "nginx.conf"
        config.write_text(given)
        self.log = folder / "error.log"
        self.process = subprocess.Popen(
            [
                *(nginx(), "-p", str(folder), "-c", str(config), "-e", str(self.log)),
                *("-g", f"daemon off; pid {folder / 'pid'}; error_log {self.log};"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: self.ask("/healthz")[0] == 200 or self.process.poll() is not None, "the proxy")
        assert self.process.poll() is None, self.log.read_text()

    def ask(self, path: str, seconds: float = 20.0, **headers: str) -> tuple[int, bytes]:
        """A browser's request; (0, b"") if there is no answer in time."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=seconds, context=unverified()
        )
        try:
            # The name that is asked for goes into the handshake, not only into Host.
            connection.sock = self.connect(seconds)
            connection.request("GET", path, headers={"Host": HOST, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()

    def connect(self, seconds: float = 20.0, name: str = HOST) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=seconds)
        return unverified().wrap_socket(plain, server_hostname=name)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def certificate(folder: Path) -> None:
    """A certificate that nobody vouches for, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
