"""Make the secrets of an installation at run time."""

import base64
import secrets

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey


def seal_key(key_id: str = "k1") -> str:
    """Return a new key for CHAINWEB_SEAL_KEYS: `<id>:<base64 of 32 bytes>`."""
    return f"{key_id}:{_text(secrets.token_bytes(32))}"


def root_key_pair(key_id: str = "r1") -> tuple[str, str]:
    """Return a new private key for CHAINWEB_ROOT_KEYS, and its public half."""
    key = X25519PrivateKey.generate()
    halves = key.private_bytes_raw(), key.public_key().public_bytes_raw()
    private, public = (f"{key_id}:{_text(each)}" for each in halves)
    return private, public


def new_keys() -> dict[str, str]:
    """Return {setting: value} of all keys that web and workers need."""
    private, public = root_key_pair()
    return {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "CHAINWEB_SEAL_KEYS": seal_key(),
        "CHAINWEB_ROOT_KEYS": private,
        "CHAINWEB_ROOT_PUBLIC_KEY": public,
    }


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
