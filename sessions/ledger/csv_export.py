"""Export lines as CSV for spreadsheets, which must not take what somebody typed for a formula."""

import csv
from collections.abc import Iterable, Iterator
from datetime import UTC

from sessions.ledger.events import read
from sessions.ledger.origin import KEY as ORIGIN
from sessions.ledger.origin import Origin
from sessions.ledger.story import shown
from sessions.models import Event

# What a spreadsheet may read as the beginning of a formula, or as blank before one; the last four
# are the full-width forms.
FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
COLUMNS = (
    *("number", "time", "kind", "event", "actor", "for", "session_id", "session", "summary"),
    *("role_arn", "role_session_name", "access_key_id", "parent_access_key_id"),
    *("address", "client", "token", "other", "hash"),
)
OWN_COLUMN = ("for", "role_arn", "role_session_name", "access_key_id", "parent_access_key_id")


def csv_lines(events: Iterable[Event]) -> Iterator[bytes]:
    """Yield a head and a line for each event: UTF-8, every cell quoted, ends of lines CRLF.

    A cell that a spreadsheet would compute begins with an apostrophe. `other` holds the fields of a
    kind that have no column of their own.
    """
    writer = csv.writer(Passing(), quoting=csv.QUOTE_ALL)
    yield writer.writerow(COLUMNS)
    for event in events:
        yield writer.writerow([safe(cell) for cell in _cells(event)])


def safe(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _cells(event: Event) -> list[str]:
    said, data, origin = read(event.kind, event.data), event.data, Origin.read(event.data)
    rest = {key: each for key, each in data.items() if key not in (*OWN_COLUMN, ORIGIN)}
    people, *own = [shown(data[key]) if data.get(key) else "" for key in OWN_COLUMN]
    return [
        str(event.seq),
        event.at.astimezone(UTC).isoformat(timespec="microseconds"),
        event.kind,
        said.label,
        event.actor,
        people,
        event.session_id,
        event.session_alias,
        said.summary(),
        *own,
        *(origin.address, origin.client, origin.token),
        shown(rest) if rest else "",
        event.hash,
    ]


class Passing:
    """Stand for a file: what the writer writes is what it returns."""

    def write(self, text: str) -> bytes:
        return text.encode("utf-8", "surrogatepass")
