"""Read a text out of a column of JSON, in a form that an index can be made of."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, F
from django.db.models.expressions import Func


class JsonText(Func):
    """Read the text at a path of keys in a JSON column, as `JsonText("data", "origin", "address")`.

    Django's own transform hands SQLite the path as a parameter, and no index is found by that. The
    keys are names of ours, never a person's text.
    """

    output_field: Any = CharField()

    def __init__(self, column: str, *keys: str, **extra: Any) -> None:
        if not all(key.isidentifier() for key in keys):
            raise ValueError(f"{keys} are no names.")
        self.keys = keys
        super().__init__(F(column), **extra)

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper, *_: Any, **__: Any) -> Any:
        column, params = compiler.compile(self.source_expressions[0])
        if connection.vendor == "sqlite":
            return f"JSON_EXTRACT({column}, '$.{'.'.join(self.keys)}')", params
        *way, last = self.keys
        steps = "".join(f" -> '{key}'" for key in way)
        return f"({column}{steps} ->> '{last}')", params
