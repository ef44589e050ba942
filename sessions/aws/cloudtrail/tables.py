"""Read tables: CSV of Athena, of CloudTrail's console, of Logs Insights and of Splunk."""

import csv
import re
from collections.abc import Iterator

from sessions.aws.cloudtrail.jsonstream import Broken, Value
from sessions.aws.cloudtrail.values import text as text_of
from sessions.aws.cloudtrail.window import LARGEST_VALUE, Text

# One of these heads a column of each table that holds records.
COLUMNS = frozenset(
    {
        "useridentity",
        "useridentitytype",
        "useridentityarn",
        "eventname",
        "eventid",
        "cloudtrailevent",
        "eventdata",
        "message",
        "raw",
        "eventjson",
    }
)
_LONGEST_HEADER = 20_000


def rows(text: Text) -> Iterator[Value | Broken] | None:
    """Return the rows of a table as objects; None where the text does not begin as a table."""
    text.ensure(_LONGEST_HEADER)
    header = text.buffer[text.at :].lstrip("\ufeff\r\n ")[:_LONGEST_HEADER].partition("\n")[0]
    if header[:1] in ("{", "["):
        return None
    for delimiter in ",\t;|":
        if "{" not in header and any(_folded(name) in COLUMNS for name in header.split(delimiter)):
            return _rows(text, delimiter)
    return None


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _rows(text: Text, delimiter: str) -> Iterator[Value | Broken]:
    csv.field_size_limit(LARGEST_VALUE)
    reader = csv.reader(iter(text.readline, ""), delimiter=delimiter)
    header: list[str] = []
    line, empty = 1, True
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                pass
            elif not header:
                header = [name.strip().lstrip("\ufeff").strip('"') for name in row]
            else:
                empty = False
                cells = dict(zip(header, row, strict=False))
                yield Value(
                    {name: cell for name, cell in cells.items() if name and text_of(cell)}, line, 1
                )
            line = reader.line_num + 1
    except csv.Error as error:
        yield Broken(line, 1, f"The table is broken here: {error}.")
    if empty:
        yield Broken(line, 1, "The table has no rows.")
