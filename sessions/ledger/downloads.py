"""Take what a search finds away as a file, streamed in constant memory; an event first."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from django.db import transaction

from sessions.actors import Actor
from sessions.ledger.chain import Entry, append, canonical
from sessions.ledger.csv_export import csv_lines
from sessions.ledger.events.ledger import LedgerExported
from sessions.ledger.export import export_lines, exported
from sessions.ledger.lines import Line
from sessions.ledger.previous import with_prev
from sessions.ledger.search import Lines
from sessions.ledger.siem.lookup import csv_rows, json_rows, rows

CSV, NDJSON = "text/csv; charset=utf-8", "application/x-ndjson"


@dataclass(frozen=True)
class Format:
    """Describe a kind of file, and how lines become its bytes. `name` begins the file's name."""

    label: str
    name: str
    suffix: str
    content_type: str
    write: Callable[[Lines], Iterator[bytes]]


def json_lines(lines: Lines) -> Iterator[bytes]:
    """Yield events as lines that can be verified without the database.

    A stretch of the ledger has its checkpoints between them; of other searches each line has its
    hash alone.
    """
    stretch = lines.without_terms()
    if stretch is not None:
        yield from export_lines(lines.team_id, stretch)
        return
    for event in with_prev(lines.each()):
        yield exported(Line(event.seq, event.prev, event.hash, canonical(event)))


def csv_table(lines: Lines) -> Iterator[bytes]:
    """Yield events as a table."""
    return csv_lines(lines.each())


FORMATS = {
    "csv": Format("CSV", "events", "csv", CSV, csv_table),
    "jsonl": Format("JSON lines, verifiable", "events", "jsonl", NDJSON, json_lines),
    "keys-csv": Format(
        "Keys with their people, CSV", "keys", "csv", CSV, lambda lines: csv_rows(rows(lines))
    ),
    "keys-jsonl": Format(
        "Keys, JSON lines", "keys", "jsonl", NDJSON, lambda lines: json_rows(rows(lines))
    ),
}


def export(
    actor: Actor, lines: Lines, chosen: str, asked: Mapping[str, str]
) -> tuple[Format, Iterator[bytes]]:
    """Record an export, and return its format and its bytes.

    The file ends with the last line before the event. Raises `LedgerError` if it is not taken.
    """
    told = LedgerExported(search=dict(asked), form=chosen, upto=lines.end)
    with transaction.atomic():
        append(actor.team_id, [Entry(told, actor)])
    return FORMATS[chosen], FORMATS[chosen].write(lines)
