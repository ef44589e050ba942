"""Take a search's events away as a file."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.db import transaction
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from sessions.db.clock import database_now
from sessions.forms.ledger import search_form
from sessions.ledger import Entry, append, canonical
from sessions.ledger.csv_export import csv_lines
from sessions.ledger.events.ledger import LedgerExported
from sessions.ledger.export import export_lines, exported
from sessions.ledger.lines import Line
from sessions.ledger.reading import lines_for
from sessions.ledger.search import Lines
from sessions.monitoring import request_limits
from sessions.views.guards import member_in, recently_logged_in


@dataclass(frozen=True)
class Format:
    """Describe a kind of file, and how events become its bytes."""

    label: str
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
    for event in lines.each():
        yield exported(Line(event.seq, event.prev, event.hash, canonical(event)))


def csv_table(lines: Lines) -> Iterator[bytes]:
    """Yield events as a table."""
    return csv_lines(lines.each())


FORMATS = {
    "csv": Format("CSV", "csv", "text/csv; charset=utf-8", csv_table),
    "jsonl": Format("JSON lines, verifiable", "jsonl", "application/x-ndjson", json_lines),
}


@recently_logged_in
@require_POST
def export_events(request: HttpRequest, team_slug: str) -> HttpResponseBase:
    """Stream what a search finds, as far as its reader may read it.

    The export is an event first. The file ends with the last line before that.
    """
    actor = member_in(request, team_slug)
    form, chosen = search_form(request.POST), FORMATS.get(request.POST.get("format", ""))
    if chosen is None or not form.is_valid():
        return redirect("events", team_slug)
    request_limits.count(request_limits.EXPORT, actor.user_id)
    lines = lines_for(actor, form.search())
    told = LedgerExported(search=form.asked(), form=chosen.suffix, upto=lines.end)
    with transaction.atomic():
        append(actor.team_id, [Entry(told, actor)])
    response = StreamingHttpResponse(chosen.write(lines), content_type=chosen.content_type)
    name = f"events-{team_slug}-{database_now():%Y%m%dT%H%M%SZ}.{chosen.suffix}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
