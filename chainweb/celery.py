"""The Celery application: workers and the beat, both read their settings from Django."""

import os
from typing import Any

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chainweb.settings")

app = Celery("chainweb")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["sessions"])


@signals.setup_logging.connect
def keep_our_logging(**kwargs: Any) -> None:
    """Celery leaves logging alone when this signal has a receiver: the redacting JSON lines of `logs` stay."""


@signals.beat_init.connect
def tick_at_once(**kwargs: Any) -> None:
    """The first tick now, not one interval later: what fell due while nothing ran is picked up at once."""
    app.send_task("sessions.tasks.tick", expires=15)
