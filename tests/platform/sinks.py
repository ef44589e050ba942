"""Receive what an installation sends out: mails, syslog, posts."""

import http.server
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class _Smtp(socketserver.StreamRequestHandler):
    """Take each mail, and believe whatever is said."""

    def handle(self) -> None:
        self.wfile.write(b"220 sink\r\n")
        while line := self.rfile.readline():
            command = line.strip().upper()
            if command == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                mail = b""
                while (part := self.rfile.readline()) not in {b".\r\n", b""}:
                    mail += part
                self.server.taken.append(mail)  # type: ignore[attr-defined]
            self.wfile.write(b"221 bye\r\n" if command == b"QUIT" else b"250 ok\r\n")
            if command == b"QUIT":
                return


class _Post(http.server.BaseHTTPRequestHandler):
    """Take each body."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append(body)  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def mails() -> Iterator[tuple[str, list[bytes]]]:
    """Run a mail server: its EMAIL_URL, and the mails so far."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Smtp) as server:
        server.daemon_threads = True
        taken: list[bytes] = []
        server.taken = taken  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"smtp://127.0.0.1:{server.server_address[1]}", taken
        server.shutdown()


@contextmanager
def posts(certificate: Path) -> Iterator[tuple[str, list[bytes]]]:
    """Run an https server: its address, and the bodies so far."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Post) as server:
        taken: list[bytes] = []
        server.taken = taken  # type: ignore[attr-defined]
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}/", taken
        server.shutdown()


@contextmanager
def datagrams(path: Path) -> Iterator[list[bytes]]:
    """Listen at a unix socket: the messages so far."""
    taken: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(path))

        def take() -> None:
            while message := server.recv(1 << 20):
                taken.append(message)

        threading.Thread(target=take, daemon=True).start()
        yield taken
        # An empty message ends it.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(path))
