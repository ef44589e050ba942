"""Sign lines of JSON with Ed25519: sorted keys, no blanks, and the signature as the last key.

Signed are the bytes of the same object without its last key.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sessions.sealing import parse_keys

SIGNATURE = ',"signature":"'


class CheckpointError(ValueError):
    """Report a text that is no checkpoint or tombstone, or whose signature does not hold."""


def moment(at: datetime) -> str:
    """Write a time as signed lines have it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def sign_text(private_keys: str, said: Mapping[str, object]) -> tuple[str, str]:
    """Sign what is said with the newest key; return that key's name, and the line.

    Raises `SealingError` for keys that are malformed, StopIteration for none.
    """
    key_id, key = next(iter(private_keys_in(private_keys).items()))
    content = json.dumps(
        {**said, "key": key_id}, separators=(",", ":"), sort_keys=True, ensure_ascii=False
    )
    signature = base64.b64encode(key.sign(content.encode())).decode("ascii")
    return key_id, f'{content[:-1]}{SIGNATURE}{signature}"}}'


def verify_text(text: str, key_id: str, public_keys: str) -> None:
    """Check a line's signature. Raises `CheckpointError` if it or its key is not good."""
    key = public_keys_in(public_keys).get(key_id)
    if key is None:
        raise CheckpointError(f"it was signed with the key {key_id!r}, which is not given")
    content, _, rest = text.rpartition(SIGNATURE)
    try:
        key.verify(base64.b64decode(rest[:-2], validate=True), f"{content}}}".encode())
    except (InvalidSignature, binascii.Error, ValueError):
        raise CheckpointError("its signature does not hold") from None


@lru_cache(maxsize=4)
def private_keys_in(text: str) -> Mapping[str, Ed25519PrivateKey]:
    """Read `id:base64,…`, the newest first. Raises `SealingError`."""
    keys = parse_keys(text, "CHAINWEB_CHECKPOINT_KEY")
    return {key_id: Ed25519PrivateKey.from_private_bytes(key) for key_id, key in keys.items()}


@lru_cache(maxsize=4)
def public_keys_in(text: str) -> Mapping[str, Ed25519PublicKey]:
    """Read `id:base64,…`. Raises `SealingError`."""
    keys = parse_keys(text, "CHAINWEB_CHECKPOINT_PUBLIC_KEY")
    return {key_id: Ed25519PublicKey.from_public_bytes(key) for key_id, key in keys.items()}
