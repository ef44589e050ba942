"""Cut a line's data into what many lines say alike, and what is its own.

PostgreSQL stores the first once (`sessions.db.repeated`), and in the line a reference to it with
the rest: of an issued credential as one text, of a delivery as an object. Migration 0042 reads both
in SQL: neither form may ever change.
"""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper

from sessions.db import repeated
from sessions.db.letters import pack, unpack

REFERENCE = "="
_KEY = re.compile(r"A([KS])IA([A-Z0-9]{16})")
_KEYS = {"k": "AKIA", "s": "ASIA"}
# What an object says beside its reference.
_OWN = ("access_key_id", "expires_at")


@dataclass(frozen=True)
class Cut:
    """Hold what other lines say as well, and what is this line's own."""

    common: dict[str, Any]
    own: Any

    def stored(self, reference: str) -> Any:
        """Return what the line stores."""
        if isinstance(self.own, str):
            return reference + self.own
        return {REFERENCE: reference, **self.own}


def cut_issue(data: Mapping[str, Any]) -> Cut | None:
    """Cut the data of an issued credential; None if it is not as AWS and we write it."""
    packed = pack(dict(data))
    common = dict(packed)
    own = "".join(
        (
            _take(common, "K", _short_key, 17),
            _take(common, "P", _short_key, 17),
            _take(common, "Q", _short_uuid, 22),
            _take(common, "expires_at", _short_time, 6),
            _take(common, "Z", _short_size, 0),
        )
    )
    # What differs from line to line and has no short form would be a part for each.
    is_left = any(common.get(key) for key in ("K", "P", "Q", "expires_at"))
    if "K" not in packed or "K" in common or is_left or REFERENCE in common:
        return None
    return Cut(common, own) if unpack(_joined(common, own)) == data else None


def cut_delivery(data: Mapping[str, Any]) -> Cut | None:
    """Cut the data of a line about the delivery of a key."""
    if REFERENCE in data or not isinstance(data.get("access_key_id"), str):
        return None
    common = {key: value for key, value in data.items() if key not in _OWN}
    return Cut(common, {key: data[key] for key in _OWN if key in data})


def reference_in(stored: Any) -> str:
    """Return the reference of what a line stores; empty if it has none."""
    if isinstance(stored, str):
        return stored[: repeated.LENGTH_OF_REFERENCE] or " "
    found = stored.get(REFERENCE) if isinstance(stored, dict) else None
    return found if isinstance(found, str) else ""


def join(stored: Any, common: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line's data from what it stores and from the part that it refers to."""
    if isinstance(stored, str):
        whole: dict[str, Any] = unpack(_joined(common, stored[repeated.LENGTH_OF_REFERENCE :]))
        return whole
    return {**common, **{key: value for key, value in stored.items() if key != REFERENCE}}


def whole(stored: Any, connection: BaseDatabaseWrapper) -> Any:
    """Return a line's data from what is stored of it, in any form."""
    reference = reference_in(stored)
    if not reference:
        return unpack(stored)
    number = repeated.number_in(reference)
    text = repeated.read(connection, [number]).get(number) if number is not None else None
    data = _tried(stored, json.loads(text)) if text is not None else None
    # Without its part the line's hash does not hold, and verification tells.
    return {} if data is None else data


def whole_of_many(stored: Sequence[Any], connection: BaseDatabaseWrapper) -> list[Any]:
    """Return the data of many lines, or None for one whose part is missing.

    Parts are read once, and what lines say alike is one object for all of them.
    """
    references = [reference_in(each) for each in stored]
    named = ((each, repeated.number_in(each)) for each in set(references))
    numbers = {each: number for each, number in named if number is not None}
    texts = repeated.read(connection, set(numbers.values())) if numbers else {}
    parts = {each: json.loads(texts[key]) for each, key in numbers.items() if key in texts}
    return [
        _tried(each, parts.get(reference)) if reference else unpack(each)
        for each, reference in zip(stored, references, strict=True)
    ]


def _tried(stored: Any, common: Any) -> dict[str, Any] | None:
    """Join what fits together; None for what nobody can have written."""
    try:
        return join(stored, common)
    except (ValueError, TypeError, LookupError, OverflowError):
        return None


def _joined(common: Mapping[str, Any], own: str) -> dict[str, Any]:
    data = dict(common)
    key, parent, request, until, size = own[:17], own[17:34], own[34:56], own[56:62], own[62:]
    if key[0] != "-":
        data["K"] = _KEYS[key[0]] + key[1:]
    if parent[0] != "-":
        data["P"] = _KEYS[parent[0]] + parent[1:]
    if request[0] != "-":
        # As text of a UUID, in a third of the time that the class takes: a million are verified.
        digits = b64decode(f"{request}==").hex()
        parts = digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]
        data["Q"] = "-".join(parts)
    if until[0] != "-":
        data["expires_at"] = _time_in(until)
    if size:
        data["Z"] = int(size)
    return data


@lru_cache(maxsize=4096)
def _time_in(text: str) -> str:
    moment = int.from_bytes(b64decode(f"{text}=="), "big")
    return datetime.fromtimestamp(moment, UTC).isoformat()


def _take(common: dict[str, Any], key: str, short: Any, width: int) -> str:
    """Take a value out of the common part, if it has a short form: that, or dashes."""
    text: str = short(common[key]) if key in common else ""
    if not text:
        return "-" * width
    del common[key]
    return text


def _short_key(value: Any) -> str:
    found = _KEY.fullmatch(value) if isinstance(value, str) else None
    return found[1].lower() + found[2] if found else ""


def _short_uuid(value: Any) -> str:
    try:
        return b64encode(UUID(value).bytes).decode()[:22]
    except (ValueError, TypeError, AttributeError):
        return ""


def _short_time(value: Any) -> str:
    try:
        moment = int(datetime.fromisoformat(value).timestamp())
        return b64encode(moment.to_bytes(4, "big")).decode()[:6]
    except (ValueError, TypeError, OverflowError):
        return ""


def _short_size(value: Any) -> str:
    return str(value) if type(value) is int and 0 <= value < 1000 else ""
