"""Seal secrets for storage, so that they open only in the context that they were sealed for.

Two locks. Temporary credentials: AES-256-GCM (NIST SP 800-38D) under `CHAINWEB_SEAL_KEYS`, known to
web and workers. What a root holds: HPKE (RFC 9180: X25519, HKDF-SHA256, AES-256-GCM) to
`CHAINWEB_ROOT_PUBLIC_KEY`; the private half, `CHAINWEB_ROOT_KEYS`, is in the workers' environment
alone.

Either way the context (table, column, row, team, generation) is authenticated with the value: one
that is moved to another row, team or generation does not open. Layout of a sealed value: one byte
that names the lock, one byte key-id length, key id, then for AES-GCM a 12-byte nonce and the
ciphertext, for HPKE the encapsulated key and ciphertext.
"""

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from sessions.secret import Secret

AES_GCM = 1
HPKE = 2
NONCE_BYTES = 12
SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


# SQLite gives bytes, psycopg a memoryview.
Stored = bytes | memoryview


class SealingError(Exception):
    """Report a missing or malformed key, or a value that does not open here.

    The message never holds key or content.
    """


@dataclass(frozen=True)
class SealContext:
    """Name where a sealed value is stored: its additional authenticated data."""

    table: str
    column: str
    row: str
    team: str
    generation: int

    def bound(self) -> bytes:
        """Return the parts, each behind its length, so that no two contexts give the same bytes."""
        parts = [self.table, self.column, self.row, self.team, str(self.generation)]
        return b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)


def parse_keys(text: str, setting: str) -> dict[str, bytes]:
    """Parse `id:base64,id:base64`, newest first, each of 32 bytes, into {id: key} in that order."""
    keys: dict[str, bytes] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        key_id, separator, encoded = entry.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if (
            not separator
            or not 1 <= len(key_id) <= 16
            or not key_id.isascii()
            or not key_id.isalnum()
            or len(key) != 32
        ):
            raise SealingError(
                f"{setting} must be a list of id:base64 pairs, each key of 32 bytes, separated by"
                " commas."
            )
        if key_id in keys:
            raise SealingError(f"{setting} names the key id {key_id!r} twice.")
        keys[key_id] = key
    return keys


@lru_cache(maxsize=8)
def _seal_keys(text: str) -> Mapping[str, AESGCM]:
    return {key_id: AESGCM(key) for key_id, key in parse_keys(text, "CHAINWEB_SEAL_KEYS").items()}


@lru_cache(maxsize=8)
def _root_keys(text: str) -> Mapping[str, X25519PrivateKey]:
    keys = parse_keys(text, "CHAINWEB_ROOT_KEYS")
    return {key_id: X25519PrivateKey.from_private_bytes(key) for key_id, key in keys.items()}


@lru_cache(maxsize=8)
def _root_public_key(text: str) -> tuple[str, X25519PublicKey]:
    keys = parse_keys(text, "CHAINWEB_ROOT_PUBLIC_KEY")
    if len(keys) != 1:
        raise SealingError("CHAINWEB_ROOT_PUBLIC_KEY must be one id:base64 pair.")
    [(key_id, key)] = keys.items()
    return key_id, X25519PublicKey.from_public_bytes(key)


def _head(lock: int, key_id: str) -> bytes:
    return bytes([lock, len(key_id)]) + key_id.encode()


def key_id_of(sealed: Stored) -> str:
    """Return the id of the key that a value was sealed with."""
    sealed = bytes(sealed)
    if len(sealed) < 3 or sealed[0] not in (AES_GCM, HPKE):
        raise SealingError("This is not a sealed value.")
    return sealed[2 : 2 + sealed[1]].decode("ascii", "replace")


def seal(secret: Secret, context: SealContext) -> bytes:
    """Seal a secret for one context under the newest of `CHAINWEB_SEAL_KEYS`."""
    keys = _seal_keys(settings.CHAINWEB_SEAL_KEYS)
    if not keys:
        raise SealingError("CHAINWEB_SEAL_KEYS is not set: nothing can be sealed.")
    key_id, key = next(iter(keys.items()))
    nonce = os.urandom(NONCE_BYTES)
    closed = key.encrypt(nonce, secret.reveal().encode(), context.bound())
    return _head(AES_GCM, key_id) + nonce + closed


def open_sealed(sealed: Stored, context: SealContext) -> Secret:
    """Open what `seal` sealed for this very context; anything else raises `SealingError`."""
    sealed = bytes(sealed)
    key_id = key_id_of(sealed)
    key = _seal_keys(settings.CHAINWEB_SEAL_KEYS).get(key_id)
    if sealed[0] != AES_GCM or key is None:
        raise SealingError(f"No key {key_id!r} in CHAINWEB_SEAL_KEYS opens this value.")
    body = sealed[2 + sealed[1] :]
    try:
        opened = key.decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], context.bound())
        return Secret(opened.decode())
    except (InvalidTag, ValueError):
        raise SealingError(
            "A sealed value does not belong to the place it was found in, or was changed."
        ) from None


def seal_to_workers(secret: Secret, context: SealContext) -> bytes:
    """Seal a root's secret to the workers' public key.

    This process itself cannot open it again.
    """
    if not settings.CHAINWEB_ROOT_PUBLIC_KEY:
        raise SealingError(
            "CHAINWEB_ROOT_PUBLIC_KEY is not set: root credentials cannot be stored."
        )
    key_id, key = _root_public_key(settings.CHAINWEB_ROOT_PUBLIC_KEY)
    return _head(HPKE, key_id) + SUITE.encrypt(secret.reveal().encode(), key, info=context.bound())


def open_as_worker(sealed: Stored, context: SealContext) -> Secret:
    """Open what `seal_to_workers` sealed; only workers have `CHAINWEB_ROOT_KEYS`."""
    sealed = bytes(sealed)
    key_id = key_id_of(sealed)
    key = _root_keys(settings.CHAINWEB_ROOT_KEYS).get(key_id)
    if sealed[0] != HPKE or key is None:
        raise SealingError(
            f"No key {key_id!r} in CHAINWEB_ROOT_KEYS opens this value; only workers hold these"
            " keys."
        )
    try:
        return Secret(SUITE.decrypt(sealed[2 + sealed[1] :], key, info=context.bound()).decode())
    except (InvalidTag, ValueError):
        raise SealingError(
            "A root's sealed value does not belong to the place it was found in, or was changed."
        ) from None


def newest_seal_key_id() -> str:
    return next(iter(_seal_keys(settings.CHAINWEB_SEAL_KEYS)))


def newest_root_key_id() -> str:
    return _root_public_key(settings.CHAINWEB_ROOT_PUBLIC_KEY)[0]
