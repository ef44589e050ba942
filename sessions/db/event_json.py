"""Store the data of a ledger's line, on PostgreSQL without what it repeats.

SQLite stores it as it is, and a line is hashed as it is read. See `letters`, of what one line says
twice, and `short_lines`, of what many lines say alike.
"""

from collections.abc import Callable
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from sessions.db.letters import pack
from sessions.db.short_lines import whole


class Shortened(dict[str, Any]):
    """Hold a line's data, and beside it what PostgreSQL is to store."""

    stored: Any = None


class EventJson(models.JSONField):
    """Hold a line's data; PostgreSQL stores it shortened."""

    def get_db_prep_value(
        self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> Any:
        if connection.vendor == "postgresql" and isinstance(value, dict):
            stored = value.stored if isinstance(value, Shortened) else None
            value = pack(value) if stored is None else stored
        return super().get_db_prep_value(value, connection, prepared)

    def get_db_converters(self, connection: BaseDatabaseWrapper) -> list[Callable[..., Any]]:
        converters = super().get_db_converters(connection)
        return [*converters, _whole] if connection.vendor == "postgresql" else converters


def _whole(value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
    return whole(value, connection)
