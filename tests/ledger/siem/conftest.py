"""Receive what is streamed: by https, as syslog, in a file."""

import base64
import contextlib
import socket
import ssl
import threading

import pytest

KEY = b"k" * 32
NOWHERE = {
    "CHAINWEB_SIEM_FILE": "",
    "CHAINWEB_SIEM_LOOKUP_FILE": "",
    "CHAINWEB_SIEM_SYSLOG": "",
    "CHAINWEB_SIEM_WEBHOOK": "",
    "CHAINWEB_SIEM_WEBHOOK_KEYS": (KEY,),
    "CHAINWEB_SIEM_WEBHOOK_AUTHORIZATION": "",
    "CHAINWEB_SIEM_CA": "",
}
KEY_TEXT = base64.b64encode(KEY).decode()


@pytest.fixture
def places(settings):
    """Stream to no place but what a test names."""
    for name, value in NOWHERE.items():
        setattr(settings, name, value)
    return settings


class SyslogServer:
    """Take one connection after the other to its end; `reset` breaks them off instead."""

    def __init__(self, context=None):
        self.context = context
        self.taken: list[bytes] = []
        self.reset = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), connection:
                self._take(connection)

    def _take(self, connection):
        if self.reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return
        if self.context:
            connection = self.context.wrap_socket(connection, server_side=True)
        with connection:
            content = b""
            while part := connection.recv(65536):
                content += part
            self.taken.append(content)

    def messages(self):
        """Return the messages of all connections, by their counted octets."""
        found = []
        for content in self.taken:
            while content:
                size, _, rest = content.partition(b" ")
                found.append(rest[: int(size)])
                content = rest[int(size) :]
        return found


@pytest.fixture
def syslog_server():
    server = SyslogServer()
    yield server
    server.listener.close()


@pytest.fixture
def tls_syslog_server(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = SyslogServer(context)
    yield server
    server.listener.close()
