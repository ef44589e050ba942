"""Answer load balancers and start scripts."""

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from sessions.db.clock import database_now
from sessions.monitoring.heartbeats import CHECKPOINTS, PARTS, alive, seconds_since


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200 if this process and its database work, else 503."""
    answers = _database_answers()
    return JsonResponse({"database": answers}, status=200 if answers else 503)


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 if all that a rotation needs works, else 503 with what is missing.

    Reads of credentials never depend on it. How old the last look at checkpoints is stands beside.
    """
    checkpoints = None
    parts = {"database": _database_answers(), **dict.fromkeys(PARTS, False)}
    if parts["database"]:
        try:
            now = database_now()
            parts |= alive(now)
            checkpoints = seconds_since(CHECKPOINTS, now)
        except DatabaseError:
            parts["database"] = False
    ready = all(parts.values())
    missing = [name for name, is_alive in parts.items() if not is_alive]
    said = {"ready": ready, "missing": missing, **parts, "checkpoint_age_seconds": checkpoints}
    return JsonResponse(said, status=200 if ready else 503)
