"""Store Django's sessions in the database, with one rule more.

A login ends at a fixed time after it began.

Django counts from the last save, and a browser that now and then has something saved would stay
logged in for ever.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends import db

BEGAN_KEY = "log_in_began"


class SessionStore(db.SessionStore):
    """Remember when somebody logged in; confirming again begins no other login."""

    def save(self, must_create: bool = False) -> None:
        """Save the session; with somebody logged in for the first time, also the time."""
        if not must_create and SESSION_KEY in self:
            self.setdefault(BEGAN_KEY, int(time.time()))
        super().save(must_create=must_create)

    def get_expiry_age(self, **kwargs: Any) -> int:
        """Return the seconds for which the browser is to keep its cookie."""
        age = super().get_expiry_age(**kwargs)
        began = self.get(BEGAN_KEY)
        return (
            age
            if began is None
            else min(age, int(began + settings.SESSION_COOKIE_AGE - time.time()))
        )

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        """Return when the stored session ends."""
        date: datetime = super().get_expiry_date(**kwargs)
        began = self.get(BEGAN_KEY)
        if began is None:
            return date
        return min(
            date,
            datetime.fromtimestamp(began, UTC) + timedelta(seconds=settings.SESSION_COOKIE_AGE),
        )
