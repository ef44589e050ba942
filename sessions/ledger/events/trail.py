"""Declare the events about CloudTrail's records: read, compared, searched, deleted."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sessions.ledger.events import EventData, event, moment, shared


@shared
class _Import(EventData):
    """Name an import. `source`: `file`, or `lookup` for LookupEvents."""

    import_id: str
    source: str
    name: str


@event
class TrailImportStarted(_Import):
    """Record that somebody has records of CloudTrail read.

    Of a lookup, the event's session is the one whose credentials a worker opens for it.
    """

    tag = "trail.started"
    label = "CloudTrail import started"

    size: int = 0
    region: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def summary(self) -> str:
        if self.source == "file":
            return f"uploaded {self.name}, {self.size} bytes, to be compared with the ledger"
        span = f"from {moment(self.since)} to {moment(self.until)}"
        return f"had CloudTrail looked up in {self.region} {span}"


@event
class TrailImported(_Import):
    """Record that an import is complete. `known`: so many of its records were there before."""

    tag = "trail.imported"
    label = "CloudTrail records imported"

    records: int
    known: int = 0

    def summary(self) -> str:
        known = f", {self.known} of them known before" if self.known else ""
        return f"imported {self.records} records from {self.name}{known}"


@event
class TrailRefused(_Import):
    """Record that an import has ended without success, and where in the file it is broken."""

    tag = "trail.refused"
    label = "CloudTrail import failed"

    reason: str

    def summary(self) -> str:
        return f"could not import {self.name}: {self.reason}"


@event
class TrailDeleted(_Import):
    """Record that somebody deleted an import with all of its records."""

    tag = "trail.deleted"
    label = "CloudTrail import deleted"

    records: int

    def summary(self) -> str:
        return f"deleted the import {self.name} and its {self.records} records"


@event
class TrailRead(EventData):
    """Record that somebody read imported records: a search, one record, or those of a session."""

    tag = "trail.read"
    label = "CloudTrail records read"

    search: Mapping[str, Any]

    def summary(self) -> str:
        what = ", ".join(f"{field} {value}" for field, value in self.search.items())
        return f"read records of CloudTrail: {what or 'all'}"
