"""Write the data of an issued credential without what it repeats.

Its long keys become letters, and what follows from other fields a mark: an ARN of an assumed role
from the role's ARN and the session's name, a principal id's end from that name.
"""

from typing import Any

# Migration 0036 has some of these in SQL: none may ever change.
LETTERS = {
    "access_key_id": "K",
    "arn": "A",
    "credential": "C",
    "hop": "H",
    "parent_access_key_id": "P",
    "principal_id": "I",
    "request_id": "Q",
    "role_arn": "R",
    "role_session_name": "N",
    "root": "O",
    "source_identity": "S",
    "sts_region": "G",
    "tags": "T",
    "token_size": "Z",
}
_NAMES = {letter: key for key, letter in LETTERS.items()}
_PACKED = frozenset({"access_key_id", "hop", "parent_access_key_id", "role_arn"})
_MARKS = frozenset(LETTERS[key] for key in _PACKED)
# Stands for what follows from other fields.
FOLLOWS = "="


def pack(data: dict[str, Any]) -> dict[str, Any]:
    """Return what is stored of a line's data. `unpack` returns that data, whatever it is."""
    if not data.keys() >= _PACKED or not data.keys().isdisjoint(_NAMES):
        return data
    short = dict(data)
    arn, name_of = _assumed(data)
    if arn and short.get("arn") == arn:
        short["arn"] = FOLLOWS
    principal = short.get("principal_id")
    if name_of and isinstance(principal, str) and principal.endswith(name_of):
        short["principal_id"] = principal.removesuffix(name_of) + FOLLOWS
    packed = {LETTERS.get(key, key): value for key, value in short.items()}
    return packed if unpack(packed) == data else data


def unpack(stored: Any) -> Any:
    """Return a line's data from what is stored of it."""
    if not isinstance(stored, dict) or not stored.keys() >= _MARKS:
        return stored
    data: dict[str, Any] = {str(_NAMES.get(key, key)): value for key, value in stored.items()}
    arn, name_of = _assumed(data)
    if data.get("arn") == FOLLOWS:
        data["arn"] = arn
    principal = data.get("principal_id")
    if isinstance(principal, str) and principal.endswith(FOLLOWS):
        data["principal_id"] = principal.removesuffix(FOLLOWS) + name_of
    return data


def _assumed(data: dict[str, Any]) -> tuple[str, str]:
    """Return the ARN of the assumed role, and how a principal id ends; empty if none follow."""
    role, name = data.get("role_arn"), data.get("role_session_name")
    if not (isinstance(role, str) and isinstance(name, str)):
        return "", ""
    parts = role.split(":", 5)
    if len(parts) < 6:
        return "", f":{name}"
    role_name = parts[5].rpartition("/")[2]
    return f"arn:{parts[1]}:sts::{parts[4]}:assumed-role/{role_name}/{name}", f":{name}"
