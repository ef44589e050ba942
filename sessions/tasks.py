"""What Celery does: it carries ids at most, and nothing depends on a message arriving."""

import threading
import time
from datetime import timedelta
from typing import Any

import redis
import structlog
from celery import shared_task, signals
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection
from kombu.exceptions import OperationalError

from sessions.clock import database_now
from sessions.lifecycle import activations, probes, rotation
from sessions.lifecycle.claims import next_due_at
from sessions.models import Heartbeat

log = structlog.get_logger(__name__)

# One task works as long as there is work, but lets others have the process now and then.
LONGEST_RUN_SECONDS = 60.0
# Work that falls due within this time is waited for: a child whose parent another worker is minting.
SHORT_WAIT = timedelta(seconds=0.5)
HEARTBEAT_SECONDS = 5.0


@shared_task
def rotate_due() -> None:
    """Works off what is due, batch by batch."""
    until = time.monotonic() + LONGEST_RUN_SECONDS
    while time.monotonic() < until:
        if rotation.run_batch():
            continue
        due_at = next_due_at()
        wait = due_at - database_now() if due_at else None
        if wait is None or wait > SHORT_WAIT:
            return
        time.sleep(max(wait.total_seconds(), 0.02))
    wake()


@shared_task
def tick() -> None:
    """The clock: what has ended ends, what is due is rotated. Two clocks, or a late one, do no harm."""
    stamp("clock")
    activations.end_overdue()
    probes.delete_overdue()
    rotate_due()


@shared_task
def run_root_probe(probe_id: str) -> None:
    """Asks AWS who a root draft is."""
    probes.run_root_probe(probe_id)


def wake() -> None:
    """Tells a worker that something is due. If the broker is away the clock finds it, so nothing is lost."""
    _publish(rotate_due)


def wake_for_probe(probe_id: str) -> None:
    """Tells a worker to try a root draft."""
    _publish(run_root_probe, probe_id)


def _publish(task: Any, *ids: str) -> None:
    try:
        task.apply_async(args=ids, expires=60)
    except (OperationalError, redis.RedisError, OSError) as error:
        log.warning(
            "the broker did not take a wake-up; the clock will", task=task.name, error=type(error).__name__
        )


def stamp(name: str) -> None:
    """Writes down that this part of the installation is alive now."""
    Heartbeat.objects.update_or_create(name=name, defaults={"at": database_now()})


def _beat_heart() -> None:
    broker = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
    while True:
        try:
            close_old_connections()
            stamp("worker")
            broker.ping()
            stamp("broker")
        except (DatabaseError, redis.RedisError) as error:
            log.warning("heartbeat missed", error=type(error).__name__)
        finally:
            connection.close()
        time.sleep(HEARTBEAT_SECONDS)


@signals.worker_ready.connect
def start_heartbeat(**kwargs: Any) -> None:
    """In the worker's main process, so that it beats while the pool works."""
    threading.Thread(target=_beat_heart, name="heartbeat", daemon=True).start()
