"""manage.py sweep: works off what is due straight from the database, until its standard input ends.

A worker starts it while the broker is away, or while no message of it arrives; nobody else has to.
"""

import os
import select
import sys
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError, close_old_connections, connection

from sessions.checks import KEYS
from sessions.db.limits import bound_locks
from sessions.tasks import sweep_now

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = (
        "Rotates what is due without a broker, until standard input ends. Workers start this by"
        " themselves."
    )
    requires_system_checks = [KEYS]

    def handle(self, *args: Any, **options: Any) -> None:
        bound_locks()
        while True:
            try:
                close_old_connections()
                sweep_now()
            except DatabaseError as error:
                log.warning("sweep missed", error=type(error).__name__)
                connection.close()
            ready, _, _ = select.select([sys.stdin], [], [], min(settings.TICK_SECONDS, 1.0))
            if ready and not os.read(sys.stdin.fileno(), 1024):
                return
