"""Messages reach a syslog server whole and in their order, or the failure is told."""

import re
import socket
import ssl
from datetime import UTC, datetime

import pytest

from sessions.ledger.siem import syslog
from sessions.ledger.siem.ocsf import Record

AT = datetime(2026, 11, 27, 14, 2, 3, 456789, tzinfo=UTC)
RFC_5424 = re.compile(
    rb"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) ([!-~]{1,255}) chainweb -"
    rb" ([!-~]{1,32}) - (.*)"
)


def records(number=3, failed=False):
    return [Record("t", n, "credential.minted", AT, failed, f'{{"n":{n}}}') for n in range(number)]


def trusting(certificate):
    return ssl.create_default_context(cafile=str(certificate))


def test_a_message_is_of_rfc_5424():
    match = RFC_5424.fullmatch(syslog.message(records()[0], "host one\n.example"))
    assert match.groups() == (
        *(b"110", b"2026-11-27T14:02:03.456789Z", b"host_one_.example"),
        *(b"credential.minted", b'{"n":0}'),
    )
    assert syslog.message(records(failed=True)[0], "host").startswith(b"<108>1 ")


def test_tcp_counts_the_octets_of_each_message(syslog_server):
    syslog.send(f"tcp://127.0.0.1:{syslog_server.port}", records(), None)
    assert [each[-7:] for each in syslog_server.messages()] == [b'{"n":0}', b'{"n":1}', b'{"n":2}']


def test_tls_verifies_the_server(tls_syslog_server, certificate):
    address = f"tls://127.0.0.1:{tls_syslog_server.port}"
    syslog.send(address, records(), trusting(certificate))
    assert len(tls_syslog_server.messages()) == 3
    with pytest.raises(ssl.SSLCertVerificationError):
        syslog.send(address, records(), ssl.create_default_context())
    assert len(tls_syslog_server.messages()) == 3


@pytest.mark.parametrize("kind", ["tcp", "tls"])
def test_a_connection_that_breaks_off_is_an_error(kind, request, certificate):
    server = request.getfixturevalue("tls_syslog_server" if kind == "tls" else "syslog_server")
    server.reset = True
    with pytest.raises(OSError, match=r"\w"):
        syslog.send(f"{kind}://127.0.0.1:{server.port}", records(), trusting(certificate))


def test_nobody_there_is_an_error(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        syslog.send(f"tcp://127.0.0.1:{port}", records(), None)
    with pytest.raises(FileNotFoundError):
        syslog.send(f"unix://{tmp_path}/log", records(), None)


def test_udp_and_unix_send_a_datagram_each(tmp_path):
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix,
    ):
        udp.bind(("127.0.0.1", 0))
        unix.bind(f"{tmp_path}/log")
        for server, address in (
            (udp, f"udp://127.0.0.1:{udp.getsockname()[1]}"),
            (unix, f"unix://{tmp_path}/log"),
        ):
            server.settimeout(5)
            syslog.send(address, records(2), None)
            assert [server.recv(9999)[-7:] for _ in range(2)] == [b'{"n":0}', b'{"n":1}']
