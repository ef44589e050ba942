"""Tell an operator, instead of waiting for as long as somebody holds a row."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.core.management.base import CommandError
from django.db import OperationalError, connection

from sessions.db.limits import bounded, is_busy


@contextmanager
def told_if_busy() -> Iterator[None]:
    """Bound a command's waits for locks as the web's are.

    Raises `CommandError`; nothing is changed then.
    """
    try:
        with bounded(connection, settings.LOCK_TIMEOUT_SECONDS):
            yield
    except OperationalError as error:
        if not is_busy(error):
            raise
        raise CommandError(
            "Another change is in progress. Nothing was changed. Try again "
            "shortly; if this continues, look for a process that is idle in "
            "a transaction (pg_stat_activity)."
        ) from None
