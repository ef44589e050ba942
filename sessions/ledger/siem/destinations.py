"""List the places that events are streamed to: what the operator's settings name, nothing else."""

import base64
import hashlib
import hmac
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from sessions.ledger.outlets import append_to_file, post
from sessions.ledger.siem import syslog
from sessions.ledger.siem.ocsf import Record

WEBHOOK, FILE, SYSLOG = "webhook", "file", "syslog"


@dataclass(frozen=True)
class Destination:
    """Describe one place. `send` raises OSError; what was taken by then may be sent again."""

    name: str
    send: Callable[[Sequence[Record]], None]


def destinations() -> list[Destination]:
    """Return the places that are set, each of which has a position of its own in each ledger."""
    return [
        Destination(name, send)
        for name, setting, send in (
            (FILE, settings.CHAINWEB_SIEM_FILE, _to_file),
            (SYSLOG, settings.CHAINWEB_SIEM_SYSLOG, _to_syslog),
            (WEBHOOK, settings.CHAINWEB_SIEM_WEBHOOK, _to_webhook),
        )
        if setting
    ]


def _to_file(records: Sequence[Record]) -> None:
    """Append to a file that is opened for each batch: it may be moved away at any time."""
    append_to_file(Path(settings.CHAINWEB_SIEM_FILE), [each.text for each in records])


def _to_syslog(records: Sequence[Record]) -> None:
    syslog.send(settings.CHAINWEB_SIEM_SYSLOG, records, _tls())


def _to_webhook(records: Sequence[Record]) -> None:
    body = "".join(f"{each.text}\n" for each in records).encode()
    first, last = records[0], records[-1]
    headers = signed_headers(
        f"{first.team_id}:{first.seq}-{last.seq}",
        int(time.time()),
        body,
        settings.CHAINWEB_SIEM_WEBHOOK_KEYS,
    )
    if settings.CHAINWEB_SIEM_WEBHOOK_AUTHORIZATION:
        headers["Authorization"] = settings.CHAINWEB_SIEM_WEBHOOK_AUTHORIZATION
    post(settings.CHAINWEB_SIEM_WEBHOOK, body, headers, _tls())


def signed_headers(uid: str, at: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """Sign a body as Standard Webhooks do, which has libraries for most languages.

    `uid` names the batch: a repetition has the same. `at`, in seconds, is signed too, so that a
    receiver can refuse what is old. Each key makes a signature: one is replaced without a gap.
    """
    signed = b"%s.%d.%s" % (uid.encode(), at, body)
    signatures = (
        base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys
    )
    return {
        "webhook-id": uid,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
    }


def _tls() -> ssl.SSLContext:
    """Trust the system's authorities, or the operator's own alone."""
    return ssl.create_default_context(cafile=settings.CHAINWEB_SIEM_CA or None)
