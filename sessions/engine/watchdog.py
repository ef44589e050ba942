"""Show that the worker lives, and keep work going without beat or broker.

Rotation must not lapse because a message does not arrive. If the clock is silent, the worker sends
itself the sweep; if the broker is away, or answers but brings no worker anything, it starts a
sweeper, a process of its own that works off what is due straight from the database.
"""

import math
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis
import structlog
from celery import bootsteps, current_app
from django.conf import settings
from django.db import close_old_connections, connection

from sessions.db.clock import database_now
from sessions.engine.second_look import retry_rejected
from sessions.monitoring.heartbeats import seconds_since, stamp
from sessions.monitoring.redis import client

log = structlog.get_logger(__name__)

CHECK_SECONDS = 5.0
# The sweeper starts after so many checks in which the broker did not answer, or no worker had taken
# a message.
SILENT_CHECKS = 2
LONGEST_WITHOUT_A_MESSAGE_SECONDS = 10.0
# The clock has missed this many of its ticks.
MISSED_TICKS = 3


@dataclass
class Watchdog:
    """Check beat and broker at intervals; hold the state between two checks."""

    silent_checks: int = 0
    has_retried: bool = False
    sweeper: "subprocess.Popen[bytes] | None" = None

    def check(self) -> None:
        """Stamp, and stand in for a silent clock or broker.

        The first check retries what was rejected.
        """
        if not self.has_retried:
            retry_rejected()
            self.has_retried = True
        answers = self._broker_answers()
        clock_silent = _seconds_since_message("clock", "sweep")
        quiet = min(clock_silent, _seconds_since_message("bulk"))
        if answers and quiet <= max(
            LONGEST_WITHOUT_A_MESSAGE_SECONDS, MISSED_TICKS * settings.TICK_SECONDS
        ):
            self.silent_checks = 0
            self._stop_sweeper()
        else:
            self.silent_checks += 1
        if self.silent_checks >= SILENT_CHECKS:
            self._start_sweeper()
        stamp("worker")
        if answers:
            stamp("broker")
            if clock_silent > MISSED_TICKS * settings.TICK_SECONDS:
                current_app.send_task("sessions.tasks.sweep", expires=CHECK_SECONDS)

    def _broker_answers(self) -> bool:
        try:
            return bool(client().ping())
        except redis.RedisError:
            return False

    def _start_sweeper(self) -> None:
        if self.sweeper is None or self.sweeper.poll() is not None:
            log.warning("no messages: sweeping from the database")
            # It ends with the pipe, and so with this process, however that ends.
            self.sweeper = subprocess.Popen(
                [sys.executable, "manage.py", "sweep"], stdin=subprocess.PIPE, cwd=settings.BASE_DIR
            )

    def _stop_sweeper(self) -> None:
        if self.sweeper is not None:
            if self.sweeper.stdin:
                self.sweeper.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self.sweeper.wait(timeout=0.1)
                self.sweeper = None


def _seconds_since_message(*messages: str) -> float:
    """Return the seconds since a worker last took one of these messages; infinite: never."""
    now = database_now()
    known = [since for name in messages if (since := seconds_since(name, now)) is not None]
    return min(known, default=math.inf)


def _watch_for_ever() -> None:
    watchdog = Watchdog()
    while True:
        try:
            close_old_connections()
            watchdog.check()
        except Exception as error:  # noqa: BLE001  (whatever it is, the next check has to come)
            log.warning("heartbeat missed", error=type(error).__name__)
        finally:
            connection.close()
        time.sleep(CHECK_SECONDS)


class StartWatchdog(bootsteps.StartStopStep):
    """Start the watchdog in the worker's main process, after its pool and before its broker.

    No process of the pool is forked with this thread in it, and the watchdog does not wait for a
    broker, which may be away for long.
    """

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Any) -> None:
        threading.Thread(target=_watch_for_ever, name="watchdog", daemon=True).start()
