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
from sessions.engine.second_look import look_again
from sessions.monitoring.heartbeats import seconds_since, stamp
from sessions.monitoring.redis import client

log = structlog.get_logger(__name__)

BEAT_SECONDS = 5.0
# So many beats without an answer of the broker, or without a message that any worker has taken, and
# the sweeper starts.
SILENT_BEATS = 2
LONGEST_WITHOUT_A_MESSAGE_SECONDS = 10.0
# The clock has missed this many of its ticks.
MISSED_TICKS = 3


@dataclass
class Heart:
    """The state between two beats."""

    silent_beats: int = 0
    has_looked: bool = False
    sweeper: "subprocess.Popen[bytes] | None" = None

    def beat(self) -> None:
        """Stamp, and stand in for a silent clock or broker.

        The first beat retries what was rejected.
        """
        if not self.has_looked:
            look_again()
            self.has_looked = True
        answers = self._broker_answers()
        clock_silent = _seconds_without("clock", "sweep")
        quiet = min(clock_silent, _seconds_without("bulk"))
        if answers and quiet <= max(
            LONGEST_WITHOUT_A_MESSAGE_SECONDS, MISSED_TICKS * settings.TICK_SECONDS
        ):
            self.silent_beats = 0
            self._end_sweeper()
        else:
            self.silent_beats += 1
        if self.silent_beats >= SILENT_BEATS:
            self._have_swept()
        stamp("worker")
        if answers:
            stamp("broker")
            if clock_silent > MISSED_TICKS * settings.TICK_SECONDS:
                current_app.send_task("sessions.tasks.sweep", expires=BEAT_SECONDS)

    def _broker_answers(self) -> bool:
        try:
            return bool(client().ping())
        except redis.RedisError:
            return False

    def _have_swept(self) -> None:
        if self.sweeper is None or self.sweeper.poll() is not None:
            log.warning("no messages: sweeping from the database")
            # It ends with the pipe, and so with this process, however that ends.
            self.sweeper = subprocess.Popen(
                [sys.executable, "manage.py", "sweep"], stdin=subprocess.PIPE, cwd=settings.BASE_DIR
            )

    def _end_sweeper(self) -> None:
        if self.sweeper is not None:
            if self.sweeper.stdin:
                self.sweeper.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self.sweeper.wait(timeout=0.1)
                self.sweeper = None


def _seconds_without(*messages: str) -> float:
    """Since a worker has last taken one of these."""
    now = database_now()
    known = [since for name in messages if (since := seconds_since(name, now)) is not None]
    return min(known, default=math.inf)


def _beat_for_ever() -> None:
    heart = Heart()
    while True:
        try:
            close_old_connections()
            heart.beat()
        except Exception as error:  # noqa: BLE001  (whatever it is, the next beat has to come)
            log.warning("heartbeat missed", error=type(error).__name__)
        finally:
            connection.close()
        time.sleep(BEAT_SECONDS)


class Beating(bootsteps.StartStopStep):
    """Start the heart in the worker's main process, after its pool.

    Once the pool is there, so that none of that is forked with a thread in
    it, and before it looks for a broker, which may be away for long."""

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Any) -> None:
        threading.Thread(target=_beat_for_ever, name="heart", daemon=True).start()
