"""Receive what is sent outside, over HTTPS with a certificate made here."""

import contextlib
import datetime
import http.server
import ipaddress
import ssl
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Receiver(http.server.BaseHTTPRequestHandler):
    """Answer with the status that the path names, and remember what was sent."""

    def do_POST(self):
        self.server.taken.append(
            (self.path, self.headers, self.rfile.read(int(self.headers["Content-Length"])))
        )
        if self.path.startswith("/slow"):
            time.sleep(3)
        if self.path.startswith("/endless"):
            self.wfile.write(b"HTTP/1.0 200 ")
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(b"O")
                    time.sleep(0.05)
            return
        self.send_response(int(self.path[-3:]))
        if self.path.endswith("302"):
            self.send_header("Location", "/200")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    now = datetime.datetime.now(datetime.UTC)
    place = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(place, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, no_password)
    (folder / "both.pem").write_bytes(made.public_bytes(pem) + private)
    return folder / "both.pem"


@pytest.fixture
def receiver(certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.taken = []
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.url = f"https://127.0.0.1:{server.server_port}"
        yield server
        server.shutdown()
