"""Work off imports of CloudTrail's records, one at a time over all workers.

One alone holds a worker's process for the length of a file: rotation goes on in the others.
"""

import time

import structlog
from django.db.models import Exists

from sessions.db.clock import database_now
from sessions.engine import trail_lookups
from sessions.ledger.drift import reading
from sessions.models import TrailImport, TrailSource, TrailState

log = structlog.get_logger(__name__)


def is_due() -> bool:
    """Tell whether an import waits that no worker has."""
    return TrailImport.objects.due(database_now()).exists()


def work_off(seconds: float) -> None:
    """Work on what waits, the longest waiting first, and begin nothing after so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        row = _next()
        if row is None:
            return
        try:
            _work_on(row)
        except reading.Lost:
            log.info("an import was taken over or deleted", trail_import=str(row.pk))


def _next() -> TrailImport | None:
    """Hold the next import, unless a worker is at one."""
    now = database_now()
    held = TrailImport.objects.filter(lease_until__gte=now)
    due = TrailImport.objects.due(now).filter(~Exists(held))
    first = due.order_by("due_at").values_list("pk", flat=True).first()
    return TrailImport.objects.hold(first, due=True) if first else None


def _work_on(row: TrailImport) -> None:
    match row.state:
        case TrailState.DELETING | TrailState.UPLOADING:
            reading.clear_away(row)
        case _ if row.source == TrailSource.LOOKUP:
            trail_lookups.run(row)
        case _:
            reading.read_file(row)
