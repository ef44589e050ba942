"""Turn a record of CloudTrail into a row, and a row into what the ledger is asked by."""

import hashlib
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from sessions.aws.cloudtrail.actors import is_identity_center
from sessions.aws.cloudtrail.parties import By, Party
from sessions.aws.cloudtrail.reading import read
from sessions.aws.cloudtrail.records import Record, Where
from sessions.ledger.drift.kinds import Kind, kind_alone
from sessions.ledger.whois.clues import Clues, clues_of_record
from sessions.models import TrailImport, TrailRecord

# Stands for the time of a record whose own cannot be read.
NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
# Of a request, so much is kept for people; the rest stays in CloudTrail.
LONGEST_REQUEST = 2000
LONGEST_WORDS = 1000

# Calls that only read begin so, where the record does not say whether it does.
_READING = (
    *("BatchGet", "Check", "Describe", "Discover", "Download", "Estimate", "Get", "Head"),
    *("List", "Lookup", "Preview", "Query", "Read", "Scan", "Search", "Select", "Simulate"),
    *("Validate", "View"),
)
# They change nothing of the account's, whatever they give.
_GIVING = ("AssumeRole", "AssumeRoot", "ConsoleLogin", "SwitchRole", "CreateOAuth2Token")


def row_of(record: Record, trail_import: TrailImport) -> TrailRecord:
    """Build the row of a record, as it is before it is compared."""
    reading, clues = read(record), clues_of_record(record)
    issued = record.issued
    return TrailRecord(
        team_id=trail_import.team_id,
        trail_import_id=trail_import.pk,
        event_key=event_key(record),
        at=clues.at or NO_TIME,
        event_name=_cut(record.event_name, 128),
        event_source=_cut(record.event_source, 128),
        region=_cut(record.region, 32),
        address=_cut(record.source_address, 128),
        account=_cut(record.recipient_account or record.identity.account, 32),
        changes=_changes(record),
        denied=reading.denied,
        failed=record.failed,
        access_key_id=_whole(clues.access_key_id, 128),
        principal_id=_whole(clues.principal_id, 256),
        role_name=_whole(clues.role_name, 256),
        session_name=_whole(clues.session_name, 256),
        source_identity=_whole(clues.source_identity, 256),
        began_at=clues.began_at,
        session_key=_link(reading.parent, By.SESSION, 300),
        made_key=_link(reading.child, By.KEY, 128),
        made_session=_link(reading.child, By.SESSION, 300),
        kind=kind_alone(reading),
        detail={
            "alone": kind_alone(reading),
            "who": reading.who.name,
            "named_by": reading.who.named_by,
            "sure": reading.who.sure,
            "also": [[field, name] for field, name in reading.also],
            "notes": list(reading.notes),
            "role_account": clues.account,
            "other_identity": clues.other_identity,
            "center": is_identity_center(record.identity),
            "delegated": record.identity.type == "AWSAccount",
            "type": record.identity.type,
            "arn": record.identity.arn,
            "user": record.identity.user_name,
            "agent": record.user_agent[:LONGEST_WORDS],
            "console": record.from_console,
            "invoked_by": record.invoked_by,
            "error": record.error_code,
            "message": record.error_message[:LONGEST_WORDS],
            "event_id": record.event_id,
            "shared_id": record.shared_event_id,
            "request_id": record.request_id,
            "request": _request(record),
            "line": record.where.line,
            "made": _made(record) if issued is not None else None,
        },
    )


def event_key(record: Record) -> str:
    """Return what the same record has in common, whichever way it came.

    A record of another account's call is another one, though some copies repeat the caller's id.
    Examples and masked copies have one id for many: call and time are of the same record, too.
    """
    told = "of another account" if record.identity.type == "AWSAccount" else "of the caller"
    second = f"{record.event_time:%Y-%m-%dT%H:%M:%S}" if record.event_time else ""
    said = f"{record.event_id} {record.event_name} {second} {told}"
    if not record.event_id:
        said = json.dumps(asdict(replace(record, where=Where())), sort_keys=True, default=str)
    return hashlib.sha256(said.encode()).hexdigest()


def clues_of_row(row: TrailRecord) -> Clues:
    """Return what `clues_of_record` has read from the record of a row."""
    return Clues(
        what="record of CloudTrail",
        access_key_id=row.access_key_id,
        principal_id=row.principal_id,
        account=row.detail["role_account"],
        other_identity=row.detail["other_identity"],
        role_name=row.role_name,
        session_name=row.session_name,
        source_identity=row.source_identity,
        at=None if row.at == NO_TIME else row.at,
        began_at=row.began_at,
    )


def names_nobody(row: TrailRecord) -> bool:
    """Tell whether a record alone says nothing of who acted."""
    return row.detail["alone"] in {Kind.UNKNOWN, Kind.ROOT}


def _made(record: Record) -> dict[str, Any]:
    issued = record.issued
    assert issued is not None
    return {
        "by": issued.by,
        "key": issued.access_key_id,
        "role_arn": issued.role_arn,
        "name": issued.session_name,
        "identity": issued.source_identity,
        "until": issued.expires_at.isoformat() if issued.expires_at else "",
        "same_session": issued.same_session,
    }


def _changes(record: Record) -> bool:
    if record.read_only is not None:
        return not record.read_only
    return not record.event_name.startswith((*_READING, *_GIVING))


def _request(record: Record) -> Any:
    """Return what was asked for, if it is short: a search finds it in CloudTrail otherwise."""
    if not record.request:
        return None
    told = json.dumps(record.request)
    return record.request if len(told) <= LONGEST_REQUEST else f"{len(told):,} characters"


def _link(party: Party | None, by: By, most: int) -> str:
    found = [each.value for each in party.links if each.by is by] if party else []
    return _whole(found[0], most) if found and found[0].isprintable() else ""


def _cut(text: str, most: int) -> str:
    return text[:most]


def _whole(text: str, most: int) -> str:
    """Return what identifies something; what is too long for that identifies nothing."""
    return text if len(text) <= most else ""
