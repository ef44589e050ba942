"""Checkpoints reach a file and an address, or the failure is told."""

import contextlib
import datetime
import http.server
import ipaddress
import os
import ssl
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sessions.ledger import outlets
from sessions.ledger.outlets import NotTaken, append_to_file, post_lines


def test_lines_are_appended_to_a_file_that_others_cannot_read(tmp_path):
    path = tmp_path / "checkpoints.jsonl"
    append_to_file(path, ["one", "two"])
    append_to_file(path, ["thrée"])
    assert path.read_text() == "one\ntwo\nthrée\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_line_that_was_cut_off_keeps_to_itself(tmp_path):
    path = tmp_path / "checkpoints.jsonl"
    path.write_text('{"at":"20')
    append_to_file(path, ["one"])
    assert path.read_text() == '{"at":"20\none\n'


def test_lines_are_on_the_disk_when_it_returns(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino))
    append_to_file(tmp_path / "file", ["one"])
    assert synced == [(tmp_path / "file").stat().st_ino, tmp_path.stat().st_ino]


def test_a_place_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        append_to_file(tmp_path / "missing" / "file", ["one"])


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


def test_lines_are_posted_as_they_were_signed(receiver):
    post_lines(f"{receiver.url}/in?token=t&status=200", ["one", "thrée"])
    [(path, headers, body)] = receiver.taken
    assert path == "/in?token=t&status=200"
    assert headers["Content-Type"] == "application/x-ndjson"
    assert body.decode() == "one\nthrée\n"


def test_a_redirect_is_not_followed(receiver):
    with pytest.raises(NotTaken, match="status 302"):
        post_lines(f"{receiver.url}/302", ["one"])
    assert len(receiver.taken) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503])
def test_another_answer_than_success_is_an_error(status, receiver):
    with pytest.raises(NotTaken, match=f"status {status}"):
        post_lines(f"{receiver.url}/{status}", ["one"])


def test_a_certificate_that_nobody_vouches_for_is_an_error(receiver, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        post_lines(f"{receiver.url}/200", ["one"])
    assert receiver.taken == []


def test_an_address_that_does_not_answer_is_given_up(receiver, monkeypatch):
    monkeypatch.setattr(outlets, "TIMEOUT_SECONDS", 0.3)
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        post_lines(f"{receiver.url}/slow/200", ["one"])
    assert time.monotonic() - begun < 2.5


def test_an_answer_that_never_ends_is_given_up(receiver, monkeypatch):
    monkeypatch.setattr(outlets, "LONGEST_SECONDS", 0.5)
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        post_lines(f"{receiver.url}/endless/200", ["one"])
    assert time.monotonic() - begun < 5
