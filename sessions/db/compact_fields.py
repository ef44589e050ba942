"""Store ids and hashes in half the bytes on PostgreSQL; Python has them as text all the same."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

NOBODY = UUID(int=0)


class Implied(str):
    """Hold a text that PostgreSQL is not to store, because it follows from elsewhere."""


class _Compact(models.CharField):  # type: ignore[type-arg]  # no generic at run time
    """Hold a text for which PostgreSQL has a shorter type; SQLite stores the text."""

    on_postgresql = ""

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        if connection.vendor == "postgresql":
            return self.on_postgresql
        return super().db_type(connection)

    def get_db_converters(self, connection: BaseDatabaseWrapper) -> list[Callable[..., Any]]:
        converters = super().get_db_converters(connection)
        return [*converters, self.to_text] if connection.vendor == "postgresql" else converters

    def get_db_prep_value(
        self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> Any:
        text = super().get_db_prep_value(value, connection, prepared)
        if connection.vendor != "postgresql" or not isinstance(text, str):
            return text
        return self.to_database(text)

    @staticmethod
    def to_text(value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        """Return a value of the database as the text that it stands for."""
        raise NotImplementedError

    @staticmethod
    def to_database(text: str) -> Any:
        """Return a text as the database has it."""
        raise NotImplementedError


class UuidText(_Compact):
    """Hold a UUID as text. PostgreSQL stores 16 bytes, and NULL for an empty text.

    A text that is no UUID is not stored, and finds nothing.
    """

    on_postgresql = "uuid"

    @staticmethod
    def to_text(value: Any, expression: Any, connection: BaseDatabaseWrapper) -> str:
        return "" if value is None else str(value)

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        found = super().get_db_prep_save(value, connection)
        if found == NOBODY:
            raise ValueError(f"{self.name} is a UUID.")
        return found

    @staticmethod
    def to_database(text: str) -> UUID | None:
        try:
            return UUID(text) if text else None
        except ValueError:
            return NOBODY


class HexText(_Compact):
    """Hold bytes as hexadecimal digits, in lower case. PostgreSQL stores the bytes.

    Of a text that is `Implied` it stores none.
    """

    on_postgresql = "bytea"

    @staticmethod
    def to_text(value: Any, expression: Any, connection: BaseDatabaseWrapper) -> str:
        return bytes(value).hex()

    @staticmethod
    def to_database(text: str) -> bytes:
        return b"" if isinstance(text, Implied) else bytes.fromhex(text)
