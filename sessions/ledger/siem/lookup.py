"""List keys with whose they are: a table that a SIEM joins the records of CloudTrail with.

A row for each issue, and one for each delivery, which knows the device: the last row of a key says
most. No field is a secret.
"""

import csv
import json
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import structlog
from django.conf import settings

from sessions.db.clock import database_now
from sessions.ledger.csv_export import Passing, safe
from sessions.ledger.events.credentials import CredentialMinted, CredentialRevealed
from sessions.ledger.events.roots import RootOpened
from sessions.ledger.held import LONGEST_LIFE
from sessions.ledger.search import Lines
from sessions.ledger.terms import choice_of_kinds
from sessions.ledger.whois.lines import Issue, delivery_in, issue_in, issue_of
from sessions.models import Event, LedgerHead

log = structlog.get_logger(__name__)

ROWS = choice_of_kinds(CredentialMinted.tag, CredentialRevealed.tag, RootOpened.tag)
LONGEST_CHAIN = 20
# So many issues are remembered while a table is written: most parents and deliveries follow soon.
REMEMBERED = 10_000
# CloudTrail's records come up to a quarter of an hour late, and are looked at later still.
GRACE = timedelta(hours=1)
LIFE_OF_A_HOP = timedelta(hours=1)


@dataclass(frozen=True)
class Row:
    """Hold what is known of a key by one line: `event` is issued or delivered.

    `assumed_role_id` is CloudTrail's principalId, `chain` the sessions or roles from the root down.
    `person` names all for whom it was issued; `device` is what fetched it, or its browser.
    """

    access_key_id: str
    assumed_role_id: str
    assumed_role_arn: str
    role_session_name: str
    source_identity: str
    chain: str
    parent_access_key_id: str
    account: str
    person: str
    device: str
    address: str
    token: str
    session: str
    session_id: str
    issued_at: str
    until: str
    event: Literal["issued", "delivered"]
    seq: int
    team_id: str


COLUMNS = tuple(each.name for each in fields(Row))


def rows(lines: Lines) -> Iterator[Row]:
    """Yield a row for each issue and delivery among these lines, the oldest first."""
    yield from rows_of(lines.team_id, lines.having(ROWS).each())


def rows_of(team_id: str, events: Iterable[Event]) -> Iterator[Row]:
    """Yield a row for each of these lines, which are issues and deliveries of that team."""
    known = _Issues(team_id)
    for line in events:
        yield (_delivered if line.kind == CredentialRevealed.tag else _issued)(line, known)


@dataclass
class _Issues:
    """Remember the last issues of a team by their keys, and look up others."""

    team_id: str
    _found: OrderedDict[str, Issue | None] = field(default_factory=OrderedDict)

    def add(self, issue: Issue) -> None:
        self._found[issue.access_key_id] = issue
        self._found.move_to_end(issue.access_key_id)
        if len(self._found) > REMEMBERED:
            self._found.popitem(last=False)

    def get(self, key: str, before: int) -> Issue | None:
        """Return the issue of a key; that it is unknown is remembered as well."""
        if key not in self._found:
            found = issue_of(self.team_id, key, before=before)
            self.add(found or replace(_NOBODY, access_key_id=key))
        known = self._found[key]
        return known if known and known.seq and known.seq < before else None

    def chain(self, issue: Issue) -> str:
        """Name an issue's chain; a key that is its own parent, or that nobody issued, begins it."""
        names, seen = [_name(issue)], {issue.access_key_id}
        while issue.hop > 0 and len(names) <= LONGEST_CHAIN:
            parent = issue.parent_access_key_id
            above = self.get(parent, issue.seq) if parent and parent not in seen else None
            if above is None:
                return " > ".join([*([parent] if parent else []), *reversed(names)])
            seen.add(parent)
            names.append(_name(above))
            issue = above
        return " > ".join(reversed(names))


_NOBODY = Issue(
    seq=0,
    at=datetime.min.replace(tzinfo=UTC),
    until=None,
    access_key_id="",
    sts_region="",
    people=(),
    session_id="",
    session_alias="",
)


def _name(issue: Issue) -> str:
    return issue.session_alias or issue.role_name or issue.access_key_id


def _issued(line: Event, known: _Issues) -> Row:
    issue = issue_in(line)
    known.add(issue)
    return _row(line, issue, known, person=", ".join(issue.people), event="issued")


def _delivered(line: Event, known: _Issues) -> Row:
    taken = delivery_in(line)
    issue = known.get(taken.access_key_id, line.seq) or replace(
        _NOBODY,
        access_key_id=taken.access_key_id,
        until=taken.until,
        session_id=taken.session_id,
        session_alias=taken.session_alias,
    )
    row = _row(line, issue, known, person=taken.person, event="delivered")
    return replace(
        row,
        device=taken.origin.client or issue.device,
        address=taken.origin.address,
        token=taken.origin.token,
        session=taken.session_alias,
        session_id=taken.session_id,
    )


def _row(
    line: Event,
    issue: Issue,
    known: _Issues,
    *,
    person: str,
    event: Literal["issued", "delivered"],
) -> Row:
    role_id = issue.principal_id.partition(":")[0]
    return Row(
        access_key_id=issue.access_key_id,
        assumed_role_id=f"{role_id}:{issue.role_session_name}" if role_id else "",
        assumed_role_arn=issue.arn,
        role_session_name=issue.role_session_name,
        source_identity=issue.source_identity,
        chain=known.chain(issue),
        parent_access_key_id=issue.parent_access_key_id,
        account=issue.account,
        person=person,
        device=issue.device,
        address="",
        token="",
        session=issue.session_alias,
        session_id=issue.session_id,
        issued_at=_moment(issue.at) if issue.seq else "",
        until=_moment(issue.until),
        event=event,
        seq=line.seq,
        team_id=line.team_id,
    )


def _moment(at: datetime | None) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds") if at else ""


# --- as files -------------------------------------------------------------------------------------


def csv_rows(found: Iterable[Row]) -> Iterator[bytes]:
    """Yield a table for a SIEM or a spreadsheet: no cell is taken for a formula."""
    writer = csv.writer(Passing(), quoting=csv.QUOTE_ALL)
    yield writer.writerow(COLUMNS)
    for row in found:
        yield writer.writerow([safe(str(cell)) for cell in asdict(row).values()])


def json_rows(found: Iterable[Row]) -> Iterator[bytes]:
    """Yield an object a line."""
    for row in found:
        yield json.dumps(asdict(row), separators=(",", ":")).encode() + b"\n"


def write_file() -> None:
    """Replace the file that the settings name by one of the keys that live, or did until lately."""
    if settings.CHAINWEB_SIEM_LOOKUP_FILE:
        path = Path(settings.CHAINWEB_SIEM_LOOKUP_FILE)
        write = csv_rows if path.suffix == ".csv" else json_rows
        try:
            _replace(path, write, _living(database_now()))
        except OSError as error:
            log.error("the SIEM's table of keys is not written", error=type(error).__name__)


def _living(now: datetime) -> Iterator[Row]:
    since = _moment(now - GRACE)
    hops = choice_of_kinds(CredentialMinted.tag, CredentialRevealed.tag)
    roots = choice_of_kinds(RootOpened.tag)
    for team_id in LedgerHead.objects.order_by("pk").values_list("pk", flat=True):
        for kinds, life in ((roots, LONGEST_LIFE), (hops, LIFE_OF_A_HOP)):
            found = Lines(team_id, (kinds,), since=now - life - GRACE)
            yield from (row for row in rows(found) if not row.until or row.until >= since)


def _replace(
    path: Path, write: Callable[[Iterable[Row]], Iterator[bytes]], found: Iterable[Row]
) -> None:
    """Write beside it and rename, so that whoever reads has the old table or the new one."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(write(found))
            file.flush()
            os.fsync(handle)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
