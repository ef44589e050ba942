"""Read single values of a record, whatever JSON stands in their place.

Nothing here raises: a value that is missing or of another type reads as absent. Text of CloudTrail
is as hostile as typed text: it is scrubbed of what a database or a page cannot hold.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from sessions.aws.cloudtrail import structs

# An identifier that is longer is none: ARNs have at most 2,048 characters.
LONGEST = 2048
LONGEST_MESSAGE = 8192
LONGEST_STRING = 16_384
DEEPEST = 12
MOST_ITEMS = 1000

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NULLS = frozenset({"", "null"})
_EPOCH = re.compile(r"[0-9]{9,13}(\.[0-9]{1,9})?", re.ASCII)
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
# "Oct 2, 2019, 11:12:29 PM", also without the second comma, and without AM or PM.
_ENGLISH = re.compile(
    rf"({'|'.join(_MONTHS)})[a-z]* ([0-9]{{1,2}}), ([0-9]{{4}}),? "
    r"([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?: ([AP])M)?",
    re.ASCII,
)
_OF_RECORDS = """
    eventVersion userIdentity eventTime eventSource eventName awsRegion sourceIPAddress userAgent
    errorCode errorMessage requestParameters responseElements additionalEventData requestID eventID
    readOnly resources eventType apiVersion managementEvent recipientAccountId serviceEventDetails
    sharedEventID vpcEndpointId eventCategory sessionCredentialFromConsole insightDetails
"""
_OF_PARTS = """
    type principalId arn accountId accessKeyId userName sessionContext invokedBy identityProvider
    onBehalfOf invokedByDelegate userId identityStoreArn credentialId
    inScopeOf issuerType credentialsIssuedTo attributes sessionIssuer
    webIdFederationData federatedProvider creationDate mfaAuthenticated
    sourceIdentity ec2RoleDelivery assumedRoot signInSessionArn
    roleArn roleSessionName durationSeconds principalTags incomingTransitiveTags transitiveTagKeys
    targetPrincipal principalArn tags credentials expiration assumedRoleUser assumedRoleId
    credentialSet federatedUser federatedUserId subjectFromWebIdentityToken subject provider
    SwitchFrom scopedSessionDescription CloudTrailEvent logEvents Records Events detail details
"""
RECORD_NAMES = frozenset(_OF_RECORDS.split())
_CANONICAL = {
    re.sub(r"[^a-z0-9]", "", name.lower()): name for name in (*RECORD_NAMES, *_OF_PARTS.split())
}
# Columns of CloudTrail's own CSV, and of consoles.
_CANONICAL |= {
    "region": "awsRegion",
    "awsaccesskey": "accessKeyId",
    "sourceipaddress": "sourceIPAddress",
}


def text(value: object) -> str:
    """Return a value as an identifier: "" for null, "null", containers and what is too long."""
    found = _text(value)
    return found if len(found) <= LONGEST else ""


def message(value: object) -> str:
    """Return a value as words for people, cut where it is longer than AWS writes any."""
    return _text(value)[:LONGEST_MESSAGE]


def _text(value: object) -> str:
    if isinstance(value, list) and len(value) == 1:
        # A search engine's export puts each field into an array.
        value = value[0]
    if isinstance(value, str):
        stripped = value.strip()
        return "" if stripped in _NULLS else scrubbed(stripped)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**20 else ""
    if isinstance(value, float) and math.isfinite(value) and abs(value) < 10**20:
        return str(int(value)) if value == int(value) else str(value)
    return ""


def scrubbed(value: str) -> str:
    """Replace NUL and lone surrogates, which neither PostgreSQL nor UTF-8 can hold."""
    if value.isascii() and "\x00" not in value:
        return value
    return _UNSTORABLE.sub("\ufffd", value)


def truth(value: object) -> bool:
    """Tell if a value means yes: true, "true", "True" or "yes"."""
    return value is True or text(value).lower() in {"true", "yes"}


def number(value: object) -> int | None:
    """Return a whole number from a number or its text; None for all others."""
    found = text(value)
    return int(found) if found.isdecimal() and found.isascii() and len(found) < 10 else None


@lru_cache(maxsize=8192)
def _renamed(key: str) -> str | None:
    found = _CANONICAL.get(re.sub(r"[^a-z0-9]", "", key.lower()))
    return found if found != key else None


def as_dict(value: object) -> dict[str, object]:
    """Return an object as a dict, also from JSON text or "{key=value, …}"; else an empty one."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        value = parsed(value)
    return value if isinstance(value, dict) else {}


def mapping(value: object) -> dict[str, object]:
    """Return what `as_dict` does, with CloudTrail's own spelling of the keys it knows.

    Keys may be in lower case or with underscores. One spelt as CloudTrail does wins over the rest.
    """
    found = as_dict(value)
    renamed = found
    for key in found:
        name = _renamed(key) if len(key) <= 64 else None
        if name is not None and name not in renamed:
            if renamed is found:
                renamed = dict(found)
            renamed[name] = found[key]
    return renamed


def parsed(value: str) -> object:
    """Return what a text holds: JSON, or a struct of Athena; None where it is neither."""
    stripped = value.strip()
    if stripped[:1] not in ("{", "["):
        return None
    with suppress(ValueError, RecursionError):
        return loads(stripped)
    return structs.parse(stripped)


def loads(value: str) -> object:
    """Parse JSON text; NaN and infinities become null.

    Raises `ValueError`, also for a number of too many digits, and `RecursionError`.
    """
    return DECODER.decode(value)


DECODER = json.JSONDecoder(parse_constant=lambda name: None)


def items(value: object) -> Iterator[tuple[str, str]]:
    """Yield (key, value) of tags: a mapping, or a list of {"key": …, "value": …}."""
    if isinstance(value, str):
        value = parsed(value)
    if isinstance(value, list):
        for tag in value[:MOST_ITEMS]:
            if isinstance(tag, dict):
                folded = {str(key).lower(): item for key, item in tag.items()}
                yield text(folded.get("key")), text(folded.get("value"))
    elif isinstance(value, dict):
        for key, item in list(value.items())[:MOST_ITEMS]:
            yield text(key), text(item)


def texts(value: object) -> tuple[str, ...]:
    """Return the texts of a list, or of JSON text of one; empty for all others."""
    if isinstance(value, str):
        value = parsed(value)
    return tuple(text(item) for item in value[:MOST_ITEMS]) if isinstance(value, list) else ()


def moment(value: object) -> datetime | None:
    """Return a time in UTC, from each of the spellings that CloudTrail and its copies use.

    ISO 8601 with or without separators, zone and fractions (no zone means UTC), seconds or
    milliseconds since 1970, and "Oct 2, 2019, 11:12:29 PM". None where it is not a time.
    """
    found = text(value)
    try:
        if _EPOCH.fullmatch(found):
            seconds = float(found)
            return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC)
        if english := _ENGLISH.fullmatch(" ".join(found.split())):
            return _from_english(english)
        when = datetime.fromisoformat(found)
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _from_english(found: re.Match[str]) -> datetime:
    month, day, year, hour, minute, second, half = found.groups()
    hours = int(hour)
    if half is not None:
        hours = hours % 12 + (12 if half == "P" else 0)
    return datetime(
        int(year), _MONTHS.index(month) + 1, int(day), hours, int(minute), int(second), tzinfo=UTC
    )


def within(earlier: datetime | None, later: datetime | None, longest: timedelta) -> bool:
    """Tell if `later` follows `earlier` by at most `longest`."""
    return earlier is not None and later is not None and earlier <= later <= earlier + longest


def plain(value: object, depth: int = DEEPEST) -> object:
    """Copy JSON so that a database and a page can hold it; null for what lies too deep.

    Text is scrubbed and cut, of long containers the beginning is kept, numbers that are not finite
    become null and those beyond 64 bits text.
    """
    if isinstance(value, str):
        return scrubbed(value[:LONGEST_STRING])
    if isinstance(value, dict):
        if not depth:
            return None
        kept = value.items() if len(value) <= MOST_ITEMS else list(value.items())[:MOST_ITEMS]
        return {scrubbed(key[:LONGEST]): plain(item, depth - 1) for key, item in kept}
    if isinstance(value, list):
        return [plain(item, depth - 1) for item in value[:MOST_ITEMS]] if depth else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return text(value) or None
    return value


def plain_mapping(value: Mapping[str, object]) -> dict[str, object]:
    """Copy a mapping as `plain` does."""
    copy = plain(dict(value))
    return copy if isinstance(copy, dict) else {}
