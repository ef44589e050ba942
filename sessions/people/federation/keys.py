"""Fetch the keys of the issuers that the operator's settings name, and of nobody else.

An address comes from the settings alone, never from a token or a page: what is asked from inside
the network cannot be chosen from outside. No redirect is followed, an answer has a size, and nobody
waits longer than `LONGEST_WAIT_SECONDS` for it. Keys are kept for some minutes, and for a day where
the issuer does not answer; a key id that is not among them has them fetched again, at most twice a
minute.
"""

import http.client
import json
import ssl
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import jwt
import structlog
from django.conf import settings

from sessions.ledger.outlets import ended_after

log = structlog.get_logger(__name__)

LONGEST_WAIT_SECONDS = 2.0
FRESH_SECONDS = 600.0
STALE_SECONDS = 24 * 3600.0
AGAIN_SECONDS = 30.0
LARGEST_BYTES = 256 * 1024
MOST_KEYS = 100
DISCOVERY = "/.well-known/openid-configuration"


class IssuerAway(Exception):
    """Report that an issuer's keys are not to be had now."""


@dataclass
class _Issuer:
    """Hold what is known of one issuer's keys, by key id."""

    keys: dict[str, jwt.PyJWK] = field(default_factory=dict)
    read_at: float = float("-inf")
    asked_at: float = float("-inf")
    running: "Future[dict[str, jwt.PyJWK]] | None" = None


_issuers: dict[str, _Issuer] = {}
_lock = threading.Lock()
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="oidc-keys")


def forget() -> None:
    """Forget all keys: for tests."""
    with _lock:
        _issuers.clear()


def key_of(issuer: str, key_id: str) -> jwt.PyJWK | None:
    """Return an issuer's key of that id; None if it has none. Raises `IssuerAway`."""
    if issuer not in settings.CHAINWEB_OIDC_ISSUERS:
        raise IssuerAway(f"{issuer} is not among the issuers of this installation.")
    known, now = _issuer(issuer), time.monotonic()
    age = now - known.read_at
    if key_id in known.keys and age < FRESH_SECONDS:
        return known.keys[key_id]
    # Whoever makes up key ids does not make us ask for each.
    if now - known.asked_at >= AGAIN_SECONDS or (known.running and not known.running.done()):
        try:
            _fetch_once(issuer, known)
        except IssuerAway:
            if not known.keys or age > STALE_SECONDS:
                raise
    elif not known.keys or age > STALE_SECONDS:
        raise IssuerAway(f"The keys of {issuer} could not be read. Try again in half a minute.")
    return known.keys.get(key_id)


def _issuer(issuer: str) -> _Issuer:
    with _lock:
        return _issuers.setdefault(issuer, _Issuer())


def _fetch_once(issuer: str, known: _Issuer) -> None:
    """Fetch the keys, by one thread for all who wait. Raises `IssuerAway`."""
    with _lock:
        if known.running is None or known.running.done():
            known.asked_at = time.monotonic()
            known.running = _threads.submit(_fetch, issuer)
        running = known.running
    try:
        keys = running.result(timeout=LONGEST_WAIT_SECONDS)
    except TooSlow:
        raise IssuerAway(f"{issuer} does not answer in time. Try again in a moment.") from None
    except (OSError, ValueError, http.client.HTTPException, jwt.PyJWTError) as error:
        log.warning("the keys of an issuer cannot be read", issuer=issuer, error=str(error)[:200])
        raise IssuerAway(f"The keys of {issuer} cannot be read now. Try again later.") from None
    known.keys, known.read_at = keys, time.monotonic()


def _fetch(issuer: str) -> dict[str, jwt.PyJWK]:
    ends_at = time.monotonic() + LONGEST_WAIT_SECONDS
    found = _get(issuer.rstrip("/") + DISCOVERY, ends_at)
    if found.get("issuer") != issuer:
        raise ValueError(f"it calls itself {str(found.get('issuer'))[:100]!r}")
    address = found.get("jwks_uri")
    if not isinstance(address, str) or not is_allowed_address(address):
        raise ValueError("it names no https address for its keys")
    keys: dict[str, jwt.PyJWK] = {}
    listed = _get(address, ends_at).get("keys")
    for each in listed[:MOST_KEYS] if isinstance(listed, list) else []:
        if isinstance(each, dict) and isinstance(each.get("kid"), str) and each.get("use") != "enc":
            try:
                keys[each["kid"]] = jwt.PyJWK(each)
            except jwt.PyJWTError:
                continue  # of a kind that we do not take
    if not keys:
        raise ValueError("it lists no keys")
    return keys


def is_allowed_address(address: str) -> bool:
    """Tell whether an address is https without a user, or http on this machine itself."""
    try:
        url = urlsplit(address)
        host, _ = url.hostname or "", url.port
    except ValueError:
        return False
    on_loopback = url.scheme == "http" and host in {"127.0.0.1", "::1", "localhost"}
    return bool(host and not url.username and not url.fragment) and (
        url.scheme == "https" or on_loopback
    )


def _get(address: str, ends_at: float) -> dict[str, Any]:
    """Get a JSON object. Raises OSError or ValueError."""
    url, left = urlsplit(address), ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError("the answer takes too long")
    connection: http.client.HTTPConnection = (
        http.client.HTTPSConnection(
            url.hostname or "",
            url.port,
            timeout=left,
            context=ssl.create_default_context(cafile=settings.CHAINWEB_OIDC_CA or None),
        )
        if url.scheme == "https"
        else http.client.HTTPConnection(url.hostname or "", url.port, timeout=left)
    )
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        connection.connect()
        with ended_after(max(ends_at - time.monotonic(), 0.01), connection.sock):
            headers = {"Accept": "application/json", "User-Agent": "chainweb"}
            connection.request("GET", target, headers=headers)
            response = connection.getresponse()
            body = response.read(LARGEST_BYTES + 1)
        if response.status != 200:
            raise ValueError(f"status {response.status} at {url.path}")
        if len(body) > LARGEST_BYTES:
            raise ValueError(f"more than {LARGEST_BYTES} bytes at {url.path}")
    finally:
        connection.close()
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError(f"no object at {url.path}")
    return found
