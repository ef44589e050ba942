"""Make the keys that sign and verify checkpoints."""

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def pair(key_id="c1"):
    key = Ed25519PrivateKey.generate()
    raw = (key.private_bytes_raw(), key.public_key().public_bytes_raw())
    private, public = (f"{key_id}:{base64.b64encode(each).decode()}" for each in raw)
    return private, public


PRIVATE, PUBLIC = pair()
