"""Run deploy/nginx.conf on ports of its own before a web process, as an operator would start it."""

import http.client
import os
import shutil
import socket
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.harness.processes import CHECKOUT, free_port
from tests.harness.servers import Unavailable
from tests.harness.waiting import wait_for

HOST = "chainweb.example"
START_SECONDS = 60.0


def program() -> str:
    """Find it. Raises `Unavailable`."""
    path = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if path is None:
        raise Unavailable("There is no nginx here.")
    return path


class Nginx:
    """Run nginx in a `with` block; only machine-specific paths differ from the delivered file."""

    def __init__(self, folder: Path, web_port: int) -> None:
        self.folder, self.web_port = folder, web_port
        self.port, self.log = free_port(), folder / "error.log"

    def __enter__(self) -> Self:
        nginx = program()
        _certify(self.folder)
        config = self.folder / "nginx.conf"
        config.write_text(self._config())
        self.process = subprocess.Popen(
            [
                *(nginx, "-p", str(self.folder), "-c", str(config), "-e", str(self.log)),
                *("-g", f"daemon off; pid {self.folder / 'pid'}; error_log {self.log};"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(self._answers, "nginx to answer", START_SECONDS)
        except TimeoutError:
            self.process.kill()
            raise
        return self

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"nginx has ended: {self.log.read_text()[-500:]}")
        return self.ask("/healthz")[0] == http.client.OK

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)

    def _config(self) -> str:
        given = (CHECKOUT / "deploy" / "nginx.conf").read_text()
        temporary = "".join(
            f"    {name}_temp_path {self.folder / name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        # Run by root, nginx would give its workers to somebody who cannot write here.
        user = "user root;\n" if os.geteuid() == 0 else ""
        places = {
            "worker_processes auto;\n": f"{user}worker_processes auto;\n",
            "http {\n": f"http {{\n{temporary}",
            "listen 80 ": f"listen 127.0.0.1:{free_port()} ",
            "listen 443 ": f"listen 127.0.0.1:{self.port} ",
            "/etc/nginx/tls/chainweb.pem": str(self.folder / "tls.pem"),
            "/etc/nginx/tls/chainweb.key": str(self.folder / "tls.key"),
            "127.0.0.1:8000": f"127.0.0.1:{self.web_port}",
        }
        for standing, ours in places.items():
            if standing not in given:
                raise RuntimeError(f"deploy/nginx.conf has no {standing!r}")
            given = given.replace(standing, ours)
        return given

    def ask(self, path: str, seconds: float = 20.0, **headers: str) -> tuple[int, bytes]:
        """Send a browser's request; (0, b"") if there is no answer in time."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=seconds, context=_unverified()
        )
        try:
            # The name that is asked for goes into the handshake, not only into Host.
            connection.sock = self.connect(seconds)
            connection.request("GET", path, headers={"Host": HOST, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def connect(self, seconds: float = 20.0, name: str = HOST) -> ssl.SSLSocket:
        """Open a connection that has said nothing yet."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=seconds)
        return _unverified().wrap_socket(plain, server_hostname=name)


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _certify(folder: Path) -> None:
    """Make a certificate that nobody vouches for, and its key."""
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
