"""Read CloudTrail's records page by page, here alone: LookupEvents.

Management events of the last 90 days of one region, the newest first. AWS takes two calls a second
for each account and region. Errors are `AwsError` with hop 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sessions.aws.calls import calling, check_region
from sessions.aws.clients import client
from sessions.aws.cloudtrail import shapes
from sessions.aws.cloudtrail.records import Record, Where, record_of
from sessions.aws.credentials import AwsCredentials
from sessions.aws.proof import Asked, Call, Signer

PAGE = 50
# The cursor is of another search, or too old: the search begins anew.
BAD_CURSOR = "InvalidNextTokenException"
LONGEST_CURSOR = 100_000


@dataclass(frozen=True)
class Page:
    """Hold the records of one page, how many of its events could not be read, and the cursor."""

    records: tuple[Record, ...]
    unread: int
    cursor: str


def lookup_page(
    using: AwsCredentials, region: str, since: datetime, until: datetime, cursor: str
) -> Page:
    """Read the next page; a cursor of "" begins."""
    check_region(region, 0)
    more = {"NextToken": cursor} if cursor else {}
    with calling(0, using, asked=Asked(Call.IAM, Signer.HOP, region, home=region)):
        answer = client("cloudtrail", region).lookup_events(
            StartTime=since, EndTime=until, MaxResults=PAGE, **more
        )
        return _page(answer)


def _page(answer: Mapping[str, Any]) -> Page:
    records: list[Record] = []
    unread = 0
    for number, event in enumerate(answer.get("Events") or ()):
        found, problems = shapes.find({"CloudTrailEvent": event.get("CloudTrailEvent")})
        records += [record_of(each, Where("LookupEvents", number + 1)) for each in found]
        unread += bool(problems)
    return Page(tuple(records), unread, str(answer.get("NextToken") or "")[:LONGEST_CURSOR])
