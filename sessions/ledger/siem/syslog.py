"""Send records to a syslog server (RFC 5424) over TLS, TCP, UDP or a unix socket.

Syslog has no acknowledgement. Over TLS and TCP a batch counts as taken once the server has read it
to its end and closed the connection; UDP and unix datagrams are taken once they are sent.
"""

import re
import socket
import ssl
from collections.abc import Iterable
from contextlib import closing, suppress
from datetime import UTC
from urllib.parse import unquote, urlsplit

from sessions.ledger.outlets import TIMEOUT_SECONDS
from sessions.ledger.siem.ocsf import Record

PORTS = {"tls": 6514, "tcp": 601, "udp": 514}
# Facility 13, log audit; severity informational, or warning.
_PRIORITY, _PRIORITY_OF_FAILURE = 13 * 8 + 6, 13 * 8 + 4


def message(record: Record, host: str) -> bytes:
    """Write a record as one message of RFC 5424; its text is JSON in ASCII."""
    priority = _PRIORITY_OF_FAILURE if record.has_failed else _PRIORITY
    at = record.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    kind = re.sub(r"[^!-~]", "_", record.kind)[:32] or "-"
    name = re.sub(r"[^!-~]", "_", host)[:255] or "-"
    return f"<{priority}>1 {at} {name} chainweb - {kind} - {record.text}".encode("ascii")


def send(address: str, records: Iterable[Record], context: ssl.SSLContext) -> None:
    """Send records to `tls://host`, `tcp://host`, `udp://host` or `unix:///path`, in their order.

    Raises OSError; some may have been taken by then.
    """
    url = urlsplit(address)
    messages = [message(each, socket.gethostname()) for each in records]
    if url.scheme == "unix":
        _to_unix(unquote(url.path), messages)
        return
    host, port = url.hostname or "", url.port or PORTS[url.scheme]
    if url.scheme == "udp":
        _to_udp(host, port, messages)
        return
    plain = socket.create_connection((host, port), TIMEOUT_SECONDS)
    with closing(plain):
        if url.scheme == "tls":
            with context.wrap_socket(plain, server_hostname=host) as secured:
                _stream(secured, messages)
                # Many servers close without TLS's own end; a reset is an error all the same.
                with suppress(ssl.SSLError):
                    secured.unwrap()
        else:
            _stream(plain, messages)
            plain.shutdown(socket.SHUT_WR)
            while plain.recv(4096):
                pass


def _stream(to: socket.socket, messages: list[bytes]) -> None:
    """Send with octet counting (RFC 6587), which a line end inside a message does not break."""
    to.sendall(b"".join(b"%d %s" % (len(each), each) for each in messages))


def _to_udp(host: str, port: int, messages: list[bytes]) -> None:
    family, *_, at = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as to:
        to.settimeout(TIMEOUT_SECONDS)
        to.connect(at)
        for each in messages:
            to.send(each)


def _to_unix(path: str, messages: list[bytes]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
        to.settimeout(TIMEOUT_SECONDS)
        to.connect(path)
        for each in messages:
            to.send(each)
