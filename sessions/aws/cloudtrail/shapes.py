"""Find CloudTrail's records in what tools put around them, and give each in CloudTrail's shape."""

import base64
import zlib

from sessions.aws.cloudtrail import siem
from sessions.aws.cloudtrail.values import loads, mapping

DEEPEST = 8
# The arrays that hold records: log files, LookupEvents, CloudWatch Logs, search engines.
ARRAYS = ("Records", "Events", "logEvents", "events", "records", "hits")
# What holds one record: EventBridge, MozDef, LookupEvents, Elastic, Splunk, queues and topics.
WRAPPERS = (
    "CloudTrailEvent",
    "detail",
    "details",
    "_source",
    "data",
    "message",
    "@message",
    "event.original",
    "result",
    "_raw",
    "raw_data",
    "Message",
    "Body",
    "body",
    "input",
    "awslogs",
    "event_data",
    "eventData",
)
_FIELD = {"field", "value"}
LARGEST_PAYLOAD = 16_000_000

DIGEST = "This is a digest file of CloudTrail: it proves log files unchanged and holds no records."
NOTHING = "There is no CloudTrail record here."


def find(value: object) -> tuple[list[dict[str, object]], list[str]]:
    """Return the records in a JSON value, each in CloudTrail's shape and once, and what is wrong.

    What is wrong is in plain words: broken JSON text within, a digest, or that nothing is there.
    """
    problems: list[str] = []
    found = _within(value, DEEPEST, problems)
    return found, problems if found or problems else [NOTHING]


def is_record(found: dict[str, object]) -> bool:
    """Tell if an object, with keys in CloudTrail's spelling, is a record itself."""
    if "userIdentity" in found or "insightDetails" in found or "eventVersion" in found:
        return True
    return "eventName" in found and ("eventSource" in found or "eventTime" in found)


def _within(value: object, depth: int, problems: list[str]) -> list[dict[str, object]]:
    if not depth:
        return []
    if isinstance(value, str):
        return _in_text(value, depth, problems)
    if isinstance(value, dict):
        return _in_object(value, depth, problems)
    if isinstance(value, list):
        parts = [_joined(value)] if _is_row(value) else value
        return [found for part in parts for found in _within(part, depth - 1, problems)]
    return []


def _is_row(value: list[object]) -> bool:
    """Tell if an array is a row of Lake or of Logs Insights: an object of one column each."""
    return len(value) > 1 and len(_joined(value)) == len(value)


def _joined(row: list[object]) -> dict[str, object]:
    """Return {"a": 1} and {"field": "a", "value": 1} of several columns as one object."""
    columns: dict[str, object] = {}
    for column in row:
        if isinstance(column, dict) and len(column) == 1:
            columns |= column
        elif isinstance(column, dict) and column.keys() == _FIELD:
            columns[str(column["field"])] = column["value"]
    return columns


def _in_text(value: str, depth: int, problems: list[str]) -> list[dict[str, object]]:
    if value.startswith("H4sI"):
        return _in_payload(value, depth, problems)
    start = value.find("{")
    if start < 0 or '"' not in value:
        return []
    if value.lstrip()[:1] != "[":
        value = value[start:]
    try:
        inner = loads(value)
    except RecursionError:
        problems.append("The JSON text within this record is nested too deeply.")
    except ValueError as error:
        line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
        problems.append(
            f"The JSON text within this record is broken at its line {line}, column {column}."
        )
    else:
        return _within(inner, depth - 1, problems)
    return []


def _in_payload(value: str, depth: int, problems: list[str]) -> list[dict[str, object]]:
    """Look into a payload of CloudWatch Logs: gzip in Base64, of bounded size."""
    try:
        payload = zlib.decompressobj(31).decompress(base64.b64decode(value), LARGEST_PAYLOAD)
        inner = loads(payload.decode())
    except (zlib.error, ValueError, RecursionError):
        problems.append("The packed payload is not one of CloudWatch Logs.")
        return []
    return _within(inner, depth - 1, problems)


def _in_object(
    value: dict[str, object], depth: int, problems: list[str]
) -> list[dict[str, object]]:
    found = mapping(value)
    if "userIdentity" in found and "CloudTrailEvent" not in found:
        return [found]
    if "digestStartTime" in found and "logFiles" in found:
        problems.append(DIGEST)
        return []
    if converted := siem.converted(value):
        return _original(value, depth) or [converted]
    if "CloudTrailEvent" not in found and is_record(found):
        return [_with_identity(found)]
    wrong: list[str] = []
    seen: set[int] = set()
    for name in dict.fromkeys((*ARRAYS, *WRAPPERS, *found)):
        inner = found.get(name)
        # One value may stand there under two spellings of its name.
        if isinstance(inner, str | list | dict) and id(inner) not in seen:
            seen.add(id(inner))
            matters = name in ARRAYS or name in WRAPPERS or not isinstance(inner, str)
            inside: list[str] = []
            if records := _within(inner, depth - 1, inside):
                problems.extend(inside)
                return records
            wrong.extend(inside if matters else [])
    if is_record(found) and not wrong:
        return [_with_identity(found)]
    problems.extend(wrong)
    return []


def _with_identity(found: dict[str, object]) -> dict[str, object]:
    """Give a flat row, as of LookupEvents or of the console's CSV, an identity of its own."""
    if "userIdentity" in found or "insightDetails" in found:
        return found
    names = ("userName", "accessKeyId", "principalId", "arn", "accountId", "invokedBy")
    return found | {"userIdentity": {name: found[name] for name in names if name in found}}


def _original(value: dict[str, object], depth: int) -> list[dict[str, object]]:
    """Return the record as AWS wrote it, where a SIEM kept it beside its own fields."""
    places = (value.get("event.original"), mapping(value.get("event")).get("original"))
    for place in (*places, value.get("message"), value.get("raw_data")):
        if isinstance(place, str) and (records := _within(place, depth - 1, [])):
            return records
    return []
