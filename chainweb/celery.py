"""Define the Celery application: workers and beat read their settings from Django."""

import gc
import os
from typing import Any

import kombu
import structlog
from celery import Celery, signals
from celery.app.amqp import AMQP

from sessions.db.limits import bound_locks

log = structlog.get_logger(__name__)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chainweb.settings")
# Celery would run all of Django's checks, a second for each worker, and end in a traceback; what a
# process needs to start is checked below.
os.environ.setdefault("CELERY_SKIP_CHECKS", "true")


class Connection(kombu.Connection):
    """Look for a lost broker every two seconds.

    The library's own pause grows to half a minute.
    """

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Any:
        return super().ensure_connection(*args, **{"interval_max": 2, **kwargs})


class Messages(AMQP):
    Connection = Connection


app = Celery("chainweb", amqp=Messages)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["sessions"])
app.steps["worker"].add("sessions.engine.watchdog:StartWatchdog")


@signals.setup_logging.connect
def keep_our_logging(**kwargs: Any) -> None:
    """Keep the JSON lines of `logs`.

    Celery configures no logging while this signal has a receiver.
    """


@signals.celeryd_init.connect
def refuse_to_work_without_keys(**kwargs: Any) -> None:
    """Refuse to start without keys: a worker that cannot open roots would fail every chain."""
    from sessions.maintenance.starting import refuse_to_start_without_keys

    bound_locks()
    refuse_to_start_without_keys("worker")


@signals.beat_init.connect
def tick_at_once(**kwargs: Any) -> None:
    """Send the first tick now instead of one interval later.

    Work that fell due while nothing ran is picked up at once.
    """
    from sessions.maintenance.starting import refuse_to_start_without_keys

    refuse_to_start_without_keys("beat")
    app.send_task("sessions.tasks.tick", expires=15)


@signals.worker_shutdown.connect
def sign_checkpoints_at_last(**kwargs: Any) -> None:
    """Sign what the worker's last tasks have written; whatever fails, the worker ends."""
    from django.db import connection

    from sessions.ledger import signing

    try:
        signing.sign_and_send()
    except Exception as error:  # noqa: BLE001  (the next worker signs it)
        log.warning("no checkpoint at the end of a worker", error=type(error).__name__)
    finally:
        connection.close()


@signals.worker_process_init.connect
def freeze_imported_objects(**kwargs: Any) -> None:
    """Freeze imported objects in each pool process.

    Collecting them would pause its threads for 0.15 s.
    """
    gc.freeze()
