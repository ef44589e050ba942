"""What load balancers, start scripts and scrapers ask."""

from datetime import datetime

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from sessions.clock import database_now
from sessions.lifecycle.heartbeats import PARTS, alive
from sessions.models import Credential, Heartbeat


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """This process and its database: 200 or 503."""
    answers = _database_answers()
    return JsonResponse({"database": answers}, status=200 if answers else 503)


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Everything a rotation needs: 200, or 503 with what is missing. Reads of credentials never depend on it."""
    parts = {"database": _database_answers(), **dict.fromkeys(PARTS, False)}
    if parts["database"]:
        try:
            parts |= alive(database_now())
        except DatabaseError:
            parts["database"] = False
    ready = all(parts.values())
    missing = [name for name, alive in parts.items() if not alive]
    return JsonResponse({"ready": ready, "missing": missing, **parts}, status=200 if ready else 503)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text, read from the database: the same from whichever web process answers."""
    registry = CollectorRegistry()
    now = database_now()
    due = Credential.objects.filter(due_at__lte=now).order_by("due_at")
    oldest: datetime | None = due.values_list("due_at", flat=True).first()
    lag = (now - oldest).total_seconds() if oldest else 0.0
    Gauge("chainweb_due_credentials", "Credentials that are due now.", registry=registry).set(due.count())
    Gauge(
        "chainweb_rotation_lag_seconds",
        "How long the longest overdue credential has waited.",
        registry=registry,
    ).set(lag)
    ages = Gauge(
        "chainweb_heartbeat_age_seconds", "Since a part was last seen alive.", ["part"], registry=registry
    )
    for beat in Heartbeat.objects.all():
        ages.labels(part=beat.name).set((now - beat.at).total_seconds())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
