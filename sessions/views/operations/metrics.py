"""Answer Prometheus from database and broker, the same from whichever web process."""

from collections.abc import Iterator
from datetime import datetime

import redis
from django.conf import settings
from django.db.models import Min
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from sessions.db.clock import database_now
from sessions.ledger.siem import stream
from sessions.models import Activation, Credential, Heartbeat, MetricCounter
from sessions.monitoring.counters import LIFE_MINUTES
from sessions.monitoring.redis import client

QUEUES = (settings.CELERY_TASK_DEFAULT_QUEUE, settings.STARTS_QUEUE)


class Installation(Collector):
    """Collect all metrics."""

    def collect(self) -> Iterator[Metric]:
        now = database_now()
        yield from _rotation(now)
        yield from _stored_counters()
        ages = GaugeMetricFamily(
            "chainweb_heartbeat_age_seconds",
            ("Seconds since a process was last seen alive."),
            labels=["part"],
        )
        for name, at in Heartbeat.objects.values_list("name", "at"):
            ages.add_metric([name], (now - at).total_seconds())
        yield ages
        yield from _siem(now)
        yield from _queues()


def _rotation(now: datetime) -> Iterator[Metric]:
    due = Credential.objects.filter(due_at__lte=now)
    oldest = due.aggregate(at=Min("due_at"))["at"]
    yield GaugeMetricFamily(
        "chainweb_due_credentials", "Credentials that are due now.", value=due.count()
    )
    yield GaugeMetricFamily(
        "chainweb_rotation_lag_seconds",
        "How long the longest overdue credential has waited.",
        value=(now - oldest).total_seconds() if oldest else 0.0,
    )
    # What has ended may still be there, until the clock or a deletion comes to it.
    started = Activation.objects.filter(ends_at__gt=now)
    active = started.filter(credential__expires_at__gt=now)
    soonest = active.aggregate(at=Min("credential__expires_at"))["at"]
    yield GaugeMetricFamily(
        "chainweb_active_sessions", "Started sessions with live credentials.", value=active.count()
    )
    if soonest:
        yield GaugeMetricFamily(
            "chainweb_least_life_left_seconds",
            "Shortest remaining lifetime of an active session.",
            value=(soonest - now).total_seconds(),
        )
    troubled = GaugeMetricFamily(
        "chainweb_troubled_sessions", "Started sessions with a problem.", labels=["retrying"]
    )
    for retrying in (True, False):
        with_problem = started.filter(credential__problem__retrying=retrying)
        troubled.add_metric([str(retrying).lower()], with_problem.count())
    yield troubled


def _stored_counters() -> Iterator[Metric]:
    calls = CounterMetricFamily(
        "chainweb_sts_calls",
        "Calls to STS by calling account and outcome.",
        labels=["account", "outcome"],
    )
    saved = CounterMetricFamily(
        "chainweb_calls_saved", "Calls saved by sharing credentials.", labels=["team"]
    )
    lost = CounterMetricFamily(
        "chainweb_claims_lost",
        "Results that arrived after their claim expired and were dropped.",
        value=0,
    )
    served: dict[str, int] = {}
    for counter in MetricCounter.objects.order_by("name", "label", "outcome"):
        match counter.name:
            case "sts_calls":
                calls.add_metric([counter.label, counter.outcome], counter.value)
            case "calls_saved":
                saved.add_metric([counter.label], counter.value)
            case "claims_lost":
                lost = CounterMetricFamily(lost.name, lost.documentation, value=counter.value)
            case "life_served":
                served[counter.outcome] = counter.value
            case _:
                pass
    yield from (calls, saved, lost)
    buckets, total = [], 0
    for minutes in LIFE_MINUTES:
        total += served.get(str(minutes), 0)
        buckets.append((str(minutes * 60.0), total))
    total += served.get("more", 0)
    life = HistogramMetricFamily(
        "chainweb_life_left_when_served_seconds", "Remaining lifetime of delivered credentials."
    )
    life.add_metric([], [*buckets, ("+Inf", total)], sum_value=served.get("seconds", 0))
    yield life


def _siem(now: datetime) -> Iterator[Metric]:
    """Tell how far each destination of events is behind, over all teams."""
    lag = GaugeMetricFamily(
        "chainweb_siem_lag_seconds",
        "How long the oldest event has waited that was not sent.",
        labels=["destination"],
    )
    waiting = GaugeMetricFamily(
        "chainweb_siem_waiting_lines",
        "Lines of ledgers that were not looked at for the destination.",
        labels=["destination"],
    )
    failures = GaugeMetricFamily(
        "chainweb_siem_failures", "Failed tries in a row.", labels=["destination"]
    )
    for each in stream.lags():
        lag.add_metric([each.outlet], each.seconds(now))
        waiting.add_metric([each.outlet], each.lines)
        failures.add_metric([each.outlet], each.failures)
    yield from (lag, waiting, failures)


def _queues() -> Iterator[Metric]:
    """Count the queued messages; nothing while Redis is away: a gap says more than a zero."""
    depth = GaugeMetricFamily(
        "chainweb_queue_depth", "Messages waiting in the broker.", labels=["queue"]
    )
    try:
        for queue in QUEUES:
            depth.add_metric([queue], int(client().llen(queue)))
    except redis.RedisError:
        return
    yield depth


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with Prometheus's text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Installation())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
